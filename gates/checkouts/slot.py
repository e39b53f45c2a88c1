"""One warm tree on the disk: brought from the commit that it holds to another one, writing only what differs.

Submodules are warm trees inside it, each with an index of its own; files in LFS are written over their pointers, and
the index is told what they look like, so that git takes them for what was committed until somebody changes them.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ..artifacts import STORE_CONFIG, ArtifactStore
from ..git import Git, GitFailed
from .filling import FilledFile, FilledSubmodule, Filling
from .index_file import IndexUnreadable, set_stats
from .lfs import ContentMissing, LfsCache

CHECKOUT_TIMEOUT_S = 600.0
# A file that is as new as the index is compared by content, which a filled one does not stand.
OLDER_NS = 10 * 10**9

CHECKOUT_CONFIG = {
    **STORE_CONFIG,
    "core.fileMode": "true",
    # A checkout can be written again at any time: waiting for the disk would buy nothing.
    "core.fsync": "none",
    "core.symlinks": "true",
    "index.version": "2",
    "submodule.recurse": "false",
}


class CheckoutFailed(Exception):
    """A tree could not be written out or copied (a full disk, a time-out); says nothing about the commit."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the content of trees comes from; `held_open` are descriptors that git holds too."""

    store: ArtifactStore
    submodules: ArtifactStore | None
    lfs: LfsCache | None
    held_open: tuple[int, ...] = ()


