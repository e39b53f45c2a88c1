"""The `compile` kind: every Python file of the artifact parses and compiles under the project's own Python.

Each file is compiled from the bytes of a pristine checkout by a probe that can import nothing of the tree. Warnings are
not findings. A file that does not compile on the base either is shown and tolerated.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...schemas.pipeline import Duration, GateSpec, Glob, Model
from ...schemas.records import Evidence
from ..contract import CannotJudge, Specimen, Spoiled
from ..findings import Judged, Problem, conclude, split_by_base
from ..objects import EXECUTABLE, FILE
from ..paths import matches
from ..planting import DESCRIPTION, SYNTAX_ERROR, appended, named, path_in, sources, spread
from ..process import Finished, judge_exit
from ..submission import Submission

PROBE = Path(__file__).parent / "probes" / "compile_probe.py"
REPORT_BYTES_MAX = 20_000_000
SUFFIXES = (".py", ".pyi")


class Options(Model):
    """`paths` narrows what is compiled; `absolute` holds the base's own problems against the artifact too."""

    paths: tuple[Glob, ...] = ("**",)
    absolute: bool = False
    timeout: Duration | None = None


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
        problems, counted, version, run = await compile_tree(submission, job.commit, options)
        base: Sequence[Problem] = ()
        if problems and not options.absolute:
            base, _, _, _ = await compile_tree(submission, job.base, options)
        moved = await submission.moved() if problems else {}
        new, tolerated = split_by_base(problems, base, moved)
        runs = () if run is None else (run,)
        environment = (("python", version),)
        return conclude(
            gate, Judged(counted, self.unit, new, tolerated, runs=runs, environment=environment, moved=moved)
        )

    def specimen(self, options: Options, tree: Specimen) -> Mapping[str, bytes]:
        """A module, where there is none yet."""
        path = None if sources(tree, options.paths, SUFFIXES) else path_in(options.paths, tree, suffix=".py")
        return {} if path is None else {path: DESCRIPTION}

    def spoil(self, options: Options, tree: Specimen) -> Spoiled | None:
        """A syntax error in some of the files."""
        paths = spread(sources(tree, options.paths, SUFFIXES))
        return Spoiled(appended(tree, paths, SYNTAX_ERROR), f"a syntax error in {named(paths)}") if paths else None


KIND = Compile()


async def compile_tree(
    submission: Submission, commit: str, options: Options
) -> tuple[tuple[Problem, ...], int, str, Finished | None]:
    """The problems of a commit's files, how many files there are, the Python's version, and the probe's run."""
    paths = await python_files(submission, commit, options.paths)
    if not paths:
        return (), 0, "", None
    # The policy's environment: which Python compiles is not the artifact's to choose.
    environment = await submission.environment(submission.job.policy.commit)
    async with submission.pristine(commit) as tree:
        finished = await submission.run(
            [str(environment.python), "-I", "-S", "-B", str(PROBE)],
            cwd=tree,
            environment=environment,
            timeout_s=options.timeout or submission.limits.gate,
            stdin=json.dumps({"tree": str(tree), "paths": paths}).encode(),
            stdout_bytes_max=REPORT_BYTES_MAX,
        )
    said = judge_exit(finished)
    if said is not None or finished.returncode != 0 or finished.stdout is None:
        raise CannotJudge(said or "The compiler probe ended early.", output=finished.output)
    report = json.loads(finished.stdout)
    if report["compiled"] != len(paths):
        raise CannotJudge("The compiler probe did not look at every file.", output=finished.output)
    return tuple(map(_problem, report["problems"])), len(paths), report["version"], finished


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
