"""Who may look at a local board: whoever opened a link of it first.

The secret of a link is changed for a key once. The key stays in the tab that got it, and travels in a header, which no
page of another origin can make a browser send. Both live in this process alone.
"""

import hmac
import secrets

SECRET_BYTES = 32


class Keys:
    """The one link of a board, and the key that it was changed for."""

    def __init__(self) -> None:
        self.secret = secrets.token_urlsafe(SECRET_BYTES)
        self._key = secrets.token_urlsafe(SECRET_BYTES)
        self._is_used = False

    def exchange(self, authorization: str) -> str | None:
        """The key for the link's secret, the first time; None for anything else, and for a second time."""
        if self._is_used or not _is(authorization, self.secret):
            return None
        self._is_used = True
        return self._key

    def may_look(self, authorization: str) -> bool:
        """Whether a request comes from the tab that has the key."""
        return self._is_used and _is(authorization, self._key)


def _is(authorization: str, secret: str) -> bool:
    return hmac.compare_digest(authorization.encode(), f"Bearer {secret}".encode())
