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

from .artifacts import STORE_CONFIG, VERBATIM_ATTRIBUTES, ArtifactStore
from .git import BARE_ENVIRONMENT, Git, GitFailed
from .locks import POLL_S, try_lock
from .objects import checked_id

CHECKOUT_TIMEOUT_S = 600.0
# For somebody to give back a slot, when all of them are taken.
SLOT_TIMEOUT_S = 600.0
SLOTS_MAX = 8

CHECKOUT_CONFIG = {
    **STORE_CONFIG,
    "core.fileMode": "true",
    # A checkout can be written again at any time: waiting for the disk would buy nothing.
    "core.fsync": "none",
    "core.symlinks": "true",
    "submodule.recurse": "false",
}

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


class CheckoutFailed(Exception):
    """A tree could not be written out or copied (a full disk, a time-out); says nothing about the commit."""


class CheckoutBusy(CheckoutFailed):
    """Every slot was in use for longer than the caller may wait."""


class CheckoutPool:
    """Checkouts below `root`, shared by all processes that name the same folder.

    In every checkout the files are the committed bytes whatever `.gitattributes` says, and a submodule is an empty
    folder.
    """

    def __init__(self, root: Path, store: ArtifactStore, *, slots_max: int = SLOTS_MAX) -> None:
        self._root = root.absolute()
        self._store = store
        self._slots_max = slots_max

    @contextmanager
    def pristine(self, commit: str, *, timeout_s: float = SLOT_TIMEOUT_S) -> Generator[Path]:
        """Give a folder with exactly the files of `commit`, for the time of the `with` block; only read in it.

        There is no `.git` in it. A slot that was used before is brought from its last commit to this one: only what
        differs is written, be it between the commits or because somebody wrote on the disk. Raises `CheckoutBusy` when
        all slots are in use for `timeout_s`.
        """
        with self._slot(checked_id(commit), timeout_s) as slot:
            yield slot.bring_to(commit)

    def private(self, commit: str, into: Path, *, timeout_s: float = SLOT_TIMEOUT_S) -> Path:
        """Copy `commit` to the new folder `into`, with a `.git` of its own, and return it; the caller throws it away.

        git answers there as in a clone with a detached HEAD: `status` is clean, and the tags that reach the commit are
        there for `describe`. Objects are read from the store; whatever is written stays in the copy. On failure nothing
        is left at `into`.
        """
        into.mkdir(parents=True)
        try:
            with self._slot(checked_id(commit), timeout_s) as slot:
                _copy(slot.bring_to(commit), into)
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
        slots = [_Slot(self._root / str(number), self._store) for number in range(self._slots_max)]
        return next((slot for slot in sorted(slots, key=lambda slot: slot.rank(commit)) if slot.lock()), None)

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


class _Slot:
    """One warm checkout. `commit` names what `tree` holds and is missing while that changes."""

    def __init__(self, folder: Path, store: ArtifactStore) -> None:
        self.folder = folder
        self.tree = folder / "tree"
        self.index = folder / "index"
        self._commit = folder / "commit"
        self._store = store
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
            used_at = self._commit.stat().st_mtime
        except OSError:
            return 2, 0.0
        return (0 if self._holds() == commit else 1), -used_at

    def bring_to(self, commit: str) -> Path:
        """Make `tree` hold the files of `commit` and nothing else. The caller holds the slot's lock."""
        if self._holds() is None:
            self._wipe()
        try:
            self._update(commit)
        except GitFailed:
            # Somebody spoilt the folder in a way that git does not mend: start afresh once.
            self._wipe()
            try:
                self._update(commit)
            except GitFailed as exc:
                raise CheckoutFailed(f"Commit {commit} could not be written out: {exc.stderr}") from exc
        return self.tree

    def _update(self, commit: str) -> None:
        assert self._descriptor is not None
        git = Git(
            self._store.path,
            work_tree=self.tree,
            index_file=self.index,
            config=CHECKOUT_CONFIG,
            # A git that outlives us keeps the slot until it has ended: nobody else writes there at the same time.
            held_open=(self._descriptor,),
        )
        if self._holds() != commit or git.run_status("diff-files", "--quiet", expected=(0, 1))[0] != 0:
            self._commit.unlink(missing_ok=True)
            git.run("read-tree", "--reset", "-u", commit, timeout_s=CHECKOUT_TIMEOUT_S)
        git.run("clean", "-ffdxq", timeout_s=CHECKOUT_TIMEOUT_S)
        self._commit.write_text(commit)

    def _holds(self) -> str | None:
        try:
            is_whole = self.index.is_file() and self.tree.is_dir() and not self.tree.is_symlink()
            return self._commit.read_text() if is_whole else None
        except (OSError, ValueError):
            return None

    def _wipe(self) -> None:
        for leftover in (self._commit, self.index, self.index.with_suffix(".lock")):
            leftover.unlink(missing_ok=True)
        if self.tree.is_symlink():
            self.tree.unlink()
        elif self.tree.exists():
            shutil.rmtree(self.tree)
        self.tree.mkdir()


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
