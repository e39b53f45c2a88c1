"""What only people do to a change, at a terminal: reopen, retry gates, grant attempts, re-pin, cancel, land.

With `--key` the same command again, by the same person, has one effect and says how the change stands.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import dataclass

from ...schemas import decisions as d
from .asking import add_key, confirm, confirm_by_typing, plain, require_person
from .command import Exit
from .desks import decision_of, desk_of, shown_or_repeated
from .terminal import Terminal

REASON_OF_REPIN = "a person asked for it"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What is confirmed before a command.

    `weighty` ones change what agents may do or what holds, so the change's id is typed for them.
    """

    what: str
    weighty: bool


def configure(command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("change", metavar="CHANGE")
    if _has_stage(command):
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
    confirmation = _CONFIRMATIONS[command]
    names = [options.change, *([options.stage] if _has_stage(command) else [])]
    require_person(terminal, " ".join(["gatewright", command, *names]))
    takes = d.TAKES[command]
    given = {name: getattr(options, name) for name in takes.model_fields}
    decision = decision_of(takes, **given)
    asking = decision_of(d.Asking, command=command, change=options.change, stage=given.get("stage"))
    what = confirmation.what.format(stage=given.get("stage"), change=options.change)
    with desk_of(options, terminal) as desk:
        # With a key it may be the second time, and the answer is what the first time led to.
        asked = shown_or_repeated(lambda: desk.change(asking), options.key)
        if asked is not None:
            terminal.say(f"{asked.change} {asked.title}", "bold")
            terminal.say(asked.stands)
        person = desk.known(what, otherwise=lambda: _confirm(confirmation, options.change, what, terminal))
        decided = desk.decide(command, decision, person)
    terminal.say(f"Done. {decided.sentence}", "green")
    return Exit.OK


def _has_stage(command: str) -> bool:
    return "stage" in d.TAKES[command].model_fields


def _confirm(confirmation: Confirmation, change: str, what: str, terminal: Terminal) -> None:
    if confirmation.weighty:
        confirm_by_typing(terminal, change, what)
    else:
        confirm(terminal, f"{what[0].upper()}{what[1:]}?")


_CONFIRMATIONS: Mapping[str, Confirmation] = {
    "reopen": Confirmation("open '{stage}' again; what was built on it goes back to waiting", weighty=True),
    "retry-gates": Confirmation("judge the newest artifact of '{stage}' again", weighty=False),
    "grant-attempts": Confirmation("give '{stage}' more attempts", weighty=True),
    "repin": Confirmation("judge {change} by the policy of now", weighty=True),
    "cancel": Confirmation("end {change}; what was made is kept", weighty=False),
    "land": Confirmation("try landing {change} now", weighty=False),
}
