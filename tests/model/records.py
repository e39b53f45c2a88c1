"""Every record that a scenario can come to, for tests that hold something against each."""

from functools import cache

from gatewright.schemas.records import ChangeRecord

from .plans import SCENARIOS, Scenario
from .search import At, Search


@cache
def records_of(scenario: str) -> tuple[ChangeRecord, ...]:
    """One record of each state, in the order in which the search comes to them."""
    search = _Keeping(SCENARIOS[scenario])
    search.run()
    return tuple(search.records)


class _Keeping(Search):
    """Keeps what the search lets go of when it has been everywhere from there."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.records: list[ChangeRecord] = []

    def enter(self, came_from: int, name: str, new: At) -> None:
        super().enter(came_from, name, new)
        self.records.append(new.world.record)
