"""Simulated shoppers, and the proof that every event of theirs was counted.

1. journeys.json        the model: personas, transitions, dwell, catalogue; journeys.py and coherence.py check it
2. catalogue.py         products, people, devices, channels: pools drawn once
3. shopper.py           one session: a walk and its events     (pure: same seed, same bytes)
4. simulator.py         users and their sessions, in order
5. clocks.py            when an event happens: live, fast, backfill
6. faults.py            duplicates, late, out of order, invalid, bots
7. ledger.py            the truth; traffic.py puts 4 to 7 in a row
8. transmit.py          paced by the clock or not; sender.py sends batches over several connections
9. shopping.py          one run from start to exit code; view.py and shopping_view.py show it
10. verify.py           the truth against what the API counted and kept (counted.py)
11. explain.py, selfcheck.py   the model computed, and the simulation tested against it

steady.py is the traffic of data_generator.py, which shares catalogue, sender and summary.
"""