class WarmTree:
    """The folder `tree`, and in `folder` what is known about it; whoever calls has both for itself.

    The marker names the commit that the tree holds, and is missing while that changes.
    """

    def __init__(self, folder: Path, tree: Path) -> None:
        self.folder = folder
        self.tree = tree
        self.index = folder / "index"
        self.marker = folder / "commit"
        self._filled = folder / "filled"

    def bring_to(self, commit: str, filling: Filling, sources: Sources) -> Path:
        """Make `tree` hold the files of `commit` with what fills it, and nothing else. Raises `CheckoutFailed`."""
        if self.holds() is None:
            self.wipe()
        try:
            self._update(commit, filling, sources)
        except (GitFailed, IndexUnreadable):
            # Somebody spoilt the folder in a way that git does not mend: start afresh once.
            self.wipe()
            try:
                self._update(commit, filling, sources)
            except (GitFailed, IndexUnreadable, ContentMissing) as exc:
                reason = exc.stderr if isinstance(exc, GitFailed) else exc
                raise CheckoutFailed(f"Commit {commit} could not be written out: {reason}") from exc
        except ContentMissing as exc:
            raise CheckoutFailed(f"A file of commit {commit} {exc}.") from exc
        return self.tree

    def holds(self) -> str | None:
        """The commit; None when there is no whole one."""
        try:
            is_whole = self.index.is_file() and self.tree.is_dir() and not self.tree.is_symlink()
            return self.marker.read_text() if is_whole else None
        except (OSError, ValueError):
            return None

    def wipe(self) -> None:
        """Begin with an empty folder."""
        for leftover in (self.marker, self._filled, self.index, self.index.with_suffix(".lock")):
            leftover.unlink(missing_ok=True)
        shutil.rmtree(self.folder / "modules", ignore_errors=True)
        if self.tree.is_symlink():
            self.tree.unlink()
        elif self.tree.exists():
            shutil.rmtree(self.tree)
        self.tree.mkdir()

    def _update(self, commit: str, filling: Filling, sources: Sources) -> None:
        git = Git(
            sources.store.path,
            work_tree=self.tree,
            index_file=self.index,
            config=CHECKOUT_CONFIG,
            held_open=sources.held_open,
        )
        known = self._known()
        if known or filling != Filling():
            self._give_up(known, filling, commit)
        held = self.holds()
        if held != commit or git.run_status("diff-files", "--quiet", expected=(0, 1))[0] != 0:
            self.marker.unlink(missing_ok=True)
            git.run("read-tree", "--reset", "-u", commit, timeout_s=CHECKOUT_TIMEOUT_S)
        if held is not None:
            git.run("clean", "-ffdxq", timeout_s=CHECKOUT_TIMEOUT_S)
        if filling.files:
            self._write_files(filling.files, known, sources, oid_bytes=len(commit) // 2)
        for submodule in filling.submodules:
            self._write_submodule(submodule, sources)
        self.marker.write_text(commit)

    def _give_up(self, known: "_Known", filling: Filling, commit: str) -> None:
        """Have git write files again that are no longer to be filled, and empty folders that are not."""
        files = {file.path: _mark(file) for file in filling.files}
        stale = [path for path, file in known.files.items() if files.get(path) != file.mark]
        if stale and self.index.is_file():
            set_stats(self.index, dict.fromkeys(stale), oid_bytes=len(commit) // 2)
        filled = {submodule.path for submodule in filling.submodules}
        for path in {*known.submodules, *filling.empty} - filled:
            self._empty(path)
        kept = {path: file for path, file in known.files.items() if path not in stale}
        self._note(_Known(kept, tuple(sorted(filled))))

    def _write_files(self, files: tuple[FilledFile, ...], known: "_Known", sources: Sources, *, oid_bytes: int) -> None:
        assert sources.lfs is not None, "who fills files has a cache of them"
        written_at = self.index.stat().st_mtime_ns
        states = {file.path: (self.tree / file.path).lstat() for file in files}
        fresh = [f for f in files if known.files.get(f.path) != _File(_mark(f), _seen(states[f.path]))]
        for file in fresh:
            place = self.tree / file.path
            sources.lfs.write(file.pointer, place)
            os.utime(place, ns=(written_at - OLDER_NS, written_at - OLDER_NS), follow_symlinks=False)
            states[file.path] = place.lstat()
        if fresh:
            # Told first: what the index takes for unchanged must be known to be filled.
            noted = {file.path: _File(_mark(file), _seen(states[file.path])) for file in files}
            self._note(_Known(noted, self._known().submodules))
            set_stats(self.index, {file.path: states[file.path] for file in fresh}, oid_bytes=oid_bytes)

    def _write_submodule(self, submodule: FilledSubmodule, sources: Sources) -> None:
        assert sources.submodules is not None, "who fills submodules has a store of them"
        name = sha256(os.fsencode(submodule.path)).hexdigest()[:16]
        folder = self.folder / "modules" / name
        folder.mkdir(parents=True, exist_ok=True)
        inside = WarmTree(folder, self.tree / submodule.path)
        own = Sources(sources.submodules, sources.submodules, sources.lfs, sources.held_open)
        inside.bring_to(submodule.commit, submodule.filling, own)

    def _empty(self, path: str) -> None:
        """Empty the folder, if there is one and no link on the way; git makes of everything else what it should be."""
        place = self.tree / path
        between = [self.tree / folder for folder in Path(path).parents]
        if any(folder.is_symlink() for folder in (place, *between)) or not place.is_dir():
            return
        if any(place.iterdir()):
            shutil.rmtree(place)
            place.mkdir()

    def _known(self) -> "_Known":
        try:
            said = json.loads(self._filled.read_text())
            files = {path: _File(mark, tuple(seen)) for path, (mark, seen) in said["files"].items()}
            return _Known(files, tuple(said["submodules"]))
        except FileNotFoundError:
            return _Known({}, ())
        except (ValueError, KeyError, TypeError) as exc:
            raise IndexUnreadable("what a checkout is filled with cannot be read") from exc

    def _note(self, known: "_Known") -> None:
        if not known:
            self._filled.unlink(missing_ok=True)
            return
        files = {path: (file.mark, file.seen) for path, file in known.files.items()}
        fresh = self._filled.with_suffix(".fresh")
        fresh.write_text(json.dumps({"files": files, "submodules": known.submodules}))
        fresh.replace(self._filled)


@dataclass(frozen=True, slots=True)
class _File:
    """A file that was filled: with what, and what it looked like then."""

    mark: str
    seen: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """What of a tree was filled."""

    files: Mapping[str, _File]
    submodules: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.files or self.submodules)


def _mark(file: FilledFile) -> str:
    return f"{file.blob} {file.pointer.sha256} {file.pointer.size}"


def _seen(state: os.stat_result) -> tuple[int, ...]:
    return (state.st_mtime_ns, state.st_ctime_ns, state.st_ino, state.st_size, state.st_mode)
