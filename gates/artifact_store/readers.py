"""Read raw objects out of a repository through one git process.

git's own recursive commands expand a tree before they print anything, so a dozen small objects can fill the memory.
Whoever walks a tree that an agent made therefore reads it folder by folder from here, and stops when a budget is used.
"""

import weakref
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from itertools import islice, takewhile
from typing import Self

from ..git import GIT_TIMEOUT_S, Deadline, Git, GitFailed, kill_group
from .objects import TREE, BadArtifact, TooLarge, TreeItem, checked_id, parse_tree

ITS_TREE = "^{tree}"

# One tree object; a folder with about half a million entries.
TREE_OBJECT_BYTES_MAX = 32 * 2**20
COMMIT_BYTES_MAX = 32 * 2**20
# So many requests fit the smallest pipe (4 kB): writing them can never wait for us to read the answers.
REQUESTS_AT_ONCE = 48
# Readers that wait for the next question: starting one costs more than most questions.
READERS_KEPT = 3
# A few megabytes: the trees of two commits of a large repository, which have most folders in common.
ITEMS_KNOWN_MAX = 40_000


class Known:
    """What was read before of one repository's objects, which never change; bounded, for any number of threads.

    `roots` are the trees of commits.
    """

    def __init__(self) -> None:
        self.roots: dict[str, str] = {}
        self.trees: dict[str, Mapping[str, TreeItem]] = {}
        self.sizes: dict[str, int] = {}
        self._items = 0

    def add_root(self, commit: str, tree: str) -> None:
        if self._has_room(1):
            self.roots[commit] = tree

    def add_tree(self, oid: str, items: Mapping[str, TreeItem]) -> None:
        if self._has_room(len(items)):
            self.trees[oid] = items

    def add_sizes(self, sizes: Mapping[str, int]) -> None:
        if self._has_room(len(sizes)):
            self.sizes.update(sizes)

    def clear(self) -> None:
        """Begin anew."""
        self.roots.clear()
        self.trees.clear()
        self.sizes.clear()
        self._items = 0

    def _has_room(self, count: int) -> bool:
        if self._items + count > ITEMS_KNOWN_MAX:
            self.clear()
        self._items += count
        return count <= ITEMS_KNOWN_MAX


