"""The eleven tools as commands: they call the repository's server, as a client does, and print the same reply.

In a team those that look, and the one that opens a change, work in this process, or call its server by a token of a
person's: agents alone call for themselves.
"""

from argparse import ArgumentParser, Namespace

from .opening import services_of, set_up_common_dir
from .replies import exit_of, show
from .team import find_team
from .team_server import call_on_server, find_server
from .terminal import Terminal
from .tool_arguments import TWINS
from .waiting import Result, call_and_wait


def configure(command: str, parser: ArgumentParser) -> None:
    """Declare the arguments of the tool and `--json`."""
    parser.add_argument("--json", action="store_true", help="print the structured reply, or the refusal")
    TWINS[command].configure(parser)


def run(command: str, options: Namespace, terminal: Terminal) -> int:
    """Call the tool and print its reply; see `replies.exit_of` for the exit status."""
    twin = TWINS[command]
    # What is not given is left out, so that the server's own defaults hold.
    arguments = {name: value for name, value in twin.arguments(options).items() if value is not None}
    wait_s = getattr(options, "wait", None)
    result = _call(options, twin.tool, arguments, wait_s, terminal)
    show(command, result, terminal, as_json=options.json)
    return exit_of(result)


def _call(
    options: Namespace, tool: str, arguments: dict[str, object], wait_s: float | None, terminal: Terminal
) -> Result:
    server = find_server(options, terminal)
    if server is not None:
        return call_on_server(server, tool, arguments, wait_s=wait_s, on_progress=terminal.progress)
    if find_team(options) is None:
        common_dir = set_up_common_dir(options)
        return call_and_wait(common_dir, tool, arguments, wait_s=wait_s, on_progress=terminal.progress)
    from .team_calls import call_in_process

    with services_of(options) as services:
        return call_in_process(services, tool, arguments, wait_s=wait_s, on_progress=terminal.progress)
