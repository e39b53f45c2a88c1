"""The public keys of an OAuth issuer, from a file or a URL that the operator names, kept and read again in time.

A token that names a key nobody knows is a reason to look again, but not at every such token: anybody can send one.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread
import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from .problems import Unavailable

Algorithm = Literal["RS256", "ES256"]
PublicKey = RSAPublicKey | EllipticCurvePublicKey

FRESH_S = 300.0
LOOK_AGAIN_AFTER_S = 15.0
# Without a word of the issuer its keys count no longer: one of them may have been taken back.
STALE_S = 86_400.0
FETCH_TIMEOUT_S = 5.0
BYTES_MAX = 262_144
KEYS_MAX = 64
RSA_BITS_MIN = 2_048

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    """One that may sign; `name` is its `kid`."""

    name: str | None
    algorithm: Algorithm
    public: PublicKey


class Keys:
    """An issuer's keys; `load` brings the document they stand in, `now` tells seconds that only rise."""

    def __init__(self, load: Callable[[], Awaitable[bytes]], now: Callable[[], float] = anyio.current_time) -> None:
        self._load = load
        self._now = now
        self._lock = anyio.Lock()
        self._keys: tuple[Key, ...] = ()
        self._loaded_at: float | None = None
        self._tried_at: float | None = None

    async def find(self, name: str | None, algorithm: str) -> Key | None:
        """The key of this name for this algorithm; without a name the only one. Raises `Unavailable` without any."""
        if self._is_due(FRESH_S) or self._pick(name, algorithm) is None:
            await self._refresh()
        if self._loaded_at is None or self._now() - self._loaded_at > STALE_S:
            raise Unavailable("The keys of the OAuth issuer cannot be read.")
        return self._pick(name, algorithm)

    async def _refresh(self) -> None:
        async with self._lock:
            if not self._is_due(LOOK_AGAIN_AFTER_S):
                return
            self._tried_at = self._now()
            try:
                with anyio.fail_after(FETCH_TIMEOUT_S):
                    found = tuple(_keys_in(await self._load()))
            except (OSError, ValueError, RecursionError, httpx2.HTTPError) as exc:
                log.warning("the keys of the OAuth issuer cannot be read: %r", exc)
                return
            self._keys, self._loaded_at = found, self._tried_at

    def _is_due(self, after_s: float) -> bool:
        return self._tried_at is None or self._now() - self._tried_at >= after_s

    def _pick(self, name: str | None, algorithm: str) -> Key | None:
        fitting = [key for key in self._keys if key.algorithm == algorithm and name in (None, key.name)]
        return fitting[0] if len(fitting) == 1 else None


def keys_from(source: str) -> Keys:
    """Those that a URL or the path of a file leads to; nothing is read yet."""
    if source.startswith(("https://", "http://")):
        return Keys(lambda: _fetch(source))
    return Keys(lambda: anyio.to_thread.run_sync(_read, Path(source)))


async def _fetch(url: str) -> bytes:
    """No further than the address that the operator wrote, and no more than a document of keys may have."""
    data = b""
    async with (
        httpx2.AsyncClient(timeout=FETCH_TIMEOUT_S, follow_redirects=False) as client,
        client.stream("GET", url, headers={"accept": "application/json"}) as response,
    ):
        if not response.is_success:
            raise ValueError(f"it answers {response.status_code}")
        async for chunk in response.aiter_bytes():
            data += chunk
            if len(data) > BYTES_MAX:
                raise ValueError("it is too large")
    return data


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(BYTES_MAX)


def _keys_in(document: bytes) -> Iterator[Key]:
    """Those of use here; raises `ValueError` for what is no document of keys."""
    whole = json.loads(document)
    listed = whole.get("keys") if isinstance(whole, dict) else None
    if not isinstance(listed, list):
        raise ValueError("it is no document of keys")
    for given in listed[:KEYS_MAX]:
        key = _key_of(given) if isinstance(given, dict) else None
        if key is not None:
            yield key


def _key_of(given: dict[str, object]) -> Key | None:
    name = given.get("kid")
    if given.get("use") not in (None, "sig") or not isinstance(name, str | None):
        return None
    try:
        public = jwt.PyJWK.from_dict(given).key
    except (jwt.PyJWTError, ValueError):
        return None
    match public:
        case RSAPublicKey() if public.key_size >= RSA_BITS_MIN and given.get("alg") in (None, "RS256"):
            return Key(name, "RS256", public)
        case EllipticCurvePublicKey() if isinstance(public.curve, SECP256R1) and given.get("alg") in (None, "ES256"):
            return Key(name, "ES256", public)
        case _:
            return None
