"""`gatewright requirements`: the requirement lines of a project, for the `setup` of a pipeline to give to pip.

`setup` sees the key files alone, so the project itself cannot be installed there; its dependencies can.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from .command import CannotGoOn, Exit
from .declared import METADATA_FILES, read_declared
from .terminal import Terminal


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "folder", metavar="FOLDER", nargs="?", default=".", help="where pyproject.toml is (default: here)"
    )
    parser.add_argument(
        "--extra", metavar="NAME", action="append", default=[], help="an optional dependency list as well"
    )
    parser.add_argument("--group", metavar="NAME", action="append", default=[], help="a dependency group as well")
    parser.add_argument("--no-build", action="store_true", help="leave out what builds the project")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Print one requirement a line; what could not be read is said on standard error."""
    folder = Path(options.folder)
    declared = read_declared(folder)
    if not declared.files:
        message = f"There is no {', '.join(METADATA_FILES[:-1])} or {METADATA_FILES[-1]} in {folder.absolute()}."
        raise CannotGoOn(message, "Give the folder that has one.")
    for sentence in declared.unread:
        terminal.warn(f"gatewright: {sentence}")
    lines = declared.lines(extras=options.extra, groups=options.group, build=not options.no_build)
    terminal.write_data("".join(f"{line}\n" for line in lines))
    return Exit.OK
