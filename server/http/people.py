"""People's commands over HTTP: `POST /people/COMMAND` with a JSON object, answered by another.

By the token's subject and never by what the body says. The same operations as at a terminal: what a command needs of
the token stands in `operations.deeds`, and is looked at again in the transaction that decides. Whatever may read may
ask what there is to decide, why nothing moves and what happened. No tool of the protocol comes here.
Source: docs/decisions/0024-people-decide-over-http.md
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from mcp.server.streamable_http_manager import RequestBodyLimitMiddleware
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ...schemas import decisions as d
from ...schemas import refusals
from ...schemas.refusals import Refusal, RefusalCode, Refused
from ..app import GatewrightApplication
from ..identity.caller import Caller, person_of
from .calling import caller_of
from .guards import refusal as told

if TYPE_CHECKING:
    from ..services import Services

PREFIX = "/people/"
BODY_BYTES_MAX = 262_144
JSON = "application/json"
CONFLICT = 409
# How a refusal is told to programs that look at the status alone.
STATUSES: Mapping[RefusalCode, int] = {
    RefusalCode.BAD_ARGUMENT: 400,
    RefusalCode.NOT_ALLOWED: 403,
    RefusalCode.OWN_WORK: 403,
    RefusalCode.UNKNOWN_CHANGE: 404,
    RefusalCode.UNKNOWN_STAGE: 404,
    RefusalCode.STORE_UNAVAILABLE: 503,
    RefusalCode.DRAINING: 503,
}

Model = TypeVar("Model", bound=BaseModel)
Reply = BaseModel | Mapping[str, object]


def people_door(application: GatewrightApplication) -> ASGIApp:
    """The application behind `/people/`; whoever comes here was authenticated."""
    return RequestBodyLimitMiddleware(_PeopleDoor(application), BODY_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request, read."""

    services: "Services"
    caller: Caller
    command: str
    body: bytes

    def parsed(self, model: type[Model]) -> Model:
        """The body as what the command takes; raises `Refused` (bad_argument)."""
        try:
            return model.model_validate_json(self.body)
        except ValidationError as exc:
            raise Refused(refusals.bad_argument(problem_of(exc))) from None


class _PeopleDoor:
    def __init__(self, application: GatewrightApplication) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        command = request.scope["path"].removeprefix(PREFIX)
        answer = _ANSWERS.get(command)
        if answer is None:
            return told(404, "There is no such command of people.")
        # A page of another site can send forms and plain text unasked, and no more.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            return told(415, f"A command is sent as {JSON}.")
        caller = caller_of(request)
        assert caller is not None, "nobody who is unknown gets as far as this"
        body = await request.body()
        try:
            asked = _Asked(await self._application.services(), caller, command, body)
            reply = await answer(asked)
        except Refused as exc:
            return _refused(exc.refusal)
        content = reply.model_dump(mode="json") if isinstance(reply, BaseModel) else reply
        return JSONResponse(content, headers={"cache-control": "no-store", "x-content-type-options": "nosniff"})


def problem_of(error: ValidationError) -> str:
    """The first problem in a few words, with the name of the field."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])[:80]
    return f"`{where}`: {first['msg'][:200]}" if where else str(first["msg"])[:200]


def _refused(refusal: Refusal) -> Response:
    content = {"code": refusal.code.value, "message": refusal.message, "next": refusal.next}
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return JSONResponse(content, STATUSES.get(refusal.code, CONFLICT), headers)


async def _decide(asked: _Asked) -> Reply:
    from ..operations.deeds import DEEDS, decide

    deed = DEEDS[asked.command]
    person = person_of(asked.caller, deed.scope)
    return await decide(asked.services, asked.command, asked.parsed(d.TAKES[asked.command]), person)


async def _show(asked: _Asked) -> Reply:
    from ..operations import showing

    asking, services = asked.parsed(d.Asking), asked.services
    match asking.command:
        case "approve" | "reject":
            return await services.act(lambda: showing.show_approval(services, asking))
        case "answer":
            return await services.act(lambda: showing.show_question(services, asking))
        case command if command in d.TAKES:
            return await services.act(lambda: showing.show_change(services, asking))
        case _:
            raise Refused(refusals.bad_argument(f"`command` is one of {', '.join(d.TAKES)}"))


async def _diff(asked: _Asked) -> Reply:
    from ..operations import showing

    asking, services = asked.parsed(d.Asking), asked.services
    return {"diff": await services.act(lambda: showing.show_diff(services, asking))}


async def _why(asked: _Asked) -> Reply:
    from ..operations.looking import look_why

    looking, services = asked.parsed(d.Looking), asked.services
    return await services.read(lambda tx: look_why(services, tx, looking))


async def _log(asked: _Asked) -> Reply:
    from ...schemas.events import exported
    from ..operations.looking import look_back

    paging = asked.parsed(d.Paging)
    page = await asked.services.read(lambda tx: look_back(tx, paging))
    lines = [exported(change, number, event) for _, change, number, event in page]
    return {"events": lines, "after": page[-1][0] if page else paging.after}


_ANSWERS: Mapping[str, Callable[[_Asked], Awaitable[Reply]]] = {
    **dict.fromkeys(d.TAKES, _decide),
    "asked": _show,
    "diff": _diff,
    "why": _why,
    "log": _log,
}
