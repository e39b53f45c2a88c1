"""Evidence as replies tell it: findings, gates and questions, each cut to what a reply can carry."""

from collections.abc import Sequence

from ...gates import verdict
from ...gates.judging.objections import RULE
from ...gates.text import shorten
from ...schemas.arguments import FINDING_CHARS_MAX
from ...schemas.fitting import fitting
from ...schemas.records import Evidence, Finding, Outcome
from ...schemas.replies import FindingReply, GateReply

FINDINGS_TOLD_MAX = 20
FINDINGS_BYTES_MAX = 4_500
MESSAGE_CHARS_MAX = 220
QUESTION_CHARS_MAX = 1_500


def findings_of(evidence: Sequence[Evidence]) -> tuple[FindingReply, ...]:
    """The findings that hold the artifact up, failures first."""
    held = sorted(evidence, key=lambda item: verdict.PRECEDENCE.index(item.outcome))
    return tuple(finding_reply(f) for item in held if item.outcome is not Outcome.PASSED for f in item.findings)


def told_findings(findings: Sequence[FindingReply]) -> tuple[FindingReply, ...]:
    """The first of them, as many as a reply can carry; get_evidence pages through all."""
    return fitting(findings[:FINDINGS_TOLD_MAX], FINDINGS_BYTES_MAX)


def finding_reply(finding: Finding) -> FindingReply:
    """A finding as it is told; its text comes from programs and is cut. What reviewers say is told whole."""
    chars_max = FINDING_CHARS_MAX if finding.rule == RULE else MESSAGE_CHARS_MAX
    return FindingReply(
        id=finding.id,
        gate=finding.gate,
        severity=finding.severity,
        where=finding.where,
        rule=finding.rule,
        message=shorten(finding.message, chars_max),
        satisfy=None if finding.satisfy is None else shorten(finding.satisfy, MESSAGE_CHARS_MAX),
    )


def gate_reply(evidence: Evidence) -> GateReply:
    """One gate's line."""
    return GateReply(
        gate=evidence.gate,
        outcome=evidence.outcome,
        count=evidence.counted,
        unit=evidence.unit,
        summary=shorten(evidence.summary, MESSAGE_CHARS_MAX),
        duration_s=round(evidence.duration_s, 2),
        cached=evidence.cached,
    )


def questions_of(evidence: Sequence[Evidence]) -> tuple[str, ...]:
    """What gates ask people, cut to what a reply can carry."""
    return tuple(f"{item.gate}: {shorten(item.question, QUESTION_CHARS_MAX)}" for item in evidence if item.question)


def by_outcome(evidence: Sequence[Evidence]) -> str:
    """Every gate in a sentence, what failed first."""
    parts = []
    for outcome in verdict.PRECEDENCE:
        gates = [item for item in evidence if item.outcome is outcome]
        if not gates:
            continue
        if outcome is Outcome.PASSED:
            parts.append(f"{', '.join(item.gate for item in gates)} passed.")
        else:
            parts += [
                f"{item.gate} {outcome}: {shorten(item.summary, MESSAGE_CHARS_MAX).rstrip('.')}." for item in gates
            ]
    return " ".join(parts)
