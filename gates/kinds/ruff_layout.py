"""Know a finding again whose line was laid out anew: it stands in the statement that it stood in on the base.

The second pass of the comparison with the base, over what the first one, which goes by the text of the line, leaves as
new. A probe that imports nothing of the tree says in which statement a line stands.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import compress
from operator import not_
from pathlib import Path
from typing import TypeVar

from ..findings import Problem, fingerprint, split_by_base
from ..judging.submission import Submission
from ..process import judge_exit
from .ruff_tool import SYNTAX, Ruff

PROBE = Path(__file__).parent / "probes" / "statements_probe.py"
REPORT_BYTES_MAX = 50_000_000

_Mark = TypeVar("_Mark", str, Problem)


async def split_by_statement(
    submission: Submission, ruff: Ruff, problems: Sequence[Problem], base: Sequence[Problem], moved: Mapping[str, str]
) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """As `split_by_base`, but a problem of the base may also be known by its statement, in the same file.

    One whose statement cannot be told stays new.
    """
    new, tolerated = split_by_base(problems, base, moved)
    was = [replace(p, path=moved.get(p.path, p.path) if p.path else None) for p in problems]
    gone, _ = split_by_base(base, was, {}) if new else ((), ())
    alike = {_mark(p, "", moved) for p in new if _stands(p)} & {_mark(p, "", {}) for p in gone if _stands(p)}
    if not alike:
        return new, tolerated
    job = submission.job
    before = await _statements(submission, ruff, job.base, [p for p in base if _mark(p, "", {}) in alike])
    now = await _statements(submission, ruff, job.commit, [p for p in problems if _mark(p, "", moved) in alike])
    # Of several with the same line, those are held that also stand in the same statement; the others may be relaid.
    marks_before = [_mark(p, f"{p.text} {before.get(p, '')}", {}) for p in base]
    marks_now = [_mark(p, f"{p.text} {now.get(p, '')}", moved) for p in problems]
    gone, _ = split_by_base(_shared_first(base, marks_before, marks_now), was, {})
    new, _ = split_by_base(_shared_first(problems, marks_now, marks_before), base, moved)
    left = Counter(_mark(p, before[p], {}) for p in gone if p in before)
    fresh = Counter(p for p in new if p not in now or not _take(left, _mark(p, now[p], moved)))
    is_new = [_take(fresh, p) for p in problems]
    return tuple(compress(problems, is_new)), tuple(compress(problems, map(not_, is_new)))


def _stands(problem: Problem) -> bool:
    """Whether a statement can be looked for."""
    return problem.rule != SYNTAX and problem.path is not None and problem.line is not None


def _mark(problem: Problem, text: str, moved: Mapping[str, str]) -> str:
    """The fingerprint with another text than the line's."""
    return fingerprint(replace(problem, text=text), moved)


def _shared_first(problems: Sequence[Problem], marks: Sequence[str], others: Sequence[str]) -> list[Problem]:
    """The problems, those first whose mark is among the others', by number."""
    left = Counter(others)
    is_shared = [_take(left, mark) for mark in marks]
    return [*compress(problems, is_shared), *compress(problems, map(not_, is_shared))]


def _take(left: Counter[_Mark], mark: _Mark) -> bool:
    """Take one of these away; False when there is none left."""
    left[mark] -= 1
    return left[mark] >= 0


async def _statements(
    submission: Submission, ruff: Ruff, commit: str, problems: Sequence[Problem]
) -> dict[Problem, str]:
    """What the statement says that a problem stands in, for those of which that can be told."""
    async with submission.pristine(commit) as tree:
        places = [(problem.path, problem.line, problem.column or 0) for problem in problems]
        finished = await submission.run(
            [str(ruff.environment.python), "-I", "-S", "-B", str(PROBE)],
            cwd=tree,
            environment=ruff.environment,
            timeout_s=ruff.timeout_s,
            stdin=json.dumps({"tree": str(tree), "places": places}).encode(),
            stdout_bytes_max=REPORT_BYTES_MAX,
        )
    if judge_exit(finished) is not None or finished.returncode != 0 or finished.stdout is None:
        # A file on which the probe ends early excuses nothing.
        return {}
    digests = json.loads(finished.stdout)["statements"]
    return {problem: digest for problem, digest in zip(problems, digests, strict=True) if digest}
