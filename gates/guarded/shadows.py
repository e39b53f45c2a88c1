"""Which new files would stand in for modules that the policy's own Python programs import; pure.

Python looks for a module beside the script that it runs, or where `-m` was started, before it looks at its own library
and at what is installed. There a `json.py` of the artifact's would run inside of the program that judges it.
"""

import ast
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import PurePosixPath

from ..policies.shell_text import folders, modules, words

SCRIPT_BYTES_MAX = 1_000_000
_PYTHON = re.compile(r"(?:.*/)?(?:python|pypy)[0-9.]*")

Read = Callable[[str], bytes | None]


def shadows_of(
    commands: Iterable[str], *, scripts: Iterable[str], paths: Collection[str], read: Read
) -> Mapping[str, tuple[str, ...]]:
    """By folder (`""` is the root), the modules that are imported from elsewhere though Python looks there first.

    `scripts` are the files that the commands name. What the tree has there itself is the project's, and not in it.
    """
    imported: dict[str, set[str]] = {}
    for path in scripts:
        folder = path.rpartition("/")[0]
        if PurePosixPath(path).suffix in {".py", ""}:
            # Beside the code of a project lies what a script tests, and it may be there before what it imports is.
            imported.setdefault(folder, set()).update(_imports(path, read) if folder else ())
    for command in commands:
        if modules(command) or any(_PYTHON.fullmatch(word) for word in words(command)):
            for folder in folders(command):
                imported.setdefault(folder, set())
    return {
        folder: tuple(sorted(name for name in {*sys.stdlib_module_names, *names} if not _has(paths, folder, name)))
        for folder, names in sorted(imported.items())
    }


def stands_in(path: str, shadows: Mapping[str, Collection[str]]) -> bool:
    """Whether Python would import this file in the place of another module."""
    module = path.removesuffix("/__init__.py").removesuffix(".py")
    folder, _, name = module.rpartition("/")
    return module != path and name in shadows.get(folder, ())


def _has(paths: Collection[str], folder: str, name: str) -> bool:
    module = f"{folder}/{name}" if folder else name
    return f"{module}.py" in paths or f"{module}/__init__.py" in paths


def _imports(path: str, read: Read) -> set[str]:
    """The first names of what a script imports; none when it is no Python."""
    data = read(path)
    if data is None or len(data) > SCRIPT_BYTES_MAX:
        return set()
    try:
        nodes = list(ast.walk(ast.parse(data)))
    except (SyntaxError, ValueError, RecursionError):
        return set()
    named = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    named += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {name.partition(".")[0] for name in named}
