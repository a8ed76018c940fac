"""Simulated shoppers, and the proof that every event of theirs was counted.

1. journeys.json  the model: personas, transitions, dwell, catalogue; journeys.py loads and checks it
2. catalogue.py   products, people, devices, channels: pools drawn once
3. shopper.py     one session: a walk and its events     (pure: same seed, same bytes)
4. simulator.py   users and their sessions, in order
5. clocks.py      when an event happens: live, fast, backfill
6. faults.py      duplicates, late, out of order, invalid, bots
7. sender.py      batches over several connections
8. ledger.py      the truth; verify.py compares it with what the API counted
9. explain.py, selfcheck.py   the model computed, the simulation tested against it
"""
