"""`gatewright log`: everything that happened to a change, or to all of them, in order."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...schemas.decisions import EventPage, Paging
from .command import Exit
from .desks import decision_of
from .opening import records_of
from .team_server import find_server, told_of_server
from .terminal import Terminal

if TYPE_CHECKING:
    from ...schemas.events import Event
    from ..over_http import TeamServer

Numbered = tuple[int, str, int, "Event"]
"""What to ask for the next page after, change, number, event."""
Pages = Callable[[Paging], tuple[Numbered, ...]]


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("change", metavar="CHANGE", nargs="?", help="only this change (default: the whole store)")
    parser.add_argument("--json", action="store_true", help="one event a line, as docs/events.md describes it")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """One line an event: its number, when, and what happened."""
    from ...schemas.events import exported
    from ..operations.telling import tell

    is_all = options.change is None
    paging = decision_of(Paging, change=options.change)
    with _pages_of(options, terminal) as pages:
        for _, change, number, event in _all(pages, paging):
            if options.json:
                terminal.write_data(json.dumps(exported(change, number, event), ensure_ascii=False) + "\n")
            elif (sentence := tell(event)) is not None:
                where = f"{change:<5}" if is_all else ""
                terminal.say(f"{where}{number:>4}  {event.at.astimezone():%Y-%m-%d %H:%M:%S}  {sentence}")
    return Exit.OK


@contextmanager
def _pages_of(options: Namespace, terminal: Terminal) -> "Generator[Pages]":
    """How a page is had: of a server, or from a store, where nothing of git is asked."""
    server = find_server(options, terminal)
    if server is not None:
        with told_of_server(server):
            yield lambda paging: _page_of_server(server, paging)
        return
    from ..operations.looking import look_back

    with records_of(options) as store:
        yield lambda paging: store.read(lambda tx: look_back(tx, paging))


def _all(pages: "Pages", paging: Paging) -> "Iterator[Numbered]":
    while page := pages(paging):
        yield from page
        paging = paging.model_copy(update={"after": page[-1][0]})


def _page_of_server(server: "TeamServer", paging: Paging) -> "tuple[Numbered, ...]":
    """Each event as it was exported; where the next page begins is told for the page as a whole."""
    from ...schemas.events import EventUnreadable, read_event
    from ..over_http import NoAnswer

    page = server.ask("log", paging, EventPage)
    if page.events and page.after <= paging.after:
        raise NoAnswer("The server tells the same page again.")
    try:
        return tuple((page.after, line.change, line.number, read_event(json.dumps(line.event))) for line in page.events)
    except EventUnreadable as exc:
        raise NoAnswer(f"The server tells what this version cannot read ({exc}); are both of one version?") from exc
