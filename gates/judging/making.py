"""Make the artifact of a `run:` stage: run its command on the stage's base and commit what it wrote.

The command runs like that of a `command` gate: in a private copy under the policy's rules, with nothing else in reach.
What it wrote inside `writes` becomes one commit on the base; what it wrote elsewhere is a finding. Repeated for the
same evaluation it makes the same commit. Source: docs/decisions/0012-the-server-runs-stages.md
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from ...schemas.pipeline import GateSpec
from ...schemas.records import Evidence, Outcome
from ..artifact_store.objects import SUBMODULE
from ..artifact_store.trees import path_problem
from ..artifact_store.walk import TreeEntry
from ..contract import CannotJudge, Made, Run
from ..findings import Judged, Problem, conclude
from ..git import Git
from ..paths import matches
from ..policy import RUN_GATE, SCOPE_GATE
from ..process import Finished, by_shell, judge_exit
from ..regime import judged_tree
from ..text import last_lines
from .submission import Submission
from .written import ODD, Written, ignored, list_files, read_files

UNIT = "runs"

# What becomes of each path; None: it is gone.
Changes = Mapping[str, Written | None]


@dataclass(frozen=True, slots=True)
class Making:
    """What the command came to. `made` is set exactly when it passed; the base itself when there was nothing to add."""

    evidence: Evidence
    made: Made | None = None


async def make(submission: Submission) -> Making:
    """Run the stage's command and commit its output. Raises `CannotJudge` when the command itself could not run."""
    job = submission.job
    assert job.run is not None, "only a `run:` stage is made"
    conflicts = [path for merged in job.merges for path in merged.conflicts]
    if conflicts:
        return Making(conclude(RUN_GATE, Judged(1, UNIT, tuple(map(_conflicting, conflicts)))))
    start = await judged_tree(submission, job.scope_base)
    async with submission.workplace(start, of=job.scope_base) as (tree, environment):
        oid_chars = len(job.scope_base)
        files = await to_thread.run_sync(list_files, tree)
        before = await to_thread.run_sync(lambda: read_files(tree, files, oid_chars=oid_chars))
        finished = await submission.run(
            by_shell(job.run.command),
            cwd=tree,
            environment=environment,
            timeout_s=submission.limits.gate,
            network=job.run.network,
        )
        _refuse_no_answer(finished)
        if finished.returncode != 0:
            return _failed(finished, (_exit_code(job.run, finished),))
        base = await submission.entries(job.scope_base)
        changes = await to_thread.run_sync(lambda: _changes(submission, tree, before, base))
        problems = tuple(_problems(submission, changes, base))
        if problems:
            return _failed(finished, problems)
        commit = await to_thread.run_sync(lambda: _commit(submission, tree, changes))
    told = f"Paths written: {len(changes)}." if changes else "What it writes was there already, byte by byte."
    evidence = conclude(RUN_GATE, Judged(1, UNIT, summary=told, runs=(finished,)))
    return Making(evidence, Made(commit, len(changes)))


def nothing_to_write(gate: GateSpec) -> Evidence:
    """What `scope` finds when the command had nothing to add: here it is the run that counts, not a change."""
    assert gate.kind == SCOPE_GATE.kind, "no other gate asks for a change"
    return conclude(gate, Judged(1, UNIT, summary="What the stage's command writes was there already."))


def _refuse_no_answer(finished: Finished) -> None:
    said = judge_exit(finished)
    if said is not None:
        raise CannotJudge(said, output=finished.output)


def _failed(finished: Finished, problems: tuple[Problem, ...]) -> Making:
    evidence = conclude(RUN_GATE, Judged(1, UNIT, problems, runs=(finished,)))
    assert evidence.outcome is Outcome.FAILED
    return Making(evidence)


def _conflicting(path: str) -> Problem:
    message = f"What the stages before hand over conflicts in {path}, and no agent works here who could resolve that."
    return Problem("conflict", message, path, satisfy=f"Let one of the stages before leave {path} to the other.")


def _exit_code(run: Run, finished: Finished) -> Problem:
    message = f"`{run.command}` ended with exit code {finished.returncode}.\n{last_lines(finished.output)}"
    satisfy = f"Make `{run.command}` end with exit code 0 on what the stages before hand over."
    return Problem("exit-code", message, text=f"{run.command} {finished.returncode}", satisfy=satisfy)


