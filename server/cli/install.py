"""`gatewright install CLIENT`: write or print a client's own configuration, and say what comes next."""

from argparse import ArgumentParser, Namespace

from .clients import CLIENTS
from .command import Exit, UsageError
from .hooks import HOOKED, install_hook
from .installations import remember
from .opening import open_git, set_up_common_dir, store_of
from .terminal import Terminal


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
    terminal.say(done.what)
    for setting in done.settings:
        terminal.say(f"  {setting}")
    for link in done.links:
        terminal.say(f"Or click this on this machine: {link}")
    terminal.say("Restart your client; then ask it for a change.", "bold")
    terminal.say("To undo it: gatewright uninstall", "dim")
    return Exit.OK
