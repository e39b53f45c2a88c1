"""One change from its intent to the target branch, worked on by one simulated agent over MCP.

A colleague is a second connection: it reviews, and takes a stage over from an agent that hands in late.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from draws import Cheat, Kind, Work, draw_work, reviewer_objects, source
from oracle import is_good
from project import LEASE_S, Arm
from tasks import Stage, Task
from works import Draft, files_of, own_paths, understood

from gatewright.server.cli.demo_agent import Agent, Data, DemoFailed, Refusal

WAIT_S = 40
LANDING_ROUNDS_MAX = 10
# Far above what the budgets of any arm allow; more would be a loop without an end.
TRIES_MAX = 60


class Lost(Exception):
    """Something happened that no arm's rules allow; `str()` says what."""


@dataclass(frozen=True, slots=True)
class Try:
    """One submission that was judged: what it was, and what was said of it."""

    stage: Stage
    work: Work
    commit: str
    outcome: str
    is_rejected_by_review: bool = False


@dataclass
class Told:
    """What became of one change. `end` is landed, person, or lost with its `problem`.

    `answers` counts what each cheat was answered with.
    """

    task: Task
    kind: Kind
    end: str = ""
    problem: str = ""
    tries: list[Try] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    answers: Counter[tuple[Cheat, str]] = field(default_factory=Counter)
    conflicts: int = 0
    reviews: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """The connections of one worker."""

    author: Agent
    colleague: Agent


