"""Where branches stand, asked of git only when something has moved.

To start git takes longer than all else that telling a status does. git keeps a branch in a small file of its own or,
packed, in one that is never written in place: while neither has changed, the last answer holds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Longer than a full id of any kind and its newline.
LOOSE_BYTES_MAX = 100


@dataclass(frozen=True, slots=True)
class _Seen:
    """A branch as it lies in the repository: the text of its own file, else which file of packed ones there is."""

    loose: bytes | None
    packed: tuple[int, int, int] | None

    def holds(self, tip: str) -> bool:
        """Whether it cannot look like this and stand anywhere but at `tip`.

        A branch that names another one can, and so can one that is kept in any other way (reftable).
        """
        return self.packed is not None if self.loose is None else self.loose == f"{tip}\n".encode()


class Tips:
    """The branches of one repository; `resolve` tells the commit of a full ref name. For any number of threads."""

    def __init__(self, common_dir: Path, resolve: Callable[[str], str | None]) -> None:
        self._common_dir = common_dir
        self._resolve = resolve
        self._known: dict[str, tuple[_Seen, str]] = {}

    def find(self, branch: str) -> str | None:
        """The commit that a local branch stands at; None when there is no such branch."""
        ref = f"refs/heads/{branch}"
        seen = self._look(ref)
        known = self._known.get(branch)
        if known is not None and known[0] == seen:
            return known[1]
        tip = self._resolve(ref)
        # Looked at again: it may have moved between the look and the answer.
        if tip is not None and seen.holds(tip) and self._look(ref) == seen:
            self._known[branch] = seen, tip
        return tip

    def _look(self, ref: str) -> _Seen:
        try:
            with (self._common_dir / ref).open("rb") as file:
                return _Seen(file.read(LOOSE_BYTES_MAX), None)
        except OSError:
            pass  # packed, or not there
        try:
            found = (self._common_dir / "packed-refs").stat()
        except OSError:
            return _Seen(None, None)
        return _Seen(None, (found.st_ino, found.st_size, found.st_mtime_ns))
