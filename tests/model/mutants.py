"""Bugs that the search must find: each is the real function with one line of it made wrong.

A mutant replaces the code of the function in place, so that whoever imported it meets it. A text that is not there any
more is told at once: a mutant that changes nothing would prove nothing.
"""

import inspect
import sys
import textwrap
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType

from gatewright.gates import lifecycle, verdict
from gatewright.gates.machine import (
    approvals,
    decision,
    landing,
    precedence,
    questions,
    reviewing,
    settlement,
    stage_steps,
)
from gatewright.server.operations import repeating

from . import world
from .plans import SCENARIOS
from .search import Search
from .ways import Figures

# A bug that is not found in so many states has survived.
STATES_MAX = 5_000


@dataclass(frozen=True, slots=True)
class Edit:
    """`old` becomes `new` in a function, everywhere in it."""

    function: object
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A bug, where the search meets it, and the invariants of which one must tell."""

    name: str
    scenario: str
    invariants: tuple[str, ...]
    edits: tuple[Edit, ...]


def _function(function: object) -> FunctionType:
    assert isinstance(function, FunctionType), f"{function} is a function of ours"
    return function


def _edit(function: object, old: str, new: str) -> Edit:
    return Edit(_function(function), old, new)


MUTANTS = (
    Mutant(
        "any fence acts on a claimed stage",
        "one stage",
        ("I2",),
        (_edit(precedence.refuse_lease, "None if holds(stage, fence) else", "None if stage.lease else"),),
    ),
    Mutant(
        "a fence is used again",
        "one stage",
        ("I2",),
        (
            _edit(lifecycle._claim, "fence=stage.fence + 1", "fence=max(1, stage.fence)"),
            _edit(stage_steps.claimed, "event.lease.fence == stage.fence + 1", "event.lease.fence"),
        ),
    ),
    Mutant(
        "a stage is reopened without its consumers",
        "one after the other",
        ("I1", "I7"),
        (
            _edit(
                decision.Decision.reopen, "self._close_consumers(name, f\"'{name}' was reopened: {note.text}\")", "pass"
            ),
        ),
    ),
    Mutant(
        "an errored attempt is paid for",
        "one stage",
        ("I10",),
        (
            _edit(
                stage_steps.errored,
                "moved(stage, Step.ERROR)",
                "replace(moved(stage, Step.ERROR), failed=stage.failed + 1)",
            ),
        ),
    ),
    Mutant(
        "a result counts whatever it is the result of",
        "one stage",
        ("I3",),
        (_edit(settlement.settle, "attempt.evaluation != command.evaluation", "False"),),
    ),
    Mutant(
        "an attempt is settled twice",
        "one stage",
        ("I3",),
        (
            _edit(settlement.settle, "stage.state is not StageState.EVALUATING", "False"),
            _edit(settlement.settle, "attempt.state is not AttemptState.JUDGING", "False"),
            _edit(stage_steps._settled, "assert current.state is AttemptState.JUDGING", "assert current"),
            _edit(stage_steps.passed, "moved(stage, Step.PASS)", "replace(stage, state=StageState.PASSED)"),
        ),
    ),
    Mutant(
        "an own review counts",
        "reviewed by two",
        ("I5",),
        (
            _edit(
                reviewing._refuse_for,
                "any(_is_same(rule.independence, command, m.principal, m.holder, m.model) for m in makers)",
                "False",
            ),
            _edit(stage_steps.reviewed, "assert event.review.principal not in makers", "assert attempt"),
        ),
    ),
    Mutant(
        "whose work was adopted reviews it",
        "adopted",
        ("I5",),
        (_edit(lifecycle._submit, "adopted=_adopted(stage, stage.lease, command)", "adopted=()"),),
    ),
    Mutant(
        "a review lease outlives its attempt",
        "reviewed by two",
        ("I5",),
        (_edit(stage_steps._superseded, ", review_leases=()", ""),),
    ),
    Mutant(
        "a review counts for another commit",
        "reviewed by two",
        ("I5",),
        (
            _edit(reviewing.give, "commit=attempt.commit", 'commit="another"'),
            _edit(stage_steps.reviewed, "assert event.review.commit == attempt.commit", "assert attempt"),
        ),
    ),
    Mutant(
        "a reviewer counts twice",
        "reviewed by two",
        ("I5",),
        (_edit(reviewing._has_judged, "return any(", "return False and any("),),
    ),
    Mutant(
        "a rejected review counts towards the quorum",
        "reviewed by two",
        ("I4", "I6"),
        (_edit(reviewing.give, "if review.is_rejecting:", "if False:"),),
    ),
    Mutant(
        "a missing gate passes",
        "one stage",
        ("I4",),
        (_edit(verdict.combine, "if not required or set(required) - {gate.gate for gate in found}:", "if not found:"),),
    ),
    Mutant(
        "a stage passes before its reviewers have spoken",
        "reviewed by two",
        ("I4",),
        (_edit(settlement.settle, "case Outcome.PASSED if not rule.reviews:", "case Outcome.PASSED:"),),
    ),
    Mutant(
        "a person's approval counts twice",
        "approved by two",
        ("I5",),
        (
            _edit(
                approvals.refuse_approval, "any(approval.person == command.person for approval in asked.given)", "False"
            ),
        ),
    ),
    Mutant(
        "an approval counts for another commit",
        "approved by two",
        ("I5",),
        (
            _edit(
                approvals.refuse_approval, "(command.commit, command.target) != (asked.commit, asked.target)", "False"
            ),
            _edit(stage_steps.approved, "assert approval.commit == attempt.commit", "assert attempt"),
        ),
    ),
    Mutant(
        "a maker approves the landing",
        "approved by two",
        ("I5",),
        (_edit(approvals._makers_of_landing, "for maker in stage.makers(artifact)", "for maker in ()"),),
    ),
    Mutant(
        "the target moves without comparing",
        "one stage",
        ("I11",),
        (_edit(world.compare, "return target == old", "return True"),),
    ),
    Mutant(
        "people reopen under the intent to land",
        "one stage",
        ("I11",),
        (_edit(precedence.refuse_change, "refusals.change_landing(record.id, record.target, because)", "None"),),
    ),
    Mutant(
        "a landing lands that another one was",
        "one stage",
        ("I3", "I11"),
        (_edit(landing._is_intended, " and landing.number == number", ""),),
    ),
    Mutant(
        "what is carried is judged on former inputs",
        "one after the other",
        ("I7",),
        (_edit(decision.Decision.is_current, "attempt.inputs == self.record.inputs_of(name)", "True"),),
    ),
    Mutant(
        "a lease runs out while the gates judge",
        "one stage",
        ("I2",),
        (
            _edit(
                precedence.refuse_claim,
                'assert stage.current is not None, "an attempt is judged"',
                "if stage.lease and is_expired(stage.lease, now):\n                return None",
            ),
            _edit(stage_steps.claimed, "moved(stage, step)", "replace(stage, state=StageState.CLAIMED)"),
        ),
    ),
    Mutant(
        "a lease is taken before it has run out",
        "one stage",
        ("I2",),
        (_edit(precedence.is_expired, "now >= lease.expires_at", "True"),),
    ),
    Mutant(
        "attempts have no budget",
        "one stage",
        ("I10",),
        (_edit(settlement.fail_stage, "failed >= rule.attempts + stage.granted", "False"),),
    ),
    Mutant(
        "stages reopen each other for ever",
        "one after the other",
        ("I10",),
        (
            _edit(
                decision.Decision.reopen_automatically,
                "self.record.stage(name).reopened < self.record.rule(name).reopens",
                "True",
            ),
        ),
    ),
    Mutant(
        "landing is tried for ever",
        "one stage",
        ("I10",),
        (_edit(landing._try_again, "decision.record.landing_failures < LANDING_FAILURES_MAX", "True"),),
    ),
    Mutant(
        "people cannot move what is escalated",
        "made by the server alone",
        ("I12",),
        (
            _edit(questions.answer, "if stage.state is StageState.ESCALATED:", "if False:"),
            _edit(questions.retry_gates, "stage.state is not StageState.ESCALATED", "True"),
            _edit(questions.reopen, "{StageState.PASSED, StageState.ESCALATED}", "{StageState.PASSED}"),
        ),
    ),
    Mutant(
        "a stage opens before its needs have passed",
        "one after the other",
        ("I1",),
        (_edit(decision.Decision.open_ready, "ready = all(", "ready = any([True]) or all("),),
    ),
    Mutant(
        "a key is forgotten",
        "one stage",
        ("I8",),
        (_edit(repeating.once, "if done is not None:", "if False:"),),
    ),
    Mutant(
        "a key counts for whatever comes with it",
        "one stage",
        ("I8",),
        (_edit(repeating.find_effect, "kept.request_digest != request.digest", "False"),),
    ),
)


def hunt(mutant: Mutant) -> Figures:
    """Search the mutant's scenario with its bug in the machine, until something is found or the bound is met."""
    with bred(mutant):
        return Search(SCENARIOS[mutant.scenario], states_max=STATES_MAX).run()


@contextmanager
def bred(mutant: Mutant) -> Generator[None]:
    """The machine with this bug in it, for as long as it lasts."""
    functions = functions_of(mutant)
    kept = [function.__code__ for function in functions]
    try:
        for function in functions:
            function.__code__ = _changed(function, [edit for edit in mutant.edits if edit.function is function])
        yield
    finally:
        for function, code in zip(functions, kept, strict=True):
            function.__code__ = code


def functions_of(mutant: Mutant) -> list[FunctionType]:
    """The real functions that the bug is in, each once."""
    found = dict.fromkeys(edit.function for edit in mutant.edits)
    return [_function(function) for function in found]


def _changed(function: FunctionType, edits: list[Edit]) -> CodeType:
    source = textwrap.dedent(inspect.getsource(function))
    for edit in edits:
        assert edit.old in source, f"{function.__qualname__} does not say any more: {edit.old}"
        source = source.replace(edit.old, edit.new)
    place: dict[str, object] = {}
    module = sys.modules[function.__module__]
    exec(compile(source, f"<mutant of {function.__qualname__}>", "exec"), {**vars(module)}, place)
    return _function(place[function.__name__]).__code__
