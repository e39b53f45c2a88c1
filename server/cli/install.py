"""`gatewright install CLIENT`: write or print a client's own configuration, and say what comes next."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from ...schemas.pipeline import PIPELINE_FILE
from .clients import CLIENTS
from .command import Exit, UsageError
from .hooks import HOOKED, install_hook
from .installations import remember
from .opening import open_git, recorded_target, set_up_common_dir, store_of
from .terminal import Terminal

if TYPE_CHECKING:
    from ...gates.repository import SharedRepository

PIPELINE_BYTES_MAX = 1_000_000


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("client", metavar="CLIENT", choices=tuple(CLIENTS), help=", ".join(CLIENTS))
    parser.add_argument("--print", action="store_true", dest="prints", help="print the configuration and write nothing")
    text = f"for {HOOKED}: not the server, but a hook that lets no turn end with work that was not handed in"
    parser.add_argument("--hooks", action="store_true", help=text)


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Write it, or print it where that is asked for. A second time changes nothing."""
    client = CLIENTS[options.client]
    if options.hooks and options.client != HOOKED:
        raise UsageError(f"--hooks is for {HOOKED}: the others have no such hook")
    repository = open_git(options)
    if options.prints and not options.hooks:
        terminal.warn(f"For {options.client}, in {client.file} (this is the whole of it when there is none yet):")
        terminal.write_data(client.text(repository.top))
        terminal.warn("Then restart the client.")
        return Exit.OK
    if options.prints or (options.hooks and not terminal.is_interactive):
        return install_hook(repository.top, None, terminal)
    set_up_common_dir(options)
    # Opened first: what cannot be remembered could not be taken away again.
    with store_of(repository) as store:
        if options.hooks:
            return install_hook(repository.top, store, terminal)
        done = client.install(repository.top)
        remember(store, options.client, repository.top, done.traces)
        target = recorded_target(store)
    terminal.say(done.what)
    for setting in done.settings:
        terminal.say(f"  {setting}")
    for link in done.links:
        terminal.say(f"Or click this on this machine: {link}")
    if not _can_begin(repository, target):
        terminal.say(f"No agent can begin yet: {PIPELINE_FILE} is not committed on {target}.", "yellow")
    terminal.say("Restart your client; then ask it for a change.", "bold")
    terminal.say("To undo it: gatewright uninstall", "dim")
    return Exit.OK


def _can_begin(repository: "SharedRepository", target: str) -> bool:
    """Whether there is a policy where agents' work is judged by it."""
    tip = repository.branch_tip(target)
    return tip is not None and repository.read_file(tip, PIPELINE_FILE, PIPELINE_BYTES_MAX) is not None
