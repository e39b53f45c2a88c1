"""`gatewright doctor`: look at the surroundings, then run every gate on the trusted branch as it is."""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .command import Exit
from .failures import failure_of
from .opening import open_git, recorded_target, services_of, store_of
from .surroundings import Item, look_around, look_at_store
from .terminal import Terminal

if TYPE_CHECKING:
    from ...gates.contract import Job, Message
    from ...gates.policy import Policy
    from ...schemas.pipeline import GateSpec
    from ...schemas.records import Evidence
    from ..services import Services

# These judge what a change brings along, and on the branch itself there is none.
ABOUT_CHANGES = {"scope": "judges what a change touches", "document": "judges what a change writes down"}
SPECIMEN_CHANGE = "c1"
OUTPUT_LINES_SHOWN = 15
FINDINGS_SHOWN = 5


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--no-gates", action="store_true", help="only the surroundings and the pipeline")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """0 when everything is green, 1 when anything is red."""
    repository = open_git(options)
    items = [_say(item, terminal) for item in look_around(repository)]
    try:
        with store_of(repository) as store:
            items += [_say(item, terminal) for item in look_at_store(repository, store)]
            items.append(_say(Item("trusted branch", True, recorded_target(store)), terminal))
        with services_of(options) as services:
            tip = services.policies.tip()
            policy = services.policies.at(tip)
            items.append(_say(Item("pipeline", True, f"loads from {tip[:10]}, digest {policy.digest[:12]}"), terminal))
            if not options.no_gates:
                items += _try_gates(services, policy, terminal)
    except Exception as exc:  # told in a line when it is an expected problem, else it surfaces
        failure = failure_of(exc)
        if failure is None:
            raise
        items.append(_say(Item(failure.code.replace("_", " "), False, f"{failure.message} {failure.next}"), terminal))
    red = sum(item.is_good is False for item in items)
    terminal.say(f"\n{red} red." if red else "\nAll green.", "red" if red else "green")
    return Exit.FAILED if red else Exit.OK


def _say(item: Item, terminal: Terminal) -> Item:
    mark, style = {True: ("ok ", "green"), False: ("RED", "red"), None: (" - ", "dim")}[item.is_good]
    terminal.say(f"{mark}  {item.name:<16}  {item.text}", style)
    return item


def _try_gates(services: "Services", policy: "Policy", terminal: Terminal) -> list[Item]:
    """Run every gate once, stage by stage; a line each as it is known."""
    import anyio

    from ...gates.runner import judge

    items: list[Item] = []
    for stage, gates, skipped in _stages(policy):
        found = [Item(f"{stage}/{gate.name}", None, f"{ABOUT_CHANGES[gate.kind]}; not tried here") for gate in skipped]
        items += [_say(item, terminal) for item in found]
        if gates:
            listener = _Listener(stage, terminal)
            anyio.run(judge, _job(services, policy, stage, gates), listener.hear)
            items += listener.items
    return items


def _stages(policy: "Policy") -> "Iterator[tuple[str, tuple[GateSpec, ...], tuple[GateSpec, ...]]]":
    """Each stage and the landing, with the gates to try, each kind and options once, and those not to."""
    from ...gates.policy import land_gates_of

    seen: list[tuple[str, object]] = []
    stages = [
        *((name, stage.gates) for name, stage in policy.pipeline.stages.items()),
        ("land", land_gates_of(policy.pipeline)),
    ]
    for name, gates in stages:
        new = [gate for gate in gates if (gate.kind, gate.options) not in seen]
        seen += [(gate.kind, gate.options) for gate in new]
        tried = tuple(gate for gate in new if gate.kind not in ABOUT_CHANGES)
        yield name, tried, tuple(gate for gate in new if gate.kind in ABOUT_CHANGES and name != "land")


def _job(services: "Services", policy: "Policy", stage: str, gates: "tuple[GateSpec, ...]") -> "Job":
    """The branch judged against itself."""
    from ...gates.contract import Job

    return Job(
        evaluation=f"{SPECIMEN_CHANGE}.d1",
        change=SPECIMEN_CHANGE,
        stage=stage,
        commit=policy.commit,
        base=policy.commit,
        scope_base=policy.commit,
        policy=policy,
        gates=gates,
        writes=("**",),
        store=services.artifacts.path,
        shared=services.repository.common_dir,
        cache=services.cache,
        slots=os.cpu_count() or 1,
    )


class _Listener:
    """Shows what a judging says, and keeps a line for each gate."""

    def __init__(self, stage: str, terminal: Terminal) -> None:
        self.items: list[Item] = []
        self._stage = stage
        self._terminal = terminal

    def hear(self, message: "Message") -> None:
        from ...gates.contract import Found, Progress, Started

        match message:
            case Started(gate):
                self._terminal.progress(f"{self._stage}/{gate} ...")
            case Progress(text):
                self._terminal.progress(f"{self._stage}: {text}")
            case Found(evidence) if evidence.kind not in ABOUT_CHANGES:
                self.items.append(_say(_item_of(self._stage, evidence), self._terminal))
                if not self.items[-1].is_good:
                    self._show_why(evidence)
            case _:
                pass

    def _show_why(self, evidence: "Evidence") -> None:
        for finding in evidence.findings[:FINDINGS_SHOWN]:
            self._terminal.say(f"       {finding.where or ''}  {finding.rule}: {finding.message}")
        for line in evidence.output.splitlines()[-OUTPUT_LINES_SHOWN:]:
            self._terminal.say(f"       | {line}", "dim")


def _item_of(stage: str, evidence: "Evidence") -> Item:
    from ...schemas.records import Outcome

    # A gate that asks a person about the branch as it is would ask about every change.
    is_good = evidence.outcome is Outcome.PASSED and evidence.counted > 0
    counted = f"{evidence.counted} {evidence.unit}"
    red_already = f", {len(evidence.tolerated)} red already" if evidence.tolerated else ""
    text = f"{evidence.outcome}, {counted}{red_already}, {evidence.duration_s:.1f} s"
    return Item(f"{stage}/{evidence.gate}", is_good, text if is_good else f"{text}: {evidence.summary}")
