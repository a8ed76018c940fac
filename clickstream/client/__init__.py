"""What generators, dashboard and terminal speak with the API: sending.py posts events, reading.py reads numbers.

expecting.py asks /expect; answers.py reads an answer no further than its bounds.
"""
