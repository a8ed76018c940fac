"""Where events live: local.py (the journal) or aws.py (Kinesis, DynamoDB, S3); base.py is what both promise.

keeping.py       what only a journal can do: give back and erase one person's events, drop old ones
checkpointer.py  checkpoints while running, made by a process of its own
"""
