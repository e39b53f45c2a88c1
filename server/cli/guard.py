"""`gatewright guard`: a git hook that lets the trusted branch move by landings only."""

from argparse import ArgumentParser, Namespace

from ..guard import GuardKind, guard_state, install_guard, remove_guard
from .asking import confirm, require_person
from .command import Exit
from .opening import open_git, recorded_target, set_up_common_dir, store_of
from .terminal import Terminal


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("action", choices=("install", "remove", "status"), nargs="?", default="status")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Do it and say how it stands; 0 when it stands as asked for, 1 when not."""
    set_up_common_dir(options)
    repository = open_git(options)
    with store_of(repository) as store:
        target = recorded_target(store)
    wanted: tuple[GuardKind, ...] = (GuardKind.ACTIVE,)
    match options.action:
        case "install":
            state = install_guard(repository, target)
        case "remove":
            require_person(terminal, "gatewright guard remove")
            confirm(terminal, f"Let anybody move {target} again?")
            state, wanted = remove_guard(repository, target), (GuardKind.ABSENT, GuardKind.FOREIGN)
        case _:
            state = guard_state(repository, target)
    terminal.say(state.sentence)
    if state.lines and state.kind is not GuardKind.ACTIVE and options.action != "remove":
        terminal.say(state.lines)
    return Exit.OK if state.kind in wanted else Exit.FAILED
