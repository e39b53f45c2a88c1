"""A secret as it is kept: what scrypt makes of it, with a salt of its own."""

import hashlib
import hmac
import secrets
import unicodedata
from dataclasses import dataclass

SECRET_CHARS_MIN = 12
SECRET_CHARS_MAX = 512

# About a quarter of a second and 64 MiB for each guess, also for one who has stolen the store.
SCRYPT_N = 2**16
SCRYPT_R = 8
SCRYPT_P = 1
SCRYPT_BYTES_MAX = 2**28
SALT_BYTES = 16
HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class Hashed:
    """What is kept of a secret, in hexadecimal digits; `n` is how costly it was made."""

    salt: str
    hash: str
    n: int = SCRYPT_N


def hashed(secret: str) -> Hashed:
    """Slow on purpose."""
    salt = secrets.token_bytes(SALT_BYTES)
    return Hashed(salt.hex(), _scrypt(secret, salt, SCRYPT_N).hex())


def is_secret(guess: str, kept: Hashed) -> bool:
    """Whether it is this one; slow on purpose, and in the same time for every wrong guess."""
    found = _scrypt(guess, bytes.fromhex(kept.salt), kept.n)
    return hmac.compare_digest(found, bytes.fromhex(kept.hash))


def complaint_about(secret: str) -> str | None:
    """Why this is no secret worth the name; None when it will do."""
    if len(secret) < SECRET_CHARS_MIN:
        return f"A secret has at least {SECRET_CHARS_MIN} characters."
    if len(secret) > SECRET_CHARS_MAX:
        return f"A secret has at most {SECRET_CHARS_MAX} characters."
    if len(set(secret)) < SECRET_CHARS_MIN // 2:
        return "That secret repeats a few characters; take several words."
    return None


def _scrypt(secret: str, salt: bytes, n: int) -> bytes:
    # The same letter can be typed as one code point or as two, as the keyboard has it.
    data = unicodedata.normalize("NFC", secret).encode("utf-8", "surrogateescape")
    return hashlib.scrypt(data, salt=salt, n=n, r=SCRYPT_R, p=SCRYPT_P, maxmem=SCRYPT_BYTES_MAX, dklen=HASH_BYTES)
