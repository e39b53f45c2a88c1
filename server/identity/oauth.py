"""Access tokens that an OAuth issuer signs: this server is a resource of it, and takes only what is meant for it.

What is held to: signature by a key of the issuer, with RS256 or ES256 alone; `iss`, `aud`, `exp`, `nbf`; `sub`, which
is the principal; scopes, of which ours count. Source: docs/decisions/0021-who-calls-over-http.md
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import get_args

import jwt

from .caller import Caller
from .jwks import Algorithm, Keys
from .scopes import known_scopes

ALGORITHMS: tuple[str, ...] = get_args(Algorithm)
# Of an access token, as RFC 9068 has it, or of one that does not say; never that of a token for another purpose.
TYPES = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
LEEWAY_S = 30.0
# The year 9999: what an issuer writes may be later than any time that there is here.
UNTIL_MAX_S = 253_370_764_800.0
# As issuers make them: numbers, names, addresses, `auth0|5f...`. It is shown to people and agents.
SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+|:/=-]{0,127}")


class OAuth:
    """One issuer. `audience` is how it names this server; `clock` tells aware UTC."""

    def __init__(self, *, issuer: str, audience: str, keys: Keys, clock: Callable[[], datetime]) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._clock = clock

    async def find_caller(self, token: str) -> Caller | None:
        """Whom the token is about; None for one that is not good here. Raises `Unavailable`."""
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            return None
        algorithm, name = header.get("alg"), header.get("kid")
        # An extension that must be understood, and is not.
        if algorithm not in ALGORITHMS or "crit" in header or str(header.get("typ") or "").lower() not in TYPES:
            return None
        key = await self._keys.find(name, algorithm)
        if key is None:
            return None
        try:
            claims = jwt.decode(
                token,
                key.public,
                algorithms=[key.algorithm],
                audience=self._audience,
                issuer=self._issuer,
                # By our clock, below.
                options={
                    "require": ["exp", "iss", "aud", "sub"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            return None
        return _caller_in(claims) if self._is_in_time(claims) else None

    def _is_in_time(self, claims: Mapping[str, object]) -> bool:
        now, until, since = self._clock().timestamp(), claims["exp"], claims.get("nbf", 0)
        if not _is_number(until) or not _is_number(since):
            return False
        return float(str(since)) - LEEWAY_S <= now < float(str(until)) + LEEWAY_S


def _caller_in(claims: Mapping[str, object]) -> Caller | None:
    subject = claims["sub"]
    if not isinstance(subject, str) or not SUBJECT.fullmatch(subject):
        return None
    until = datetime.fromtimestamp(min(float(str(claims["exp"])) + LEEWAY_S, UNTIL_MAX_S), UTC)
    scopes = known_scopes([*_names(claims.get("scope")), *_names(claims.get("scp"))])
    return Caller(subject, scopes, until=until)


def _names(value: object) -> list[str]:
    """Scopes as a text with blanks, or as a list of texts: issuers do both."""
    if isinstance(value, str):
        return value.split()
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
