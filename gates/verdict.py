"""Combine what a stage's gates found into one outcome: pure.

Empty means refused (rule 7): a verdict without evidence for every gate of the policy is never a pass.
"""

from collections.abc import Iterable, Sequence

from ..schemas.records import Evidence, GateOutcome, Outcome

# The severity of what a gate asks.
QUESTION = "question"

GateOutcomes = tuple[GateOutcome, ...]

# The first that occurs decides. A failure outranks an error: the agent can act on it, and nobody can on the error.
PRECEDENCE = (Outcome.FAILED, Outcome.ERRORED, Outcome.PENDING, Outcome.PASSED)


def combine(required: Sequence[str], found: Sequence[GateOutcome]) -> Outcome:
    """The outcome of a stage whose policy has the `required` gates. A missing gate, or none at all, is ERRORED."""
    outcomes = {gate.outcome for gate in found}
    if not required or set(required) - {gate.gate for gate in found}:
        outcomes.add(Outcome.ERRORED)
    return next(outcome for outcome in PRECEDENCE if outcome in outcomes)


def outcomes_of(evidence: Iterable[Evidence]) -> GateOutcomes:
    """One line a gate, as the record keeps it."""
    return tuple(GateOutcome(item.gate, item.outcome) for item in evidence)


def fingerprints_of(evidence: Iterable[Evidence]) -> tuple[str, ...]:
    """The sorted fingerprints of everything that failed the artifact: what progress is measured by (rule 5).

    What the same gate would have asked people is not among them: a dispute of its findings answers no question.
    """
    found = (f for item in evidence if item.outcome is Outcome.FAILED for f in item.findings)
    return tuple(sorted({f.fingerprint for f in found if f.severity != QUESTION}))


def passed_by_people(gates: Sequence[GateOutcome], allowed: Iterable[str]) -> GateOutcomes:
    """The outcomes once people have allowed what those gates asked."""
    permitted = set(allowed)
    return tuple(
        GateOutcome(g.gate, Outcome.PASSED) if g.gate in permitted and g.outcome is Outcome.PENDING else g
        for g in gates
    )
