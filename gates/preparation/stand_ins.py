"""What an installation put in front of the programs and modules that gates use. Synchronous.

The layer that an artifact is installed into comes first on the PATH and among Python's folders. A console script called
`mypy`, or a package called `pluggy`, would there be run and imported in the place of the installed one.
"""

import ast
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..process import find_tool

SHARED_PTH = "_gatewright_shared.pth"
# Imported by Python itself when it starts, if there is one.
STARTED = frozenset({"sitecustomize", "usercustomize"})
_SHARED = re.compile(r"addsitedir\((.+)\)$", re.MULTILINE)

Programs = Mapping[str, bytes]


def programs_of(venv: Path) -> Programs:
    """The digest of every program of an environment by name; of links, their targets."""
    return {place.name: _content(place) for place in (venv / "bin").iterdir()}


def stand_ins(venv: Path, before: Programs, path: str) -> tuple[str, ...]:
    """Names of what came into the layer `venv` since `before` and is also found behind it; `path` is the PATH there."""
    came = {name for name, content in programs_of(venv).items() if before.get(name) != content}
    programs = {name for name in came if find_tool(name, path) is not None}
    modules: set[str] = set()
    for site in venv.glob("lib/python*/site-packages"):
        own = {name for folder in (site, *_added(site)) for name in _modules(folder)}
        modules |= own & {*STARTED, *(name for folder in _shared(site) for name in _modules(folder))}
    return tuple(sorted(programs | modules))


def _content(place: Path) -> bytes:
    if place.is_symlink():
        return os.fsencode(place.readlink())
    if not place.is_file():
        return b""
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _added(site: Path) -> Iterable[Path]:
    """Folders that were added to Python's by what was installed for editing."""
    for file in site.glob("*.pth"):
        if file.name != SHARED_PTH and file.is_file() and not file.is_symlink():
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            yield from (place for line in lines if (place := site / line.strip()).is_dir() and line.strip())


def _shared(site: Path) -> Iterable[Path]:
    file = site / SHARED_PTH
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return (Path(ast.literal_eval(folder)) for folder in _SHARED.findall(text))


def _modules(folder: Path) -> Iterable[str]:
    """The modules that Python finds in a folder, but no part of a namespace."""
    for place in folder.iterdir() if folder.is_dir() else ():
        if place.suffix in {".py", ".so"} or (place / "__init__.py").is_file():
            yield place.name.partition(".")[0]
