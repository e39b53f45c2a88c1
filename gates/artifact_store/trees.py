"""Find what must not be in a tree: names that do not travel, collisions, links that lead out, bytecode.

Pure but for the reader of link targets. Source: docs/gates.md (`scope`)
"""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from heapq import nsmallest

from .objects import EXECUTABLE, FILE, LINK, SUBMODULE, TooLarge
from .walk import TreeEntry

MODES = frozenset({FILE, EXECUTABLE, LINK, SUBMODULE})
LINK_BYTES_MAX = 4_096
LINK_HOPS_MAX = 40
LINK_DEPTH_MAX = 128
# For all links of a tree together: links that lead through links multiply.
LINK_STEPS_MAX = 2_000_000

RESERVED_CHARACTERS = frozenset('<>:"|?*\\')
RESERVED_NAMES = frozenset({"con", "prn", "aux", "nul", "conin$", "conout$"}) | {
    f"{device}{digit}" for device in ("com", "lpt") for digit in "0123456789¹²³"
}
# Unicode categories of what cannot be seen: control, format (bidirectional and zero-width), separators, surrogates.
INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})
# Ignored by HFS+ when it compares names; each is also INVISIBLE.
HFS_IGNORED = dict.fromkeys([*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF])

BYTECODE_SUFFIXES = (".pyc", ".pyo", ".pyd", ".so", ".dylib", ".dll", ".pth")
BYTECODE_FOLDERS = ("__pycache__", ".dist-info", ".egg-info")

ReadBlobs = Callable[[Sequence[str]], Mapping[str, bytes]]


@dataclass(frozen=True, slots=True)
class TreeProblem:
    """What is wrong with one path. `rule` is name, git, mode, link, collision or bytecode."""

    path: str
    rule: str
    message: str


def check_tree(entries: Sequence[TreeEntry], read_blobs: ReadBlobs) -> tuple[TreeProblem, ...]:
    """Return every problem of a whole tree, sorted by path, each once.

    A problem between paths (a collision, a link that leads out through another link) is told for each path that takes
    part, so that filtering by changed paths never loses it. `read_blobs` gives the contents of the link objects asked
    for; links of more than `LINK_BYTES_MAX` bytes are refused unread. Raises `TooLarge` when following all links takes
    more than `LINK_STEPS_MAX` steps.
    """
    name_problems = cache(_name_problems)
    problems = [
        TreeProblem(entry.path, rule, message)
        for entry in entries
        for part in entry.path.split("/")
        for rule, message in name_problems(part)
    ]
    problems += [
        TreeProblem(entry.path, "mode", f"Its mode {entry.mode} is none that git writes: a file, a link, a submodule.")
        for entry in entries
        if entry.mode not in MODES
    ]
    problems += _collisions(entries)
    problems += _links(entries, read_blobs)
    return tuple(sorted(set(problems), key=lambda problem: (problem.path, problem.rule, problem.message)))


def path_problem(path: str) -> str | None:
    """Return why `path` may not be written into a tree, as the end of a sentence about it; None when it may."""
    parts = path.split("/")
    if path.startswith("/"):
        return "is absolute"
    if any(part in ("", ".", "..") for part in parts):
        return "is not a plain relative path"
    if any(unicodedata.category(character) in INVISIBLE for character in path):
        return "has an invisible character in it"
    if any(is_dot_git(part) for part in parts):
        return "leads into a git folder"
    return None


def is_dot_git(name: str) -> bool:
    """Whether some file system takes `name` for `.git` (case, NTFS short name and streams, HFS+ ignored characters)."""
    visible = (name if name.isascii() else name.translate(HFS_IGNORED)).casefold()
    return visible.split(":")[0].rstrip(". ") in (".git", "git~1")


def _name_problems(name: str) -> tuple[tuple[str, str], ...]:
    found = []
    if is_dot_git(name):
        found.append(("git", f"{name!r} is a git folder on some file systems. Remove it."))
    if trouble := _name_trouble(name):
        found.append(("name", f"{name!r} {trouble}. Rename it."))
    if name.casefold().endswith((*BYTECODE_SUFFIXES, *BYTECODE_FOLDERS)):
        found.append(("bytecode", f"{name!r} is compiled or installed code, not source. Remove it and ignore it."))
    return tuple(found)


