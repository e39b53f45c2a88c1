"""`gatewright log`: everything that happened to a change, in order."""

import json
from argparse import ArgumentParser, Namespace
from functools import partial
from typing import TYPE_CHECKING

from ...schemas import refusals
from ...schemas.refusals import Refused
from .command import Exit
from .opening import open_git, set_up_common_dir, store_of
from .terminal import Terminal

if TYPE_CHECKING:
    from ...schemas.events import Event
    from ..store import Store
    from ..store.tx import Tx

PAGE = 500


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("change", metavar="CHANGE")
    parser.add_argument("--json", action="store_true", help="one event a line, as it is stored")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """One line an event: its number, when, and what happened."""
    from ...schemas.events import event_adapter
    from ..operations.telling import tell

    set_up_common_dir(options)
    with store_of(open_git(options)) as store:
        events = _events(store, options.change)
    for number, event in events:
        if options.json:
            told = {"change": options.change, "number": number, **event_adapter().dump_python(event, mode="json")}
            terminal.write_data(json.dumps(told, ensure_ascii=False) + "\n")
        elif (sentence := tell(event)) is not None:
            terminal.say(f"{number:>4}  {event.at.astimezone():%Y-%m-%d %H:%M:%S}  {sentence}")
    return Exit.OK


def _events(store: "Store", change: str) -> "list[tuple[int, Event]]":
    """All events of the change; raises `Refused` when there is no such change."""
    if store.read(lambda tx: tx.find_change(change)) is None:
        raise Refused(refusals.unknown_change(change))
    events: list[tuple[int, Event]] = []
    while True:
        page = store.read(partial(_page, change, events[-1][0] if events else 0))
        events.extend(page)
        if len(page) < PAGE:
            return events


def _page(change: str, after: int, tx: "Tx") -> "tuple[tuple[int, Event], ...]":
    return tx.events(change, after=after, limit=PAGE)
