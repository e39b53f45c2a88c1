"""From a record to the job that a runner judges, and what of it is known already.

A passed verdict belongs to one tree, one base, one policy and one gate; asked again, it is served from the cache and
says so. Only the server writes the cache. Failures are not served: a flake must not outlive the person's retry. But it
is known that there was one, and a pass of the same afterwards counts only where it was found.
"""

import hashlib
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from ... import __version__
from ...gates.contract import Handed, Job, Merged, Run, Spec
from ...gates.findings import as_said, on_one_line
from ...gates.isolation.installations import surroundings
from ...gates.paths import fill
from ...gates.policy import (
    APPROVAL,
    REVIEW,
    RUN_GATE,
    SCOPE_GATE,
    Policy,
    awaits_reviewers,
    gate_digest,
    land_gates_of,
)
from ...schemas.ids import LAND
from ...schemas.pipeline import GateSpec
from ...schemas.records import ChangeRecord, Evidence, Finding, Outcome
from ..operations import bases, former, taking_in
from ..operations.briefs import filled_options, writes_of
from ..services import Services
from ..store import EvaluationRow, Purpose

if TYPE_CHECKING:
    from ..store.tx import Tx

# Paths by commit.
Altered: TypeAlias = Mapping[str, Collection[str]]

ALLOWED = "allowed"
# Kinds that compare with where the stage started, and not only with the change's base.
COMPARED_WITH_START = frozenset({"ruff", "trace"})
# Kinds that look at other stages of the pipeline than their own.
PIPELINE_READERS = frozenset({"trace"})
# Kinds that start no program, so that nothing of the machine can decide.
RUN_NOTHING = frozenset({"scope", "document"})
# Kinds that have nothing to say of a commit that nobody has handed in.
NOTHING_TO_WARM = frozenset({SCOPE_GATE.kind, REVIEW, APPROVAL})
# Programs that look at commits, by which two of the same tree can be told apart.
HISTORIANS = re.compile(r"(?<![\w.-])(?:git|gitlint|gitleaks|trufflehog|commitlint|cog|cz)(?![\w.-])")


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged: `commit` against `base`; only what differs from `scope_base` may be blamed on it."""

    commit: str
    tree: str
    base: str
    scope_base: str


def subject_of(services: Services, record: ChangeRecord, row: EvaluationRow) -> Subject:
    """The subject of an evaluation of a stage or a dry run; of a `run:` stage what it starts from, till it is made.

    Blocking: git may be asked.
    """
    if row.purpose is Purpose.RUN:
        base = bases.stage_base(services, record, row.stage).commit
        return Subject(base, services.artifacts.tree_of(base), record.base, base)
    if row.purpose is Purpose.ATTEMPT:
        attempt = record.stage(row.stage).attempts[(row.attempt or 0) - 1]
        return Subject(attempt.commit, attempt.tree, record.base, attempt.base)
    assert row.commit is not None
    assert row.scope_base is not None
    return Subject(row.commit, row.tree or services.artifacts.tree_of(row.commit), record.base, row.scope_base)


def gates_of(policy: Policy, record: ChangeRecord, row: EvaluationRow) -> tuple[GateSpec, ...]:
    """The gates to run, `scope` first where it is asked for, with the change's names filled in."""
    if row.purpose is Purpose.LAND:
        return tuple(filled_options(gate, record, LAND) for gate in land_gates_of(policy.pipeline))
    if row.purpose is Purpose.WARM:
        return tuple(gate for gate in land_gates_of(policy.pipeline) if gate.kind not in NOTHING_TO_WARM)
    always_on = (SCOPE_GATE, RUN_GATE) if row.purpose is Purpose.RUN else (SCOPE_GATE,)
    declared = (*always_on, *policy.pipeline.stages[row.stage].gates)
    wanted = [g for g in declared if not awaits_reviewers(g) and (not row.gates or g.name in row.gates)]
    return tuple(filled_options(gate, record, row.stage) for gate in wanted)


