"""One person's data: GET gives everything that is kept about them, DELETE erases it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from flask import Blueprint, Response, request

from api.access import refuse_other_sites, refuse_strangers
from api.answers import failure, only_parameters, ready_backend, reply
from api.parts import parts
from clickstream.backends.keeping import Erased, Keeper, Keeping
from clickstream.errors import RequestRefused
from clickstream.server import DEFERRED, Deferred

_NOTHING: Final = (
    "neither journal nor quarantine holds anything under this id, so nothing was taken out; "
    "ids are compared exactly, capitals included"
)

persons: Final = Blueprint("persons", __name__)
persons.before_request(refuse_strangers)
persons.before_request(refuse_other_sites)


@persons.get("/users")
def get_user_by_parameter() -> Response:
    """The same as GET /users/<id>, for ids that no path can hold: with a newline, a leading slash, or dots alone."""
    return _given(_id_parameter())


@persons.delete("/users")
def delete_user_by_parameter() -> Response:
    """The same as DELETE /users/<id>, for ids that no path can hold."""
    return _erased(_id_parameter())


@persons.get("/users/<path:person_id>")
def get_user(person_id: str) -> Response:
    """Everything that is kept about one person, as a download."""
    only_parameters()
    return _given(person_id)


def _given(person_id: str) -> Response:
    headers = {"Content-Disposition": 'attachment; filename="user.json"'}
    return Response(_keeper().everything_about(person_id), content_type="application/json", headers=headers)


@persons.delete("/users/<path:person_id>")
def delete_user(person_id: str) -> Response:
    """Erase one person from everything that is kept; meanwhile events are refused with 503 for a moment.

    Nothing is rewritten, and nobody is refused, when nothing is kept about them.
    """
    only_parameters()  # whoever says `since` here does not mean everything
    return _erased(person_id)


def _erased(person_id: str) -> Response:
    keeper, deferred = _keeper(), Deferred()
    pipeline = parts().pipeline

    def looked(search: asyncio.Future[Erased | None]) -> None:
        try:
            nothing = search.result()
            if nothing is None:
                pipeline.rebuild(lambda: keeper.erase(person_id), done)
            else:
                pipeline.let_forget()  # what was read so far may be remembered although it is kept no more
                deferred.resolve(_answer(nothing))
        except Exception as problem:  # noqa: BLE001 - outermost frame; its client waits, also where another erasure has begun
            deferred.resolve(failure(problem))

    def done(erased: Erased | None, problem: BaseException | None) -> None:
        deferred.resolve(failure(problem) if erased is None and problem is not None else _answer(erased or Erased()))

    asyncio.get_running_loop().run_in_executor(None, keeper.nothing_about, person_id).add_done_callback(looked)
    request.environ[DEFERRED] = deferred
    return Response()


def _answer(erased: Erased) -> Response:
    body: dict[str, Any] = {"status": "erased", "events": erased.events, "rejected": erased.rejected}
    if erased.mentioned_in:
        body["mentioned_in"] = erased.mentioned_in
    if not erased.events and not erased.rejected:  # done already, or the id is mistyped
        body["message"] = _NOTHING
    return reply(body)


def _id_parameter() -> str:
    only_parameters("id")
    ids = request.args.getlist("id")
    if len(ids) != 1 or not ids[0]:
        raise RequestRefused("invalid_parameter", "id: say whom, once, as /users?id=user_123", field="id")
    return ids[0]


def _keeper() -> Keeping:
    backend = ready_backend()
    if not isinstance(backend, Keeper):
        raise RequestRefused(
            "not_found", "this backend cannot erase one person; infra/README.md says how to do it there"
        )
    return backend.keeper()