def _name_trouble(name: str) -> str | None:
    if not name.isascii() and any(unicodedata.category(character) in INVISIBLE for character in name):
        return "has an invisible character in it"
    if any(character < " " or character == "\x7f" for character in name):
        return "has a control character in it"
    if RESERVED_CHARACTERS.intersection(name):
        return "has a character that Windows does not allow"
    if name[-1] in ". ":
        return "ends with a dot or a space, which Windows drops"
    if name.split(".", maxsplit=1)[0].rstrip().casefold() in RESERVED_NAMES:
        return "is a device on Windows"
    return None


def _collisions(entries: Sequence[TreeEntry]) -> Iterator[TreeProblem]:
    spellings: dict[str, list[str]] = defaultdict(list)
    for place in {place for entry in entries for place in _places(entry.path)}:
        spellings[_folded(place)].append(place)
    # Two of each are enough to name another one; a tree can hold 2^n spellings of one name.
    examples = {key: nsmallest(2, spelled) for key, spelled in spellings.items() if len(spelled) > 1}
    if not examples:
        return
    for entry in entries:
        for place in _places(entry.path):
            for other in [spelled for spelled in examples.get(_folded(place), ()) if spelled != place][:1]:
                yield TreeProblem(
                    entry.path, "collision", f"{place!r} and {other!r} are one file on some systems. Rename one."
                )


def _places(path: str) -> Iterator[str]:
    """The path and every folder above it."""
    yield path
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _folded(path: str) -> str:
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _links(entries: Sequence[TreeEntry], read_blobs: ReadBlobs) -> Iterator[TreeProblem]:
    links = [entry for entry in entries if entry.mode == LINK]
    short = [entry for entry in links if entry.size <= LINK_BYTES_MAX]
    contents = read_blobs([entry.oid for entry in short])
    targets = {entry.path: contents[entry.oid] for entry in short}
    steps_left = iter(range(LINK_STEPS_MAX))
    for entry in links:
        if entry.path not in targets:
            yield TreeProblem(entry.path, "link", f"Its target has more than {LINK_BYTES_MAX} bytes.")
            continue
        trouble, trail = _follow(entry.path, targets, steps_left)
        if trouble:
            yield from (TreeProblem(path, "link", f"The link {entry.path!r} {trouble}.") for path in trail)


def _follow(link: str, targets: Mapping[str, bytes], steps_left: Iterator[int]) -> tuple[str | None, list[str]]:
    """Return what is wrong with where `link` leads (None: nothing), and every link on the way, itself first.

    A step by step walk: `a/../x` may leave the tree when `a` is itself a link, though its text does not look so.
    """
    place, trail = link.split("/")[:-1], [link]
    remaining = ["", *_steps(targets[link])]
    while remaining:
        if next(steps_left, None) is None:
            raise TooLarge(f"The links of the tree take more than {LINK_STEPS_MAX} steps to follow.")
        if trouble := _target_trouble(targets[trail[-1]]):
            return trouble, trail
        part = remaining.pop()
        if part == "..":
            if not place:
                return "leads out of the tree", trail
            place.pop()
        elif is_dot_git(part):
            return "leads into a git folder", trail
        elif part not in ("", "."):
            here = "/".join([*place, part])
            if len(trail) == LINK_HOPS_MAX or len(place) == LINK_DEPTH_MAX:
                return "never ends", trail
            if here not in targets:
                place.append(part)
                continue
            trail.append(here)
            remaining += _steps(targets[here])
    return None, trail


def _steps(target: bytes) -> list[str]:
    """The parts of a link's target, last first."""
    return target.decode("utf-8", "replace").split("/")[::-1]


def _target_trouble(target: bytes) -> str | None:
    if target.startswith(b"/"):
        return "is absolute"
    if not target or b"\0" in target:
        return "has a target that no file system can hold"
    try:
        target.decode("utf-8")
    except UnicodeDecodeError:
        return "has a target that is not UTF-8"
    return None
