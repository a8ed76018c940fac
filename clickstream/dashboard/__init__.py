"""Parts of the web dashboard that know nothing of HTTP frameworks.

snapshots.py      one reading of the API for every browser
quarantine_size.py  how many refused records the API keeps, also from before its start
snapshot_json.py  a snapshot as the JSON that browsers poll
static_files.py   script, style and fonts, compressed once
access.py         who may look
"""
