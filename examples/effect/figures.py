"""The figures: what came of the changes of each arm and kind of agent, as rows and as text."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from draws import Cheat, Kind
from journey import Told
from judging import Worth
from project import Arm
from tasks import Stage, Task

ALL = "all"
HEADINGS = (
    "arm",
    "agents",
    "changes",
    "landed without a person",
    "landed right",
    "wrong landings: gates could see / could not",
    "bad artifacts handed on: gates could see / could not",
    "attempts at plan, design, code",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One change: what became of it, and what it and its plans and designs were worth."""

    told: Told
    landing: Worth | None
    handed_on: Sequence[Worth]


@dataclass
class Row:
    """The figures of one arm and kind. What gates could see, and what they could not, is counted apart."""

    changes: int = 0
    landed: int = 0
    wrong_seen: int = 0
    wrong_unseen: int = 0
    handed_seen: int = 0
    handed_unseen: int = 0
    tries: Counter[Stage] = field(default_factory=Counter)
    reached: Counter[Stage] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        told = outcome.told
        self.changes += 1
        self.landed += told.end == "landed"
        self.wrong_seen += outcome.landing is Worth.SEEN
        self.wrong_unseen += outcome.landing is Worth.UNSEEN
        self.handed_seen += outcome.handed_on.count(Worth.SEEN)
        self.handed_unseen += outcome.handed_on.count(Worth.UNSEEN)
        self.tries.update(tried.stage for tried in told.tries)
        self.reached.update({tried.stage for tried in told.tries})

    @property
    def right(self) -> int:
        return self.landed - self.wrong_seen - self.wrong_unseen

    def attempts(self, stage: Stage) -> float:
        """Attempts at a stage, of the changes that got there."""
        return self.tries[stage] / self.reached[stage] if self.reached[stage] else 0.0


def outcomes_of(
    told: Sequence[Told], landings: Mapping[Task, Worth], handed_on: Mapping[Task, list[Worth]]
) -> list[Outcome]:
    return [Outcome(each, landings.get(each.task), handed_on.get(each.task, [])) for each in told]


def row_of(outcomes: Iterable[Outcome], kind: Kind | None = None) -> Row:
    """The figures of one kind of agent, or of all."""
    row = Row()
    for outcome in outcomes:
        if kind in (None, outcome.told.kind):
            row.add(outcome)
    return row


def table(found: Mapping[Arm, Sequence[Outcome]]) -> str:
    """Everything that was counted, a line for each arm and kind of agent; Markdown."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---" * len(HEADINGS) + "|"]
    for arm, outcomes in found.items():
        for kind in (*Kind, None):
            row = row_of(outcomes, kind)
            attempts = " ".join(f"{row.attempts(stage):.2f}" for stage in Stage)
            cells = (
                arm,
                kind or ALL,
                row.changes,
                f"{row.landed} ({row.landed / max(row.changes, 1):.0%})",
                row.right,
                f"{row.wrong_seen} / {row.wrong_unseen}",
                f"{row.handed_seen} / {row.handed_unseen}",
                attempts,
            )
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def cheats_table(found: Mapping[Arm, Sequence[Outcome]]) -> str:
    """How often each cheat was tried, and what it was answered with; Markdown."""
    lines = ["| cheat | " + " | ".join(found) + " |", "|---|" + "---|" * len(found)]
    for cheat in Cheat:
        cells = []
        for outcomes in found.values():
            answers: Counter[str] = Counter()
            for outcome in outcomes:
                answers.update({said: n for (tried, said), n in outcome.told.answers.items() if tried is cheat})
            cells.append(", ".join(f"{said} {n}" for said, n in sorted(answers.items())) or "not tried")
        lines.append(f"| {cheat} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def other_figures(found: Mapping[Arm, Sequence[Outcome]]) -> str:
    """Refusals, defects given back to the stage that owns them, and reviews."""
    lines = []
    for arm, outcomes in found.items():
        refusals: Counter[str] = Counter()
        for outcome in outcomes:
            refusals.update(outcome.told.refusals)
        conflicts = sum(outcome.told.conflicts for outcome in outcomes)
        reviews = sum(outcome.told.reviews for outcome in outcomes)
        said = ", ".join(f"{code} {n}" for code, n in sorted(refusals.items())) or "none"
        rejected = sum(tried.is_rejected_by_review for outcome in outcomes for tried in outcome.told.tries)
        lines.append(
            f"{arm}: refusals: {said}; defects given back to the stage that owns them: {conflicts}; "
            f"reviews: {reviews}, {rejected} of them rejections"
        )
    return "\n".join(lines)


def objections(found: Mapping[Arm, Sequence[Outcome]]) -> list[str]:
    """What must not be so: a wrong landing that gates could see, a lost change, or a comparison that shows nothing."""
    said = []
    for arm, outcomes in found.items():
        row = row_of(outcomes)
        said += [f"{arm}: {o.told.task.change}: {o.told.problem}" for o in outcomes if o.told.end == "lost"]
        if arm is Arm.NO_GATES and not row.wrong_seen:
            said.append("without gates nothing wrong landed, so that nothing did with them says nothing")
        if arm is not Arm.NO_GATES and row.wrong_seen:
            wrong = [each.told.task.change for each in outcomes if each.landing is Worth.SEEN]
            said.append(f"{arm}: {row.wrong_seen} wrong landings that gates could have seen: {', '.join(wrong)}")
        if arm is not Arm.NO_GATES and row.handed_seen:
            said.append(f"{arm}: {row.handed_seen} artifacts handed on that gates could have seen are bad")
    return said
