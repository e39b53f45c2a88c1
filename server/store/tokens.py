"""Tokens that were issued to those who call over HTTP: what is kept of each, never the token itself."""

from datetime import datetime

from sqlalchemy import bindparam, func, null, select, update

from . import schema
from .forms import micros, moment, moment_or_none
from .part import Part, Prepared, Row, adding
from .rows import TokenRow

_token = schema.token


class Tokens(Part):
    """Tokens by digest, which is what a call is looked up by, and by id, which is what people call them."""

    def find_token(self, digest: str) -> TokenRow | None:
        """The token of this digest, whether it is still good or not."""
        row = self._row(_FIND, this=digest)
        return None if row is None else _read(row)

    def find_token_named(self, token_id: str) -> TokenRow | None:
        """The token of this id, whether it is still good or not."""
        row = self._row(_FIND_NAMED, this=token_id)
        return None if row is None else _read(row)

    def tokens(self, *, limit: int) -> tuple[TokenRow, ...]:
        """Up to `limit` tokens, the newest first, revoked and expired ones among them."""
        return tuple(_read(row) for row in self._rows(_NEWEST, most=limit))

    def count_live_tokens(self, now: datetime) -> int:
        """How many could be used now."""
        count: int = self._value(_COUNT_LIVE, now=micros(now))
        return count

    def add_token(self, row: TokenRow) -> None:
        """Keep a new token; the same digest or id twice is refused by the database."""
        self._write(
            _ADD,
            digest=row.digest,
            id=row.id,
            subject=row.subject,
            scopes=" ".join(row.scopes),
            issued_at=micros(row.issued_at),
            issued_by=row.issued_by,
            expires_at=micros(row.expires_at),
            revoked_at=None,
            revoked_by=None,
        )

    def revoke_token(self, token_id: str, *, by: str, now: datetime) -> bool:
        """End a token; whether there was one that was not revoked yet."""
        return bool(self._write(_REVOKE, this=token_id, revoked_at=micros(now), revoked_by=by))


def _read(row: Row) -> TokenRow:
    digest, token_id, subject, scopes, issued_at, issued_by, expires_at, revoked_at, revoked_by = row
    return TokenRow(
        digest=digest,
        id=token_id,
        subject=subject,
        scopes=tuple(scopes.split()),
        issued_at=moment(issued_at),
        issued_by=issued_by,
        expires_at=moment(expires_at),
        revoked_at=moment_or_none(revoked_at),
        revoked_by=revoked_by,
    )


_FIND = Prepared(select(_token).where(_token.c.digest == bindparam("this")))
_FIND_NAMED = Prepared(select(_token).where(_token.c.id == bindparam("this")))
_NEWEST = Prepared(select(_token).order_by(_token.c.issued_at.desc(), _token.c.id).limit(bindparam("most")))
_COUNT_LIVE = Prepared(
    select(func.count())
    .select_from(_token)
    .where(_token.c.revoked_at == null(), _token.c.expires_at > bindparam("now"))
)
_REVOKE = Prepared(
    update(_token)
    .where(_token.c.id == bindparam("this"), _token.c.revoked_at == null())
    .values(revoked_at=bindparam("revoked_at"), revoked_by=bindparam("revoked_by"))
)
_ADD = adding(_token)
