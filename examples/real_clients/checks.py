"""What must hold of a run of a client: of what its model got to read, and of what is in the repository afterwards."""

import re

from clients.client import Client
from conversation import CallTool, Received, Say
from house import House, Told
from report import Report
from story import DONE, PLAN_SUMMARY, RIGHT_CODE, THINKS_IT_IS_DONE, WRONG_SUMMARY, Errand, Leg, plan_path

TOOLS = frozenset(
    {
        *("start_change", "claim_stage", "renew_lease", "check_gates", "submit_artifact", "wait_for_update"),
        *("read_artifact", "review_artifact", "release_stage", "get_status", "get_evidence"),
    }
)
# Only the server's instructions number what is to be done.
INSTRUCTIONS = re.compile(r'^\s*1\. claim_stage\(agent="', re.MULTILINE)


def check_run(report: Report, client: Client, errand: Errand, told: Told) -> None:
    """What holds of every run, whatever the errand."""
    name, leg = client.name, errand.leg
    if client.hands.call_tools and leg is Leg.PLAN:
        offered = told.conversation.offered
        differing = f"differing: {sorted(offered ^ TOOLS)}"
        report.check(name, "its model is offered the eleven tools", holds=offered == TOOLS, detail=differing)
        reached = INSTRUCTIONS.search(told.conversation.told) is not None
        report.check(name, "the server's instructions reach its model", holds=reached, detail=told.conversation.told)
    # Without tools there is nothing to say at the end: the exit status is that of `run-aider`.
    said = DONE in told.finished.output or not client.hands.call_tools
    ended = said and told.finished.returncode == 0
    report.check(name, f"{leg}: told the person that it is done, and ended", holds=ended, detail=_history(told))
    outside = [
        address for address in told.turned_away if not any(re.match(known, address) for known in client.asks_for)
    ]
    but = "".join(f" but for {words}, in vain" for words in client.asks_for.values())
    report.check(name, f"{leg}: asked for nothing outside loopback{but}", holds=not outside, detail=str(outside))
    report.add(name, seconds=told.seconds, calls=told.calls)


def check_hook(report: Report, client: Client, told: Told) -> None:
    """The model said that it was done, held an unsubmitted lease, and was sent back to work."""
    answers = [received.text for action, received in told.exchanges if action == Say(THINKS_IT_IS_DONE)]
    sent_back = len(answers) == 1 and "submit_artifact" in answers[0]
    checkpoint = "plan: its Stop hook does not let the model end on an unsubmitted lease"
    report.check(client.name, checkpoint, holds=sent_back, detail="\n".join(answers) or _history(told))


def check_handover(report: Report, planner: Client, coder: Client, change: str, told: Told) -> None:
    """The coder's brief names what the planner handed over."""
    briefs = [received.text for action, received in told.exchanges if _calls(action, "claim_stage")]
    # Where a model has no tools, its brief is what it is told at first.
    brief = "\n".join(briefs) if coder.hands.call_tools else told.conversation.told
    found = plan_path(change) in brief and (PLAN_SUMMARY in brief or not planner.hands.call_tools)
    report.check(coder.name, f"code: its brief names what {planner.name} handed over", holds=found, detail=brief)


def check_refusal(report: Report, client: Client, errand: Errand, told: Told) -> None:
    """The wrong submission came back to the model as refused, with what to mend and where."""
    refusal = _refusal(told)
    shown = refusal.text if refusal else ""
    failed = refusal is not None and refusal.find("outcome") == "failed"
    report.check(client.name, "code: the wrong submission failed", holds=failed, detail=shown or _history(told))
    places = {"ruff's": rf"{re.escape(errand.task.code_path)}:3\b", "the test's": rf"{errand.task.tests_path}:\d+"}
    found = {whose: re.search(pattern, shown) for whose, pattern in places.items()}
    for whose, place in found.items():
        checkpoint = f"code: it came back to the model with {whose} path and line"
        report.check(client.name, checkpoint, holds=place is not None, detail=shown or _history(told))
    words = ["failed" if failed else "no refusal", *(place[0] for place in found.values() if place)]
    decisive = max((place.end() for place in found.values() if place), default=0)
    report.add(client.name, shown=f"{', '.join(words)} (within the first {decisive} of {len(shown)} characters)")


def check_repository(report: Report, house: House, client: Client, errand: Errand) -> None:
    """The end, by git and by gatewright's own command line."""
    status = house.person("status", errand.change, "--json")
    landed = '"state": "landed"' in status
    report.check(client.name, "code: gatewright's status says that it has landed", holds=landed, detail=status)
    there = house.git("ls-tree", "-r", "--name-only", "main").splitlines()
    task = errand.task
    for path, text in ((task.code_path, RIGHT_CODE), (task.tests_path, task.tests)):
        found = house.git("show", f"main:{path}") if path in there else f"main has only {there}"
        report.check(client.name, f"code: {path} on main is what passed", holds=found == text, detail=found)
    plan = plan_path(errand.change)
    report.check(client.name, "code: the plan is on main", holds=plan in there, detail=str(there))


def _refusal(told: Told) -> Received | None:
    """The last answer to the wrong submission, or to the waiting for its verdict; None without one."""
    found: Received | None = None
    for action, received in told.exchanges:
        handed_in = isinstance(action, CallTool) and action.arguments.get("summary") == WRONG_SUMMARY
        still_running = found is not None and found.find("state") == "running"
        if handed_in or isinstance(action, Say) or (still_running and _calls(action, "wait_for_update")):
            found = received
    return found


def _calls(action: object, tool: str) -> bool:
    return isinstance(action, CallTool) and action.tool == tool


def _history(told: Told) -> str:
    """The last thing that the model got to read, and how the client ended."""
    last = "\n".join(f"{action}\n-> {received.text}" for action, received in told.exchanges[-1:])
    return f"{last[-1_500:]}\n{told.finished.output[-1_400:]}\n(ended with {told.finished.returncode})"
