"""Tokens that people issue: made here, shown once, kept as digests; and how the one of a call is found.

A token is 256 random bits, so its SHA-256 is as good as a slow hash and costs nothing: there is no list of likely
tokens to try, and nobody finds 256 bits by trying. (People's secrets are chosen by people: those go through scrypt.)
The digest is also what a token is looked up by, so that how long a look takes says nothing about the token.

Every function works inside one transaction.
"""

import hashlib
import re
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ...schemas import access, refusals
from ...schemas.refusals import Refused
from ..people.known import Person
from ..people.register import require_still_known
from ..store import TokenRow
from .caller import Caller
from .scopes import Scope, known_scopes

if TYPE_CHECKING:
    from ..store.tx import Tx

# By this prefix people, and programs that look for leaked secrets, know what they have before them.
PREFIX = "gwt_"
TOKEN = re.compile(r"gwt_[A-Za-z0-9_-]{43}")
TOKEN_BYTES = 32
ID_DIGITS = 10
# Small letters alone: 'Ann' and 'ann' would be two principals.
SUBJECT = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
LIFETIME_DAYS = 90
LIFETIME_DAYS_MAX = 366
LIVE_TOKENS_MAX = 1_000


def new_token() -> str:
    """A token that nobody has seen before."""
    return f"{PREFIX}{secrets.token_urlsafe(TOKEN_BYTES)}"


def digest_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def issue(
    tx: "Tx", token: str, *, subject: str, scopes: Collection[Scope], lifetime: timedelta, by: Person, now: datetime
) -> TokenRow:
    """Let `token` be good for a subject from now on; raises `Refused`, and then it is not."""
    require_still_known(tx, by, now)
    if not SUBJECT.fullmatch(subject):
        raise Refused(refusals.bad_argument("a subject has a-z, 0-9, and after the first '.', '_', '@', '+', '-'; 64"))
    if not scopes:
        raise Refused(refusals.bad_argument(f"a token without a scope opens nothing; scopes are {', '.join(Scope)}"))
    if not timedelta() < lifetime <= timedelta(days=LIFETIME_DAYS_MAX):
        raise Refused(refusals.bad_argument(f"a token lives for 1 to {LIFETIME_DAYS_MAX} days"))
    if tx.count_live_tokens(now) >= LIVE_TOKENS_MAX:
        raise Refused(access.too_many_tokens(LIVE_TOKENS_MAX))
    digest = digest_of(token)
    row = TokenRow(
        digest=digest,
        id=f"tk-{digest[:ID_DIGITS]}",
        subject=subject,
        scopes=tuple(scope for scope in Scope if scope in scopes),
        issued_at=now,
        issued_by=by.by,
        expires_at=now + lifetime,
    )
    tx.add_token(row)
    return row


def revoke(tx: "Tx", token_id: str, *, by: Person, now: datetime) -> None:
    """End a token, from the next call on; raises `Refused` where there is none to end."""
    require_still_known(tx, by, now)
    if not tx.revoke_token(token_id, by=by.by, now=now):
        raise Refused(access.token_unknown(token_id))


def find_caller(tx: "Tx", token: str, now: datetime) -> Caller | None:
    """Whoever this token was issued to; None for one that is unknown, expired or revoked."""
    if not TOKEN.fullmatch(token):
        return None
    row = tx.find_token(digest_of(token))
    if row is None or not row.is_live(now):
        return None
    return Caller(row.subject, known_scopes(row.scopes), row.id)
