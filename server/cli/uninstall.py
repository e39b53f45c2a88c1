"""`gatewright uninstall`: take away everything that gatewright wrote, and say what stays."""

import os
import signal
import time
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ...gates.git import Git
from ...gates.judging.scratch import remove_tree
from ...gates.text import number_of
from ...gates.workspaces import Workspaces
from ...schemas.pipeline import PIPELINE_FILE
from ...schemas.records import ChangeState
from ..guard import GuardKind, guard_state, remove_guard
from ..liveness import is_running
from ..rendezvous import PID_FILE, open_socket
from .agents_file import remove_lines
from .asking import confirm_by_typing, require_person
from .clients import CLIENTS
from .command import CannotGoOn, Exit
from .hooks import HOOK, uninstall_hook
from .installations import Installation, installations
from .opening import open_git, recorded_target, set_up_common_dir, store_of
from .terminal import Terminal

if TYPE_CHECKING:
    from ...gates.repository import SharedRepository

OUR_REFS = "refs/gatewright/"
STOP_TIMEOUT_S = 30.0
STOP_POLL_S = 0.05


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    text = "keep the store, its artifacts, the refs and the workspaces, so that init goes on where it was"
    parser.add_argument("--keep-store", action="store_true", help=text)


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Ask, then take away. What cannot be taken away is said, and the rest goes all the same."""
    require_person(terminal, "gatewright uninstall")
    set_up_common_dir(options)
    repository = open_git(options)
    with store_of(repository) as store:
        target = recorded_target(store)
        installed = installations(store)
        live = store.read(lambda tx: tx.count_changes((ChangeState.ACTIVE, ChangeState.LANDING)))
    workspaces = Workspaces(repository)
    if not options.keep_store:
        lost = f"{number_of(live, 'changes')} under way and {number_of(len(workspaces.list()), 'workspaces')}"
        terminal.say(f"With it go {lost}.", "yellow")
    confirm_by_typing(terminal, "uninstall", "take gatewright away from this repository")
    _remove_registrations(installed, terminal)
    if remove_guard(repository, target).kind is not GuardKind.ACTIVE:
        terminal.say(f"Guard: {guard_state(repository, target).sentence}")
    if not repository.is_bare:
        changed = remove_lines(repository.get_worktree())
        terminal.say("\n".join(f"Took our lines out of {file.name}." for file in changed)) if changed else None
    if not options.keep_store:
        _stop_server(repository)
        _remove_state(repository, workspaces)
        terminal.say("Deleted the store, the artifacts, the workspaces, our refs and the cache.")
    terminal.say(f"{PIPELINE_FILE} stays, for it is yours: git rm {PIPELINE_FILE}", "dim")
    return Exit.OK


def _remove_registrations(installed: list[Installation], terminal: Terminal) -> None:
    for one in installed:
        uninstall = uninstall_hook if one.client == HOOK else CLIENTS[one.client].uninstall
        try:
            removed = uninstall(one.top, one.traces)
        except CannotGoOn as exc:
            terminal.say(f"{one.client}: {exc.message} {exc.next}", "yellow")
            continue
        if removed:
            client = CLIENTS.get(one.client)
            where = ", in any project" if client is not None and client.is_shared else ""
            terminal.say(f"{one.client} knows nothing of gatewright any more{where}; restart it.")


def _stop_server(repository: "SharedRepository") -> None:
    """End this repository's server, which writes to what is deleted next; raises `CannotGoOn` when it stays."""
    connection = open_socket(str(repository.common_dir))
    if connection is None:
        return
    connection.close()
    process_id = int((repository.state_dir / PID_FILE).read_text())
    deadline = time.monotonic() + STOP_TIMEOUT_S
    with suppress(ProcessLookupError):
        os.kill(process_id, signal.SIGTERM)
    # It closes its socket first and finishes what it writes then.
    while is_running(process_id):
        if time.monotonic() > deadline:
            message = f"The server of this repository has not ended within {STOP_TIMEOUT_S:.0f} s."
            raise CannotGoOn(message, "Wait for its gates to finish, or end it; then run the command again.")
        time.sleep(STOP_POLL_S)


def _remove_state(repository: "SharedRepository", workspaces: Workspaces) -> None:
    """Workspaces first: they are what git knows of; the store last, so that a failure can be repeated."""
    from ..composition import cache_folder

    workspaces.remove_all()
    _remove_empty(workspaces.root, workspaces.root.parent)
    repository.unexclude()
    git = Git(repository.common_dir)
    for ref in git.text("for-each-ref", "--format=%(refname)", OUR_REFS).splitlines():
        git.run("update-ref", "--no-deref", "-d", ref)
    cache = cache_folder(repository.common_dir, os.environ)
    for folder in (cache, repository.state_dir):
        if folder.exists():
            remove_tree(folder)
    _remove_empty(cache.parent, repository.common_dir / "worktrees", repository.common_dir / "refs" / "gatewright")


def _remove_empty(*folders: Path) -> None:
    """Delete folders that were made on the way, unless something of others is in them."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
