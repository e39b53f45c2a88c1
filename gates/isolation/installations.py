"""What a project's programs may read by default: the system, and the installations that the server's PATH leads to.

Only the server's own settings decide, never a file that an artifact or its installation can write: a link in a
project's environment could otherwise open whatever it points to. Reads the file system only.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from .reach import is_inside

READABLE_VARIABLE = "GATEWRIGHT_READABLE"

SYSTEM_FOLDERS = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix", "/gnu", "/snap"),
    *("/System", "/Library", "/private/etc", "/private/var/db/timezone"),
)
RESOLVER = Path("/etc/resolv.conf")
PROGRAM_FOLDERS = frozenset({"bin", "sbin", "shims", ".bin"})
# Open to root's programs alone, or of no use to those of others.
SYSTEM_SECRETS = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/ssh", "/etc/ssl/private")
# Beside toolchains in the home that a PATH leads to.
HOME_SECRETS = (".cargo/credentials", ".cargo/credentials.toml", ".gem/credentials")
# Followed until the file itself; longer chains are circles.
LINKS_MAX = 20
LINKED_PROGRAMS_MAX = 500

PROBES = Path(__file__).parent.parent / "kinds" / "probes"


def default_reads(
    path: str, python: Path, *, server: Mapping[str, str], variables: Mapping[str, str], hidden: tuple[Path, ...]
) -> tuple[Path, ...]:
    """The folders that exist of the system, of Python, behind `path`, and of the toolchains that `variables` name.

    `path` and `python` are the server's, without what `setup` made; the owner adds to it by `GATEWRIGHT_READABLE`. A
    folder of programs opens the installation around it, unless that is the home or has something `hidden` below it.
    """
    named = [Path(place) for place in server.get(READABLE_VARIABLE, "").split(os.pathsep) if place]
    toolchains = [Path(value) for value in variables.values()]
    home = Path(server.get("HOME", os.devnull))
    found = {*_behind(path, python, home, hidden), *filter(_is_there, [*toolchains, *named, PROBES])}
    return tuple(sorted(found))


def surroundings() -> Mapping[str, str]:
    """The settings of the server that decide which programs there are and what they reach."""
    return {name: os.environ.get(name, "") for name in ("PATH", READABLE_VARIABLE)}


def hidden_places(home: Path, *, shared: Path, own: Iterable[Path]) -> tuple[Path, ...]:
    """What stays hidden wherever it lies: the home, the repository with its worktrees, `own` folders, credentials."""
    links = [file.read_text(errors="surrogateescape").strip() for file in shared.glob("worktrees/*/gitdir")]
    worktrees = [*([shared.parent] if shared.name == ".git" else []), *(Path(link).parent for link in links)]
    of_root = map(Path, SYSTEM_SECRETS if os.geteuid() == 0 else ())
    secrets = [*of_root, *(home / place for place in HOME_SECRETS)]
    readable = [place for place in secrets if os.access(place, os.R_OK)]
    places = {home, shared, *worktrees, *own, *readable}
    # A link in the way would let the same folder be reached under its other name.
    return tuple(sorted({*places, *(place.resolve() for place in places)}))


def network_reads() -> tuple[Path, ...]:
    """Where names are resolved by, when that lies elsewhere than in the system's folders."""
    target = RESOLVER.resolve()
    return (target,) if RESOLVER.is_symlink() and target.is_file() else ()


def paths_in(values: Iterable[str]) -> tuple[Path, ...]:
    """The files and folders that settings name, such as certificates and folders of packages."""
    words = (word.removeprefix("file://") for value in values for word in value.replace(",", " ").split())
    return tuple(path for path in map(Path, words) if path.is_absolute() and _is_there(path))


@lru_cache(maxsize=16)
def _behind(path: str, python: Path, home: Path, hidden: tuple[Path, ...]) -> frozenset[Path]:
    system = [Path(folder) for folder in SYSTEM_FOLDERS if _is_there(Path(folder))]
    closed = {home, home / ".local", *hidden, *(around for place in (home, *hidden) for around in place.parents)}
    found = {Path(sys.prefix), Path(sys.base_prefix), *_of_program(python, closed)}
    for folder in map(Path, path.split(os.pathsep)):
        if not folder.is_absolute() or not folder.is_dir() or is_inside(folder, system):
            continue
        for real in {folder, folder.resolve()}:
            found |= {real, *_of_folder(real, closed)}
    return frozenset(system) | frozenset(place for place in found if _is_there(place))


def _of_folder(folder: Path, closed: Iterable[Path]) -> Iterator[Path]:
    """The installation that a folder of programs belongs to; in one that several share, that of each link."""
    if folder.name in PROGRAM_FOLDERS and folder.parent not in closed:
        yield folder.parent
    with os.scandir(folder) as entries:
        links = [Path(entry.path) for entry, _ in zip(entries, range(LINKED_PROGRAMS_MAX), strict=False)]
    for program in links:
        if program.is_symlink():
            yield from _of_program(program, closed)


def _of_program(program: Path, closed: Iterable[Path]) -> Iterator[Path]:
    """The installation of a program, and of whatever it is a link to."""
    for place in _hops(program):
        folder = place.parent
        yield folder.parent if folder.name in PROGRAM_FOLDERS and folder.parent not in closed else place
        interpreter = folder / "python"
        if program.name != "python" and (folder.parent / "pyvenv.cfg").is_file() and interpreter.is_symlink():
            yield from _of_program(interpreter, closed)


def _hops(program: Path) -> Iterator[Path]:
    place = program.absolute()
    for _ in range(LINKS_MAX):
        yield place
        if not place.is_symlink():
            break
        place = Path(os.path.normpath(place.parent / place.readlink()))
    if _is_there(program):
        yield program.resolve()


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
