"""`gatewright move-store`: bring a repository's store into PostgreSQL, with nothing lost."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ...gates.text import number_of
from ..rendezvous import STATE_FOLDER, open_socket
from .command import CannotGoOn, Exit
from .database import add_database_url, database_url, told_of_database
from .opening import set_up_common_dir
from .terminal import Terminal

TO = "--to"


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    add_database_url(parser, option=TO)
    text = "use the store of this repository again, as it was when it was moved"
    parser.add_argument("--back", action="store_true", help=text)


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Nothing was moved unless this says so: the file stays as it is, and the database as empty."""
    from ..store.moving import move_store, take_back

    common_dir = set_up_common_dir(options)
    folder = Path(common_dir) / STATE_FOLDER
    if options.back:
        take_back(folder)
        terminal.say(
            "This repository's own store is in use again. What happened in the database is not in it.", "yellow"
        )
        return Exit.OK
    url = database_url(options, option=TO)
    _require_no_server(common_dir)
    try:
        with told_of_database():
            moved = move_store(folder, url, terminal.progress)
    except KeyboardInterrupt:
        terminal.clear_progress()
        terminal.warn("Nothing was moved: the file is as it was, and the database holds nothing of it.")
        raise
    terminal.clear_progress()
    rows = number_of(sum(moved.rows.values()), "rows")
    replayed = number_of(moved.changes, "changes")
    terminal.say(f"Moved {rows} and compared each; made {replayed} anew from their events: all are the same.", "green")
    terminal.say(
        "The file stays, and is not used any more; gatewright move-store --back takes it into use again.", "dim"
    )
    return Exit.OK


def _require_no_server(common_dir: str) -> None:
    """It would go on working with the store that was moved. Nobody can start one that writes while the move is made."""
    connection = open_socket(common_dir)
    if connection is not None:
        connection.close()
        message = "A server of this repository is running."
        raise CannotGoOn(message, "Close its clients: it ends by itself when it is idle. Then run the command again.")
