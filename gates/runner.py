"""Judge one job: every gate of it side by side, and nothing left behind.

The runner child (`runner_child.py`) calls `judge` for the server, and `doctor` calls it in its own process.
"""

import logging
import math
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from ..schemas.pipeline import GateSpec
from ..schemas.records import Evidence, Finding, Outcome
from .artifact_store.objects import BadArtifact
from .checkout import CheckoutFailed
from .contract import NOBODYS_FAULT, AnyGateKind, CannotJudge, Done, Found, Job, Made, Message, Started
from .findings import FINDINGS_MAX, Blamed, Judged, Problem, as_said, conclude, errored
from .git import OUTAGES, GitFailed
from .judging import making
from .judging.scratch import remove_tree, scratch_folder
from .judging.submission import Submission
from .kinds import KINDS
from .kinds.scope import default_gate
from .policy import REVIEW, RUN_GATE
from .text import head_and_tail, number_of
from .verdict import QUESTION

SCRATCH = "scratch"
# The known and own runs of a suite with their second and third chances, the base's likewise, one for red_first.
RUNS_PER_GATE_MAX = 10
CLOSE_TIMEOUT_S = 60.0

log = logging.getLogger(__name__)


async def judge(job: Job, emit: Callable[[Message], None]) -> None:
    """Tell `emit` about every gate: `Started`, progress, one `Found` each, `Done` at the end.

    It raises for nothing that a gate or the artifact does; what could not be judged is ERRORED evidence, and one gate
    never hides another. Cancelled, it ends every program, removes its files and does not say `Done`.
    """
    with scratch_folder(job.cache / SCRATCH, job.evaluation) as scratch:
        try:
            made = job if job.run is None else await _make(job, emit, scratch / "making")
            if made is not None:
                await _judge_gates(Submission(made, emit, scratch), emit)
        finally:
            with anyio.move_on_after(CLOSE_TIMEOUT_S, shield=True):
                await to_thread.run_sync(remove_tree, scratch)
    emit(Done())


async def _make(job: Job, emit: Callable[[Message], None], scratch: Path) -> Job | None:
    """The job about what a `run:` stage's command made; None when there is nothing to judge, which its gate tells."""
    submission = Submission(job, emit, scratch)
    made: list[Made] = []

    async def make() -> Evidence:
        found = await making.make(submission)
        if found.made is not None:
            made.append(found.made)
        return found.evidence

    check = partial(_mapped, RUN_GATE, making.UNIT, _bound_s(job, job.limits.gate), make)
    await _tell(submission, RUN_GATE, check, emit)
    if not made:
        return None
    emit(made[0])
    return replace(job, commit=made[0].commit)


async def _judge_gates(submission: Submission, emit: Callable[[Message], None]) -> None:
    """All side by side; programs that review come last, so that nothing is spent on what does not compile."""
    always_on = {default_gate().kind, RUN_GATE.kind}
    gates = [default_gate(), *(gate for gate in submission.job.gates if gate.kind not in always_on)]
    floor, reviews = ([g for g in gates if (g.kind == REVIEW) is wanted] for wanted in (False, True))
    found = await _judge_together(submission, floor, _check, emit)
    held = [item.gate for item in found if item.outcome in {Outcome.FAILED, Outcome.ERRORED}]
    await _judge_together(submission, reviews, partial(_not_reviewed, held) if held else _check, emit)


async def _judge_together(
    submission: Submission,
    gates: Sequence[GateSpec],
    check: Callable[[Submission, GateSpec], Awaitable[Evidence]],
    emit: Callable[[Message], None],
) -> list[Evidence]:
    found: list[Evidence] = []

    async def tell(gate: GateSpec) -> None:
        found.append(await _tell(submission, gate, partial(check, submission, gate), emit))

    async with anyio.create_task_group() as tasks:
        for gate in gates:
            tasks.start_soon(tell, gate)
    return found


async def _not_reviewed(held: Sequence[str], _submission: Submission, gate: GateSpec) -> Evidence:
    return errored(gate, KINDS[gate.kind].unit, f"Not reviewed, because {', '.join(sorted(held))} did not pass.")


async def _tell(
    submission: Submission,
    gate: GateSpec,
    check: Callable[[], Awaitable[Evidence]],
    emit: Callable[[Message], None],
) -> Evidence:
    emit(Started(gate.name))
    started = time.monotonic()
    try:
        evidence = await check()
    except Exception as exc:
        log.exception("gate %s of %s failed in our own code", gate.name, submission.job.evaluation)
        sentence = f"gatewright itself failed: {type(exc).__name__}: {exc}. {NOBODYS_FAULT}"
        evidence = errored(gate, "things", sentence)
    evidence = _without_allowed(without_upheld(evidence, submission.job.upheld), submission.job.allowed)
    output = _bounded(evidence.output, submission.limits.output)
    evidence = replace(evidence, output=output, duration_s=time.monotonic() - started)
    emit(Found(evidence))
    return evidence


