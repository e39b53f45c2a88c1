"""A change to tell stories about: real decisions on a record, with a clock that a test moves."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gatewright.gates.lifecycle import decide
from gatewright.gates.machine import commands as c
from gatewright.gates.machine.evolve import evolve
from gatewright.schemas.events import Event
from gatewright.schemas.plan import Plan, PolicyPin, StageRule
from gatewright.schemas.records import (
    Answered,
    ChangeRecord,
    Finding,
    GateOutcome,
    Outcome,
    ReviewLease,
    StageRecord,
    StageState,
)
from gatewright.schemas.refusals import Refusal, RefusalCode

START = datetime(2026, 1, 1, tzinfo=UTC)
LEASE_S = 900.0
PASSED, FAILED, ERRORED, PENDING = Outcome.PASSED, Outcome.FAILED, Outcome.ERRORED, Outcome.PENDING


def rule(
    name: str,
    *needs: str,
    attempts: int = 3,
    otherwise: str | None = None,
    reopens: int = 2,
    is_run: bool = False,
) -> StageRule:
    return StageRule(
        name=name,
        needs=needs,
        gates=("scope", "run", "test") if is_run else ("scope", "test"),
        attempts=attempts,
        otherwise=otherwise,
        reopens=reopens,
        role=None,
        is_transform=is_run,
        writes=(f"{name}/**",),
    )


DEFAULT_RULES = (rule("plan"), rule("code", "plan"))


@dataclass
class Story:
    """One change. `do` decides a command and keeps what followed; a refusal is returned and changes nothing."""

    rules: tuple[StageRule, ...] = DEFAULT_RULES
    now: datetime = START
    events: list[Event] = field(default_factory=list)
    _record: ChangeRecord | None = None

    def __post_init__(self) -> None:
        plan = Plan(self.rules, (self.rules[-1].name,), ("test",), LEASE_S)
        pin = PolicyPin("p" * 40, "digest")
        self.do(c.Start("c1", "title", "intent", "stdio:1", "b" * 40, "main", pin, plan))

    @property
    def record(self) -> ChangeRecord:
        assert self._record is not None
        return self._record

    def stage(self, name: str) -> StageRecord:
        return self.record.stage(name)

    def state(self, name: str) -> StageState:
        return self.stage(name).state

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def do(self, command: c.Command) -> Refusal | None:
        decided = decide(self._record, command, self.now)
        if isinstance(decided, Refusal):
            return decided
        for event in decided:
            self._record = evolve(self._record, event)
            self.events.append(event)
        return None

    def refused(self, command: c.Command) -> RefusalCode | None:
        before = self.record
        refusal = self.do(command)
        assert refusal is None or self.record is before, "a refusal changes nothing"
        return code_of(refusal)

    def claim(self, stage: str, holder: str = "ada") -> Refusal | None:
        return self.do(c.Claim(stage, holder, f"stdio:{holder}"))

    def submit(self, stage: str, tree: str = "t1", *answers: Answered) -> Refusal | None:
        fence = self.stage(stage).fence
        return self.do(c.Submit(stage, fence, f"commit-{tree}", tree, "b" * 40, "summary", answers))

    def settle(self, stage: str, outcome: Outcome, *fingerprints: str, asks: tuple[str, ...] = ()) -> Refusal | None:
        current = self.stage(stage).current
        assert current is not None
        asking = tuple(GateOutcome(gate, PENDING) for gate in asks)
        gates = (GateOutcome("scope", PASSED), GateOutcome("test", outcome), *asking)
        return self.do(c.Settle(stage, current.evaluation, gates, fingerprints))

    def claim_review(self, stage: str, reviewer: str) -> RefusalCode | None:
        return self.refused(c.ClaimReview(stage, reviewer, f"stdio:{reviewer}"))

    def give(self, stage: str, number: int, *findings: Finding) -> RefusalCode | None:
        return self.refused(c.GiveReview(stage, number, findings, ("all of it",)))

    def review(self, stage: str, reviewer: str, *findings: Finding) -> RefusalCode | None:
        """Claim and give a review by a principal of its own."""
        return self.claim_review(stage, reviewer) or self.give(stage, self.stage(stage).review_leases, *findings)

    def review_leases(self, stage: str) -> tuple[ReviewLease, ...]:
        current = self.stage(stage).current
        assert current is not None
        return current.review_leases

    def approve(self, stage: str, person: str, *, is_given: bool = True, note: str = "") -> RefusalCode | None:
        """A person's word about what is judged now, of a stage or of the landing."""
        landing = self.record.landing
        current = self.stage(stage).current if stage != "land" else None
        commit = current.commit if current is not None else landing.new if landing is not None else None
        assert commit is not None
        known = f"person:{person}"
        return self.refused(c.Approve(stage, None, known, "secret", commit, self.record.target, is_given, note))

    @staticmethod
    def fixed(*findings: str) -> tuple[Answered, ...]:
        return tuple(Answered(finding, "fixed", "done") for finding in findings)

    @staticmethod
    def disputed(*findings: str) -> tuple[Answered, ...]:
        return tuple(Answered(finding, "disputed", "it is right as it is") for finding in findings)

    def finish_run(self, stage: str, outcome: Outcome, *fingerprints: str, tree: str = "made") -> Refusal | None:
        """The evaluator's result for a `run:` stage: its command came to `outcome`, and to `tree` when it passed."""
        evaluation = self.stage(stage).transform
        assert evaluation is not None, f"the server does not run {stage}"
        judged = (GateOutcome("scope", PASSED), GateOutcome("test", outcome)) if outcome is not FAILED else ()
        ran = FAILED if outcome is FAILED else PASSED
        made = c.Made(f"commit-{tree}", tree, "b" * 40, "3 paths written")
        return self.do(
            c.Settle(stage, evaluation, (GateOutcome("run", ran), *judged), fingerprints, made, "exit code 1")
        )

    def attempt(self, stage: str, outcome: Outcome, tree: str = "t1", *fingerprints: str) -> None:
        if self.state(stage) is StageState.OPEN:
            assert self.claim(stage) is None
        assert self.submit(stage, tree) is None
        assert self.settle(stage, outcome, *fingerprints) is None

    def passed(self, *stages: str) -> "Story":
        for stage in stages:
            self.attempt(stage, PASSED)
        return self

    def in_state(self, state: StageState) -> "Story":
        """Bring `code` into the state, by commands alone."""
        if state is not StageState.WAITING:
            self.passed("plan")
        match state:
            case StageState.CLAIMED:
                self.claim("code")
            case StageState.EVALUATING:
                self.claim("code")
                self.submit("code")
            case StageState.IN_REVIEW:
                self.attempt("code", PENDING)
            case StageState.PASSED:
                self.passed("code")
            case StageState.ESCALATED:
                self.claim("code")
                self.do(c.Release("code", 1, c.Because.NEEDS_DECISION, "which of the two?"))
            case _:
                pass
        assert self.state("code") is state
        return self


def code_of(refusal: Refusal | None) -> RefusalCode | None:
    return None if refusal is None else refusal.code


def remark(name: str, severity: str = "blocking") -> Finding:
    """What a reviewer says, `blocking`, `minor` or a mere `note`."""
    return Finding(name, "peer", severity, "review", f"about {name}", f"fp-{name}", "calc.py", 1)


def judged(story: Story, outcome: Outcome = PASSED, **fields: object) -> c.SettleLanding:
    """What settles the present landing of a story with this outcome of its gate."""
    landing = story.record.landing
    assert landing is not None
    gates = () if fields.get("conflicts") else (GateOutcome("test", outcome),)
    return c.SettleLanding(landing.evaluation, "old", "new", "tree", gates, **fields)  # type: ignore[arg-type]  # a test's shorthand - its fields are those of the command
