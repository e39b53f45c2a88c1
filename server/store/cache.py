"""Verdicts and base results that may be served again; the oldest go when there are too many."""

from datetime import datetime

from sqlalchemy import bindparam, delete, func, insert, select, update

from . import schema
from .forms import micros
from .part import Part

CACHE_ROWS_MAX = 2_000

_cache = schema.cache


class Cache(Part):
    """Texts by key."""

    def cache_get(self, key: str) -> str | None:
        """A value kept by `cache_put`, unless newer ones have driven it out."""
        return self.connection.execute(_GET, {"this": key}).scalar()

    def cache_find(self, prefix: str) -> dict[str, str]:
        """Every kept value whose key starts with `prefix`."""
        rows = self.connection.execute(_FIND, {"first": prefix, "length": len(prefix)})
        return {row[0]: row[1] for row in rows}

    def cache_put(self, key: str, value: str, now: datetime) -> None:
        """Keep a value, the newest under its key; the oldest go when there are too many."""
        values = {"value": value, "used_at": micros(now)}
        if self.connection.execute(_REPLACE, {"this": key, **values}).rowcount == 0:
            self.connection.execute(_ADD, {"key": key, **values})
            surplus = self.connection.execute(_COUNT).scalar_one() - CACHE_ROWS_MAX
            if surplus > 0:
                self.connection.execute(_DROP_OLDEST, {"surplus": surplus})


_GET = select(_cache.c.value).where(_cache.c.key == bindparam("this"))
# A comparison of beginnings, not LIKE: that takes letters for equal in either case, and `_` for any.
_FIND = select(_cache.c.key, _cache.c.value).where(
    _cache.c.key >= bindparam("first"), func.substr(_cache.c.key, 1, bindparam("length")) == bindparam("first")
)
_REPLACE = (
    update(_cache)
    .where(_cache.c.key == bindparam("this"))
    .values(value=bindparam("value"), used_at=bindparam("used_at"))
)
_ADD = insert(_cache)
_COUNT = select(func.count()).select_from(_cache)
_OLDEST = select(_cache.c.key).order_by(_cache.c.used_at).limit(bindparam("surplus"))
_DROP_OLDEST = delete(_cache).where(_cache.c.key.in_(_OLDEST))
