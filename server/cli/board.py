"""`gatewright board`: the board in a browser, for the person at this machine. See docs/board.md.

It shows this repository's store, or a team's, and ends with the command.
"""

import os
import socket
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from contextlib import ExitStack
from functools import partial

from .command import CannotGoOn, Exit
from .opening import services_of, user_name
from .team import find_team
from .team_server import is_server_named, server_url
from .terminal import Terminal

PORT_MAX = 65_535


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--no-open", action="store_true", help="print the link and open no browser")
    text = "where on 127.0.0.1, for a tunnel of yours (default: any that is free)"
    parser.add_argument("--port", metavar="PORT", type=_port, default=0, help=text)


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Serve it until Ctrl-C; of a team's server, say where it is."""
    if is_server_named(options):
        terminal.say(f"The board: {server_url(options)}/")
        terminal.say("It asks for a token of yours, of any scope.", "dim")
        return Exit.OK
    with services_of(options) as services, ExitStack() as ending:
        import anyio

        from ..board.local import PortTaken, serve
        from ..board.opening import has_browser, opened

        def tell(link: str) -> None:
            terminal.say(f"The board: {link}")
            terminal.say("The link opens one tab, once. Ctrl-C ends the board.", "dim")
            terminal.flush()
            if not options.no_open and sys.stdout.isatty() and has_browser():
                ending.enter_context(opened(link))

        # Users of one number on two machines are not one caller.
        who = f"{user_name()}@{socket.gethostname()}" if find_team(options) is not None else str(os.getuid())
        try:
            anyio.run(partial(serve, services, f"cli:{who}", port=options.port, on_ready=tell))
        except PortTaken as exc:
            message = f"Port {options.port} of 127.0.0.1 cannot be had: {exc}."
            raise CannotGoOn(message, "Give another --port, or none.", code="cannot_listen") from exc
    return Exit.OK


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= PORT_MAX:
        raise ArgumentTypeError(f"{text!r} is no port from 1 to {PORT_MAX}")
    return int(text)
