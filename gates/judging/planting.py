"""What to plant in a tree so that a gate has something to judge, or something to object to; pure.

Everything that is planted is called `gatewright_canary`, so that a finding about it names itself.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from ..artifact_store.trees import path_problem
from ..contract import PatchRefused, Specimen, Spoiled
from ..paths import matches
from ..text import number_of

NAME = "gatewright_canary"
OUR_FOLDER = ".gatewright/"
# One file may be excluded from a check by a rule that is not read here; of several in different folders, one counts.
FILES_MAX = 6
DESCRIPTION = b'"""Planted by gatewright doctor."""\n'
SOURCE_SUFFIXES = (
    *(".py", ".js", ".mjs", ".jsx", ".ts", ".tsx", ".go", ".rb", ".php", ".java", ".kt", ".c", ".cc", ".cpp", ".sh"),
    *(".css", ".scss", ".test.js", ".test.ts", ".spec.ts"),
)
# No language reads this.
UNREADABLE = b'gatewright_canary ) } ] ( = = 1 "\n'
SYNTAX_ERROR = b"\n\ndef gatewright_canary(:\n"
# Every runner of Python tests finds these, however it is configured to name functions and classes.
_TEST = b"""\
import unittest


class TestGatewrightCanary(unittest.TestCase):
    def test_gatewright_canary(self):
        self.assertEqual("planted by gatewright doctor", %s)
"""
PASSING_TEST = _TEST % b'"planted by gatewright doctor"'
FAILING_TEST = _TEST % b'"noticed"'

_CLASS = re.compile(r"\[(?P<negated>!?)(?P<members>\]?[^]]*)\]")
_OUTSIDE_A_CLASS = "azAZ09_"


def path_in(globs: Iterable[str], tree: Specimen, *, suffix: str = ".txt") -> str | None:
    """A path that one of the globs matches and that an artifact may have: none of a protected file or of ours.

    An existing file only where a glob names it. `suffix` is taken where the glob leaves it open. None when there is no
    such path.
    """
    candidates = (path for glob in globs for path in _paths_of(glob, suffix))
    return next((path for path in candidates if _is_free(path, tree)), None)


def path_outside(globs: Sequence[str], tree: Specimen) -> str:
    """A path that may not be written where only `globs` may: one that none matches, else one below our own folder."""
    candidates = (f"{NAME}.txt", f"{NAME}/outside.txt", f"outside/{NAME}/{NAME}.txt")
    known = set(tree.paths)
    free = (path for path in candidates if path not in known and not matches(path, globs))
    return next(free, f"{OUR_FOLDER}{NAME}.txt")


def sources(tree: Specimen, globs: Sequence[str], suffixes: tuple[str, ...]) -> list[str]:
    """The files of the tree that end so and that one of the globs matches, sorted."""
    return [path for path in tree.paths if path.endswith(suffixes) and matches(path, globs)]


def spread(paths: Iterable[str]) -> list[str]:
    """Some of the paths, at most `FILES_MAX`, from as many folders as possible."""
    by_folder: dict[str, str] = {}
    rest: list[str] = []
    for path in paths:
        folder = str(PurePosixPath(path).parent)
        if by_folder.setdefault(folder, path) != path:
            rest.append(path)
    return [*sorted(by_folder.values(), key=lambda path: (path.count("/"), path)), *rest][:FILES_MAX]


def appended(tree: Specimen, paths: Iterable[str], text: bytes) -> Mapping[str, bytes | None]:
    """The files with `text` after what they have."""
    return {path: (tree.read(path) or b"").rstrip(b"\n") + b"\n" + text for path in paths}


def named(paths: Sequence[str]) -> str:
    """The paths in a sentence: one of them, and how many more."""
    more = len(paths) - 1
    return paths[0] if not more else f"{paths[0]} and {number_of(more, 'more files')}"


def spoiled_by_patch(path: str | None, tree: Specimen) -> Spoiled | None:
    """What the policy's own patch at `path` makes of the tree; None without one. Raises `PatchRefused`."""
    if path is None:
        return None
    patch = tree.read(path)
    if patch is None:
        raise PatchRefused(f"There is no {path} on the trusted branch.")
    # What a program says about it is its own business: any finding will do.
    return Spoiled(tree.patched(patch), f"the canary {path}", mark="")


