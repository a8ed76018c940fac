"""ENV=aws: events go to Kinesis; numbers come back from DynamoDB, events from S3.

clients.py    boto3 clients with timeouts; boto3 is imported only here and only when a client is made
packing.py    stored events -> records of the stream, and back: the one place that knows the wire form
sink.py       PutRecords with all its limits: resends only what failed, gives back what could not be sent
abandonable.py  threads that a stop need not wait for
emitting.py   what CloudWatch's alarms watch of an API host
cost.py       the monthly bill, with the unit prices of prices.py
spill/        the journal that keeps events while the stream takes none, drained in order
consumer/     the Lambda function: records -> exact counters in DynamoDB
live.py       the counters -> the same Stats that the local platform counts in memory
lake.py       the Parquet objects in S3 -> stored events
replaying.py  collected events sent again; replay_sources.py says where they come from, completion.py what they lack
reconciliation.py  whether lake, counters and stream agree
lake_writing.py  events written into the lake beside Firehose
local/        the same on this machine: emulator, event-source runner, delivery into the lake
"""
