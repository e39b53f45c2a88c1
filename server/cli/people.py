"""What only people do to a change, at a terminal: reopen, retry gates, grant attempts, re-pin, cancel, land."""

from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from .asking import confirm, confirm_by_typing, require_person
from .command import Exit
from .opening import person, services_of
from .terminal import Terminal

if TYPE_CHECKING:
    from ...schemas.records import ChangeRecord
    from ..services import Services

REASON_OF_REPIN = "a person asked for it"

Operation = Callable[["Services", Namespace], Awaitable["ChangeRecord"]]


@dataclass(frozen=True, slots=True)
class Deed:
    """One command. `weighty` ones change what agents may do or what holds, so the change's id is typed for them."""

    what: str
    operation: Operation
    weighty: bool
    has_stage: bool = True


def configure(command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("change", metavar="CHANGE")
    if _DEEDS[command].has_stage:
        parser.add_argument("stage", metavar="STAGE")
    if command == "grant-attempts":
        parser.add_argument("count", metavar="COUNT", type=int, nargs="?", default=1, help="how many (default: 1)")
    if command in ("reopen", "cancel", "repin"):
        is_needed = command != "repin"
        text = "why; kept in the log, and shown to the next holder"
        parser.add_argument("--reason", metavar="TEXT", required=is_needed, default=REASON_OF_REPIN, help=text)


def run(command: str, options: Namespace, terminal: Terminal) -> int:
    """Have it confirmed, do it, and say where the change stands now."""
    import anyio

    deed = _DEEDS[command]
    names = [options.change, *([options.stage] if deed.has_stage else [])]
    require_person(terminal, " ".join(["gatewright", command, *names]))
    what = f"{deed.what.format(stage=getattr(options, 'stage', ''), change=options.change)}"
    with services_of(options) as services:
        _show(services, options, terminal)
        if deed.weighty:
            confirm_by_typing(terminal, options.change, what)
        else:
            confirm(terminal, f"{what[0].upper()}{what[1:]}?")
        record = anyio.run(partial(_call, deed.operation, services, options))
    terminal.say(f"Done. {_described(record)}", "green")
    return Exit.OK


async def _call(operation: Operation, services: "Services", options: Namespace) -> "ChangeRecord":
    return await operation(services, options)


def _show(services: "Services", options: Namespace, terminal: Terminal) -> None:
    """Show what it is about; raises `Refused` before anything is asked when the answer could change nothing."""
    from ...gates.precedence import refuse_change
    from ...schemas import refusals
    from ...schemas.refusals import Refused
    from ..operations.deciding import get_change

    record = services.store.read(lambda tx: get_change(tx, options.change))
    refusal = refuse_change(record)
    stage = getattr(options, "stage", None)
    if refusal is None and stage is not None and record.find_stage(stage) is None:
        refusal = refusals.unknown_stage(record.id, stage, [found.name for found in record.stages])
    if refusal is not None:
        raise Refused(refusal)
    terminal.say(f"{record.id} {record.title}", "bold")
    terminal.say(_described(record))


def _described(record: "ChangeRecord") -> str:
    stages = ", ".join(f"{stage.name} {stage.state.replace('_', ' ')}" for stage in record.stages)
    landing = f", landing {record.landing.step}" if record.landing is not None else ""
    return f"{record.id} is {record.state}: {stages}{landing}."


async def _reopen(services: "Services", options: Namespace) -> "ChangeRecord":
    from ..operations import people

    return await people.reopen(services, options.change, options.stage, by=person(), reason=options.reason)


async def _retry_gates(services: "Services", options: Namespace) -> "ChangeRecord":
    from ..operations import people

    return await people.retry_gates(services, options.change, options.stage, by=person())


async def _grant_attempts(services: "Services", options: Namespace) -> "ChangeRecord":
    from ..operations import people

    return await people.grant_attempts(services, options.change, options.stage, by=person(), count=options.count)


async def _repin(services: "Services", options: Namespace) -> "ChangeRecord":
    from ..operations import changes

    return await changes.repin(services, options.change, because=f"{person()}: {options.reason}")


async def _cancel(services: "Services", options: Namespace) -> "ChangeRecord":
    from ..operations import changes

    return await changes.cancel(services, options.change, by=person(), reason=options.reason)


async def _land(services: "Services", options: Namespace) -> "ChangeRecord":
    from ..operations import people

    return await people.land(services, options.change, by=person())


_DEEDS: Mapping[str, Deed] = {
    "reopen": Deed("open '{stage}' again; what was built on it goes back to waiting", _reopen, weighty=True),
    "retry-gates": Deed("judge the newest artifact of '{stage}' again", _retry_gates, weighty=False),
    "grant-attempts": Deed("give '{stage}' more attempts", _grant_attempts, weighty=True),
    "repin": Deed("judge {change} by the policy of now", _repin, weighty=True, has_stage=False),
    "cancel": Deed("end {change}; what was made is kept", _cancel, weighty=False, has_stage=False),
    "land": Deed("try landing {change} now", _land, weighty=False, has_stage=False),
}
