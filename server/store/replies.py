"""What mutating requests led to: the same request again has one effect (rule 11, invariant I8)."""

from datetime import datetime

from sqlalchemy import bindparam, insert, select

from . import schema
from .forms import micros
from .part import Part
from .rows import StoredReply

_reply = schema.reply


class Replies(Part):
    """Replies by principal and key."""

    def find_reply(self, principal: str, key: str) -> StoredReply | None:
        """What the same request led to before."""
        row = self.connection.execute(_FIND_REPLY, {"who": principal, "this": key}).first()
        return None if row is None else StoredReply(row[0], row[1])

    def add_reply(self, principal: str, key: str, reply: StoredReply, now: datetime) -> None:
        """Remember it; the same principal and key twice is refused by the database (invariant I8)."""
        values = {
            "principal": principal,
            "key": key,
            "request_digest": reply.request_digest,
            "reference": reply.reference,
            "at": micros(now),
        }
        self.connection.execute(_ADD_REPLY, values)


_FIND_REPLY = select(_reply.c.request_digest, _reply.c.reference).where(
    _reply.c.principal == bindparam("who"), _reply.c.key == bindparam("this")
)
_ADD_REPLY = insert(_reply)