def test_files(tree: Specimen, area: Sequence[str], paths: Sequence[str]) -> list[str]:
    """The files of the tree that look like Python tests, in `paths` if there are any."""
    found = sources(tree, area, (".py",))
    named_so = [path for path in found if "test" in PurePosixPath(path).stem and PurePosixPath(path).stem != "conftest"]
    return [path for path in named_so if not paths or any(_is_below(path, place) for place in paths)]


def new_tests(tree: Specimen, area: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Where another test goes: beside those that there are, else where the runner looks; empty if that is nowhere."""
    there = test_files(tree, area, paths)
    if there:
        fewest = min(path.count("/") for path in there)
        first = next(path for path in there if path.count("/") == fewest)
        return [str(PurePosixPath(first).with_name(_test_name(first)))]
    folders = [path for path in paths if not path.endswith(".py")] or ["tests"]
    path = str(PurePosixPath(folders[0]) / f"test_{NAME}.py")
    return [path] if matches(path, area) and _is_free(path, tree) else []


def likely_canary(tree: Specimen, area: Sequence[str]) -> Spoiled | None:
    """New files that many a command objects to: sources that do not parse, beside the project's own, and a test.

    Whether a command does object has to be tried. None where there is nothing that looks like source.
    """
    texts: dict[str, bytes | None] = dict.fromkeys(new_tests(tree, area, ()) if _has(tree, ".py") else (), FAILING_TEST)
    for suffix in SOURCE_SUFFIXES:
        folders = spread(path for path in tree.paths if path.endswith(suffix))
        for path in dict.fromkeys(str(PurePosixPath(path).with_name(f"{NAME}{suffix}")) for path in folders):
            texts.setdefault(path, UNREADABLE)
    return Spoiled(texts, "files that do not parse and a test that fails", mark="") if texts else None


def _has(tree: Specimen, suffix: str) -> bool:
    return any(path.endswith(suffix) for path in tree.paths)


def _test_name(beside: str) -> str:
    return f"{NAME}_test.py" if beside.endswith("_test.py") else f"test_{NAME}.py"


def _is_below(path: str, place: str) -> bool:
    return path == place or path.startswith(f"{place.rstrip('/')}/") or place == "."


def _paths_of(glob: str, suffix: str) -> Iterator[str]:
    """Some paths that the glob might match: with and without a folder for each `**`."""
    segments = glob.split("/")
    inner, last = segments[:-1], segments[-1]
    name = NAME + suffix if last == "**" else _filled(last, suffix)
    without = [_filled(segment, "") for segment in inner if segment != "**"]
    with_folders = [NAME if segment == "**" else _filled(segment, "") for segment in inner]
    for folders in (without, with_folders):
        path = "/".join([*folders, name])
        if matches(path, (glob,)):
            yield path


def _filled(segment: str, suffix: str) -> str:
    """The segment with its wildcards filled in."""
    text = _CLASS.sub(lambda found: _member(found["members"], is_negated=bool(found["negated"])), segment)
    text = text.replace("*", NAME, 1).replace("*", "").replace("?", "x")
    return text + suffix if segment == "*" else text


def _member(members: str, *, is_negated: bool) -> str:
    if not is_negated:
        return members[0]
    return next((letter for letter in _OUTSIDE_A_CLASS if letter not in members), "~")


def _is_free(path: str, tree: Specimen) -> bool:
    return path_problem(path) is None and not tree.is_protected(path) and not path.casefold().startswith(OUR_FOLDER)