class ObjectReader:
    """A `git cat-file` process that answers one question after the other; to be used in a `with` block by one thread.

    Every method raises `GitFailed` when an object is missing or when the block has lasted for `timeout_s`.
    """

    def __init__(self, git: Git, known: Known | None = None, *, timeout_s: float = GIT_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._known = Known() if known is None else known
        self._process = git.spawn("cat-file", "--batch-command=%(objectname) %(objecttype) %(objectsize)")
        self._deadline = Deadline(self._process, timeout_s)

    def __enter__(self) -> Self:
        self._deadline.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._deadline.__exit__()
        self._process.__exit__(None, None, None)

    def pause(self) -> bool:
        """Stop the clock until the next `with` block, instead of ending this one; False when the process is no more."""
        is_in_time = self._deadline.lift()
        self._deadline = Deadline(self._process, self._timeout_s)
        return is_in_time and self.is_alive()

    def is_alive(self) -> bool:
        """Whether the process can be asked."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the process of a reader that is not in a `with` block."""
        kill_group(self._process)
        self._process.__exit__(None, None, None)

    def look_up(self, name: str) -> tuple[str, str] | None:
        """The id and the kind of what a full id, or `<full id>^{tree}`, names; None when there is no such object."""
        checked_id(name.removesuffix(ITS_TREE))
        self._ask(f"info {name}\n")
        fields = self._answer_fields()
        if len(fields) == 3:
            return fields[0], fields[1]
        if fields[1:] == ["missing"]:
            return None
        raise self._failed(f"object {name} cannot be read: {' '.join(fields[1:]) or 'no answer'}")

    def tree_of(self, commit: str) -> str:
        """The id of a commit's tree."""
        tree = self._known.roots.get(commit)
        if tree is None:
            found = self.look_up(f"{commit}{ITS_TREE}")
            if found is None:
                raise self._failed(f"there is no commit {commit}")
            tree = found[0]
            self._known.add_root(commit, tree)
        return tree

    def parents_of(self, commit: str) -> tuple[str, ...]:
        """The ids of a commit's parents, the first one first."""
        _tree, *lines = self._content(commit, "commit", COMMIT_BYTES_MAX).split(b"\n")
        # git reads capitals too.
        return tuple(line[len(b"parent ") :].decode("ascii").lower() for line in takewhile(_is_parent, lines))

    def tree(self, oid: str) -> Mapping[str, TreeItem]:
        """Return the items of a tree object by name; raise `BadArtifact` for a name that is not text."""
        items = self._known.trees.get(oid)
        if items is None:
            content = self._content(oid, "tree", TREE_OBJECT_BYTES_MAX)
            items = {item.name: item for item in parse_tree(content, oid_bytes=len(oid) // 2)}
            self._known.add_tree(oid, items)
        return items

    def find(self, tree: str, path: str) -> tuple[str, TreeItem | None]:
        """Follow `path` down from `tree`: return how far it leads and what is there.

        The place is shorter than `path` when something on the way is not a folder; the item is None when the place
        does not exist.
        """
        parts = path.split("/")
        for depth, part in enumerate(parts, start=1):
            place = "/".join(parts[:depth])
            item = self.tree(tree).get(part)
            if item is None or item.mode != TREE or depth == len(parts):
                return place, item
            tree = item.oid
        raise AssertionError("a path has at least one part")

    def blob(self, oid: str, *, bytes_max: int) -> bytes:
        """Return a blob's bytes; raise `TooLarge` above `bytes_max`, after which this reader is spent."""
        return self._content(oid, "blob", bytes_max)

    def sizes(self, oids: Iterable[str]) -> Mapping[str, int]:
        """Return the size in bytes of each object."""
        known = self._known.sizes
        wanted = dict.fromkeys(oids)
        sizes = {oid: size for oid in wanted if (size := known.get(oid)) is not None}
        remaining = (oid for oid in wanted if oid not in sizes)
        fresh: dict[str, int] = {}
        while group := list(islice(remaining, REQUESTS_AT_ONCE)):
            self._ask("".join(f"info {oid}\n" for oid in group))
            for oid in group:
                _, fresh[oid] = self._answer(oid)
        self._known.add_sizes(fresh)
        return sizes | fresh

    def _content(self, oid: str, kind: str, bytes_max: int) -> bytes:
        self._ask(f"contents {oid}\n")
        found, size = self._answer(oid)
        if found != kind:
            raise BadArtifact(f"Object {oid} is a {found} where a {kind} is needed.")
        if size > bytes_max:
            raise TooLarge(f"The {kind} {oid} has {size} bytes; {bytes_max} are allowed.")
        content = self._read(size + 1)
        return content[:-1]

    def _ask(self, requests: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(requests.encode())
            self._process.stdin.flush()
        except BrokenPipeError as exc:
            raise self._failed("git ended early") from exc

    def _answer(self, oid: str) -> tuple[str, int]:
        fields = self._answer_fields()
        if len(fields) != 3 or fields[0] != oid:
            raise self._failed(f"object {oid} cannot be read: {' '.join(fields[1:]) or 'no answer'}")
        return fields[1], int(fields[2])

    def _answer_fields(self) -> list[str]:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode("ascii", "replace").split()

    def _read(self, count: int) -> bytes:
        assert self._process.stdout is not None
        content = self._process.stdout.read(count)
        if len(content) != count:
            raise self._failed("an object ended early")
        return content

    def _failed(self, reason: str) -> GitFailed:
        late = f" within {self._timeout_s:.0f} s" if self._deadline.passed else ""
        return GitFailed(("cat-file",), -1, reason + late)


class ReaderPool:
    """Readers of one repository, kept from one `with` block to the next; for any number of threads.

    A block that raises ends its reader, whose answers may be half read. All end with the pool.
    """

    def __init__(self, git: Git) -> None:
        self._git = git
        self._known = Known()
        self._idle: list[ObjectReader] = []
        weakref.finalize(self, _close_all, self._idle)

    @contextmanager
    def reader(self) -> Generator[ObjectReader]:
        """A reader for this block alone."""
        reader = self._take()
        try:
            reader.__enter__()
            yield reader
        except BaseException:
            reader.__exit__()
            raise
        if reader.pause() and len(self._idle) < READERS_KEPT:
            self._idle.append(reader)
        else:
            reader.close()

    def kind_of(self, oid: str) -> str | None:
        """What kind of object it is; None when there is none."""
        with self.reader() as reader:
            found = reader.look_up(oid)
        return None if found is None else found[1]

    def clear(self) -> None:
        """Begin with new readers, because the repository is another one."""
        self._known.clear()
        _close_all(self._idle)

    def _take(self) -> ObjectReader:
        while self._idle:
            try:
                reader = self._idle.pop()
            except IndexError:
                break  # another thread was faster
            if reader.is_alive():
                return reader
            reader.close()
        return ObjectReader(self._git, self._known)


def _close_all(readers: list[ObjectReader]) -> None:
    while readers:
        try:
            reader = readers.pop()
        except IndexError:
            return
        reader.close()


def _is_parent(line: bytes) -> bool:
    return line.startswith(b"parent ")
