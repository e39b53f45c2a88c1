"""A relay of three clients on one change: the first plans, the second codes, the third reviews, and it lands."""

from collections.abc import Sequence

from checks import check_handover, check_refusal, check_repository, check_run
from clients.client import Client, CommandFailed
from house import House
from report import Report
from story import Errand, Leg, Task

NAME = "relay"
"""Its row in the table."""


def drive(house: House, report: Report, clients: Sequence[Client]) -> None:
    """Have the person ask for reviews from now on, and the clients take one change through."""
    planner, coder, reviewer = clients
    try:
        house.person("init", "--force", "--template", "reviewed", "--commit")
        task = Task("mean_of_three")
        change = ""
        for client, leg in zip((planner, coder, reviewer), Leg, strict=True):
            errand = Errand(leg, task, client.name, change)
            told = house.run(client, errand)
            check_run(report, client, errand, told)
            change = change or house.find_change(task.title)
            if leg is Leg.CODE:
                check_handover(report, planner, coder, change, told)
                check_refusal(report, coder, errand, told)
            elif leg is Leg.REVIEW:
                check_repository(report, house, client, errand)
        by = f"{planner.name} planned, {coder.name} coded, {reviewer.name} reviewed"
        agents = house.person("log", change)
        seen = all(client.name in agents for client in clients)
        report.check(NAME, f"{by}: the log says so", holds=seen, detail=agents)
    except CommandFailed as problem:
        report.check(NAME, "planned, coded, reviewed and landed", holds=False, detail=str(problem))
