"""What clients of the handshake generation want to be told of, kept where every replica can read it.

A subscription comes with one request and is served by another, on whichever replica: so it lies in the store, among
what may be driven out by newer things, because a notice is a hint and nothing correct depends on one. One row for each
principal, so that no client costs the others more than that; the sessions that were not heard of for longest go first.
"""

import hashlib
import json
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import mcp_types as types
from mcp.shared.exceptions import MCPError
from starlette.requests import Request

from ...schemas.refusals import Refused
from .. import addresses
from ..app import GatewrightApplication
from ..surface import Context
from .calling import caller_of
from .label import HEADER, is_session_id

if TYPE_CHECKING:
    from ..store.tx import Tx

SESSIONS_MAX = 32
URIS_MAX = 64

Wanted = dict[str, list[str]]


class Subscriptions:
    """Of all clients of one store."""

    def __init__(self, application: GatewrightApplication) -> None:
        self._application = application

    async def subscribe(self, context: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        """Answers `resources/subscribe`."""
        return await self._change(context, str(params.uri), is_wanted=True)

    async def unsubscribe(self, context: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        """Answers `resources/unsubscribe`."""
        return await self._change(context, str(params.uri), is_wanted=False)

    async def wanted(self, principal: str, session: str) -> frozenset[str]:
        """The addresses that a session subscribed to; none while the store cannot be read."""
        try:
            services = await self._application.services()
            kept = await services.read(lambda tx: _read(tx, principal))
        except Refused:
            return frozenset()
        return frozenset(kept.get(_named(session), ()))

    async def _change(self, context: Context, uri: str, *, is_wanted: bool) -> types.EmptyResult:
        request = context.request
        assert isinstance(request, Request), "over HTTP each message comes with its request"
        caller, session = caller_of(request), request.headers.get(HEADER.decode(), "")
        assert caller is not None, "nobody who is unknown gets as far as this"
        if not is_session_id(session):
            raise MCPError(types.INVALID_REQUEST, "Send the Mcp-Session-Id that initialize was answered with.")
        if is_wanted and not addresses.is_resource(uri):
            raise MCPError(types.INVALID_PARAMS, "There is no such resource.", {"uri": uri})
        services = await self._application.services()
        change = partial(_change, principal=caller.principal, session=_named(session), uri=uri, is_wanted=is_wanted)
        if not await services.run(lambda tx: change(tx, now=services.clock()), is_news=False):
            raise MCPError(types.INVALID_PARAMS, f"{URIS_MAX} resources are subscribed to already.", {"uri": uri})
        return types.EmptyResult()


def _change(tx: "Tx", *, principal: str, session: str, uri: str, is_wanted: bool, now: datetime) -> bool:
    """Whether it could be changed; there may be too many already."""
    kept = _read(tx, principal)
    uris = [other for other in kept.pop(session, []) if other != uri]
    if is_wanted and len(uris) >= URIS_MAX:
        return False
    # The last one is the one that was heard of last.
    kept[session] = [*uris, uri] if is_wanted else uris
    newest = dict(list(kept.items())[-SESSIONS_MAX:])
    tx.cache_put(_key(principal), json.dumps(newest), now)
    return True


def _read(tx: "Tx", principal: str) -> Wanted:
    wanted: Wanted = json.loads(tx.cache_get(_key(principal)) or "{}")
    return wanted


def _key(principal: str) -> str:
    return f"subscriptions/{_named(principal)}"


def _named(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
