"""`gatewright token`: who may call over HTTP. A person issues tokens, lists and revokes them; each is shown once.

A token is a principal, and one that may approve is a person: so issuing one is for people, like deciding.
"""

import json
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..identity.scopes import Scope
from .asking import Register, authenticate, confirm_by_typing, require_person
from .command import Exit, UsageError
from .database import add_database_url, find_database_url, told_of_database
from .opening import services_of
from .terminal import Terminal

if TYPE_CHECKING:
    from ..store import Store, TokenRow

LIST_MAX = 1_000


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    from ..identity.tokens import LIFETIME_DAYS, LIFETIME_DAYS_MAX

    parser.add_argument("verb", metavar="VERB", choices=("issue", "list", "revoke"), help="issue, list or revoke")
    parser.add_argument("name", metavar="SUBJECT|ID", nargs="?", help="whom it is for; or which one to revoke")
    text = f"what it is good for: {', '.join(Scope)} (repeatable)"
    parser.add_argument(
        "--scope", metavar="SCOPE", action="append", choices=[str(scope) for scope in Scope], default=[], help=text
    )
    text = f"how long it is good, at most {LIFETIME_DAYS_MAX} (default: {LIFETIME_DAYS})"
    parser.add_argument("--days", metavar="DAYS", type=_days, default=LIFETIME_DAYS, help=text)
    add_database_url(parser)
    parser.add_argument("--json", action="store_true", help="the list for a program")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Do what the verb says."""
    if options.verb == "list":
        return _list(options, terminal)
    if options.name is None:
        raise UsageError(f"token {options.verb} needs {'a SUBJECT' if options.verb == 'issue' else 'an ID'}")
    require_person(terminal, f"gatewright token {options.verb} {options.name}")
    with _desk_of(options) as desk:
        if options.verb == "issue":
            _issue(desk, options, terminal)
        else:
            _revoke(desk, options.name, terminal)
    return Exit.OK


def _days(text: str) -> int:
    """An option's value: refused before anybody is asked to confirm it."""
    from ..identity.tokens import LIFETIME_DAYS_MAX

    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= LIFETIME_DAYS_MAX:
        raise ArgumentTypeError(f"{text!r} is no number of days from 1 to {LIFETIME_DAYS_MAX}")
    return int(text)


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where tokens are kept, and the time."""

    store: "Store"
    clock: Callable[[], datetime]


@contextmanager
def _desk_of(options: Namespace) -> Generator[Register]:
    """That of the team's database, when one is named; else of this repository."""
    url = find_database_url(options)
    if url is None:
        with services_of(options) as services:
            yield services
        return
    from ..composition import system_clock
    from ..store import open_database

    with told_of_database(), closing(open_database(url)) as store:
        yield _Desk(store, store.clock(system_clock))


def _issue(desk: Register, options: Namespace, terminal: Terminal) -> None:
    from ..identity import tokens

    if not options.scope:
        raise UsageError(f"say what the token is good for: --scope {' or --scope '.join(Scope)}")
    scopes, lifetime = frozenset(map(Scope, options.scope)), timedelta(days=options.days)
    what = f"issue a token that is {options.name} from now on"
    by = authenticate(terminal, desk, what, otherwise=lambda: confirm_by_typing(terminal, options.name, what))
    token = tokens.new_token()
    row = desk.store.run(
        lambda tx: tokens.issue(
            tx, token, subject=options.name, scopes=scopes, lifetime=lifetime, by=by, now=desk.clock()
        )
    )
    until = f"{row.expires_at:%Y-%m-%d}"
    terminal.say(f"{row.id} is for {row.subject}: {', '.join(row.scopes)}, until {until}.", "green")
    terminal.say("This is shown once, and kept nowhere:")
    terminal.write_data(f"{token}\n")


def _revoke(desk: Register, token_id: str, terminal: Terminal) -> None:
    from ..identity import tokens

    what = f"revoke {token_id}"
    by = authenticate(terminal, desk, what, otherwise=lambda: confirm_by_typing(terminal, token_id, what))
    desk.store.run(lambda tx: tokens.revoke(tx, token_id, by=by, now=desk.clock()))
    terminal.say(f"{token_id} is good no more, from the next call on.", "green")


def _list(options: Namespace, terminal: Terminal) -> int:
    with _desk_of(options) as desk:
        now, rows = desk.clock(), desk.store.read(lambda tx: tx.tokens(limit=LIST_MAX))
    if options.json:
        told = [_told(row, now) for row in rows]
        terminal.write_data(json.dumps({"tokens": told}, indent=2, ensure_ascii=False) + "\n")
    elif not rows:
        terminal.say("No token was issued: nobody can call over HTTP. `gatewright token issue SUBJECT` issues one.")
    else:
        cells = [tuple(str(value) for value in _told(row, now).values()) for row in rows]
        terminal.table(("ID", "SUBJECT", "SCOPES", "STATE", "UNTIL", "ISSUED", "BY"), cells)
    return Exit.OK


def _told(row: "TokenRow", now: datetime) -> dict[str, object]:
    state = "good" if row.is_live(now) else "expired" if row.revoked_at is None else "revoked"
    return {
        "id": row.id,
        "subject": row.subject,
        "scopes": ", ".join(row.scopes),
        "state": state,
        "until": f"{row.expires_at:%Y-%m-%d}",
        "issued": f"{row.issued_at:%Y-%m-%d}",
        "by": row.issued_by,
    }
