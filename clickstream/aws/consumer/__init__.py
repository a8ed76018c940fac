"""The Lambda function: records of one shard -> exact live counters.

consumer.py  a delivered batch: decodes, quarantines, counts, answers which records to deliver again
counting.py  counts a batch in transactions that also move the shard's watermark
watermark.py how far a shard was counted, now and before each delivery
adding.py    what a batch comes to, added to what the table has
heaviest.py  the most frequent values of all time, bounded
table.py     the items in DynamoDB, and all-or-nothing writes to them

infra/consumer_lambda.py is the process: it reads the settings and builds these objects.
"""
