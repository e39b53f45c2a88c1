"""`gatewright log`: everything that happened to a change, or to all of them, in order."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from ...schemas import refusals
from ...schemas.refusals import Refused
from .command import Exit
from .opening import records_of
from .terminal import Terminal

if TYPE_CHECKING:
    from ...schemas.events import Event
    from ..store import Store
    from ..store.tx import Tx

# However long the history is, no more of it is held at once.
PAGE = 500

Numbered = tuple[str, int, "Event"]
"""Change, number, event."""


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("change", metavar="CHANGE", nargs="?", help="only this change (default: the whole store)")
    parser.add_argument("--json", action="store_true", help="one event a line, as docs/events.md describes it")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """One line an event: its number, when, and what happened."""
    from ...schemas.events import exported
    from ..operations.telling import tell

    is_all = options.change is None
    with records_of(options) as store:
        for change, number, event in _all(store) if is_all else _of_change(store, options.change):
            if options.json:
                terminal.write_data(json.dumps(exported(change, number, event), ensure_ascii=False) + "\n")
            elif (sentence := tell(event)) is not None:
                where = f"{change:<5}" if is_all else ""
                terminal.say(f"{where}{number:>4}  {event.at.astimezone():%Y-%m-%d %H:%M:%S}  {sentence}")
    return Exit.OK


def _of_change(store: "Store", change: str) -> "Iterator[Numbered]":
    """All events of the change, from its first; raises `Refused` when there is no such change."""
    if store.read(lambda tx: tx.find_change(change)) is None:
        raise Refused(refusals.unknown_change(change))
    after = 0
    while page := store.read(partial(_page, change, after)):
        yield from ((change, number, event) for number, event in page)
        after = page[-1][0]


def _all(store: "Store") -> "Iterator[Numbered]":
    """All events of all changes in the order of their commits, which is the same whenever it is asked for."""
    position = 0
    while page := store.read(partial(_page_of_all, position)):
        yield from ((change, number, event) for _, change, number, event in page)
        position = page[-1][0]


def _page(change: str, after: int, tx: "Tx") -> "tuple[tuple[int, Event], ...]":
    return tx.events(change, after=after, limit=PAGE)


def _page_of_all(position: int, tx: "Tx") -> "tuple[tuple[int, str, int, Event], ...]":
    return tx.numbered_events(position, limit=PAGE)
