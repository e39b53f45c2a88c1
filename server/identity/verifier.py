"""Who a bearer token makes its sender: one question for tokens of ours and for those of an OAuth issuer."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from mcp.server.auth.provider import AccessToken, TokenVerifier

from ...schemas.refusals import Refused
from . import tokens
from .caller import Caller
from .problems import Unavailable

if TYPE_CHECKING:
    from ..services import Services
    from .oauth import OAuth

# Longer than any that is issued here or elsewhere; what is longer is not looked at.
TOKEN_CHARS_MAX = 8_192


class Verified(AccessToken):
    """The SDK's own record of who sent a request, and ours in it."""

    caller: Caller


class Verifier(TokenVerifier):
    """Looks every token up anew: one that was revoked a moment ago, anywhere, is nobody's."""

    def __init__(
        self,
        open_services: Callable[[], Awaitable["Services"]],
        *,
        oauth: "OAuth | None" = None,
        url: str | None = None,
    ) -> None:
        """`url` is the one that this server is reached under, as OAuth names what a token is for."""
        self._services = open_services
        self._oauth = oauth
        self._url = url

    async def verify_token(self, token: str) -> Verified | None:
        """Who sends it; None for nobody. Raises `Unavailable`."""
        caller = await self._find_caller(token) if len(token) <= TOKEN_CHARS_MAX else None
        if caller is None:
            return None
        return Verified(
            token="",  # so that no log of a request can show it
            client_id=caller.principal,
            scopes=sorted(caller.scopes),
            subject=caller.subject,
            resource=self._url,
            caller=caller,
        )

    async def _find_caller(self, token: str) -> Caller | None:
        is_issued = token.startswith(tokens.PREFIX)
        if not is_issued and self._oauth is None:
            return None
        try:
            # An issuer's tokens are judged by the time that they have.
            services = await self._services()
            if self._oauth is not None and not is_issued:
                return await self._oauth.find_caller(token)
            return await services.read(lambda tx: tokens.find_caller(tx, token, services.clock()))
        except Refused as exc:
            raise Unavailable(exc.refusal.message) from exc
