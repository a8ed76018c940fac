"""What generators, dashboard and terminal speak with the API: sending.py posts events, reading.py reads numbers."""
