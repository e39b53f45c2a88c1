"""The eleven tools as commands: they call the repository's server, as a client does, and print the same reply."""

from argparse import ArgumentParser, Namespace

from .opening import set_up_common_dir
from .replies import exit_of, show
from .terminal import Terminal
from .tool_arguments import TWINS
from .waiting import call_and_wait


def configure(command: str, parser: ArgumentParser) -> None:
    """Declare the arguments of the tool and `--json`."""
    parser.add_argument("--json", action="store_true", help="print the structured reply, or the refusal")
    TWINS[command].configure(parser)


def run(command: str, options: Namespace, terminal: Terminal) -> int:
    """Call the tool and print its reply; see `replies.exit_of` for the exit status."""
    common_dir = set_up_common_dir(options)
    twin = TWINS[command]
    # What is not given is left out, so that the server's own defaults hold.
    arguments = {name: value for name, value in twin.arguments(options).items() if value is not None}
    wait_s = getattr(options, "wait", None)
    result = call_and_wait(common_dir, twin.tool, arguments, wait_s=wait_s, on_progress=terminal.progress)
    show(command, result, terminal, as_json=options.json)
    return exit_of(result)
