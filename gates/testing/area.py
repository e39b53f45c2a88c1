"""Which files are tests or serve them: the test area of a tree; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from ..artifact_store.walk import Change
from ..paths import matches

DEFAULT_AREA = (
    *("tests/**", "test/**", "spec/**", "**/tests/**", "**/__tests__/**", "**/conftest.py", "**/testdata/**"),
    *("**/test_*.py", "**/*_test.py", "**/*_test.go", "**/*.test.*", "**/*.spec.*"),
)
TEST_FILES = ("test_*.py", "*_test.py")


@dataclass(frozen=True, slots=True)
class Area:
    """`globs` as the gate or the default says; `collected` are the files that the base's run found tests in."""

    globs: Sequence[str]
    collected: frozenset[str]

    def holds(self, path: str) -> bool:
        """Whether a file belongs to the tests and not to what they test."""
        return path in self.collected or matches(path, self.globs)

    def changed(self, changes: Iterable[Change]) -> tuple[Change, ...]:
        """Those of the changes that are in the area."""
        return tuple(change for change in changes if self.holds(change.path))

    def is_test_file(self, path: str) -> bool:
        """Whether pytest would find tests in this file by itself, next to others of its like."""
        if path in self.collected:
            return True
        file = PurePosixPath(path)
        is_named_so = any(fnmatchcase(file.name, pattern) for pattern in TEST_FILES)
        return is_named_so and any(_is_near(file, PurePosixPath(other)) for other in self.collected)


def _is_near(file: PurePosixPath, other: PurePosixPath) -> bool:
    return file.parts[:-1][:1] == other.parts[:-1][:1]
