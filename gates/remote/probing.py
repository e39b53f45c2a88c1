"""Whether this account may do on the remote what servers and workers do: tried with a ref of its own, taken away again.

What is pushed is one empty commit that nothing else leads to, below `refs/gatewright/doctor/`. The target is not moved:
whether it may be is asked by a dry run, which tells what the host says to the account and not what its hooks and branch
rules say to the branch.
"""

import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..git import SERVER_IDENTITY, Git
from .address import Address
from .problems import RemoteProblem
from .remote import Remote

FOLDER = "refs/gatewright/doctor/"
MESSAGE = "Whether this may be pushed here"
SHA256_CHARS = 64


@dataclass(frozen=True, slots=True)
class Probed:
    """What was found: None for what went well, else a sentence. `left` is a ref that could not be taken away."""

    reading: str | None = None
    target: str | None = None
    tip: str | None = None
    pushing: str | None = None
    keeping: str | None = None
    fetching: str | None = None
    left: str | None = None


def probe(address: Address, target: str | None) -> Probed:
    """Read, push, fetch by id and delete, and ask about the target branch (None: the remote's own). Blocking.

    Raises `GitFailed` for what this machine alone cannot do.
    """
    with tempfile.TemporaryDirectory(prefix="gatewright-doctor-") as folder:
        home = Path(folder, "home.git")
        _make(home, "sha1")
        remote = Remote(address, home)
        try:
            target = target or remote.default_branch()
            tip = None if target is None else remote.tip(f"refs/heads/{target}")
        except RemoteProblem as exc:
            return Probed(reading=exc.message)
        return _tried(remote, Path(folder), target, tip)


def _tried(remote: Remote, folder: Path, target: str | None, tip: str | None) -> Probed:
    source, empty = folder / "source.git", folder / "empty.git"
    for place in (source, empty):
        _make(place, "sha256" if tip is not None and len(tip) == SHA256_CHARS else "sha1")
    ref, commit = f"{FOLDER}{secrets.token_hex(8)}", _commit(source)
    pushing = None if target is None else _problem(lambda: remote.may_push(source, commit, f"refs/heads/{target}"))
    keeping = _problem(lambda: remote.push(source, commit, ref, expected=None))
    if keeping is not None:
        return Probed(target=target, tip=tip, pushing=pushing, keeping=keeping)
    fetching = _problem(lambda: remote.fetch(empty, [commit]))
    is_left = _problem(lambda: remote.push(source, None, ref, expected=commit)) is not None
    return Probed(target=target, tip=tip, pushing=pushing, fetching=fetching, left=ref if is_left else None)


def _make(place: Path, object_format: str) -> None:
    place.mkdir()
    Git(place).run("init", "--quiet", "--bare", "--template=", f"--object-format={object_format}")


def _commit(source: Path) -> str:
    git = Git(source)
    tree = git.run("mktree", stdin=b"").decode().strip()
    return git.text("commit-tree", tree, "-m", MESSAGE, environment=SERVER_IDENTITY)


def _problem(work: Callable[[], None]) -> str | None:
    try:
        work()
    except RemoteProblem as exc:
        return exc.message
    return None
