"""Who a request is from, as the tools see it: its principal, what that may, and its client's name."""

from starlette.requests import HTTPConnection, Request

from ..app import Calling
from ..identity.caller import Caller
from ..identity.verifier import Verified
from ..surface import Context
from .label import HEADER, name_from, shows_apps


def caller_of(connection: HTTPConnection) -> Caller | None:
    """Who was authenticated; None before that, or when nobody was."""
    verified = getattr(connection.scope.get("user"), "access_token", None)
    return verified.caller if isinstance(verified, Verified) else None


def calling_of(context: Context) -> Calling:
    """Who calls a tool."""
    request = context.request
    assert isinstance(request, Request), "over HTTP each message comes with its request"
    caller = caller_of(request)
    assert caller is not None, "nobody who is unknown gets as far as the tools"
    session_id = request.headers.get(HEADER.decode(), "").encode()
    return Calling(caller.principal, caller.scopes, name_from(session_id), shows_apps(session_id))
