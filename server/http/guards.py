"""What every request passes before the protocol sees it, the cheapest first: each an ASGI application around another.

None of them reads the body. Whoever is refused is told why in one sentence, and never more than that.
"""

import hashlib
import json
import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

import anyio
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..identity.caller import Caller
from ..identity.problems import Unavailable
from ..identity.verifier import Verifier
from .calling import caller_of
from .limits import Limits
from .rates import Buckets, Open, share_of

MISDIRECTED, TOO_MANY, UNAUTHORIZED, UNAVAILABLE = 421, 429, 401, 503
RETRY_AFTER_S = 2
KNOWN_MAX = 10_000
# So that nobody fills the disk by asking.
TOLD_EVERY_S = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Places:
    """Under which hosts this server is reached, and from pages of which origins; both in small letters."""

    hosts: frozenset[str]
    origins: frozenset[str]


def refusal(status: int, sentence: str, *, retry_after_s: float | None = None) -> Response:
    """An answer to a request that goes no further."""
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    if retry_after_s is not None:
        headers["retry-after"] = str(max(1, math.ceil(retry_after_s)))
    return Response(json.dumps({"message": sentence}), status, headers, media_type="application/json")


class PlaceGuard:
    """Host and Origin, on every path: a page of another site reaches nothing here, whatever name it was given."""

    def __init__(self, app: ASGIApp, places: Places) -> None:
        self._app = app
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._problem(scope["headers"]) if scope["type"] == "http" else None
        await (problem or self._app)(scope, receive, send)

    def _problem(self, headers: Iterable[tuple[bytes, bytes]]) -> Response | None:
        given = list(headers)
        hosts = [value.decode("latin-1").lower() for name, value in given if name == b"host"]
        origins = [value.decode("latin-1").lower() for name, value in given if name == b"origin"]
        if len(hosts) != 1 or hosts[0] not in self._places.hosts:
            return refusal(MISDIRECTED, "This server is not reached under that Host.")
        if any(origin not in self._places.origins for origin in origins):
            return refusal(403, "Requests of pages of that Origin are not answered.")
        if sum(name == b"authorization" for name, _ in given) > 1:
            return refusal(400, "More than one Authorization says nothing.")
        return None


class AddressGuard:
    """So many requests of an address, before anybody knows whose they are."""

    def __init__(self, app: ASGIApp, limits: Limits, now: Callable[[], float]) -> None:
        self._app = app
        self._buckets = Buckets(limits.requests_of_address, now)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wait_s = self._buckets.take(address_of(scope)) if scope["type"] == "http" else 0.0
        if wait_s:
            problem = refusal(TOO_MANY, "Too many requests come from your address.", retry_after_s=wait_s)
            await problem(scope, receive, send)
            return
        await self._app(scope, receive, send)


class StrangerGuard:
    """Few requests of an address that turn out to be nobody's; a token that was good lately is no stranger's.

    So whoever tries tokens is slowed down, and whoever shares an address with them is not.
    """

    def __init__(self, app: ASGIApp, limits: Limits, now: Callable[[], float]) -> None:
        self._app = app
        self._buckets = Buckets(limits.strangers_of_address, now)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._now = now
        self._told_at = -math.inf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        address, shown = address_of(scope), _shown(scope)
        wait_s = 0.0 if shown in self._known else self._buckets.wait_s(address)
        if wait_s:
            problem = refusal(TOO_MANY, "Too many unknown tokens come from your address.", retry_after_s=wait_s)
            await problem(scope, receive, send)
            return

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(address, shown, is_stranger=message["status"] == UNAUTHORIZED)
            await send(message)

        try:
            await self._app(scope, receive, note)
        except Unavailable as exc:
            if self._now() - self._told_at >= TOLD_EVERY_S:
                self._told_at = self._now()
                log.warning("nobody can be known: %s", exc)
            problem = refusal(UNAVAILABLE, "Tokens cannot be looked at now.", retry_after_s=RETRY_AFTER_S)
            await problem(scope, receive, send)

    def _note(self, address: str, shown: bytes, *, is_stranger: bool) -> None:
        self._known.pop(shown, None)
        if is_stranger:
            self._buckets.take(address)
            return
        self._known[shown] = None
        while len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)


class PrincipalGuard:
    """So many requests of a principal, one after the other and at once; `under_way` counts all of them.

    One that lasts is cut when its token is good no more: what was revoked hears nothing further.
    """

    def __init__(
        self, app: ASGIApp, verifier: Verifier, limits: Limits, under_way: Open, now: Callable[[], float]
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._recheck_s = limits.recheck_s
        self._buckets = Buckets(limits.requests_of_principal, now)
        self._under_way = under_way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = caller_of(HTTPConnection(scope))
        assert caller is not None, "who is unknown was sent away"
        if not caller.scopes:
            await refusal(403, "Your token has no scope of this server.")(scope, receive, send)
            return
        with self._under_way.one(caller.principal) as is_in:
            wait_s = self._buckets.take(caller.principal) if is_in else RETRY_AFTER_S
            if wait_s:
                what = "are made with your token" if is_in else "of your token are under way"
                problem = refusal(TOO_MANY, f"Too many requests {what}.", retry_after_s=wait_s)
                await problem(scope, receive, send)
                return
            await self._watched(caller, scope, receive, send)

    async def _watched(self, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        token = HTTPConnection(scope).headers["authorization"][len("bearer ") :]
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch, token, caller, tasks.cancel_scope)
                await self._app(scope, receive, send)
                tasks.cancel_scope.cancel()
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _watch(self, token: str, caller: Caller, scope: anyio.CancelScope) -> None:
        while True:
            await anyio.sleep(self._recheck_s)
            with suppress(Unavailable):
                found = await self._verifier.verify_token(token)
                if found is None or found.caller.scopes != caller.scopes:
                    log.info("a request of %s was cut: its token is good no more", caller.principal)
                    scope.cancel()
                    return


class DrainGuard:
    """Nothing new once this server is to end: another replica takes it."""

    def __init__(self, app: ASGIApp, is_draining: Callable[[], bool]) -> None:
        self._app = app
        self._is_draining = is_draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_draining():
            problem = refusal(UNAVAILABLE, "This server is about to end.", retry_after_s=RETRY_AFTER_S)
            await problem(scope, receive, send)
            return
        await self._app(scope, receive, send)


def address_of(scope: Scope) -> str:
    """Whoever sent the request, as the connection says or the proxy that is trusted; in whose share it is counted."""
    client = scope.get("client")
    return share_of(str(client[0])) if client else ""


def _shown(scope: Scope) -> bytes:
    """What of the token is remembered: not the token."""
    found = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    return hashlib.sha256(found).digest()
