"""Write commits out of the artifact store: pristine trees that are kept warm, and private copies to run gates in.

Source: docs/decisions/0002-own-store-for-artifacts.md
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .artifact_store.objects import checked_id
from .artifacts import VERBATIM_ATTRIBUTES, ArtifactStore
from .checkouts.filling import Filler, Filling
from .checkouts.slot import CHECKOUT_TIMEOUT_S, CheckoutFailed, Sources, WarmTree
from .git import BARE_ENVIRONMENT, Git
from .preparation.locks import POLL_S, try_lock

__all__ = ["CheckoutBusy", "CheckoutFailed", "CheckoutPool", "leave_out"]

# For somebody to give back a slot, when all of them are taken.
SLOT_TIMEOUT_S = 600.0
SLOTS_MAX = 8
NOTHING = Filling()

COPY_COMMAND: Sequence[str] = ("cp", "-a", "-c") if sys.platform == "darwin" else ("cp", "-a", "--reflink=auto")

# The index comes from the pristine tree, so it must not hold the copies' inodes and times of change against them.
PRIVATE_CONFIG = """\
[core]
	repositoryformatversion = 1
	bare = false
	fileMode = true
	logAllRefUpdates = true
	trustctime = false
	checkStat = minimal
"""
PRIVATE_CONFIG_SHA256 = PRIVATE_CONFIG + "[extensions]\n\tobjectFormat = sha256\n"


class CheckoutBusy(CheckoutFailed):
    """Every slot was in use for longer than the caller may wait."""


class CheckoutPool:
    """Checkouts below `root`, shared by all processes that name the same folder.

    In every checkout the files are the committed bytes whatever `.gitattributes` says. What a `Filling` names has other
    content: submodules their files, pointers what they point to; without one a submodule is an empty folder.
    """

    def __init__(
        self, root: Path, store: ArtifactStore, *, slots_max: int = SLOTS_MAX, filler: Filler | None = None
    ) -> None:
        self._root = root.absolute()
        self._store = store
        self._slots_max = slots_max
        self._filler = filler

    @contextmanager
    def pristine(
        self, commit: str, filling: Filling = NOTHING, *, timeout_s: float = SLOT_TIMEOUT_S
    ) -> Generator[Path]:
        """Give a folder with exactly the files of `commit`, for the time of the `with` block; only read in it.

        There is no `.git` in it. A slot that was used before is brought from its last commit to this one: only what
        differs is written, be it between the commits or because somebody wrote on the disk. Raises `CheckoutBusy` when
        all slots are in use for `timeout_s`.
        """
        with self._slot(checked_id(commit), timeout_s) as slot:
            yield slot.bring_to(commit, filling, self._sources(slot))

    def private(
        self, commit: str, into: Path, filling: Filling = NOTHING, *, timeout_s: float = SLOT_TIMEOUT_S
    ) -> Path:
        """Copy `commit` to the new folder `into`, with a `.git` of its own, and return it; the caller throws it away.

        git answers there as in a clone with a detached HEAD: `status` is clean, and the tags that reach the commit are
        there for `describe`. Objects are read from the store; whatever is written stays in the copy. On failure nothing
        is left at `into`.
        """
        into.mkdir(parents=True)
        try:
            with self._slot(checked_id(commit), timeout_s) as slot:
                _copy(slot.bring_to(commit, filling, self._sources(slot)), into)
                self._give_repository(into / ".git", commit, slot.index)
        except BaseException:
            shutil.rmtree(into, ignore_errors=True)
            raise
        return into

    @contextmanager
    def _slot(self, commit: str, timeout_s: float) -> Generator["_Slot"]:
        give_up_at = time.monotonic() + timeout_s
        while (slot := self._find_free_slot(commit)) is None:
            if time.monotonic() > give_up_at:
                raise CheckoutBusy(f"All {self._slots_max} checkouts were in use for {timeout_s:.0f} s.")
            time.sleep(POLL_S)
        try:
            yield slot
        finally:
            slot.unlock()

    def _find_free_slot(self, commit: str) -> "_Slot | None":
        """Lock a free slot: one that has the commit, else the one used last, else a new one."""
        slots = [_Slot(self._root / str(number)) for number in range(self._slots_max)]
        return next((slot for slot in sorted(slots, key=lambda slot: slot.rank(commit)) if slot.lock()), None)

    def _sources(self, slot: "_Slot") -> Sources:
        filler = self._filler
        submodules, lfs = (None, None) if filler is None else (filler.submodules.store, filler.lfs)
        # A git that outlives us keeps the slot until it has ended: nobody else writes there at the same time.
        return Sources(self._store, submodules, lfs, held_open=(slot.descriptor,))

    def _give_repository(self, git_dir: Path, commit: str, index: Path) -> None:
        for folder in ("objects/info", "refs", "info"):
            (git_dir / folder).mkdir(parents=True)
        tags = self._store.git.run(
            "for-each-ref", f"--merged={commit}", "--format=%(objectname) %(refname)", "refs/tags"
        )
        config = PRIVATE_CONFIG if len(commit) == 40 else PRIVATE_CONFIG_SHA256
        (git_dir / "config").write_text(config)
        (git_dir / "info" / "attributes").write_text(f"{VERBATIM_ATTRIBUTES}\n")
        (git_dir / "objects" / "info" / "alternates").write_text(f"{self._store.path / 'objects'}\n")
        (git_dir / "packed-refs").write_bytes(tags)
        (git_dir / "HEAD").write_text(f"{commit}\n")
        shutil.copyfile(index, git_dir / "index")


class _Slot(WarmTree):
    """A warm tree that one caller at a time may have."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, folder / "tree")
        self._descriptor: int | None = None

    def lock(self) -> bool:
        """Take the slot, unless somebody else has it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._descriptor = try_lock(self.folder / "lock")
        return self._descriptor is not None

    def unlock(self) -> None:
        assert self._descriptor is not None
        os.close(self._descriptor)

    def rank(self, commit: str) -> tuple[int, float]:
        """Sort key: what needs the least work comes first."""
        try:
            used_at = self.marker.stat().st_mtime
        except OSError:
            return 2, 0.0
        return (0 if self.holds() == commit else 1), -used_at

    @property
    def descriptor(self) -> int:
        """What holds the lock."""
        assert self._descriptor is not None, "a slot is used by who has locked it"
        return self._descriptor


def leave_out(tree: Path, paths: Sequence[str]) -> None:
    """Remove files of a private copy, of which git there says all the same that nothing has changed."""
    git = Git(tree / ".git", work_tree=tree)
    names = "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
    git.run("update-index", "--skip-worktree", "-z", "--stdin", stdin=names)
    for path in paths:
        (tree / path).unlink(missing_ok=True)


def _copy(tree: Path, into: Path) -> None:
    try:
        subprocess.run(
            [*COPY_COMMAND, f"{tree}/.", str(into)],
            env=BARE_ENVIRONMENT,
            check=True,
            capture_output=True,
            timeout=CHECKOUT_TIMEOUT_S,
        )
    except subprocess.SubprocessError as exc:
        raise CheckoutFailed(f"The files of a checkout could not be copied: {exc}") from exc
