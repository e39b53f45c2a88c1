"""Run pytest on a commit through a probe of ours, and read what the probe wrote down.

The run is complete only when the probe's report says so, agrees with the exit status and has a result for every test
that was collected; anything else could not be judged.
"""

import configparser
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..contract import CannotJudge
from ..judging.submission import Submission
from ..process import Finished, judge_exit
from ..report_file import REPORT_BYTES_MAX
from ..text import number_of, shorten
from .outcome import Case, Result, SuiteRun

PROBE = Path(__file__).parent.parent / "kinds" / "probes" / "pytest_probe.py"
CONFIG_BYTES_MAX = 2_000_000
TAIL_CHARS_MAX = 1_500
LEFT_EARLY = "If your change ends the test run early, mend that; otherwise it is not your fault."

# In pytest's own order; a file counts when it has what the second item asks for.
CONFIG_NAMES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
INI_SECTIONS: Mapping[str, str] = {"tox.ini": "pytest", "setup.cfg": "tool:pytest"}

PASSED, FAILED, NOTHING_COLLECTED = 0, 1, 5


@dataclass(frozen=True, slots=True)
class PytestCall:
    """How the gate wants pytest called. `plugins` are the only ones that are loaded; `paths` are the whole suite."""

    plugins: tuple[str, ...]
    arguments: tuple[str, ...]
    timeout_s: float
    paths: tuple[str, ...] = ()
    network: bool = False


async def run_pytest(
    submission: Submission, call: PytestCall, commit: str, *, of: str, config_from: str, targets: Sequence[str]
) -> tuple[SuiteRun, Finished]:
    """Run the tests of `commit` in the environment of `of`, under the configuration that `config_from` has.

    `targets` are files or ids; without any, the whole suite. Raises `CannotJudge`.
    """
    folder = submission.make_folder("pytest")
    report = folder / "report"
    config = await _config_name(submission, config_from)
    async with submission.workplace(commit, of=of) as (tree, environment):
        is_installed = submission.job.policy.pipeline.install is not None
        importable = [] if is_installed else [str(tree), *([str(tree / "src")] if (tree / "src").is_dir() else [])]
        settings = tree / config if config else folder / "pytest.ini"
        if config is None:
            settings.write_text("[pytest]\n")
        request = {
            "tree": str(tree),
            "report": str(report),
            "sys_path": importable,
            "plugins": call.plugins,
            "arguments": [*_arguments(tree, settings), *call.arguments, "--", *(targets or call.paths)],
        }
        finished = await submission.run(
            [str(environment.python), "-I", "--check-hash-based-pycs", "always", str(PROBE)],
            cwd=tree,
            environment=environment,
            timeout_s=call.timeout_s,
            extra={
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                # For programs that tests start themselves; the probe is isolated and ignores it.
                **({"PYTHONPATH": ":".join(importable)} if importable else {}),
            },
            stdin=json.dumps(request).encode(),
            writes=[folder],
            network=call.network,
        )
    return read_run(_lines(report), finished), finished


def read_run(lines: Sequence[Mapping[str, Any]], finished: Finished) -> SuiteRun:
    """What the probe's report says, when it is complete. Raises `CannotJudge`."""
    missing = next((line["missing"] for line in lines if "missing" in line), None)
    if missing is not None:
        raise CannotJudge(str(missing), output=finished.output)
    said = judge_exit(finished)
    status = next((line["finished"] for line in lines if "finished" in line), None)
    if said is not None or status is None:
        if said is not None:
            raise CannotJudge(said, output=finished.output)
        raise CannotJudge(_unfinished(lines, finished), output=finished.output, advice=LEFT_EARLY)
    version = next((str(line["pytest"]) for line in lines if "pytest" in line), "")
    if status != finished.returncode:
        raise CannotJudge(
            f"The report ends with status {status}, the test process with {finished.returncode}.",
            output=finished.output,
        )
    if status not in (PASSED, FAILED, NOTHING_COLLECTED):
        return SuiteRun(failure=_failure(finished), version=version)
    run = _cases(lines, version)
    if (status == FAILED) != bool(run.failing or run.broken):
        raise CannotJudge(
            f"pytest ended with {status}, but {number_of(len(run.failing), 'tests')} failed: a plug-in or the "
            "configuration decides otherwise. Check what it checks in a gate of its own.",
            output=finished.output,
        )
    _check_complete(lines, run, finished)
    return run


