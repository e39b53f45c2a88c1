"""Know a finding again whose line was laid out anew: it stands in the statement that it stood in on the base.

The second pass of the comparison with the base, over what the first one, which goes by the text of the line, leaves as
new. A probe that imports nothing of the tree says in which statement a line stands.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..findings import Problem, fingerprint, split_by_base
from ..process import judge_exit
from ..submission import Submission
from .ruff_tool import SYNTAX, Ruff

PROBE = Path(__file__).parent / "probes" / "statements_probe.py"
REPORT_BYTES_MAX = 50_000_000


async def split_by_statement(
    submission: Submission, ruff: Ruff, problems: Sequence[Problem], base: Sequence[Problem], moved: Mapping[str, str]
) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """As `split_by_base`, but a problem of the base may also be known by its statement, in the same file.

    One whose statement cannot be told stays new.
    """
    new, tolerated = split_by_base(problems, base, moved)
    if not new or not base:
        return new, tolerated
    was = [replace(p, path=moved.get(p.path, p.path) if p.path else None) for p in problems]
    gone, _ = split_by_base(base, was, {})
    alike = {_apart_from_text(p, moved) for p in new} & {_apart_from_text(p, {}) for p in gone}
    now = [p for p in new if _stands_somewhere(p) and _apart_from_text(p, moved) in alike]
    before = [p for p in gone if _stands_somewhere(p) and _apart_from_text(p, {}) in alike]
    if not now or not before:
        return new, tolerated
    stood = await _statements(submission, ruff, submission.job.base, before)
    stand = await _statements(submission, ruff, submission.job.commit, now) if any(stood) else [""] * len(now)
    left = Counter(fingerprint(replace(p, text=text), {}) for p, text in zip(before, stood, strict=True) if text)
    relaid = Counter[Problem]()
    for problem, text in zip(now, stand, strict=True):
        mark = fingerprint(replace(problem, text=text), moved)
        if text and left[mark]:
            left[mark] -= 1
            relaid[problem] += 1
    known = tuple(relaid.elements())
    return tuple((Counter(new) - relaid).elements()), (*tolerated, *known)


def _stands_somewhere(problem: Problem) -> bool:
    return problem.rule != SYNTAX and problem.path is not None and problem.line is not None


def _apart_from_text(problem: Problem, moved: Mapping[str, str]) -> str:
    return fingerprint(replace(problem, text=""), moved)


async def _statements(submission: Submission, ruff: Ruff, commit: str, problems: Sequence[Problem]) -> list[str]:
    """For each problem what its statement says; empty where that cannot be told."""
    places = [(problem.path or "", problem.line or 0, problem.column or 0) for problem in problems]
    async with submission.pristine(commit) as tree:
        request = {"tree": str(tree), "places": places}
        finished = await submission.run(
            [str(ruff.environment.python), "-I", "-S", "-B", str(PROBE)],
            cwd=tree,
            environment=ruff.environment,
            timeout_s=ruff.timeout_s,
            stdin=json.dumps(request).encode(),
            stdout_bytes_max=REPORT_BYTES_MAX,
        )
    if judge_exit(finished) is not None or finished.returncode != 0 or finished.stdout is None:
        # A file on which the probe ends early excuses nothing.
        return [""] * len(problems)
    found: list[str] = json.loads(finished.stdout)["statements"]
    return found
