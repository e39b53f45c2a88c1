"""Check out submodules in an agent's workspace from what the person has of them; `git worktree add` leaves them empty.

Each becomes a repository of its own, cloned from the person's folder on this machine and never from a network. Settings
of the person's hold in it, hooks do not run.
"""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..artifact_store import transfer
from ..artifact_store.objects import SUBMODULE
from ..checkouts.placeholders import Submodule, named_submodules
from ..checkouts.submodules import Places
from ..files import replace_text
from ..git import Git, GitFailed

POPULATE_TIMEOUT_S = 300.0
NESTED_MAX = 8
# Names the submodules that are not on this machine.
EMPTY_FILE = "gatewright-empty"

log = logging.getLogger(__name__)


def populate(git: Git, commit: str, places: Places) -> None:
    """Check out the submodules of the worktree that `git` stands in, at `commit`.

    Never raises for a submodule that cannot be checked out: the agent has less there, and gates will say so.
    """
    empty = _populate(git, commit, places, prefix="", depth=1)
    replace_text(git.git_dir / EMPTY_FILE, "\0".join(empty), mode=0o600)


def left_empty(git_dir: Path) -> tuple[str, ...]:
    """The submodules that `populate` found nothing for, by the worktree's private git folder."""
    try:
        names = (git_dir / EMPTY_FILE).read_text("utf-8", "surrogateescape")
    except OSError:
        return ()
    return tuple(filter(None, names.split("\0")))


def _populate(git: Git, commit: str, places: Places, *, prefix: str, depth: int) -> Iterator[str]:
    for submodule in named_submodules(git, commit, _linked(git, commit)):
        path = f"{prefix}{submodule.path}"
        inside = places.of(submodule.path, submodule.name)
        source = next((folder for folder in inside.git_dirs if transfer.holds(folder, submodule.commit)), None)
        if submodule.is_left_out:
            continue
        if source is None or depth > NESTED_MAX or not _check_out(git, submodule, source):
            yield path
            continue
        assert git.work_tree is not None, "only a worktree has submodules"
        place = git.work_tree / submodule.path
        git_dir = git.git_dir / "modules" / str(submodule.name)
        inner = replace(git, git_dir=git_dir, work_tree=place)
        yield from _populate(inner, submodule.commit, inside, prefix=f"{path}/", depth=depth + 1)


def _check_out(git: Git, submodule: Submodule, source: Path) -> bool:
    name = submodule.name
    if name is None or "=" in name:
        return False
    # The person's folder in place of the address: nothing is asked of a network.
    settings = {f"submodule.{name}.url": str(source), f"submodule.{name}.active": "true"}
    local = replace(git, config={**git.config, **settings})
    update = ("submodule", "--quiet", "update", "--init", "--checkout", "--no-recommend-shallow", "--no-fetch")
    try:
        local.run("--literal-pathspecs", *update, "--", submodule.path, timeout_s=POPULATE_TIMEOUT_S)
    except GitFailed as exc:
        log.warning("submodule %s of %s stays empty: %s", submodule.path, git.work_tree, exc.stderr)
        return False
    return True


def _linked(git: Git, commit: str) -> dict[str, str]:
    listing = git.run("ls-tree", "-r", "-z", "--full-tree", commit).decode("utf-8", "surrogateescape")
    entries = (line.split("\t", 1) for line in listing.split("\0")[:-1])
    return {path: header.split(" ")[2] for header, path in entries if header.startswith(SUBMODULE)}
