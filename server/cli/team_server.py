"""The team's server that a command is about: by its URL and a token, without its database and without a clone.

The token comes from the environment or is typed unseen, never from an argument, which all on the machine can read.
"""

import ipaddress
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from .command import CannotGoOn, Exit, UsageError
from .team import is_team_named
from .waiting import CALL_TIMEOUT_S, Result, wait_by

if TYPE_CHECKING:
    from ..over_http import TeamServer
    from .terminal import Terminal

SERVER_OPTION, SERVER_VARIABLE, TOKEN_VARIABLE = "--server", "GATEWRIGHT_SERVER", "GATEWRIGHT_TOKEN"
TOKEN_CHARS_MAX = 8_192
_ELSEWHERE = "In a team agents work over MCP, and people, token and fsck want the database: docs/team.md tells."


def add_server(parser: ArgumentParser) -> None:
    """Declare the option; `find_server` reads it."""
    text = f"https://gates.example.org, a team's server, by the token in {TOKEN_VARIABLE}; or the variable"
    parser.add_argument(SERVER_OPTION, metavar="URL", help=f"{text} {SERVER_VARIABLE}")


def is_server_named(options: Namespace) -> bool:
    """Whether the option or the variable names one."""
    return bool(getattr(options, "server", None) or os.environ.get(SERVER_VARIABLE))


def find_server(options: Namespace, terminal: "Terminal") -> "TeamServer | None":
    """The server that is named, with the token; None when none is. Raises `UsageError` and `CannotGoOn`."""
    if not is_server_named(options):
        return None
    if is_team_named(options):
        raise UsageError(f"a team is named by {SERVER_OPTION} or by its database, not by both")
    from ..over_http import TeamServer

    return TeamServer(server_url(options), _token(terminal))


def server_url(options: Namespace) -> str:
    """The URL that is named, without a path; raises `UsageError` for one by which a token would be read along."""
    from ..http.listening import LOOPBACK_NAMES, is_loopback, parse_url

    given = getattr(options, "server", None) or os.environ[SERVER_VARIABLE]
    by = SERVER_OPTION if getattr(options, "server", None) else SERVER_VARIABLE
    try:
        url = parse_url(given)
    except ValueError as exc:
        raise UsageError(f"{by} {exc}") from exc
    host = url.partition("://")[2]
    name = host[1 : host.index("]")] if host.startswith("[") else host.partition(":")[0]
    # Any other name may lead elsewhere when it is looked up again to connect.
    is_here = (name in LOOPBACK_NAMES or _is_address(name)) and is_loopback(name)
    if not url.startswith("https://") and not is_here:
        raise UsageError(f"{by}: a token is sent to https:// alone, except on this machine")
    return url


def refuse_server(options: Namespace) -> None:
    """Raise `CannotGoOn` when a server is named to what no server does over HTTP: nothing falls back to this folder."""
    if not is_server_named(options):
        return
    by = SERVER_OPTION if getattr(options, "server", None) else SERVER_VARIABLE
    action = f"For this repository: leave {by} out." if by == SERVER_OPTION else f"For this repository: unset {by}."
    message = f"{by} names a team's server, and this is nothing that one does over HTTP."
    raise CannotGoOn(message, f"{_ELSEWHERE} {action}", code="not_over_http")


@contextmanager
def told_of_server(server: "TeamServer") -> Generator[None]:
    """Turn what is wrong with the server or the token into a sentence."""
    from ..over_http import NoAnswer, TokenRefused

    try:
        yield
    except TokenRefused as exc:
        message = f"{server.url} knows nobody by this token."
        action = f"Set {TOKEN_VARIABLE} to one that is good: a person issues it, gatewright token issue."
        raise CannotGoOn(message, action, code="not_allowed") from exc
    except NoAnswer as exc:
        action = "Run it again, with the same --key where a decision had one; gatewright status says what was done."
        raise CannotGoOn(str(exc), action, code="no_answer", status=Exit.ERRORED) from exc


def call_on_server(
    server: "TeamServer",
    tool: str,
    arguments: Result,
    *,
    wait_s: float | None,
    on_progress: Callable[[str], None],
) -> Result:
    """The tool's result as it travels, as by `waiting.call_and_wait`."""

    def call(name: str, told: Result, piece_s: float) -> Result:
        with told_of_server(server):
            return ask(name, told, timeout_s=piece_s + CALL_TIMEOUT_S)

    ask = partial(server.call_tool, on_progress=on_progress)
    return wait_by(call, tool, arguments, wait_s=wait_s)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _token(terminal: "Terminal") -> str:
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token and terminal.is_interactive:
        from .secret_prompt import read_secret

        token = read_secret("Token:")
    if not token:
        action = "Set it, or run this at a terminal, which asks for it."
        raise CannotGoOn(f"A token is wanted, and {TOKEN_VARIABLE} has none.", action, code="not_allowed")
    if len(token) > TOKEN_CHARS_MAX or not token.isascii() or not token.isprintable() or " " in token:
        raise CannotGoOn(f"What {TOKEN_VARIABLE} has is no token.", "Look at what it is set to.", code="not_allowed")
    return token
