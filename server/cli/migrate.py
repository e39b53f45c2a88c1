"""`gatewright migrate`: make the store in a PostgreSQL database, or look whether the one that is there is sound."""

from argparse import ArgumentParser, Namespace
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from .command import CannotGoOn, Exit, UsageError
from .database import add_database_url, database_url, told_of_database
from .opening import TARGET
from .terminal import Terminal

if TYPE_CHECKING:
    from ..store.tx import Tx


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    add_database_url(parser)
    text = "let this role of the database do what gatewright worker does, and no more; it has to be there"
    parser.add_argument("--worker-role", metavar="NAME", help=text)
    text = "the trusted branch, kept in the store (default: the remote's, once the first server or worker starts)"
    parser.add_argument("--target", metavar="BRANCH", help=text)


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Safe to repeat, and from several machines at once; a server never does it by itself."""
    url = database_url(options)
    if options.target is not None:
        _require_branch_name(options.target)
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
    if options.target is not None:
        _record_target(url, options.target)
        terminal.say(f"Trusted branch: {options.target}")
    return Exit.OK


def _record_target(url: str, wanted: str) -> None:
    """Once for all: what is under way was judged against that branch."""
    from ..store import open_database

    def record(tx: "Tx") -> str:
        known = tx.meta_get(TARGET)
        if known is None:
            tx.meta_set(TARGET, wanted)
        return known or wanted

    with told_of_database(), closing(open_database(url)) as store:
        known = store.run(record)
    if known != wanted:
        message = f"The store's trusted branch is '{known}' already, and changes were judged against it."
        raise CannotGoOn(message, "Nothing was changed. A store for another branch is a database of its own.")


def _require_branch_name(name: str) -> None:
    from ...gates.git import Git

    status, _ = Git(Path.cwd()).run_status("check-ref-format", f"refs/heads/{name}", expected=(0, 1))
    if status != 0 or name.startswith("-"):
        raise UsageError(f"{name!r} is no name of a branch")
