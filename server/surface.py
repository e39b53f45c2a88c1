"""One connection's MCP server: the SDK's own around a `Surface`, which says what is served.

Both generations of the protocol are spoken by the same server object; what differs between them, how a client is told
of changes, is settled here. The conformance tests serve a surface of their own through it.
"""

import logging
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Protocol, TypeVar

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from .. import __version__
from .board import mcp_app
from .notices import URIS_MAX, Notices, Subscriber

Context = ServerRequestContext[Subscriber, Any]  # Any: what the transport attached, which nothing here looks at
Params = TypeVar("Params")
Answer = TypeVar("Answer")
Handler = Callable[[Context, Params], Awaitable[Answer]]

log = logging.getLogger(__name__)


class Surface(Protocol):
    """What a connection can list, call and read. Each raises `MCPError` for what it does not have."""

    async def list_tools(self, context: Context) -> types.ListToolsResult: ...

    async def call_tool(
        self, context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult: ...

    async def list_resources(self, context: Context) -> types.ListResourcesResult: ...

    async def list_resource_templates(self) -> types.ListResourceTemplatesResult: ...

    async def read_resource(self, uri: str) -> types.ReadResourceResult: ...

    def is_resource(self, uri: str) -> bool:
        """Whether there could be something under an address: only such are watched."""
        ...

    async def list_prompts(self) -> types.ListPromptsResult: ...

    async def get_prompt(
        self, context: Context, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult | types.InputRequiredResult: ...

    async def complete(self, params: types.CompleteRequestParams) -> types.CompleteResult: ...


class SurfaceServer(Server[Subscriber]):
    """A server for one connection: whoever subscribes through it is forgotten when the connection ends.

    Without connections each request stands alone: whoever serves it so sees to subscriptions of the handshake
    generation. In the newer one a subscription is itself a request.
    """

    def __init__(self, surface: Surface, notices: Notices, *, instructions: str, has_connections: bool = True) -> None:
        self._surface = surface
        self._notices = notices
        self._has_connections = has_connections
        super().__init__(
            "gatewright",
            version=__version__,
            title="gatewright",
            description="Staged handoffs between coding agents, with gates that the server runs.",
            instructions=instructions,
            lifespan=lambda _: notices.connection(),
            on_list_tools=_guarded(self._list_tools),
            on_call_tool=_guarded(surface.call_tool),
            on_list_resources=_guarded(self._list_resources),
            on_list_resource_templates=_guarded(self._list_resource_templates),
            on_read_resource=_guarded(self._read_resource),
            on_subscribe_resource=_guarded(self._subscribe) if has_connections else None,
            on_unsubscribe_resource=_guarded(self._unsubscribe) if has_connections else None,
            on_subscriptions_listen=_guarded(self._listen),
            on_list_prompts=_guarded(self._list_prompts),
            on_get_prompt=_guarded(surface.get_prompt),
            on_completion=_guarded(self._complete),
        )
        self.extensions = {mcp_app.EXTENSION: {}}

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """As the SDK does it, and clients of the handshake generation are told that the list of resources changes."""
        options = notification_options or NotificationOptions(resources_changed=True)
        return super().create_initialization_options(options, experimental_capabilities, extensions)

    async def _list_tools(self, context: Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return await self._surface.list_tools(context)

    async def _list_resources(
        self, context: Context, _: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        if self._has_connections and context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            context.lifespan_context.note_listing(context.session)
        return await self._surface.list_resources(context)

    async def _list_resource_templates(
        self, _: Context, __: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        return await self._surface.list_resource_templates()

    async def _read_resource(self, _: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        return await self._surface.read_resource(str(params.uri))

    async def _subscribe(self, context: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        uri = str(params.uri)
        if not self._surface.is_resource(uri):
            raise MCPError(types.INVALID_PARAMS, "There is no such resource.", {"uri": uri})
        context.lifespan_context.subscribe(context.session, uri)
        return types.EmptyResult()

    async def _unsubscribe(self, context: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        context.lifespan_context.unsubscribe(str(params.uri))
        return types.EmptyResult()

    async def _listen(
        self, context: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        wanted = params.notifications.resource_subscriptions or []
        if len(wanted) > URIS_MAX:
            raise MCPError(types.INVALID_PARAMS, f"At most {URIS_MAX} resources can be listened to at once.")
        # What is acknowledged is what will be told: an address that nothing can have is left out.
        known = [uri for uri in wanted if self._surface.is_resource(str(uri))]
        notifications = params.notifications.model_copy(update={"resource_subscriptions": known or None})
        return await self._notices.listen(context, params.model_copy(update={"notifications": notifications}))

    async def _list_prompts(self, _: Context, __: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        return await self._surface.list_prompts()

    async def _complete(self, _: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        return await self._surface.complete(params)


def _guarded(handler: Handler[Params, Answer]) -> Handler[Params, Answer]:
    """A handler whose own defects are logged, and told as such.

    The SDK by itself gives an exception's words to clients of the handshake generation, and takes a model of ours that
    cannot be made for a mistake of the client's.
    """

    @wraps(handler)
    async def answer(context: Context, params: Params) -> Answer:
        try:
            return await handler(context, params)
        except MCPError:
            raise
        except Exception as exc:
            log.exception("%s %s failed in our own code", context.method, getattr(params, "name", ""))
            where = "The server's log says where: .git/gatewright/server.log, or what gatewright serve printed."
            sentence = f"gatewright failed at {context.method} in its own code. {where}"
            raise MCPError(types.INTERNAL_ERROR, sentence) from exc

    return answer
