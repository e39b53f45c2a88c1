"""What mutating requests led to: the same request again has one effect (rule 11, invariant I8)."""

from datetime import datetime

from sqlalchemy import bindparam, select

from . import schema
from .forms import micros
from .part import Part, Prepared, adding
from .rows import StoredReply

_reply = schema.reply


class Replies(Part):
    """Replies by principal and key."""

    def find_reply(self, principal: str, key: str) -> StoredReply | None:
        """What the same request led to before. If this transaction writes, the same one waits until it has ended."""
        self.hold(f"reply {principal} {key}")
        row = self._row(_FIND_REPLY, who=principal, this=key)
        return None if row is None else StoredReply(row[0], row[1])

    def add_reply(self, principal: str, key: str, reply: StoredReply, now: datetime) -> None:
        """Remember it; the same principal and key twice is refused by the database (invariant I8)."""
        told = {"request_digest": reply.request_digest, "reference": reply.reference, "at": micros(now)}
        self._write(_ADD_REPLY, principal=principal, key=key, **told)


_FIND_REPLY = Prepared(
    select(_reply.c.request_digest, _reply.c.reference).where(
        _reply.c.principal == bindparam("who"), _reply.c.key == bindparam("this")
    )
)
_ADD_REPLY = adding(_reply)