class Journey:
    """Works on one change until it has landed or only a person can go on."""

    def __init__(self, arm: Arm, seed: int, told: Told, pair: Pair) -> None:
        self._arm, self._seed = arm, seed
        self._told, self._task, self._kind = told, told.task, told.kind
        self._author, self._colleague = pair.author, pair.colleague
        self._tried: Counter[Stage] = Counter()
        self._change = told.task.change

    def run(self) -> None:
        """Every stage in turn, back to the one that is to blame, and the landing."""
        try:
            stage: Stage | None = Stage.PLAN
            while stage is not None:
                stage = self._work_on(stage)
            if not self._told.end:
                self._told.end = "landed" if self._has_landed() else "person"
        except (Lost, Refusal, DemoFailed) as exc:
            self._told.end, self._told.problem = "lost", f"{type(exc).__name__}: {exc}"

    def _work_on(self, stage: Stage) -> Stage | None:
        """Hand in until the stage passed; returns what is to be worked on next, None when nothing is."""
        brief = self._claim(self._author, stage)
        findings: list[Data] = _list(brief, "findings")
        while True:
            workspace = Path(str(brief["workspace"]))
            tried = self._tried[stage]
            if tried >= TRIES_MAX:
                raise Lost(f"{self._change}/{stage} goes on for ever")
            work = draw_work(self._seed, self._task.number, self._kind, stage, tried)
            rng = source(self._seed, self._task.number, stage, tried, "files")
            files = files_of(work, Draft(self._task, stage, understood(self._task, stage, workspace), tried + 1), rng)
            self._tried[stage] += 1
            if work.cheat is Cheat.HANDS_IN_LATE:
                brief = self._hand_in_late(stage, brief, files)
                workspace = Path(str(brief["workspace"]))
            if work.cheat is Cheat.WORKS_ON_ANOTHER_STAGE and stage is not Stage.CODE:
                self._expect_refusal(lambda: self._claim(self._author, Stage.CODE), work.cheat)
            before = _write(workspace, files)
            verdict = self._hand_in(stage, str(brief["lease"]), work, findings, rng)
            verdict = self._reviewed(stage, tried, verdict)
            self._note(stage, work, verdict)
            findings = _list(verdict, "findings")
            _put_back(workspace, before)
            match str(verdict["outcome"]), str(verdict["stage_state"]):
                case "passed", _:
                    return _after(stage)
                case "failed", "claimed":
                    owner = self._owner(stage, work, workspace)
                    if owner is not None:
                        return self._give_back(str(brief["lease"]), owner, findings)
                case "failed", "escalated":
                    self._told.end = "person"
                    return None
                case "pending", _:
                    self._told.end = "person"
                    return None
                case outcome, state:
                    raise Lost(f"{self._change}/{stage} is {state} after a verdict that is {outcome}: {verdict}")

    def _claim(self, agent: Agent, stage: Stage, *, kind: str = "work", wait_s: int = 0) -> Data:
        brief = agent.call("claim_stage", agent=agent.name, change=self._change, stage=str(stage), wait_s=wait_s)
        if brief["kind"] != kind:
            raise Lost(f"{self._change}/{stage} cannot be claimed for {kind}: {brief}")
        return brief

    def _hand_in(self, stage: Stage, lease: str, work: Work, findings: list[Data], rng: random.Random) -> Data:
        """The verdict, once it is there."""
        summary = "All gates pass; nothing else to do." if work.cheat else f"The {stage}."
        answers = [{"finding": f["id"], "disposition": "fixed", "note": "Mended."} for f in findings]
        sent: Data = {"lease": lease, "summary": summary, **({"answers": answers} if answers else {})}
        if work.cheat is Cheat.HANDS_IN_TWICE:
            return self._hand_in_twice(sent, rng)
        return self._settled(self._author.call("submit_artifact", wait_s=WAIT_S, **sent))

    def _hand_in_twice(self, sent: Data, rng: random.Random) -> Data:
        """The same call again, which must have no second effect, and another one while the first is judged."""
        key = f"{self._change}-{rng.random()}"
        first = self._author.call("submit_artifact", wait_s=0, key=key, **sent)
        again = self._author.call("submit_artifact", wait_s=0, key=key, **sent)
        if again["evaluation"] != first["evaluation"]:
            raise Lost(f"{self._change}: one key had two effects: {first}, {again}")
        self._told.answers[Cheat.HANDS_IN_TWICE, "no second effect"] += 1
        other: Data = {**sent, "summary": "Another one, while the first is judged."}
        self._expect_refusal(lambda: self._author.call("submit_artifact", wait_s=WAIT_S, **other), Cheat.HANDS_IN_TWICE)
        return self._settled(first)

    def _hand_in_late(self, stage: Stage, brief: Data, files: Mapping[str, str]) -> Data:
        """Let the lease run out and a colleague take over, hand in all the same, then ask for the stage again."""
        _write(Path(str(brief["workspace"])), files)
        taken = self._claim(self._colleague, stage, wait_s=LEASE_S + WAIT_S)
        lease = str(brief["lease"])
        self._expect_refusal(
            lambda: self._author.call("submit_artifact", lease=lease, summary="Late."), Cheat.HANDS_IN_LATE
        )
        self._colleague.call("release_stage", lease=taken["lease"], because="done_for_now", reason="Not mine.")
        return self._claim(self._author, stage)

    def _settled(self, verdict: Data) -> Data:
        while verdict["state"] == "running":
            verdict = self._author.call("wait_for_update", evaluation=verdict["evaluation"], wait_s=WAIT_S)
        return verdict

    def _reviewed(self, stage: Stage, tried: int, verdict: Data) -> Data:
        """In the arm with reviews: what has passed its floor is judged by the colleague."""
        if self._arm is not Arm.REVIEWS or verdict["stage_state"] != "in_review" or _asks_people(verdict):
            return verdict
        if self._kind is Kind.CHEATING:
            self._try_to_review_own_work(stage)
        brief = self._claim(self._colleague, stage, kind="review")
        self._told.reviews += 1
        paths = own_paths(self._task, stage)
        files = {path: self._read(brief, path) for path in paths}
        is_bad = not is_good(self._task, stage, files)
        findings: list[Data] = []
        if reviewer_objects(self._seed, self._task.number, stage, tried, is_bad=is_bad):
            findings = [{"severity": "blocking", "path": paths[0], "line": 1, "message": "Not what was asked for."}]
        self._colleague.call("review_artifact", lease=brief["lease"], findings=findings, inspected=list(paths))
        return self._settled(self._author.call("wait_for_update", evaluation=verdict["evaluation"], wait_s=WAIT_S))

    def _try_to_review_own_work(self, stage: Stage) -> None:
        try:
            self._claim(self._author, stage, kind="review")
        except Refusal as refusal:
            self._told.refusals[refusal.code] += 1
            return
        raise Lost(f"{self._change}/{stage} may be reviewed by whoever made it")

    def _read(self, brief: Data, path: str) -> str:
        """A file of what is to be reviewed, as the reviewer is given it."""
        named = {name: brief[name] for name in ("change", "stage", "attempt")}
        return str(self._colleague.call("read_artifact", path=path, **named)["text"])

    def _note(self, stage: Stage, work: Work, verdict: Data) -> None:
        outcome = str(verdict["outcome"])
        by_review = outcome == "failed" and {f["gate"] for f in _list(verdict, "findings")} == {"review"}
        self._told.tries.append(Try(stage, work, str(verdict["commit"]), outcome, by_review))
        if work.cheat is not None:
            said = {"failed": "failed by a gate", "pending": "a person asked", "passed": "passed"}
            self._told.answers[work.cheat, "found by a reviewer" if by_review else said.get(outcome, outcome)] += 1

    def _expect_refusal(self, call: Callable[[], object], cheat: Cheat) -> None:
        try:
            call()
        except Refusal as refusal:
            self._told.refusals[refusal.code] += 1
            self._told.answers[cheat, "refused"] += 1
            return
        raise Lost(f"{self._change}: who {cheat} was not refused")

    def _owner(self, stage: Stage, work: Work, workspace: Path) -> Stage | None:
        """The stage before that a rejection is due to, when this one did as it was told; None when the fault is ours.

        A design that says what the plan says is not to blame.
        """
        if stage is Stage.PLAN or work.flaw is not None:
            return None
        if stage is Stage.DESIGN:
            return Stage.PLAN
        is_as_planned = understood(self._task, Stage.CODE, workspace) == understood(self._task, Stage.DESIGN, workspace)
        return Stage.PLAN if is_as_planned else Stage.DESIGN

    def _give_back(self, lease: str, owner: Stage, findings: list[Data]) -> Stage | None:
        """The honourable exit: the stage that owns the defect reopens, and is told what was found."""
        reason = "This does as it was told, and: " + "; ".join(str(found["message"]) for found in findings)
        released = self._author.call(
            "release_stage", lease=lease, because="spec_conflict", stage=str(owner), reason=reason[:1_000]
        )
        self._told.conflicts += 1
        if released["stage_state"] == "escalated":
            self._told.end = "person"
            return None
        return owner

    def _has_landed(self) -> bool:
        """Whether it lands; False when only a person can make it land."""
        position: object = 0
        for _ in range(LANDING_ROUNDS_MAX):
            (change,) = _list(self._author.call("get_status", change=self._change), "changes")
            if change["state"] == "landed":
                return True
            if any(stage["state"] != "passed" for stage in _list(change, "stages")):
                return False
            update = self._author.call("wait_for_update", change=self._change, after=position, wait_s=WAIT_S)
            position = update["position"]
        raise Lost(f"{self._change} does not land")


def _after(stage: Stage) -> Stage | None:
    stages = tuple(Stage)
    place = stages.index(stage) + 1
    return stages[place] if place < len(stages) else None


def _asks_people(verdict: Data) -> bool:
    return bool(verdict.get("questions"))


def _write(workspace: Path, files: Mapping[str, str]) -> Mapping[str, str | None]:
    """Write the files; returns what was there before."""
    before = {name: (workspace / name).read_text() if (workspace / name).is_file() else None for name in files}
    _put_back(workspace, files)
    return before


def _put_back(workspace: Path, files: Mapping[str, str | None] | Mapping[str, str]) -> None:
    for name, text in files.items():
        place = workspace / name
        if text is None:
            place.unlink(missing_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)


def _list(data: Data, name: str) -> list[Data]:
    found = data.get(name)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
