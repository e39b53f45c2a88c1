"""What a run of a `command` gate reported: from its output or its report to problems.

A report must have been written by this very run, be whole, and not contradict the exit code; otherwise nothing is
judged.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from anyio import to_thread
from pydantic import field_validator, model_validator

from ...schemas.pipeline import Duration, Glob, Model, Name, Shell
from ..contract import CannotJudge
from ..findings import Problem
from ..judging.submission import Submission
from ..patterns import LINE_CHARS_MAX, read_pattern
from ..process import Finished, judge_exit
from ..report_file import place_in, read_cases, read_report
from ..reports import Reported, ReportUnreadable, TestCase
from ..reports.eslint_json import parse_eslint
from ..reports.lines import parse_lines
from ..reports.own_json import parse_own
from ..reports.reported import ITEMS_MAX, LINE_MAX, RANKS, Report, Severity, check_number, plain_message, plain_path
from ..reports.ruff_json import parse_ruff
from ..reports.sarif import parse_sarif

Format = Literal["exit", "lines", "junit", "sarif", "ruff", "eslint", "gatewright"]

SOURCE_BYTES_MAX = 5_000_000
# Findings are read from the output, so nothing may be left out of its middle.
OUTPUT_BYTES_MAX = 20_000_000
PATTERN_TIMEOUT_S = 20.0
MATCH_PROBE = Path(__file__).parent / "probes" / "match_probe.py"
GROUPS = frozenset({"path", "line", "message", "rule"})
LEVELLED = ("lines", "sarif", "eslint", "gatewright")
FAILING = ("failed", "errored")

PARSERS: Mapping[str, Callable[[bytes], Report]] = {
    "sarif": parse_sarif,
    "ruff": parse_ruff,
    "eslint": parse_eslint,
    "gatewright": parse_own,
}


class Options(Model):
    """`run` is given to `sh -c`; `path` is where it writes its report, relative to the tree.

    `level` is the least severe of what a report calls error, warning and note that is a finding. `pattern` finds
    findings in the lines of the output. `canary` is a patch of the policy commit with which the command must fail.
    `changed_only` are globs of files, of which the command is handed a list of those that differ from the base.
    `history`: it looks at commits as well as at files, so that no other commit's verdict does for the same files.
    """

    run: Shell
    name: Name | None = None
    report: Format = "exit"
    path: Glob | None = None
    pattern: str | None = None
    level: Severity = "error"
    changed_only: tuple[Glob, ...] = ()
    tree: Literal["own", "shared"] = "own"
    history: bool = False
    network: bool = False
    timeout: Duration | None = None
    absolute: bool = False
    canary: Glob | None = None

    @field_validator("pattern")
    @classmethod
    def _is_a_safe_pattern_that_names_groups(cls, value: str | None) -> str | None:
        if value is None:
            return None
        groups = {*read_pattern(value, option="pattern").groupindex}
        if not groups or groups - GROUPS:
            raise ValueError("pattern needs named groups such as (?P<path>...), of path, line, message and rule")
        return value

    @model_validator(mode="after")
    def _has_what_its_report_needs(self) -> Self:
        if self.report == "junit" and self.path is None:
            raise ValueError("`report: junit` needs the `path` of its file")
        if self.path is not None and self.report in ("exit", "lines"):
            raise ValueError(f"`path` goes with a report in a file, not with `{self.report}`")
        if self.path is not None and self.tree == "shared":
            raise ValueError("a report at a `path` cannot be written into a shared tree")
        if self.pattern is not None and self.report != "lines":
            raise ValueError("`pattern` goes with `report: lines`")
        if "level" in self.model_fields_set and self.report not in LEVELLED:
            raise ValueError(f"`level` goes with a report that has levels: {', '.join(LEVELLED)}")
        return self

    @property
    def output_bytes_max(self) -> int | None:
        """How much of the output is kept; None is what the policy says."""
        return OUTPUT_BYTES_MAX if self.report == "lines" else None

    @property
    def stdout_bytes_max(self) -> int | None:
        """How much of standard output is kept apart; None where the report is not written there."""
        return OUTPUT_BYTES_MAX if self.report in PARSERS and self.path is None else None


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run of the command said; `finished` is None for the base's run when it was known already.

    `hidden` are problems that something in the tree keeps the tool from objecting to.
    """

    returncode: int
    problems: tuple[Problem, ...]
    hidden: tuple[Problem, ...] = ()
    counted: int = 0
    unit: str | None = None
    finished: Finished | None = None


async def read_answer(submission: Submission, options: Options, finished: Finished, tree: Path, commit: str) -> Ran:
    """What the finished run said. Raises `CannotJudge` when that is no answer."""
    code = finished.returncode
    assert code is not None, "judge_exit answers for a program without an exit code"
    if options.report == "exit":
        return Ran(code, (), counted=1, finished=finished)
    if options.report == "junit":
        assert options.path is not None, "its options say so"
        return _judge_cases(read_cases(tree, options.path, finished), code, finished)
    try:
        report = await _report(submission, options, finished, tree, commit)
    except ReportUnreadable as exc:
        raise CannotJudge(f"What `{options.run}` reported cannot be read: {exc}", output=finished.output) from exc
    items = [item for item in report.items if RANKS[item.severity] >= RANKS[options.level]]
    _refuse_contradiction(options, report, items, finished)
    problems = await _problems(submission, options, items, tree, commit)
    shown, hidden = (
        tuple(p for p, item in zip(problems, items, strict=True) if item.is_hidden is wanted)
        for wanted in (False, True)
    )
    return Ran(code, shown, hidden, report.counted, report.unit, finished)


