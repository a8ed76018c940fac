"""Any WSGI application on uvicorn: one process, one asyncio loop thread.

A view is called on the loop thread, so it owns all Python state without locks, and it must be quick. It can

- leave a `Deferred` in `environ[DEFERRED]`: the answer is sent when that resolves. Thousands of requests can so
  wait for one disk sync without a thread each.
- return its body as a generator: it is produced on a worker thread, and sent as fast as the client reads.

The body is there before the view is called, in `environ[BODY]` besides WSGI's stream. One that is too large, too slow
or for which there is no room at the moment is thrown away; the view is called all the same and finds the RequestRefused
or Unavailable in `environ[BODY_REFUSED]`, because what stops a client from trying for ever differs from route to route.

serving.py      start, signals, stop
connections.py  what uvicorn leaves open: slow and endless heads, answers in one piece
adapter.py      ASGI on one side, WSGI on the other
request_body.py the body of a request, within its limits of size, time and room
streams.py      answers that are too large to be held
patience.py     how long clients are waited for
contract.py     what a view and the server say to each other
"""

from clickstream.server.contract import BODY, BODY_REFUSED, DEFERRED, Deferred, WsgiApp
from clickstream.server.serving import leave, serve

__all__ = ["BODY", "BODY_REFUSED", "DEFERRED", "Deferred", "WsgiApp", "leave", "serve"]