def make_job(
    services: Services, record: ChangeRecord, row: EvaluationRow, subject: Subject, gates: Sequence[GateSpec]
) -> Job:
    """The job, without what is known about the base or has been allowed. Blocking."""
    policy = services.policies.at(record.policy.commit)
    is_stage = row.purpose in {Purpose.ATTEMPT, Purpose.RUN, Purpose.DRY}
    # The runner looks into our store alone, and another server may have taken these in.
    services.artifacts.require(subject.commit, subject.base, subject.scope_base, policy.commit)
    taken = _taken_in(services, record, row, subject) if is_stage else taking_in.NOTHING
    return Job(
        evaluation=row.id,
        change=record.id,
        stage=row.stage,
        commit=subject.commit,
        base=subject.base,
        scope_base=subject.scope_base,
        policy=policy,
        gates=tuple(gates),
        writes=writes_of(record, policy, row.stage) if is_stage else ("**",),
        store=services.artifacts.path,
        shared=services.repository.common_dir,
        cache=services.cache,
        slots=os.cpu_count() or 1,
        merges=taken.merges,
        merged_again=taken.again,
        run=_run(record, policy, row) if row.purpose is Purpose.RUN else None,
        spec=_spec(services, record, policy, row) if any(gate.kind == REVIEW for gate in gates) else None,
    )


def _spec(services: Services, record: ChangeRecord, policy: Policy, row: EvaluationRow) -> Spec:
    """What a program that reviews is told was wanted. Blocking: git is asked what the needs changed."""
    if row.stage == LAND:
        needs, goal = policy.pipeline.land.needs, ""
    else:
        needs, goal = policy.pipeline.stages[row.stage].needs, policy.pipeline.stages[row.stage].goal
    artifacts = [(need, record.stage(need).artifact) for need in needs]
    inputs = tuple(
        Handed(need, handed.commit, tuple(c.path for c in services.artifacts.changes(handed.base, handed.commit)))
        for need, handed in artifacts
        if handed is not None
    )
    if row.stage == LAND:
        return Spec(record.intent, goal, inputs)
    stage = record.stage(row.stage)
    found = services.store.read(lambda tx: former.findings(tx, stage))
    return Spec(record.intent, fill(goal, change=record.id, stage=row.stage), inputs, found, former.answers(stage))


def _run(record: ChangeRecord, policy: Policy, row: EvaluationRow) -> Run:
    stage = policy.pipeline.stages[row.stage]
    assert stage.run is not None, "the plan says which stages the server runs"
    command = fill(stage.run, change=record.id, stage=row.stage)
    message = f"Run {row.stage} of {record.id}: {record.title}\n\nMade by `{command}`.\n"
    trailers = f"Gatewright-Change: {record.id}\nGatewright-Stage: {row.stage}\n"
    return Run(command, stage.network, f"{message}\n{trailers}", row.created_at)


def _taken_in(services: Services, record: ChangeRecord, row: EvaluationRow, subject: Subject) -> taking_in.TakenIn:
    """The merges of the target, after that of what the needs handed over."""
    start = bases.stage_base(services, record, row.stage)
    taken = taking_in.look(services, record, start.commit, subject.scope_base, subject.commit)
    under = (Merged(start.commit, start.conflicts),) if start.conflicts else ()
    return taking_in.TakenIn((*under, *taken.merges), taken.again)


def altered_since(services: Services, record: ChangeRecord, job: Job, subject: Subject) -> Altered:
    """By each commit of which a person has upheld something, the paths that the subject has otherwise.

    None for a `run:` stage, whose subject is still to be made. Blocking.
    """
    if job.run is not None:
        return {}
    commits = {attempt.commit for stage in record.stages for attempt in stage.attempts if attempt.upheld}
    return {
        commit: frozenset(on_one_line(change.path) for change in services.artifacts.changes(commit, subject.commit))
        for commit in commits
    }


def with_knowledge(tx: "Tx", job: Job, record: ChangeRecord, subject: Subject, altered: Altered) -> Job:
    """The job with what is known about its base, and what people have allowed and upheld in this change already."""
    prefix = baseline_key(job.base, "")
    known = {key.removeprefix(prefix): value for key, value in tx.cache_find(prefix).items()}
    upheld = tuple(sorted(_upheld(tx, record, subject, altered)))
    return replace(job, baselines=known, allowed=tuple(sorted(_allowed(tx, record))), upheld=upheld)


def baseline_key(base: str, key: str) -> str:
    """Where a base result is kept: by the base commit first, so that all of one base are found at once."""
    return f"baseline:{base}:{key}"


def find_known(tx: "Tx", job: Job, subject: Subject) -> dict[str, Evidence]:
    """The gates of the job that are known to pass, by name; none for what is still to be made."""
    from ..store.tx import evidence_adapter

    if job.run is not None:
        return {}
    found = {}
    for gate in job.gates:
        text = tx.cache_get(verdict_key(job, gate, subject))
        if text is not None:
            found[gate.name] = replace(evidence_adapter().validate_json(text), cached=True, gate=gate.name)
    return found