def _arguments(tree: Path, settings: Path) -> list[str]:
    places = ["-c", str(settings), f"--rootdir={tree}", f"--confcutdir={tree}"]
    # Every test runs whatever fails before it: a run that stops at the first failure hides what else is known.
    return [*places, "-p", "no:cacheprovider", "--color=no", "--continue-on-collection-errors", "--maxfail=0"]


async def _config_name(submission: Submission, commit: str) -> str | None:
    for name in CONFIG_NAMES:
        data = await submission.read(commit, name, CONFIG_BYTES_MAX)
        if data is not None and _is_config(name, data.decode("utf-8", "replace")):
            return name
    return None


def _is_config(name: str, text: str) -> bool:
    try:
        if name == "pyproject.toml":
            return "pytest" in tomllib.loads(text).get("tool", {})
        if name in INI_SECTIONS:
            parser = configparser.ConfigParser(interpolation=None, strict=False)
            parser.read_string(text)
            return parser.has_section(INI_SECTIONS[name])
    except (tomllib.TOMLDecodeError, configparser.Error):
        return False
    return True


# The probe's lines are JSON written by a process that also ran the artifact: values are converted where they are used.
def _lines(report: Path) -> list[Mapping[str, Any]]:
    try:
        with report.open("rb") as file:
            data = file.read(REPORT_BYTES_MAX + 1)
    except OSError:
        return []
    if len(data) > REPORT_BYTES_MAX:
        raise CannotJudge(f"The test report has more than {REPORT_BYTES_MAX} bytes.")
    try:
        lines = [json.loads(line) for line in data.splitlines()]
    except ValueError as exc:
        raise CannotJudge("The test report cannot be read.") from exc
    return [line for line in lines if isinstance(line, dict)]


def _cases(lines: Iterable[Mapping[str, Any]], version: str) -> SuiteRun:
    cases: dict[str, Case] = {}
    broken: dict[str, Case] = {}
    doctests: set[str] = set()
    for line in lines:
        if "broken" in line:
            broken[str(line["broken"])] = _case(line, Result.FAILED, str(line["broken"]))
        elif "id" in line:
            case = _case(line, _result(line), str(line["id"]).split("::")[0])
            known = cases.get(str(line["id"]))
            # Set-up, the test and tear-down report apart: the worst of them is the test's result.
            if known is None or known.result is not Result.FAILED:
                cases[str(line["id"])] = case
        doctests |= set(line.get("doctests", ()))
    return SuiteRun(cases, broken, doctests=frozenset(doctests), version=version)


def _result(line: Mapping[str, Any]) -> Result:
    if line["outcome"] == "skipped":
        return Result.XFAILED if line["is_expected"] else Result.SKIPPED
    return Result.PASSED if line["outcome"] == "passed" else Result.FAILED


def _case(line: Mapping[str, Any], result: Result, file: str) -> Case:
    place = line.get("line")
    path = line.get("path")
    return Case(result, file, str(path) if path else None, int(place) if place else None, str(line.get("message", "")))


def _failure(finished: Finished) -> Case:
    tail = finished.output.strip()[-TAIL_CHARS_MAX:]
    return Case(Result.FAILED, "", message=f"pytest could not run (exit status {finished.returncode}):\n{tail}")


def _unfinished(lines: Sequence[Mapping[str, Any]], finished: Finished) -> str:
    last = next((str(line["started"]) for line in reversed(lines) if "started" in line), None)
    where = f" in {shorten(last, 300)}" if last else ""
    return f"The test process ended with exit code {finished.returncode}{where} before the run was finished."


def _check_complete(lines: Iterable[Mapping[str, Any]], run: SuiteRun, finished: Finished) -> None:
    collected = {str(name) for line in lines for name in line.get("collected", ())}
    untold = collected - run.cases.keys()
    if untold:
        first = shorten(min(untold), 300)
        raise CannotJudge(
            f"{len(untold)} collected tests have no result, for example {first}.",
            output=finished.output,
            advice=LEFT_EARLY,
        )
