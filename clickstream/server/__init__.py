"""Any WSGI application behind HTTP/1.1: one process, one asyncio loop thread.

A view is called on the loop thread, so it owns all Python state without locks, and it must be quick. It can

- leave a `Deferred` in `environ[DEFERRED]`: the answer is sent when that resolves. Thousands of requests can so
  wait for one disk sync without a thread each.
- return its body as a generator: it is produced on a worker thread, and sent as fast as the client reads.

The body is there before the view is called, in `environ[BODY]` besides WSGI's stream. One that is too large, too slow
or for which there is no room at the moment is thrown away; the view is called all the same and finds the RequestRefused
or Unavailable in `environ[BODY_REFUSED]`, because what stops a client from trying for ever differs from route to route.

serving.py     start, signals, stop
service.py     what all connections share; once a second, who is too slow
connection.py  one client: its requests are answered one after the other
incoming.py    the requests in what it sends, read by httptools
request.py     a request as it arrives, within its limits of size and room, and as WSGI has it
answer.py      an answer as WSGI gives it, and as bytes
streams.py     answers that are too large to be held
turns.py       large requests of many clients, one after the other, small ones in between
contract.py    what a view and the server say to each other
"""

from clickstream.server.contract import BODY, BODY_REFUSED, DEFERRED, Deferred, WsgiApp
from clickstream.server.serving import leave, serve

__all__ = ["BODY", "BODY_REFUSED", "DEFERRED", "Deferred", "WsgiApp", "leave", "serve"]
