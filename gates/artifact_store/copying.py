"""Copy what an agent's commit adds to its base into our own store.

A fetch would do the same with six programs that agree on what to send. Here it is known: what was listed and weighed is
packed, and that alone. The reading side runs with our settings, and the receiving one computes every id again and
checks every object as strictly as git can. No ref is set here: what arrived counts once its history has been walked.
Source: docs/decisions/0002-own-store-for-artifacts.md
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..git import Deadline, Errors, Git, GitFailed
from .objects import BadArtifact, TooLarge
from .transfer import TRANSFER_TIMEOUT_S, check_is_commit, check_whole, reason_of, shared_git

# An id of the longer kind and the end of its line.
ID_LINE_BYTES = 65
PACK = ("pack-objects", "--stdout", "-q", "--delta-base-offset")
# `--strict` is the check of each object, and that what it names is there.
UNPACK = ("index-pack", "--stdin", "--strict")


@dataclass(frozen=True)
class FetchBudget:
    """What an artifact may add to its base, as stored (objects) and unpacked (bytes)."""

    objects_max: int = 200_000
    bytes_max: int = 2 * 2**30


def list_added(shared: Path, commit: str, *, base: str, budget: FetchBudget) -> bytes:
    """The ids of the objects that `commit` adds to `base`, one a line, none of them copied yet.

    Raises `TooLarge` when they exceed the budget, and `BadArtifact` when there is no such commit, or something that
    belongs to it is missing.
    """
    git = shared_git(shared)
    wanted = ("rev-list", "--objects", "--no-object-names", commit, "--not", base)
    bytes_max = budget.objects_max * ID_LINE_BYTES
    try:
        listing, more = git.run_head(*wanted, bytes_max=bytes_max, timeout_s=TRANSFER_TIMEOUT_S)
        count = listing.count(b"\n")
        if more or count > budget.objects_max:
            raise TooLarge(f"The commit adds more than {budget.objects_max} objects to its base.")
        sizes = git.run(
            "cat-file",
            "--batch-check=%(objecttype) %(objectsize)",
            "--buffer",
            stdin=listing,
            timeout_s=TRANSFER_TIMEOUT_S,
        )
    except GitFailed as exc:
        if exc.is_outage:
            raise
        check_is_commit(git, commit)
        raise BadArtifact(f"The history of {commit} cannot be read: {reason_of(exc)}") from exc
    if not listing.startswith(commit.encode("ascii")) or not sizes.startswith(b"commit "):
        # Nothing is added, or what was named is not the commit that it leads to.
        check_is_commit(git, commit)
    unweighed = [line.split()[0] for line in sizes.splitlines() if not line.rpartition(b" ")[2].isdigit()]
    if unweighed:
        raise BadArtifact(f"The history of {commit} cannot be read: {unweighed[0].decode()} is missing or damaged.")
    total = sum(int(line.rpartition(b" ")[2]) for line in sizes.splitlines())
    if total > budget.bytes_max:
        raise TooLarge(f"The commit adds {total} bytes to its base; {budget.bytes_max} are allowed (`limits.tree`).")
    return listing


def copy(store: Git, shared: Path, listing: bytes) -> None:
    """Bring the objects that are listed, all of them, into `store`; durable on return.

    Raises `BadArtifact` with git's reason when the other side does not have them whole and sound.
    """
    if not listing:
        return
    with tempfile.TemporaryFile() as names:
        names.write(listing)
        names.seek(0)
        failed = _piped(shared_git(shared), store, names)
    if not failed:
        return
    for failure in failed:
        if failure.is_outage:
            raise failure
    check_whole(shared, failed[0])
    raise BadArtifact(f"The commit cannot be taken over: {reason_of(failed[0])}") from failed[0]


def _piped(source: Git, store: Git, names: IO[bytes]) -> list[GitFailed]:
    """How the two programs failed, the one that says why first. Raises `GitFailed` when they took too long."""
    with source.spawn(*PACK, stdin=names) as packing, Deadline(packing, TRANSFER_TIMEOUT_S) as deadline:
        assert packing.stdout is not None
        assert packing.stderr is not None
        packed = Errors(packing.stderr)
        with store.spawn(*UNPACK, stdin=packing.stdout) as unpacking, Deadline(unpacking, TRANSFER_TIMEOUT_S):
            # Then only the other git reads it, and its end is told to the one that writes.
            packing.stdout.close()
            _, unpacked = unpacking.communicate()
        told = packed.text()
        packing.wait()
    if deadline.passed:
        raise GitFailed(PACK, -1, f"no answer within {TRANSFER_TIMEOUT_S:.0f} s")
    ends = ((PACK, packing.returncode, told), (UNPACK, unpacking.returncode, unpacked.decode("utf-8", "replace")))
    failed = [GitFailed(words, status, said) for words, status, said in ends if status != 0]
    return sorted(failed, key=lambda failure: not failure.stderr)
