"""Walk and compare trees under a budget.

Source: docs/decisions/0002-own-store-for-artifacts.md
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .objects import SUBMODULE, TREE, TooLarge, TreeItem
from .readers import ObjectReader

NO_ITEMS: Mapping[str, TreeItem] = {}


@dataclass(frozen=True)
class TreeBudget:
    """How much of a tree is looked at before it is refused. Folders count as entries; equal files count each time."""

    entries_max: int = 200_000
    bytes_max: int = 2 * 2**30
    depth_max: int = 64
    path_bytes_max: int = 1_024
    commits_max: int = 1_000


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """A file, link or submodule of a tree. `size` is in bytes, 0 for a submodule; `path` is separated by slashes."""

    mode: str
    oid: str
    size: int
    path: str


@dataclass(frozen=True, slots=True)
class Change:
    """One path that two trees do not have in common; the mode and object of a side that lacks it are None."""

    path: str
    old_mode: str | None
    new_mode: str | None
    old_oid: str | None
    new_oid: str | None


def walk(reader: ObjectReader, tree: str, budget: TreeBudget) -> tuple[TreeEntry, ...]:
    """Return every entry of `tree` that is not a folder, sorted by path; raise `TooLarge` once the budget is used."""
    leaves = [
        (change.path, change.new_mode, change.new_oid)
        for change in _compare(reader, None, tree, _Meter(budget))
        if change.new_mode is not None and change.new_oid is not None
    ]
    sizes = reader.sizes(oid for _, mode, oid in leaves if mode != SUBMODULE)
    entries = [TreeEntry(mode, oid, sizes.get(oid, 0), path) for path, mode, oid in leaves]
    _check_bytes(sum(entry.size for entry in entries), budget)
    return tuple(sorted(entries, key=lambda entry: entry.path))


def compare(reader: ObjectReader, old: str | None, new: str, budget: TreeBudget) -> tuple[Change, ...]:
    """Return what differs between two trees (None: the empty one), sorted by path; only differing folders are read.

    Renames are a removal and an addition; a file that became a folder is a removal and additions. Raises `TooLarge`
    when the changed entries exceed the budget's count, depth or path length, or the new files its bytes.
    """
    changes = list(_compare(reader, old, new, _Meter(budget)))
    fresh = [c.new_oid for c in changes if c.new_oid is not None and c.new_mode != SUBMODULE]
    sizes = reader.sizes(fresh)
    _check_bytes(sum(sizes[oid] for oid in fresh), budget)
    return tuple(sorted(changes, key=lambda change: change.path))


@dataclass
class _Meter:
    """Counts what one walk has used."""

    budget: TreeBudget
    entries: int = field(default=0)

    def enter(self, path: str, depth: int) -> None:
        self.entries += 1
        if self.entries > self.budget.entries_max:
            raise TooLarge(f"The tree has more than {self.budget.entries_max} entries to look at (`limits.entries`).")
        if depth > self.budget.depth_max:
            raise TooLarge(f"The folder {path[:80]!r}... is nested deeper than {self.budget.depth_max} levels.")
        if len(path.encode()) > self.budget.path_bytes_max:
            raise TooLarge(f"The path {path[:80]!r}... has more than {self.budget.path_bytes_max} bytes.")


def _compare(reader: ObjectReader, old: str | None, new: str | None, meter: _Meter) -> Iterator[Change]:
    """Yield the leaves that differ, in no order. Depth first, so that only one folder's siblings wait at a time."""
    waiting: list[tuple[str, int, str | None, str | None]] = [("", 1, old, new)] if old != new else []
    while waiting:
        prefix, depth, old_tree, new_tree = waiting.pop()
        before, after = (reader.tree(tree) if tree is not None else NO_ITEMS for tree in (old_tree, new_tree))
        for name in before.keys() | after.keys():
            was, now = before.get(name), after.get(name)
            if was == now:
                continue
            path = prefix + name
            meter.enter(path, depth)
            old_folder, new_folder = _folder(was), _folder(now)
            if old_folder is not None or new_folder is not None:
                waiting.append((f"{path}/", depth + 1, old_folder, new_folder))
            if _is_leaf(was) or _is_leaf(now):
                yield _change(path, was if _is_leaf(was) else None, now if _is_leaf(now) else None)


def _folder(item: TreeItem | None) -> str | None:
    return item.oid if item is not None and item.mode == TREE else None


def _is_leaf(item: TreeItem | None) -> bool:
    return item is not None and item.mode != TREE


def _change(path: str, was: TreeItem | None, now: TreeItem | None) -> Change:
    return Change(
        path,
        was.mode if was else None,
        now.mode if now else None,
        was.oid if was else None,
        now.oid if now else None,
    )


def _check_bytes(total: int, budget: TreeBudget) -> None:
    if total > budget.bytes_max:
        raise TooLarge(f"The files have {total} bytes written out; {budget.bytes_max} are allowed (`limits.tree`).")