def _changes(
    submission: Submission, tree: Path, before: Mapping[str, Written], base: Mapping[str, TreeEntry]
) -> Changes:
    """What the command wrote: all of it inside `writes`, and elsewhere what git does not ignore."""
    found = list_files(tree)
    fresh = [path for path in found if path not in base and not matches(path, submission.job.writes)]
    skipped = ignored(submission.store.git, tree, found, fresh)
    files = {path: told for path, told in found.items() if path not in skipped}
    # A large file that was there before may stay; no new one is read only to be refused.
    large = max((w.size for w in before.values()), default=0)
    bytes_max = max(large, submission.limits.file)
    after = read_files(tree, files, oid_chars=len(submission.job.scope_base), file_bytes_max=bytes_max)
    changes: dict[str, Written | None] = {}
    for path, written in after.items():
        was = base.get(path)
        is_as_before = before.get(path) == written
        if not is_as_before and (was is None or (was.mode, was.oid) != (written.mode, written.oid)):
            changes[path] = written
    gone = (path for path in before if path not in found and path in base)
    return {**changes, **dict.fromkeys(gone)}


def _problems(submission: Submission, changes: Changes, base: Mapping[str, TreeEntry]) -> Iterator[Problem]:
    job, limit = submission.job, submission.limits.file
    command = job.run.command if job.run is not None else ""
    size = sum(written.size for written in changes.values() if written is not None)
    if size > submission.limits.tree:
        message = f"`{command}` writes {size} bytes in all; {submission.limits.tree} are allowed."
        yield Problem("size", message, satisfy="Let it write less, or raise `limits.tree`.")
    for path, written in sorted(changes.items()):
        trouble = path_problem(path) or _no_text(path)
        if written is not None and written.mode == ODD:
            message = f"`{command}` makes {path}, which is neither a file nor a link."
            yield Problem("kind", message, path, satisfy="Let it write files and links only.")
        elif trouble is not None:
            yield Problem("name", f"`{command}` writes {path!r}, which {trouble}.", satisfy="Let it use other names.")
        elif not matches(path, job.writes) or _is_in_submodule(path, base):
            message = f"`{command}` writes {path}, but this stage may write only {', '.join(job.writes)}."
            satisfy = f"Let the command leave {path} alone, have git ignore it, or let the stage write it."
            yield Problem("outside", message, path, satisfy=satisfy)
        elif written is not None and written.size > limit and not written.oid:
            message = f"`{command}` writes {path} with {written.size} bytes; {limit} are allowed."
            yield Problem("size", message, path, satisfy="Make it smaller, or raise `limits.file`.")


def _no_text(path: str) -> str | None:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return "is not UTF-8"
    return None


def _is_in_submodule(path: str, base: Mapping[str, TreeEntry]) -> bool:
    parts = path.split("/")
    folders = ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    return any(base[folder].mode == SUBMODULE for folder in folders if folder in base)


def _commit(submission: Submission, tree: Path, changes: Changes) -> str:
    """The commit of the changes on the stage's base, checked as an agent's is. Blocking."""
    job, store = submission.job, submission.store
    assert job.run is not None
    if not changes:
        return job.scope_base
    folder = submission.make_folder("commit")
    git = Git(store.path, index_file=folder / "index", config=store.git.config)
    oids = dict(_stored(git, tree, folder, changes))
    nothing = "0" * len(job.scope_base)
    removed = [f"0 {nothing}\t{path}\0" for path in changes]
    added = [f"{w.mode} {oids[path]}\t{path}\0" for path, w in changes.items() if w is not None]
    git.run("read-tree", job.scope_base)
    # Everything out before anything goes in: a file may take the place of a folder, or a folder that of a file.
    git.run("update-index", "-z", "--index-info", stdin="".join((*removed, *added)).encode())
    made = store.commit_tree(git.text("write-tree"), (job.scope_base,), message=job.run.message, when=job.run.when)
    store.fetch(made, base=job.scope_base)
    return made


def _stored(git: Git, tree: Path, folder: Path, changes: Changes) -> Iterable[tuple[str, str]]:
    """Every written path with the id of its contents, which are in our store afterwards."""
    places = {}
    for number, path in enumerate(path for path, written in changes.items() if written is not None):
        source, place = tree / path, folder / str(number)
        # Under names of ours: git reads a list of names by lines. A link's content is where it leads to.
        if source.is_symlink():
            place.write_bytes(os.fsencode(source.readlink()))
        else:
            place.hardlink_to(source)
        places[path] = place
    names = "".join(f"{place}\n" for place in places.values()).encode()
    return zip(
        places, git.run("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=names).decode().split(), strict=True
    )
