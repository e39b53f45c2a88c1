"""What the command of a `transform` gate makes of a commit, and what the commit has in those places."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from anyio import to_thread
from pydantic import Field

from ...schemas.pipeline import Duration, Glob, Model, Shell
from ..artifact_store.objects import EXECUTABLE, FILE, LINK, TooLarge
from ..contract import CannotJudge
from ..judging.submission import Submission
from ..judging.written import Written, blob_id, list_files, read_files, read_start, rewritten
from ..paths import matches
from ..process import Finished, by_shell, judge_exit
from ..regime import composed, judged_tree

A_PERSONS = "A person has to mend the command or the policy: your change is not at fault."
# Beyond what the artifact itself may have.
MADE_ENTRIES_MAX = 100_000
MADE_BYTES_MAX = 500_000_000
DIFF_BYTES_MAX = 200_000


class Options(Model):
    """`run` is given to `sh -c`; `paths` are the globs of what it makes."""

    run: Shell
    paths: tuple[Glob, ...] = Field(min_length=1)
    network: bool = False
    timeout: Duration | None = None
    absolute: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What one run on `commit` made in `paths`, where `committed` is; and what it wrote elsewhere.

    `starts` are the first bytes of what it made otherwise than it is committed.
    """

    commit: str
    committed: Mapping[str, Written]
    files: Mapping[str, Written]
    starts: Mapping[str, bytes]
    outside: tuple[str, ...]
    finished: Finished

    @property
    def code(self) -> int:
        assert self.finished.returncode is not None, "judge_exit answers for a program without an exit code"
        return self.finished.returncode


async def make(submission: Submission, options: Options, commit: str, globs: Sequence[str], seed: str) -> Made:
    """Run the command on the commit without the files that it makes. Raises `CannotJudge` when its end says nothing."""
    committed = await _committed(submission, commit, globs)
    run_in = await composed(submission, await judged_tree(submission, commit), dict.fromkeys(committed))
    list_made = partial(list_files, paths_max=submission.limits.entries + MADE_ENTRIES_MAX)
    async with submission.workplace(run_in, of=commit) as (tree, environment):
        try:
            await to_thread.run_sync(_make_folders, tree, tuple(committed))
            before = await to_thread.run_sync(list_made, tree)
            finished = await submission.run(
                by_shell(options.run),
                cwd=tree,
                environment=environment,
                timeout_s=options.timeout or submission.limits.gate,
                extra={"PYTHONHASHSEED": seed},
                network=options.network,
            )
            said = judge_exit(finished)
            if said is not None:
                raise CannotJudge(said, output=finished.output)
            after = await to_thread.run_sync(list_made, tree)
            fresh = rewritten(before, after)
            inside = {path: after[path] for path in fresh if _is_made(submission, path, globs)}
            if sum(stat.st_size for stat in inside.values()) > MADE_BYTES_MAX:
                raise TooLarge(f"It made more than {MADE_BYTES_MAX} bytes.")
            files = await to_thread.run_sync(partial(read_files, tree, inside, oid_chars=len(commit)))
        except TooLarge as exc:
            raise CannotJudge(str(exc), advice=A_PERSONS) from exc
        other = [p for p, file in files.items() if file.mode in (FILE, EXECUTABLE) and committed.get(p) != file]
        starts = {path: read_start(tree / path, DIFF_BYTES_MAX) for path in other if path in committed}
        return Made(commit, committed, files, starts, tuple(path for path in fresh if path not in files), finished)


async def _committed(submission: Submission, commit: str, globs: Sequence[str]) -> Mapping[str, Written]:
    """The commit's files in `paths`. What is protected is not made: it takes part in judging."""
    files = {
        path: Written(entry.mode, entry.oid, entry.size)
        for path, entry in (await submission.entries(commit)).items()
        if entry.mode in (FILE, EXECUTABLE, LINK) and _is_made(submission, path, globs)
    }
    await submission.need(commit, files)
    filled = await submission.filled(commit)
    # What is made is the content of a file in LFS, not its pointer.
    for file in filled.filling.files:
        if file.path in files:
            content = await submission.read(commit, file.path, MADE_BYTES_MAX) or b""
            oid = blob_id((content,), len(content), oid_chars=len(commit))
            files[file.path] = Written(files[file.path].mode, oid, len(content))
    return files


def _is_made(submission: Submission, path: str, globs: Sequence[str]) -> bool:
    return matches(path, globs) and not submission.job.policy.is_protected(path)


def _make_folders(tree: Path, paths: Iterable[str]) -> None:
    """The folders in which the paths would lie; git keeps none that is empty, and programs expect theirs."""
    for folder in sorted({parent for path in paths for parent in Path(path).parents} - {Path()}):
        place = tree / folder
        # The parents were looked at before, and none of them is a link.
        if not place.is_symlink() and not place.exists() and not place.parent.is_symlink():
            place.mkdir()
        elif not place.is_dir() or place.is_symlink():
            return
