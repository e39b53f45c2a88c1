"""The model's rules of reviews: who may judge, whose seat is whose, and what a judgement does."""

from abc import abstractmethod

from .things import Seat, Stage

LEASE_S = 900
OBJECTION = "objection"
REVIEWED = {"plan": False, "code": True}


class Reviewing:
    """The part of a change that reviews are about."""

    now: float
    change: str
    stages: dict[str, Stage]

    @abstractmethod
    def over(self, name: str) -> str | None: ...

    @abstractmethod
    def _fail(self, stage: Stage, mark: str) -> None: ...

    @abstractmethod
    def _pass(self, stage: Stage) -> None: ...

    def renew_review(self, name: str, number: int) -> str | None:
        if refusal := self.over(name):
            return refusal
        seat = self._seat(self.stages[name], number)
        if seat is None:
            return "review_stale"
        self._renew_seat(self.stages[name], seat)
        return None

    def release_review(self, name: str, number: int, because: str) -> str | None:
        seat = self._seat(self.stages[name], number)
        if because not in {"done_for_now", "cannot"}:
            if self.change == "active" and seat is not None:
                self._renew_seat(self.stages[name], seat)
            return "bad_argument"
        if refusal := self.over(name):
            return refusal
        if seat is None:
            return "review_stale"
        self.stages[name].tries[-1].seats.remove(seat)
        return None

    def review(self, name: str, number: int, by: str, *, objects: bool, is_empty: bool) -> str | None:
        """One blocking finding, or none; with `is_empty` it does not even say what was looked at.

        `by` is who gives it, for whoever claimed it; nobody does for their own work.
        """
        if refusal := self.over(name):
            return refusal
        stage = self.stages[name]
        seat, current = self._seat(stage, number), stage.tries[-1]
        if seat is None:
            return "review_stale"
        if by in self._makers(stage):
            refusal = "own_work"
        elif current.is_reviewed:
            refusal = "already_reviewed"
        elif is_empty:
            refusal = "review_inconsistent"
        if refusal is not None:
            self._renew_seat(stage, seat)
            return refusal
        current.seats.remove(seat)
        if objects:
            self._fail(stage, OBJECTION)
        else:
            current.is_reviewed = True
            self._pass_if_answered(stage)
        return None

    def _claim_review(self, stage: Stage, reviewer: str) -> str | None:
        current = stage.tries[-1]
        held = next((seat for seat in current.seats if seat.reviewer == reviewer), None)
        if held is not None and self._keeps(stage, held):
            held.until = self.now + LEASE_S
            return None
        if not REVIEWED[stage.name] or current.is_reviewed:
            return "stage_in_review"
        if self._taken(stage):
            return "lease_held"
        if reviewer in self._makers(stage):
            return "own_work"
        stage.seats_ever += 1
        current.seats.append(Seat(stage.seats_ever, reviewer, self.now + LEASE_S))
        return None

    def _makers(self, stage: Stage) -> set[str]:
        """Whoever handed the same in made it too: before, or too late but before it was handed in again."""
        current = stage.tries[-1]
        return {maker for x in stage.tries if x.tree == current.tree for maker in {x.author, *x.adopted}}

    def _seat(self, stage: Stage, number: int) -> Seat | None:
        seats = stage.tries[-1].seats if stage.state == "in_review" else []
        return next((seat for seat in seats if seat.number == number), None)

    def _taken(self, stage: Stage) -> bool:
        return any(seat.until > self.now for seat in stage.tries[-1].seats)

    def _keeps(self, stage: Stage, seat: Seat) -> bool:
        return seat.until > self.now or not (self._taken(stage) or stage.tries[-1].is_reviewed)

    def _renew_seat(self, stage: Stage, seat: Seat) -> None:
        if self._keeps(stage, seat):
            seat.until = self.now + LEASE_S

    def _pass_if_answered(self, stage: Stage) -> None:
        current = stage.tries[-1]
        if not current.is_asked and (current.is_reviewed or not REVIEWED[stage.name]):
            self._pass(stage)
