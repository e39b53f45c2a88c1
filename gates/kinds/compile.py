"""The `compile` kind: every Python file of the artifact parses and compiles under the project's own Python.

Each file is compiled from the bytes of a pristine checkout by a probe that can import nothing of the tree. Warnings are
not findings. A file that does not compile on the base either is shown and tolerated.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from pydantic import model_validator

from ...schemas.pipeline import Duration, GateSpec, Glob, Model
from ...schemas.records import Evidence
from ..artifact_store.objects import EXECUTABLE, FILE
from ..contract import CannotJudge, Specimen, Spoiled
from ..findings import Judged, Problem, conclude, split_by_base
from ..judging.planting import DESCRIPTION, SYNTAX_ERROR, appended, named, path_in, sources, spread
from ..judging.submission import Submission
from ..paths import matches
from ..process import Finished, judge_exit
from .narrowing import counterparts, narrowed, told

PROBE = Path(__file__).parent / "probes" / "compile_probe.py"
REPORT_BYTES_MAX = 20_000_000
SUFFIXES = (".py", ".pyi")
# From so many files on, those that are as on the base are not compiled again unless that is asked for.
MANY_FILES = 2_000


class Options(Model):
    """`paths` narrows what is compiled; `absolute` holds the base's own problems against the artifact too.

    `changed_only` leaves out what is as on the base; None does so in large trees.
    """

    paths: tuple[Glob, ...] = ("**",)
    changed_only: bool | None = None
    absolute: bool = False
    timeout: Duration | None = None

    @model_validator(mode="after")
    def _sees_all_that_it_holds_against_the_artifact(self) -> Self:
        if self.changed_only and self.absolute:
            raise ValueError("`absolute` is about every file, `changed_only` about some")
        return self


class Compile:
    """See the module."""

    name = "compile"
    unit = "files"
    is_soft = False
    options = Options

    def about(self, options: Options) -> str:
        """Narrowed paths are told."""
        where = "" if options.paths == ("**",) else f" below {', '.join(options.paths)}"
        return f"Every Python file{where} compiles under the project's Python. Counted: files."

    def references(self, options: Options) -> tuple[str, ...]:
        """Nothing of the policy commit is read."""
        return ()

    async def check(self, submission: Submission, gate: GateSpec, options: Options) -> Evidence:
        """Compile the artifact; the base only when something does not compile."""
        job = submission.job
        everything = await python_files(submission, job.commit, options.paths)
        paths = await narrowed(submission, everything) if _is_narrow(options, len(everything)) else everything
        problems, version, run = await _compile(submission, job.commit, paths, options)
        base: Sequence[Problem] = ()
        if problems and not options.absolute:
            before = await python_files(submission, job.base, options.paths)
            before = before if paths is everything else await counterparts(submission, before)
            base, _, _ = await _compile(submission, job.base, before, options)
        moved = await submission.moved() if problems else {}
        new, tolerated = split_by_base(problems, base, moved)
        judged = Judged(
            len(paths),
            self.unit,
            new,
            tolerated,
            summary=told(paths, everything),
            runs=() if run is None else (run,),
            environment=(("python", version),),
            moved=moved,
        )
        return conclude(gate, judged)

    def specimen(self, options: Options, tree: Specimen) -> Mapping[str, bytes]:
        """A module, where there is none yet."""
        path = None if sources(tree, options.paths, SUFFIXES) else path_in(options.paths, tree, suffix=".py")
        return {} if path is None else {path: DESCRIPTION}

    def spoil(self, options: Options, tree: Specimen) -> Spoiled | None:
        """A syntax error in some of the files."""
        paths = spread(sources(tree, options.paths, SUFFIXES))
        return Spoiled(appended(tree, paths, SYNTAX_ERROR), f"a syntax error in {named(paths)}") if paths else None


KIND = Compile()


def _is_narrow(options: Options, files: int) -> bool:
    if options.changed_only is None:
        return files > MANY_FILES and not options.absolute
    return options.changed_only


async def _compile(
    submission: Submission, commit: str, paths: Sequence[str], options: Options
) -> tuple[tuple[Problem, ...], str, Finished | None]:
    """The problems of these files of a commit, the Python's version, and the probe's run; none for no files."""
    if not paths:
        return (), "", None
    # The policy's environment: which Python compiles is not the artifact's to choose.
    environment = await submission.environment(submission.job.policy.commit)
    async with submission.pristine(commit) as tree:
        finished = await submission.run(
            [str(environment.python), "-I", "-S", "-B", str(PROBE)],
            cwd=tree,
            environment=environment,
            timeout_s=options.timeout or submission.limits.gate,
            stdin=json.dumps({"tree": str(tree), "paths": list(paths)}).encode(),
            stdout_bytes_max=REPORT_BYTES_MAX,
        )
    said = judge_exit(finished)
    if said is not None or finished.returncode != 0 or finished.stdout is None:
        raise CannotJudge(said or "The compiler probe ended early.", output=finished.output)
    report = json.loads(finished.stdout)
    if report["compiled"] != len(paths):
        raise CannotJudge("The compiler probe did not look at every file.", output=finished.output)
    return tuple(map(_problem, report["problems"])), report["version"], finished


async def python_files(submission: Submission, commit: str, globs: Sequence[str]) -> list[str]:
    """Every regular Python file of the commit that a glob matches, sorted. Raises `CannotJudge` when one is missing."""
    entries = await submission.entries(commit)
    found = sorted(
        path
        for path, entry in entries.items()
        if entry.mode in (FILE, EXECUTABLE) and path.endswith(SUFFIXES) and matches(path, globs)
    )
    await submission.need(commit, found)
    return found


def _problem(item: dict[str, str | int | None]) -> Problem:
    path, line, message = str(item["path"]), item["line"], str(item["message"])
    place = int(line) if line is not None else None
    return Problem("syntax", message, path, place, str(item["text"]), satisfy=f"Make {path} compile.")
