"""Make commits in our store without a working tree: from texts, from a tree, from a merge. Equal input, equal id."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from ..git import SERVER_IDENTITY, Git, GitFailed
from .objects import EXECUTABLE, FILE, SUBMODULE, TREE, BadArtifact, TreeItem
from .readers import ObjectReader
from .trees import path_problem

MERGE_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Merge:
    """A merge. With conflicts, `commit` holds the files with conflict markers; `messages` is git's own account."""

    commit: str
    tree: str
    conflicts: tuple[str, ...]
    messages: str


def commit_tree(
    git: Git, tree: str, parents: Sequence[str], *, message: str, when: datetime, author: str | None = None
) -> str:
    """Return the id of a commit that the server makes at `when`; `author` is an agent's name (None: the server's)."""
    if "\0" in message:
        raise BadArtifact("The commit message has a NUL character in it.")
    options = [part for parent in parents for part in ("-p", parent)]
    text = _encoded("the commit message", message)
    output = git.run("commit-tree", tree, *options, "-F", "-", stdin=text, environment=_identity(when, author))
    return output.decode("ascii").strip()


def write_files(git: Git, parent: str, files: Mapping[str, str | None]) -> str:
    """Return the tree of `parent` with these texts written and these paths (None) removed.

    A file keeps its executable bit; a link becomes the file. Raises `BadArtifact` for a path that may not be written,
    that is a folder or a submodule, that lies below a file, or that is to be removed and does not exist.
    """
    contents = {path: _encoded(path, text) for path, text in files.items() if text is not None}
    modes = _new_modes(git, parent, files)
    with tempfile.TemporaryDirectory(prefix="write-", dir=git.git_dir) as folder:
        places = {path: Path(folder) / str(number) for number, path in enumerate(contents)}
        for path, place in places.items():
            place.write_bytes(contents[path])
        names = "".join(f"{place}\n" for place in places.values()).encode()
        oids = iter(git.run("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=names).decode().split())
        nothing = "0" * len(parent)
        lines = [f"{modes[path]} {next(oids) if path in contents else nothing}\t{path}\0" for path in files]
        # Removals first: a file may be replaced by a folder in one call.
        lines.sort(key=lambda line: not line.startswith("0 "))
        index = Git(git.git_dir, index_file=Path(folder) / "index", config=git.config)
        index.run("read-tree", parent)
        index.run("update-index", "--add", "-z", "--index-info", stdin="".join(lines).encode())
        return index.text("write-tree")


def merge(git: Git, ours: str, theirs: str, *, message: str, when: datetime) -> Merge:
    """Merge two commits of the store and commit the result, also one with conflicts. No merge driver ever runs.

    Raises `BadArtifact` when the two have no history in common.
    """
    try:
        _, output = git.run_status(
            "merge-tree", "--write-tree", "-z", "--name-only", "--messages", ours, theirs,
            expected=(0, 1), timeout_s=MERGE_TIMEOUT_S,
        )  # fmt: skip
    except GitFailed as exc:
        if "unrelated histories" in exc.stderr:
            raise BadArtifact(f"{theirs} and {ours} have no history in common.") from exc
        raise
    head, _, account = output.decode("utf-8", "surrogateescape").partition("\0\0")
    tree, *conflicts = head.split("\0")
    commit = commit_tree(git, tree, (ours, theirs), message=message, when=when)
    return Merge(commit, tree, tuple(conflicts), _messages(account))


def _identity(when: datetime, author: str | None) -> dict[str, str]:
    date = f"@{int(when.timestamp())} +0000"
    dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    if author is None:
        return {**SERVER_IDENTITY, **dates}
    # git drops these itself, and refuses a name of which nothing is left.
    visible = "".join(character for character in author if character.isprintable() and character not in "<>")
    name = visible.strip(" .,:;'\"")
    return {**SERVER_IDENTITY, **dates, "GIT_AUTHOR_NAME": name or "unnamed"}


def _encoded(what: str, text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise BadArtifact(f"The text of {what} has characters that UTF-8 cannot hold.") from exc


def _new_modes(git: Git, parent: str, files: Mapping[str, str | None]) -> dict[str, str]:
    removed = {path for path, text in files.items() if text is None}
    for path in files.keys() - removed:
        for folder in (str(folder) for folder in PurePosixPath(path).parents):
            if folder in files and folder not in removed:
                raise BadArtifact(f"{folder!r} cannot be a file and a folder at once.")
    with ObjectReader(git) as reader:
        root = git.text("rev-parse", f"{parent}^{{tree}}")
        modes = {}
        for path, text in files.items():
            if trouble := path_problem(path):
                raise BadArtifact(f"The path {path!r} {trouble}.")
            modes[path] = _new_mode(reader, root, path, text, removed)
    return modes


def _new_mode(reader: ObjectReader, root: str, path: str, text: str | None, removed: set[str]) -> str:
    place, item = reader.find(root, path)
    if item is not None and item.mode != TREE and place != path and place not in removed:
        raise BadArtifact(f"{path!r} cannot be written: {place!r} is not a folder. Remove it in the same call.")
    existing = item if place == path else None
    if text is None:
        if existing is None or existing.mode == TREE:
            raise BadArtifact(f"{path!r} cannot be removed: there is no such file.")
        return "0"
    return _mode_over(path, existing)


def _mode_over(path: str, existing: TreeItem | None) -> str:
    if existing is not None and existing.mode in (TREE, SUBMODULE):
        kind = "folder" if existing.mode == TREE else "submodule"
        raise BadArtifact(f"{path!r} cannot be written: it is a {kind}.")
    return EXECUTABLE if existing is not None and existing.mode == EXECUTABLE else FILE


def _messages(account: str) -> str:
    """The texts out of records of: number of paths, the paths, the kind, the text."""
    fields = iter(account.split("\0"))
    texts = []
    for count in fields:
        if not count.isdigit():
            break
        for _ in range(int(count) + 1):
            next(fields, "")
        texts.append(next(fields, ""))
    return "".join(texts)