def _judge_cases(cases: Sequence[TestCase], code: int, finished: Finished) -> Ran:
    failing = tuple(_case_problem(case) for case in cases if case.outcome in FAILING)
    if bool(failing) != (code != 0):
        raise CannotJudge(f"The report does not agree with the exit code {code}.", output=finished.output)
    return Ran(code, failing, counted=sum(case.outcome != "skipped" for case in cases), unit="tests", finished=finished)


def _case_problem(case: TestCase) -> Problem:
    satisfy = f"Make {case.id} pass."
    message = case.message or f"{case.id} failed."
    return Problem("test", message, case.path, case.line, mark=case.id, satisfy=satisfy)


async def _report(submission: Submission, options: Options, finished: Finished, tree: Path, commit: str) -> Report:
    if options.report != "lines":
        data = finished.stdout if options.path is None else read_report(tree, options.path)
        if data is None:
            raise ReportUnreadable(f"Standard output has more than {OUTPUT_BYTES_MAX} bytes.")
        return await to_thread.run_sync(PARSERS[options.report], data)
    if finished.output_bytes > OUTPUT_BYTES_MAX:
        raise ReportUnreadable(f"The output has more than {OUTPUT_BYTES_MAX} bytes.")
    if options.pattern is None:
        paths = await submission.entries(commit)
        return await to_thread.run_sync(parse_lines, finished.output, lambda path: place_in(tree, path) in paths)
    return await _match_lines(submission, options.pattern, finished.output)


async def _match_lines(submission: Submission, pattern: str, text: str) -> Report:
    """What the policy's pattern finds in the output, in a process that can be ended."""
    request = {"pattern": pattern, "line_chars_max": LINE_CHARS_MAX, "found_max": ITEMS_MAX}
    matched = await submission.run(
        [sys.executable, "-I", "-S", "-B", str(MATCH_PROBE)],
        cwd=submission.make_folder("match"),
        environment=await submission.environment(submission.job.policy.commit),
        timeout_s=PATTERN_TIMEOUT_S,
        stdin=f"{json.dumps(request)}\n{text}".encode(),
        stdout_bytes_max=OUTPUT_BYTES_MAX,
        reads=(MATCH_PROBE.parent, Path(sys.prefix), Path(sys.base_prefix)),
    )
    said = judge_exit(matched)
    if said is not None or matched.returncode != 0 or matched.stdout is None:
        raise ReportUnreadable(f"The gate's pattern could not be looked for in the output. {said or ''}".strip())
    found = json.loads(matched.stdout)
    check_number(len(found))
    return Report(tuple(map(_matched, found)), max(1, len(found)))


def _matched(groups: Mapping[str, str | None]) -> Reported:
    line, path = groups.get("line") or "", groups.get("path")
    number = int(line) if re.fullmatch("[0-9]{1,8}", line) else 0
    return Reported(
        path=plain_path(path).removeprefix("./") if path else None,
        line=number if 0 < number <= LINE_MAX else None,
        column=None,
        rule=groups.get("rule") or None,
        message=plain_message(groups.get("message") or groups[""] or ""),
    )


def _refuse_contradiction(options: Options, report: Report, items: Sequence[Reported], finished: Finished) -> None:
    """A report and an exit code that say different things judge nothing.

    Many tools end with 0 although they found something, so only our own format is held to that.
    """
    code, shown = finished.returncode, [item for item in items if not item.is_hidden]
    if options.report in PARSERS and code != 0 and not report.items:
        raise CannotJudge(f"The report lists nothing that explains the exit code {code}.", output=finished.output)
    if options.report == "gatewright" and bool(shown) != (code != 0):
        message = f"The report lists {len(shown)} of level {options.level}, but the exit code is {code}."
        raise CannotJudge(message, output=finished.output)


async def _problems(
    submission: Submission, options: Options, items: Sequence[Reported], tree: Path, commit: str
) -> list[Problem]:
    lines: dict[str, list[str]] = {}
    problems: list[Problem] = []
    for item in items:
        path = None if item.path is None else place_in(tree, item.path)
        if path is not None and path not in lines:
            lines[path] = await _source_lines(submission, commit, path)
        text = lines[path][item.line - 1] if path and item.line and item.line <= len(lines[path]) else ""
        satisfy = item.satisfy or f"Make `{options.run}` content with it."
        problems.append(Problem(item.rule or "message", item.message, path, item.line, text, satisfy=satisfy))
    return problems


async def _source_lines(submission: Submission, commit: str, path: str) -> list[str]:
    if path not in await submission.entries(commit):
        return []
    data = await submission.read(commit, path, SOURCE_BYTES_MAX)
    return (data or b"").decode("utf-8", "replace").split("\n")
