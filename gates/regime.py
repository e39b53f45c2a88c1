"""The tree in which a gate's programs run: the artifact's, with what judges it put back as the policy has it.

Protected files are taken from the policy commit, present or absent; of files that are protected in part, the protected
tables are. What comes out is a commit of its own in our store, so that a checkout of it is clean and its tree names it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from anyio import to_thread

from .artifact_store.objects import EXECUTABLE, FILE
from .artifact_store.walk import Change, TreeEntry
from .git import Git
from .guarded.tables import with_tables_of
from .judging.submission import Submission
from .policy import Policy
from .text import some_of

COMPOSED_AT = datetime(2000, 1, 1, tzinfo=UTC)
MIXED_FILE_BYTES_MAX = 2_000_000
ABSENT = "0" * 40
NAMES_MAX = 5


@dataclass(frozen=True, slots=True)
class Text:
    """New contents for a file, which keeps the mode it has."""

    data: bytes
    mode: str


Replacement = TreeEntry | Text | None


async def judged_tree(submission: Submission, commit: str) -> str:
    """The commit to run in: `commit` under the policy's rules, `commit` itself when it already has them."""

    async def compose() -> str:
        return await composed(submission, commit, await restorations(submission, commit))

    return await submission.once(("judged", commit), compose)


async def what_was_restored(submission: Submission) -> str:
    """A sentence naming the artifact's files that were judged as the policy has them; empty when there are none."""
    restored = sorted(await restorations(submission, submission.job.commit))
    if not restored:
        return ""
    return f"Judged with the policy's version of {some_of(restored, NAMES_MAX)}."


async def protected_changes(submission: Submission, changes: Sequence[Change]) -> list[Change]:
    """Those of the artifact's changes that alter what judges it, as far as the result is not what the policy has."""
    policy, job = submission.job.policy, submission.job
    trusted = await submission.entries(policy.commit)
    found = []
    for change in changes:
        known = trusted.get(change.path)
        is_as_trusted = (known.mode, known.oid) == (change.new_mode, change.new_oid) if known else not change.new_oid
        if is_as_trusted:
            continue
        if _is_whole(policy, change.path, known.mode if known else None, change.new_mode):
            found.append(change)
        elif policy.protected_tables(change.path):
            was, now = [await _read(submission, commit, change.path) for commit in (job.scope_base, job.commit)]
            if policy.changed_tables(change.path, was, now):
                found.append(change)
    return found


async def restorations(submission: Submission, commit: str) -> Mapping[str, Replacement]:
    """What of `commit` the policy commit has otherwise and protects, by path."""
    policy = submission.job.policy
    changes = await submission.changes(policy.commit, commit)
    trusted = await submission.entries(policy.commit)
    restored: dict[str, Replacement] = {}
    for change in changes:
        if _is_whole(policy, change.path, change.old_mode, change.new_mode):
            restored[change.path] = trusted.get(change.path)
        elif policy.protected_tables(change.path):
            mended = await _with_trusted_tables(submission, commit, change.path, change.new_mode)
            if mended is not None:
                restored[change.path] = mended
    return restored


async def composed(submission: Submission, commit: str, replaced: Mapping[str, Replacement]) -> str:
    """A commit whose tree is that of `commit` with these paths replaced, or removed where None; `commit` if none is."""
    if not replaced:
        return commit
    index = submission.make_folder("index") / "index"
    git = Git(submission.store.path, index_file=index)
    store = submission.store

    def compose() -> str:
        git.run("read-tree", commit)
        git.run("update-index", "-z", "--index-info", stdin=_index_lines(git, replaced))
        tree = git.text("write-tree")
        if tree == store.tree_of(commit):
            return commit
        return store.commit_tree(tree, (commit,), message="What a gate runs in.\n", when=COMPOSED_AT)

    return await to_thread.run_sync(compose)


def _index_lines(git: Git, replaced: Mapping[str, Replacement]) -> bytes:
    removed = [f"0 {ABSENT}\t{path}\0" for path in replaced]
    added: list[str] = []
    for path, to in replaced.items():
        match to:
            case TreeEntry():
                added.append(f"{to.mode} {to.oid}\t{path}\0")
            case Text():
                oid = git.run("hash-object", "-w", "--stdin", "--no-filters", stdin=to.data).decode().strip()
                added.append(f"{to.mode} {oid}\t{path}\0")
            case None:
                pass  # removed, and nothing takes its place
    # Everything out before anything goes in: a file may take the place of a folder, or a folder that of a file.
    return "".join((*removed, *added)).encode("utf-8", "surrogateescape")


def _is_whole(policy: Policy, path: str, *modes: str | None) -> bool:
    """Whether the file is protected as a whole: a link has no tables of its own, and its readers follow it."""
    is_other = any(mode not in (None, FILE, EXECUTABLE) for mode in modes)
    return policy.is_protected(path) or (is_other and bool(policy.protected_tables(path)))


async def _with_trusted_tables(submission: Submission, commit: str, path: str, mode: str | None) -> Text | None:
    """The file with the policy's tables where they differ; None when they do not, or the artifact has no such file."""
    policy = submission.job.policy
    ours, theirs = await _read(submission, policy.commit, path), await _read(submission, commit, path)
    if not policy.changed_tables(path, ours, theirs):
        return None
    mended = with_tables_of(path, ours or b"", theirs or b"", policy.protected_tables(path))
    return Text(mended if mended is not None else ours or b"", mode or FILE)


async def _read(submission: Submission, commit: str, path: str) -> bytes | None:
    return await submission.read(commit, path, MIXED_FILE_BYTES_MAX)
