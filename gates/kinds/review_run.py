"""A program that reviews: what it is told, and what it answers. The contract is in docs/gates.md.

It reads one JSON document from its standard input and writes one to its standard output. An answer that is no review is
given back once, with what is wrong with it; after that the gate could not judge.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ...schemas.pipeline import GateSpec
from ...schemas.records import Finding
from ..contract import CannotJudge
from ..judging.objections import Objection, find_contradiction, paths_with_lines
from ..judging.submission import Submission
from ..process import Finished, by_shell, judge_exit
from ..regime import judged_tree
from ..reports import ReportUnreadable
from ..reports.review_json import Answer, parse_review

VERSION = 1
DIFF_BYTES_MAX = 1_000_000
ANSWER_BYTES_MAX = 1_000_000
# What of a bad answer is given back.
ANSWER_SHOWN_CHARS_MAX = 20_000


class Asked(Protocol):
    """The options that a run needs."""

    @property
    def ask(self) -> str | None: ...

    @property
    def network(self) -> bool: ...

    @property
    def timeout(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Reviewed:
    """An answer that can be taken in; `contents` are the files that it names lines of.

    `repaired` is what was wrong with the answer before it.
    """

    answer: Answer
    contents: Mapping[str, bytes]
    finished: Finished
    repaired: str | None = None


async def review(submission: Submission, gate: GateSpec, command: str, options: Asked) -> Reviewed:
    """Run the program, a second time when its answer is no review. Raises `CannotJudge` when that is none either."""
    told = await _told(submission, gate, options)
    finished = await _run(submission, command, options, told)
    try:
        return await _taken(submission, finished)
    except ReportUnreadable as exc:
        problem = str(exc)
    submission.report(f"'{gate.name}' answered no review; it is asked once more")
    said = (finished.stdout or b"").decode("utf-8", "replace")[:ANSWER_SHOWN_CHARS_MAX]
    again = await _run(submission, command, options, {**told, "repair": {"problem": problem, "answer": said}})
    try:
        return replace(await _taken(submission, again), repaired=problem)
    except ReportUnreadable as exc:
        raise CannotJudge(f"`{command}` answered no review, twice: {exc}", output=again.output) from exc


async def _taken(submission: Submission, finished: Finished) -> Reviewed:
    """What a run answered. Raises `ReportUnreadable` when it is no review."""
    answer = parse_review(_answer_of(finished))
    contents = await _contents(submission, answer.objections)
    paths = await _paths(submission)
    wrong = find_contradiction(answer.objections, answer.inspected, paths=paths, contents=contents)
    if wrong is not None:
        raise ReportUnreadable(f"{wrong}.")
    return Reviewed(answer, contents, finished)


async def _run(submission: Submission, command: str, options: Asked, told: Mapping[str, object]) -> Finished:
    commit = submission.job.commit
    run_in = await judged_tree(submission, commit)
    async with submission.workplace(run_in, of=commit) as (tree, environment):
        finished = await submission.run(
            by_shell(command),
            cwd=tree,
            environment=environment,
            timeout_s=options.timeout or submission.limits.gate,
            stdin=json.dumps(told, ensure_ascii=False).encode("utf-8", "replace"),
            stdout_bytes_max=ANSWER_BYTES_MAX,
            network=options.network,
        )
    said = judge_exit(finished)
    if said is None and finished.returncode != 0:
        said = f"`{command}` ended with exit code {finished.returncode}; a program that reviews ends with 0."
    if said is not None:
        raise CannotJudge(said, output=finished.output)
    return finished


async def _told(submission: Submission, gate: GateSpec, options: Asked) -> dict[str, object]:
    job = submission.job
    spec = job.spec
    diff = await submission.diff(job.scope_base, job.commit, None, DIFF_BYTES_MAX)
    inputs = [] if spec is None else [{"stage": i.stage, "commit": i.commit, "paths": i.paths} for i in spec.inputs]
    answers = {} if spec is None else {answer.finding: answer for answer in spec.answers}
    former = [] if spec is None else [_former(finding, answers) for finding in spec.findings]
    return {
        "version": VERSION,
        "change": job.change,
        "stage": job.stage,
        "gate": gate.name,
        "commit": job.commit,
        "base": job.scope_base,
        # All of them, up to the policy's `entries`: what a reviewer is not told of is accepted unseen.
        "paths": [change.path for change in await submission.changes(job.scope_base, job.commit)],
        "diff": diff,
        "spec": {
            "intent": "" if spec is None else spec.intent,
            "goal": "" if spec is None else spec.goal,
            "ask": options.ask or "",
            "inputs": inputs,
        },
        "former": former,
        "repair": None,
    }


def _former(finding: Finding, answers: Mapping[str, object]) -> dict[str, object]:
    answer = answers.get(finding.id)
    return {
        "id": finding.id,
        "severity": finding.severity,
        "path": finding.path,
        "line": finding.line,
        "message": finding.message,
        "disposition": getattr(answer, "disposition", None),
        "note": getattr(answer, "note", None),
    }


def _answer_of(finished: Finished) -> bytes:
    if finished.stdout is None:
        raise ReportUnreadable(f"The answer has more than {ANSWER_BYTES_MAX} bytes.")
    return finished.stdout


async def _paths(submission: Submission) -> set[str]:
    job = submission.job
    return {*await submission.entries(job.commit), *await submission.entries(job.scope_base)}


async def _contents(submission: Submission, objections: Sequence[Objection]) -> dict[str, bytes]:
    """The files of which a line is named, of the commit or, where it has them no more, of its base."""
    job = submission.job
    contents: dict[str, bytes] = {}
    for path in paths_with_lines(objections):
        for commit in (job.commit, job.scope_base):
            data = await submission.read(commit, path, submission.limits.tree)
            if data is not None:
                contents[path] = data
                break
    return contents
