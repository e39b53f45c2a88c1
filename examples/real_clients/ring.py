"""A ring of handovers: every client plans a change that the next one codes, two changes at a time."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from checks import check_handover, check_hook, check_refusal, check_repository, check_run
from clients.aider import start_change
from clients.client import Client, CommandFailed
from house import House
from report import Report
from story import Errand, Leg, Task

LANES = 2
"""How many clients run at once."""


@dataclass(frozen=True)
class Ring:
    """The clients in their order, and where and how they are driven."""

    house: House
    report: Report
    clients: Sequence[Client]

    def drive(self) -> None:
        """Take one change for each client through; what goes wrong with one is in the report and stops no other."""
        order = range(len(self.clients))
        # Neighbours wait for one another: first every second one.
        with ThreadPoolExecutor(LANES) as lanes:
            list(lanes.map(self._take_through, [*order[::2], *order[1::2]]))

    def _take_through(self, position: int) -> None:
        planner, coder = self.clients[position], self.clients[(position + 1) % len(self.clients)]
        task = Task(f"mean_by_{coder.name.replace('-', '_')}")
        try:
            change = self._plan(planner, task)
        except CommandFailed as problem:
            self.report.check(planner.name, "plan: handed over", holds=False, detail=str(problem))
            return
        try:
            self._code(planner, coder, Errand(Leg.CODE, task, coder.name, change))
        except CommandFailed as problem:
            self.report.check(coder.name, "code: landed", holds=False, detail=str(problem))

    def _plan(self, planner: Client, task: Task) -> str:
        """The name of the planned change."""
        errand = Errand(Leg.PLAN, task, planner.name, meets_hook=planner.has_hook)
        if not planner.hands.call_tools:
            change = start_change(self.house.setting(planner), errand)
            errand = Errand(Leg.PLAN, task, planner.name, change)
        told = self.house.run(planner, errand)
        check_run(self.report, planner, errand, told)
        if planner.has_hook:
            check_hook(self.report, planner, told)
        return errand.change or self.house.find_change(task.title)

    def _code(self, planner: Client, coder: Client, errand: Errand) -> None:
        told = self.house.run(coder, errand)
        check_handover(self.report, planner, coder, errand.change, told)
        check_refusal(self.report, coder, errand, told)
        check_run(self.report, coder, errand, told)
        self.house.await_landing(errand.change)
        check_repository(self.report, self.house, coder, errand)