async def _check(submission: Submission, gate: GateSpec) -> Evidence:
    """The kind's evidence, or what its exceptions stand for."""
    job = submission.job
    if gate.kind == default_gate().kind and job.run is not None and job.commit == job.scope_base:
        return making.nothing_to_write(gate)
    kind: AnyGateKind | None = KINDS.get(gate.kind)
    if kind is None:
        return errored(gate, "things", f"The gate kind '{gate.kind}' is not in this version.")
    options = kind.options.model_validate(gate.options)
    timeout_s = getattr(options, "timeout", None) or submission.limits.gate
    bound_s = _bound_s(job, timeout_s)
    return await _mapped(gate, kind.unit, bound_s, partial(kind.check, submission, gate, options))


async def _mapped(gate: GateSpec, unit: str, bound_s: float, check: Callable[[], Awaitable[Evidence]]) -> Evidence:
    """The evidence, or what exceptions stand for."""
    try:
        with anyio.fail_after(bound_s):
            return await check()
    except CannotJudge as exc:
        return errored(gate, unit, f"{exc} {exc.advice}", output=exc.output)
    except Blamed as exc:
        return replace(conclude(gate, Judged(0, unit, new=(exc.problem,))), output=exc.output)
    except BadArtifact as exc:
        problem = Problem("artifact", str(exc), satisfy="Hand in a commit that keeps within the limits.")
        return conclude(gate, Judged(0, unit, new=(problem,)))
    except TimeoutError:
        return errored(gate, unit, f"The gate did not end within {bound_s:.0f} s. {NOBODYS_FAULT}")
    except (GitFailed, CheckoutFailed, OSError) as exc:
        is_outage = exc.is_outage if isinstance(exc, GitFailed) else getattr(exc, "errno", None) in OUTAGES
        log.warning("gate %s could not judge: %s", gate.name, exc, exc_info=not is_outage)
        return errored(gate, unit, f"The machine failed: {exc}. {NOBODYS_FAULT}")


def without_upheld(evidence: Evidence, upheld: tuple[str, ...]) -> Evidence:
    """A gate that fails only by what a person has said to be no fault has passed, if it judged anything at all.

    What it would have asked people is still to be asked: whoever upheld a dispute was not shown that.
    """
    if evidence.outcome is not Outcome.FAILED or evidence.counted == 0:
        return evidence
    asked = tuple(finding for finding in evidence.findings if finding.severity == QUESTION)
    found = tuple(finding for finding in evidence.findings if finding.severity != QUESTION)
    if not _is_whole(evidence) or not _is_upheld(upheld, found):
        return evidence
    because = "A person has said that what it found is no fault."
    if not asked:
        return _passed_by_people(evidence, because)
    known = tuple(replace(finding, severity="allowed") for finding in found)
    return replace(
        evidence,
        outcome=Outcome.PENDING,
        question=evidence.unasked,
        unasked="",
        findings=asked,
        tolerated=(*evidence.tolerated, *known),
        summary=f"{because} It asks about the rest.",
    )


def _without_allowed(evidence: Evidence, allowed: tuple[str, ...]) -> Evidence:
    """A gate that asks only what people have allowed already has passed."""
    if evidence.outcome is not Outcome.PENDING or not _is_whole(evidence) or not _covers(allowed, evidence.findings):
        return evidence
    return _passed_by_people(evidence, "A person has allowed what it asked.")


def _is_whole(evidence: Evidence) -> bool:
    """Whether its list of findings is known to be all of them: at the bound it was cut, or may have been."""
    return len(evidence.findings) < FINDINGS_MAX


def _covers(known: tuple[str, ...], findings: tuple[Finding, ...]) -> bool:
    """Whether all findings are known, each as often; of none there is nothing to know."""
    return bool(findings) and Counter(finding.fingerprint for finding in findings) <= Counter(known)


def _is_upheld(known: tuple[str, ...], findings: tuple[Finding, ...]) -> bool:
    """Whether all findings are known, each as often, by their fingerprint or by what they say."""
    left = Counter(known)
    for finding in findings:
        mark = next((mark for mark in (as_said(finding), finding.fingerprint) if left[mark]), None)
        if mark is None:
            return False
        left[mark] -= 1
    return bool(findings)


def _passed_by_people(evidence: Evidence, because: str) -> Evidence:
    known = tuple(replace(finding, severity="allowed") for finding in evidence.findings)
    return replace(
        evidence,
        outcome=Outcome.PASSED,
        question=None,
        findings=(),
        tolerated=(*evidence.tolerated, *known),
        summary=f"{number_of(evidence.counted, evidence.unit)}. {because}",
    )


def _bounded(text: str, bytes_max: int) -> str:
    data = text.encode("utf-8", "replace")
    if len(data) <= bytes_max:
        return text
    half = bytes_max // 2
    return head_and_tail(data[:half], data[-half:], len(data) - 2 * half)


def _bound_s(job: Job, timeout_s: float) -> float:
    """How long a gate may take in all, preparing the environment and waiting for slots included."""
    setup = job.policy.pipeline.setup
    prepare_s = setup.timeout if setup is not None else 0.0
    waiting = math.ceil((len(job.gates) + 1) / max(1, min(job.slots, os.cpu_count() or 1)))
    return 2 * prepare_s + RUNS_PER_GATE_MAX * timeout_s * waiting + 60.0
