"""Find what a tree only stands in for: submodules, which are commits of other repositories, and files in LFS.

Attributes are read as git reads them, from the tree alone: nothing of the user's machine decides what a pointer is.
Source: docs/real-repositories.md
"""

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..artifact_store.objects import EXECUTABLE, FILE, SUBMODULE, TooLarge
from ..artifact_store.walk import TreeEntry
from ..artifacts import ArtifactStore
from ..git import Git
from .lfs import POINTER_BYTES_MAX, Pointer, Unreadable, parse_pointer

MODULES_FILE = ".gitmodules"
ATTRIBUTES_FILE = ".gitattributes"
ATTRIBUTES_BYTES_MAX = 1_000_000
LFS = "lfs"
NOT_CHECKED_OUT = "none"

_SETTING = re.compile(r"submodule\.(?P<name>.+)\.(?P<key>path|update)", re.DOTALL)
# A repository of our own without attributes of its own; those of our store would outrank the tree's.
_HEAD = "ref: refs/heads/none\n"
_CONFIG = "[core]\n\trepositoryformatversion = 1\n\tbare = true\n"
_CONFIG_SHA256 = _CONFIG + "[extensions]\n\tobjectFormat = sha256\n"


@dataclass(frozen=True, slots=True)
class Submodule:
    """A commit of another repository; `name` is what .gitmodules calls it, None when it says nothing usable.

    `is_left_out`: .gitmodules says `update = none`, so that clones have an empty folder too.
    """

    path: str
    commit: str
    name: str | None
    is_left_out: bool


@dataclass(frozen=True, slots=True)
class LfsFile:
    """A file whose blob is a pointer; None when it begins as one and cannot be read."""

    path: str
    blob: str
    pointer: Pointer | None


def find_submodules(store: ArtifactStore, commit: str, entries: Mapping[str, TreeEntry]) -> tuple[Submodule, ...]:
    """Every submodule of the commit, by path."""
    return named_submodules(store.git, commit, {e.path: e.oid for e in entries.values() if e.mode == SUBMODULE})


def named_submodules(git: Git, commit: str, linked: Mapping[str, str]) -> tuple[Submodule, ...]:
    """These submodules of a commit, path to commit, with what its .gitmodules says of them."""
    if not linked:
        return ()
    names, left_out = _modules(git, commit)
    return tuple(Submodule(path, oid, names.get(path), path in left_out) for path, oid in linked.items())


def find_lfs_files(store: ArtifactStore, commit: str, entries: Mapping[str, TreeEntry]) -> tuple[LfsFile, ...]:
    """Every file of the commit that is a pointer where the tree's own attributes say `filter=lfs`, by path."""
    if not _names_lfs(store, entries):
        return ()
    small = [
        path
        for path, entry in entries.items()
        if entry.mode in (FILE, EXECUTABLE) and 0 < entry.size <= POINTER_BYTES_MAX
    ]
    paths = _under_lfs(store, commit, small)
    texts = store.blobs([entries[path].oid for path in paths], bytes_max=POINTER_BYTES_MAX)
    found = ((path, entries[path].oid) for path in paths)
    return tuple(file for path, oid in found if (file := _lfs_file(path, oid, texts[oid])) is not None)


def _lfs_file(path: str, oid: str, text: bytes) -> LfsFile | None:
    try:
        pointer = parse_pointer(text)
    except Unreadable:
        return LfsFile(path, oid, None)
    return None if pointer is None else LfsFile(path, oid, pointer)


def _modules(git: Git, commit: str) -> tuple[dict[str, str], set[str]]:
    """The name of each path of .gitmodules, and the paths that clones leave out."""
    listed = ("config", "-z", f"--blob={commit}:{MODULES_FILE}", "--get-regexp", r"^submodule\..*\.(path|update)$")
    _, listing = git.run_status(*listed, expected=(0, 1, 128))
    settings: dict[str, dict[str, str]] = {}
    for line in listing.decode("utf-8", "surrogateescape").split("\0")[:-1]:
        key, _, value = line.partition("\n")
        found = _SETTING.fullmatch(key)
        if found is not None and _is_plain(found["name"]):
            settings.setdefault(found["name"], {})[found["key"]] = value
    paths = {said["path"]: name for name, said in settings.items() if "path" in said}
    return paths, {path for path, name in paths.items() if settings[name].get("update") == NOT_CHECKED_OUT}


def _is_plain(name: str) -> bool:
    """Whether the name leads into a folder: `../x` would have us look outside of the user's `.git/modules`."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and name not in ("", ".")


def _names_lfs(store: ArtifactStore, entries: Mapping[str, TreeEntry]) -> bool:
    """Whether any attributes of the tree say anything about filters; most trees have none, and are done here."""
    oids = {entry.oid for path, entry in entries.items() if path.rpartition("/")[2] == ATTRIBUTES_FILE}
    oids -= {entry.oid for entry in entries.values() if entry.mode not in (FILE, EXECUTABLE)}
    try:
        texts = store.blobs(sorted(oids), bytes_max=ATTRIBUTES_BYTES_MAX) if oids else {}
    except TooLarge:
        return True
    return any(b"filter" in text for text in texts.values())


def _under_lfs(store: ArtifactStore, commit: str, paths: Sequence[str]) -> list[str]:
    """Those of the paths that the tree's attributes give `filter=lfs`."""
    with tempfile.TemporaryDirectory(prefix="write-", dir=store.path) as folder:
        git_dir = Path(folder) / "attributes.git"
        (git_dir / "refs").mkdir(parents=True)
        (git_dir / "HEAD").write_text(_HEAD)
        (git_dir / "config").write_text(_CONFIG if len(commit) == 40 else _CONFIG_SHA256)
        (git_dir / "objects").symlink_to(store.path / "objects")
        git = Git(git_dir, index_file=git_dir / "index")
        git.run("read-tree", commit)
        names = "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
        answer = git.run("check-attr", "--cached", "-z", "--stdin", "filter", stdin=names)
    fields = iter(answer.decode("utf-8", "surrogateescape").split("\0")[:-1])
    return [path for path, _, value in zip(fields, fields, fields, strict=True) if value == LFS]
