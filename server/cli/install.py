"""`gatewright install CLIENT`: write or print a client's own configuration, and say what comes next."""

import json
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from .clients import CLIENTS
from .command import Exit
from .opening import open_git, set_up_common_dir, store_of
from .terminal import Terminal

if TYPE_CHECKING:
    from ..store import Store

INSTALLED = "installed_clients"
"""Under this name the store keeps the clients that were told of gatewright, for `uninstall`."""


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("client", metavar="CLIENT", choices=tuple(CLIENTS), help=", ".join(CLIENTS))
    parser.add_argument("--print", action="store_true", dest="prints", help="print the configuration and write nothing")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Write it where this version can, else print it. A second time changes nothing."""
    client = CLIENTS[options.client]
    repository = open_git(options)
    if options.prints or client.install is None:
        terminal.warn(f"For {options.client}, in {client.file} (this is the whole of it when there is none yet):")
        terminal.write_data(client.text(repository.top))
        terminal.warn("Then restart the client.")
        return Exit.OK
    set_up_common_dir(options)
    # Opened first: what cannot be remembered could not be taken away again.
    with store_of(repository) as store:
        done = client.install(repository.top)
        _remember(store, options.client)
    terminal.say(done.what)
    for setting in done.settings:
        terminal.say(f"  {setting}")
    terminal.say("Restart your client; then ask it for a change.", "bold")
    terminal.say("To undo it: gatewright uninstall", "dim")
    return Exit.OK


def installed_clients(store: "Store") -> list[str]:
    """The clients that this repository's gatewright was plugged into."""
    text = store.read(lambda tx: tx.meta_get(INSTALLED))
    names = json.loads(text) if text else []
    return [name for name in names if name in CLIENTS]


def _remember(store: "Store", client: str) -> None:
    names = dict.fromkeys([*installed_clients(store), client])
    store.run(lambda tx: tx.meta_set(INSTALLED, json.dumps(list(names))))
