"""Where events live: local.py (the journal) or aws.py (Kinesis, DynamoDB, S3); base.py is what both promise."""
