"""The file in which a program of a private tree reports.

It is removed before the run and read after it, never through a link, so that what is read was written by that run.
"""

import os
import posixpath
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from .contract import CannotJudge
from .judging.scratch import remove_tree
from .process import Finished
from .reports import ReportUnreadable, TestCase, parse_junit

REPORT_BYTES_MAX = 50_000_000


def remove_report(tree: Path, path: str) -> None:
    """Make sure that what is read later was written by the run to come."""
    with suppress(FileNotFoundError, NotADirectoryError):
        place = tree / path
        if not place.parent.resolve().is_relative_to(tree.resolve()):
            raise CannotJudge(f"The report {path} would lie outside the tree.")
        if place.is_dir() and not place.is_symlink():
            remove_tree(place)
        else:
            place.unlink()


def read_cases(tree: Path, path: str, finished: Finished) -> Sequence[TestCase]:
    """The test cases of a JUnit report. Raises `CannotJudge` when there is no report that can be read."""
    try:
        cases = parse_junit(read_report(tree, path), REPORT_BYTES_MAX)
    except ReportUnreadable as exc:
        raise CannotJudge(f"The report {path} cannot be read: {exc}", output=finished.output) from exc
    return [_placed(tree, case) for case in cases]


def place_in(tree: Path, path: str) -> str:
    """A path that a tool reports, relative to the tree where it lies in it."""
    if path.startswith("//"):
        # What is left of a file URI without its scheme.
        path = f"/{path.lstrip('/')}"
    for root in _roots(tree):
        path = path.removeprefix(root)
    return path if path.startswith("/") else posixpath.normpath(path)


def read_report(tree: Path, path: str) -> bytes:
    """The report's bytes. Raises `CannotJudge` when it is missing, no regular file, too large or outside the tree."""
    try:
        place = (tree / path).parent.resolve(strict=True) / Path(path).name
        if not place.is_relative_to(tree.resolve()):
            raise CannotJudge(f"The report {path} lies outside the tree.")
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as exc:
        raise CannotJudge(f"The run wrote no report {path}.") from exc
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise CannotJudge(f"The report {path} is no regular file.")
        data = file.read(REPORT_BYTES_MAX + 1)
    if len(data) > REPORT_BYTES_MAX:
        raise CannotJudge(f"The report {path} has more than {REPORT_BYTES_MAX} bytes.")
    return data


def _placed(tree: Path, case: TestCase) -> TestCase:
    """The case as it would be in any other copy of the tree: some runners call a test by the place of its file."""
    name = case.id
    for root in _roots(tree):
        name = name.replace(root, "")
    return replace(case, id=name, path=None if case.path is None else place_in(tree, case.path))


def _roots(tree: Path) -> Sequence[str]:
    return [f"{root}/" for root in dict.fromkeys((str(tree), str(tree.resolve())))]