def may_be_kept(evidence: Evidence, subject: Subject) -> bool:
    """Whether evidence may be served again: a pass that no person had a part in.

    Nor what is found about a command that was run, or because of it: that it had nothing to add excuses no agent.
    """
    if evidence.kind == RUN_GATE.kind or (evidence.kind == SCOPE_GATE.kind and subject.commit == subject.scope_base):
        return False
    return evidence.outcome is Outcome.PASSED and not any(f.severity == ALLOWED for f in evidence.tolerated)


def verdict_key(job: Job, gate: GateSpec, subject: Subject) -> str:
    """Equal exactly when the gate would be run on the same bytes under the same rules in the same surroundings.

    Which level of isolation the surroundings reach is told by the evidence: see `is_of_level`.
    """
    inputs: dict[str, object] = {
        "tree": subject.tree,
        "base": subject.base,
        "policy": _digest_for(job.policy, gate),
        "gate": gate_digest(gate),
        "surroundings": _surroundings(),
    }
    if _looks_at_history(gate):
        inputs |= {"commit": subject.commit}
    if gate.kind == REVIEW:
        inputs |= {"spec": asdict(job.spec) if job.spec is not None else None, "from": subject.scope_base}
    if gate.kind in COMPARED_WITH_START:
        inputs |= {"from": subject.scope_base, "change": job.change}
    if gate.kind == SCOPE_GATE.kind:
        # The history of the range counts for it, and what the stage may write.
        inputs |= {
            "commit": subject.commit,
            "from": subject.scope_base,
            "writes": job.writes,
            "merges": [asdict(merged) for merged in job.merges],
            "again": asdict(job.merged_again) if job.merged_again is not None else None,
        }
    return f"verdict:{_digest(inputs)}"


def _digest_for(policy: Policy, gate: GateSpec) -> str:
    """What of the policy decides about the gate's verdict: a re-pin that alters none of it leaves what is known."""
    return policy.digest if gate.kind in PIPELINE_READERS else policy.rules_digest


def doubt_key(verdict: str) -> str:
    """Where it is kept that the gate of this verdict's key has failed."""
    return f"doubt:{verdict}"


def is_of_level(evidence: Evidence, level: str) -> bool:
    """Whether evidence would be found at this level of isolation too: what passed in the open may not pass shut in."""
    return evidence.kind in RUN_NOTHING or evidence.isolation == level


def _looks_at_history(gate: GateSpec) -> bool:
    """Whether a gate may tell two commits of the same tree apart: by their messages, and by what came before."""
    run = gate.options.get("run")
    return bool(gate.options.get("history")) or (isinstance(run, str) and HISTORIANS.search(run) is not None)


def _surroundings() -> Mapping[str, str]:
    return {"gatewright": __version__, "python": sys.version, **surroundings()}


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _allowed(tx: "Tx", record: ChangeRecord) -> Iterable[str]:
    """The fingerprints of what people have allowed in this change: the same thing is not asked twice.

    Each as often as it was allowed at once: who allowed a line in one place has not seen it in two.
    """
    allowed: Counter[str] = Counter()
    for stage in record.stages:
        for attempt in stage.attempts:
            if attempt.allowed:
                for stored in tx.evidence_of(attempt.evaluation):
                    if stored.evidence.gate in attempt.allowed:
                        allowed |= Counter(finding.fingerprint for finding in stored.evidence.findings)
    return allowed.elements()


def _upheld(tx: "Tx", record: ChangeRecord, subject: Subject, altered: Altered) -> Iterable[str]:
    """What gates failed by and a person said to be no fault, each as often as it was found at once.

    In the tree of which it was said by its fingerprint, in any other by what it says too: a test has many failures, and
    the person was shown one. What names a file and no line is about the file's bytes, so it is upheld as long as they
    are the same; what names no place stands for all that a program said, so it is upheld for that tree alone.
    """
    upheld: Counter[str] = Counter()
    for attempt in (attempt for stage in record.stages for attempt in stage.attempts if attempt.upheld):
        for stored in tx.evidence_of(attempt.evaluation):
            if stored.evidence.outcome is Outcome.FAILED:
                found = [f for f in stored.evidence.findings if f.fingerprint in attempt.upheld]
                if attempt.tree == subject.tree:
                    upheld |= Counter(finding.fingerprint for finding in found)
                else:
                    others = altered.get(attempt.commit)
                    upheld |= Counter(as_said(finding) for finding in found if _is_unaltered(finding, others))
    return upheld.elements()


def _is_unaltered(finding: Finding, altered: Collection[str] | None) -> bool:
    """Whether what a finding is about is still what it was about, in a tree with these other paths; None: unknown."""
    if finding.path is None:
        return False
    return finding.line is not None or (altered is not None and finding.path not in altered)
