"""Count what comes from whom: a bucket of tokens for each address or principal, refilled with time.

Whom nobody has heard of for a while is forgotten, so that addresses without end cost no memory without end.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import anyio

from .limits import Rate

KEYS_MAX = 10_000
# What a host is given of IPv6, at the least.
HOST_BITS = 64


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Buckets:
    """One bucket for each key; `now` tells seconds that only rise."""

    def __init__(self, rate: Rate, now: Callable[[], float]) -> None:
        self._rate = rate
        self._now = now
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one from the key's bucket; 0 when it was there, else the seconds until one is, and none is taken."""
        wait_s = self.wait_s(key)
        if wait_s == 0.0:
            self._buckets[key].left -= 1.0
        return wait_s

    def wait_s(self, key: str) -> float:
        """The seconds until one can be taken; 0 for now."""
        now = self._now()
        bucket = self._buckets.pop(key, None) or _Bucket(float(self._rate.burst), now)
        bucket.left = min(float(self._rate.burst), bucket.left + (now - bucket.at) * self._rate.per_s)
        bucket.at = now
        self._buckets[key] = bucket
        while len(self._buckets) > KEYS_MAX:
            self._buckets.popitem(last=False)
        return 0.0 if bucket.left >= 1.0 else (1.0 - bucket.left) / self._rate.per_s


@lru_cache(KEYS_MAX)
def share_of(address: str) -> str:
    """Whose share an address is counted in: its own, or that of its network, where one host has as many as it likes."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped or ipaddress.ip_network((found, HOST_BITS), strict=False))
    return str(found)


class Open:
    """How much is under way for each key, at most `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[str, int] = {}
        self._left = anyio.Event()

    @property
    def total(self) -> int:
        """How much is under way in all."""
        return sum(self._open.values())

    async def until_none(self) -> None:
        """Wait until nothing is under way."""
        while self._open:
            self._left = anyio.Event()
            await self._left.wait()

    def enter(self, key: str) -> bool:
        """Count one more, if there may be one more; whoever enters leaves."""
        count = self._open.get(key, 0)
        if count >= self._most:
            return False
        self._open[key] = count + 1
        return True

    def leave(self, key: str) -> None:
        """Count one less."""
        left = self._open[key] - 1
        if left:
            self._open[key] = left
        else:
            del self._open[key]
        self._left.set()

    @contextmanager
    def one(self, key: str) -> Generator[bool]:
        """Whether one more is under way for the length of the block."""
        is_in = self.enter(key)
        try:
            yield is_in
        finally:
            if is_in:
                self.leave(key)
