"""`gatewright migrate`: make the store in a PostgreSQL database, or look whether the one that is there is sound."""

from argparse import ArgumentParser, Namespace

from .command import Exit
from .database import add_database_url, database_url, told_of_database
from .terminal import Terminal


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    add_database_url(parser)
    text = "let this role of the database do what gatewright worker does, and no more; it has to be there"
    parser.add_argument("--worker-role", metavar="NAME", help=text)


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Safe to repeat, and from several machines at once; a server never does it by itself."""
    url = database_url(options)
    from ..store import Migration, create_database

    with told_of_database():
        done = create_database(url, worker_role=options.worker_role)
    said = {
        Migration.MADE: "Made the store. gatewright serve and gatewright worker use it by the same address.",
        Migration.CHECKED: "The store is there and is of this version: nothing to do.",
        Migration.QUEUED: "The queue of evaluations was missing or of an older version. It is there now.",
        Migration.RENUMBERED: "The store came from another server. New events are numbered after those that it has.",
    }
    terminal.say(said[done], "green")
    if options.worker_role is not None:
        terminal.say(f"'{options.worker_role}' may do what gatewright worker does.")
    return Exit.OK
