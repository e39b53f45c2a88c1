"""Verdicts and base results that may be served again; the oldest go when there are too many."""

from datetime import datetime

from sqlalchemy import bindparam, delete, func, select, update

from . import schema
from .forms import micros
from .part import Part, Prepared, adding

CACHE_ROWS_MAX = 2_000

_cache = schema.cache


class Cache(Part):
    """Texts by key."""

    def cache_get(self, key: str) -> str | None:
        """A value kept by `cache_put`, unless newer ones have driven it out."""
        value: str | None = self._value(_GET, this=key)
        return value

    def cache_find(self, prefix: str) -> dict[str, str]:
        """Every kept value whose key starts with `prefix`."""
        return dict(self._rows(_FIND, first=prefix, length=len(prefix)))

    def cache_put(self, key: str, value: str, now: datetime) -> None:
        """Keep a value, the newest under its key; the oldest go when there are too many."""
        used_at = micros(now)
        if not self._write(_REPLACE, this=key, value=value, used_at=used_at):
            self._write(_ADD, key=key, value=value, used_at=used_at)
            surplus = self._value(_COUNT) - CACHE_ROWS_MAX
            if surplus > 0:
                self._write(_DROP_OLDEST, surplus=surplus)


_GET = Prepared(select(_cache.c.value).where(_cache.c.key == bindparam("this")))
# A comparison of beginnings, not LIKE: that takes letters for equal in either case, and `_` for any.
_FIND = Prepared(
    select(_cache.c.key, _cache.c.value).where(
        _cache.c.key >= bindparam("first"), func.substr(_cache.c.key, 1, bindparam("length")) == bindparam("first")
    )
)
_REPLACE = Prepared(
    update(_cache)
    .where(_cache.c.key == bindparam("this"))
    .values(value=bindparam("value"), used_at=bindparam("used_at"))
)
_ADD = adding(_cache)
_COUNT = Prepared(select(func.count()).select_from(_cache))
_OLDEST = select(_cache.c.key).order_by(_cache.c.used_at).limit(bindparam("surplus"))
_DROP_OLDEST = Prepared(delete(_cache).where(_cache.c.key.in_(_OLDEST)))
