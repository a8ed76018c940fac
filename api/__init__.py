"""The HTTP surface of the ingestion API: Flask views that take bytes, call one method and shape an answer.

app.py      create_app: blueprints, errors, headers
ingest.py   POST /events
persons.py  GET and DELETE /users/<id>, /users?id=
rejected.py  POST /rejected/replay
sdks.py     what SDKs of other platforms send
reads.py    /stats /events /export /rejected
analytics.py  /analytics
tracking_tests.py  /expect /micro/*
service.py  / /health /ready /metrics /openapi.json /docs
parts.py    what the views work with
access.py   who may read
turns.py    work of seconds, one at a time
answers.py  how every view answers: JSON, errors, waiting for the disk, worker threads
"""

from api.app import create_app

__all__ = ["create_app"]
