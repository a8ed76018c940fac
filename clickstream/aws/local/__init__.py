"""The AWS side on this machine: `python -m clickstream.aws.local`, or ./run_demo.sh --aws-local.

emulator.py    moto server on loopback: Kinesis, S3, DynamoDB
moto_*.py      its process, what is mended in it, and shorter ways through it
template.py    infra/template.yaml as data
resources.py   stream, bucket and table as that template describes them
cloud.py       all of it on one thread, until told to finish
shards.py      reads a stream shard by shard, parents of a split first
runner.py      what Lambda's event source mapping does: shards, checkpoints, retries, bisect, failure destination
delivery.py    what Firehose does: stream -> Parquet objects in the lake's layout
accounting.py  sent = stream = lake = counters, or the difference
"""
