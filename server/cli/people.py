"""What only people do to a change, at a terminal: reopen, retry gates, grant attempts, re-pin, cancel, land.

With `--key` the same command again, by the same person, has one effect and says how the change stands.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from .asking import add_key, authenticate, confirm, confirm_by_typing, plain, request_of, require_person
from .command import Exit
from .opening import services_of
from .terminal import Terminal

if TYPE_CHECKING:
    from ...schemas.records import ChangeRecord
    from ..operations.repeating import Request
    from ..people.known import Person
    from ..services import Services

REASON_OF_REPIN = "a person asked for it"


@dataclass(frozen=True, slots=True)
class Decided:
    """A command as it was given, and by whom."""

    options: Namespace
    person: "Person"
    request: "Request | None"


Operation = Callable[["Services", Decided], Awaitable["ChangeRecord"]]


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
        parser.add_argument(
            "--reason", metavar="TEXT", type=plain, required=is_needed, default=REASON_OF_REPIN, help=text
        )
    add_key(parser)


def run(command: str, options: Namespace, terminal: Terminal) -> int:
    """Have it confirmed, do it, and say where the change stands now."""
    import anyio

    deed = _DEEDS[command]
    names = [options.change, *([options.stage] if deed.has_stage else [])]
    require_person(terminal, " ".join(["gatewright", command, *names]))
    what = f"{deed.what.format(stage=getattr(options, 'stage', ''), change=options.change)}"
    with services_of(options) as services:
        _show(services, options, terminal)
        person = authenticate(
            terminal, services, what, otherwise=lambda: _confirm(deed, options.change, what, terminal)
        )
        decided = Decided(options, person, request_of(command, options, person))
        record = anyio.run(partial(_call, deed.operation, services, decided))
    terminal.say(f"Done. {_described(record)}", "green")
    return Exit.OK


async def _call(operation: Operation, services: "Services", decided: Decided) -> "ChangeRecord":
    return await operation(services, decided)


def _confirm(deed: Deed, change: str, what: str, terminal: Terminal) -> None:
    if deed.weighty:
        confirm_by_typing(terminal, change, what)
    else:
        confirm(terminal, f"{what[0].upper()}{what[1:]}?")


def _show(services: "Services", options: Namespace, terminal: Terminal) -> None:
    """Show what it is about; raises `Refused` before anything is asked when the answer could change nothing.

    With a key it may be the second time, and the answer is what the first time led to.
    """
    from ...gates.machine.precedence import refuse_change
    from ...schemas import refusals
    from ...schemas.refusals import Refused
    from ..operations.deciding import get_change

    record = services.store.read(lambda tx: get_change(tx, options.change))
    refusal = refuse_change(record)
    stage = getattr(options, "stage", None)
    if refusal is None and stage is not None and record.find_stage(stage) is None:
        refusal = refusals.unknown_stage(record.id, stage, [found.name for found in record.stages])
    if refusal is not None and options.key is None:
        raise Refused(refusal)
    terminal.say(f"{record.id} {record.title}", "bold")
    terminal.say(_described(record))


def _described(record: "ChangeRecord") -> str:
    stages = ", ".join(f"{stage.name} {stage.state.replace('_', ' ')}" for stage in record.stages)
    landing = f", landing {record.landing.step}" if record.landing is not None else ""
    return f"{record.id} is {record.state}: {stages}{landing}."


async def _reopen(services: "Services", d: Decided) -> "ChangeRecord":
    from ..operations import people

    change, stage, reason = d.options.change, d.options.stage, d.options.reason
    return await people.reopen(services, change, stage, by=d.person, reason=reason, request=d.request)


async def _retry_gates(services: "Services", d: Decided) -> "ChangeRecord":
    from ..operations import people

    return await people.retry_gates(services, d.options.change, d.options.stage, by=d.person, request=d.request)


async def _grant_attempts(services: "Services", d: Decided) -> "ChangeRecord":
    from ..operations import people

    change, stage, count = d.options.change, d.options.stage, d.options.count
    return await people.grant_attempts(services, change, stage, by=d.person, count=count, request=d.request)


async def _repin(services: "Services", d: Decided) -> "ChangeRecord":
    from ..operations import changes

    return await changes.repin(services, d.options.change, by=d.person, reason=d.options.reason, request=d.request)


async def _cancel(services: "Services", d: Decided) -> "ChangeRecord":
    from ..operations import changes

    reason = d.options.reason
    return await changes.cancel(services, d.options.change, by=d.person, reason=reason, request=d.request)


async def _land(services: "Services", d: Decided) -> "ChangeRecord":
    from ..operations import people

    return await people.land(services, d.options.change, by=d.person, request=d.request)


_DEEDS: Mapping[str, Deed] = {
    "reopen": Deed("open '{stage}' again; what was built on it goes back to waiting", _reopen, weighty=True),
    "retry-gates": Deed("judge the newest artifact of '{stage}' again", _retry_gates, weighty=False),
    "grant-attempts": Deed("give '{stage}' more attempts", _grant_attempts, weighty=True),
    "repin": Deed("judge {change} by the policy of now", _repin, weighty=True, has_stage=False),
    "cancel": Deed("end {change}; what was made is kept", _cancel, weighty=False, has_stage=False),
    "land": Deed("try landing {change} now", _land, weighty=False, has_stage=False),
}
