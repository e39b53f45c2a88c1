"""Take what was changed in the person's checkout since a change came there as a commit on the stage's base.

Only paths that differ from what the checkout stands at are looked at, and those that the person had uncommitted before
and nobody has touched since are left out: not a byte of them is stored. All else is as the base has it, whatever the
checkout has committed, so that neither another landing nor an input that lies elsewhere reads as a change.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ..git import SERVER_IDENTITY, Git, GitFailed
from .bring_along import Entry, step_between
from .laying import add, replace_entries, scratch_index
from .occupation import Occupation
from .problems import WorkspaceProblem
from .snapshot import (
    SNAPSHOT_PAUSE_S,
    SNAPSHOT_TRIES,
    Snapshot,
    commit_tree,
    find_head,
    is_ancestor,
    refuse_nested_in_tree,
    refuse_what_is_no_content,
)
from .uncommitted import TOLD_MAX, refuse_unfinished, uncommitted
from .untouched import Kind, still_untouched
from .worktree import index_copy

ID_CHARS = 10


def take_changed(git: Git, occupation: Occupation, *, base: str, message: str, author: str, when: datetime) -> Snapshot:
    """Commit what was changed, with `base` as the only parent; `base` itself when nothing was.

    HEAD, index and files stay as they are. Raises `WorkspaceProblem` when the content cannot be committed, or when the
    checkout does not build on what it stood at any more; then only loose objects are left over.
    """
    refuse_unfinished(git)
    try:
        compared = committed_elsewhere(git, occupation.head)
        base_tree = git.text("rev-parse", "--verify", f"{base}^{{tree}}")
        tree = _retried(git, occupation, compared, base, base_tree)
        commit = base
        if tree != base_tree:
            commit = commit_tree(git, tree, [base], message=message, author=author, when=when)
    except GitFailed as exc:
        text = f"The checkout {git.work_tree} cannot be read as a commit: {exc.stderr.partition(chr(10))[0]}."
        raise WorkspaceProblem(text, "Mend that, or end what still writes there, then try again.") from exc
    return Snapshot(commit, tree, changed=tree != base_tree)


def committed_elsewhere(git: Git, since: str) -> str:
    """The newest commit of HEAD that is not the work itself: `since`, or what was landed or pulled on top of that.

    What was committed in the checkout besides is part of the work. Raises `WorkspaceProblem` when HEAD does not descend
    from `since`.
    """
    head = find_head(git)
    if head == since:
        return since
    if head is not None and is_ancestor(git, since, head):
        added = git.text("rev-list", "--first-parent", head, f"^{since}").split("\n")
        local = _committers(git, head, since)
        known = [commit for commit in added if local.get(commit) in {None, SERVER_IDENTITY["GIT_COMMITTER_EMAIL"]}]
        return known[0] if known else since
    now = "a branch without a commit" if head is None else head[:ID_CHARS]
    message = f"The checkout stood at {since[:ID_CHARS]}, and now stands at {now}, which does not build on it."
    action = "Switch back, or hand in a `commit` or `files`; release_stage and claim_stage begin afresh."
    raise WorkspaceProblem(message, action)


def _committers(git: Git, head: str, since: str) -> dict[str, str]:
    """Who committed what HEAD has since and no remote has, by commit."""
    arguments = ("log", "--first-parent", "--format=%H %ce", head, f"^{since}", "--not", "--remotes")
    lines = git.text(*arguments).splitlines()
    return {commit: email for commit, _, email in (line.partition(" ") for line in lines)}


def _retried(git: Git, occupation: Occupation, compared: str, base: str, base_tree: str) -> str:
    settings = {"core.fsyncMethod": "batch", "core.safecrlf": "false", "i18n.commitEncoding": "UTF-8"}
    quiet = replace(git, config={**git.config, **settings})
    for tries_left in reversed(range(SNAPSHOT_TRIES)):
        try:
            with index_copy(quiet) as copy:
                tree = _tree(copy, occupation, compared, base)
                refuse_nested_in_tree(copy, base_tree, tree)
                return tree
        except GitFailed:
            if not tries_left:
                raise
            time.sleep(SNAPSHOT_PAUSE_S)
    raise AssertionError("the last try returns or raises")


def _tree(copy: Git, occupation: Occupation, compared: str, base: str) -> str:
    """The base's tree with every path that was changed as the checkout has it."""
    assert copy.work_tree is not None, "a checkout has files"
    names = {*uncommitted(copy, compared), *occupation.laid}
    work = _without_the_persons(copy.work_tree, occupation, names)
    refuse_what_is_no_content(copy, sorted(work))
    add(copy, work)
    now = copy.text("write-tree")
    changed = step_between(copy, compared, now).paths | occupation.laid
    to_now = step_between(copy, base, now)
    chosen = {path: to_now.new.get(path) for path in changed & to_now.paths}
    _refuse_ignored(occupation, chosen, to_now.old)
    if chosen.keys() == to_now.paths:
        return now
    with scratch_index(copy) as scratch:
        scratch.run("read-tree", base)
        replace_entries(scratch, chosen)
        return scratch.text("write-tree")


def _without_the_persons(root: Path, occupation: Occupation, names: set[str]) -> set[str]:
    untouched = still_untouched(root, {name: occupation.person[name] for name in names & occupation.person.keys()})
    folders = tuple(name for name, seen in occupation.person.items() if seen.kind is Kind.FOLDER)
    return {name for name in names - untouched if not any(_is_in(name, folder) for folder in folders)}


def _is_in(name: str, folder: str) -> bool:
    return name.startswith(f"{folder.rstrip('/')}/") and name != folder


def _refuse_ignored(occupation: Occupation, chosen: Mapping[str, Entry | None], base: Mapping[str, Entry]) -> None:
    """A change may alter what git ignores; what the person kept out of git by it must not be published so."""
    new = (path for path, entry in chosen.items() if entry is not None and path not in base)
    published = sorted(path for path in new if occupation.was_ignored(path))
    if published:
        message = f"{', '.join(published[:TOLD_MAX])} was there before and git ignored it; it would be handed in now."
        raise WorkspaceProblem(message, "Have .gitignore name it again; a file that belongs here goes into `files`.")
