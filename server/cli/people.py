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
class Deed:
    """One command. `weighty` ones change what agents may do or what holds, so the change's id is typed for them."""

    what: str
    takes: type[d.Decision]
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
    deed = _DEEDS[command]
    names = [options.change, *([options.stage] if deed.has_stage else [])]
    require_person(terminal, " ".join(["gatewright", command, *names]))
    given = {name: getattr(options, name) for name in deed.takes.model_fields}
    decision = decision_of(deed.takes, **given)
    asking = decision_of(d.Asking, command=command, change=options.change, stage=given.get("stage"))
    what = deed.what.format(stage=given.get("stage"), change=options.change)
    with desk_of(options, terminal) as desk:
        # With a key it may be the second time, and the answer is what the first time led to.
        asked = shown_or_repeated(lambda: desk.change(asking), options.key)
        if asked is not None:
            terminal.say(f"{asked.change} {asked.title}", "bold")
            terminal.say(asked.stands)
        person = desk.known(what, otherwise=lambda: _confirm(deed, options.change, what, terminal))
        decided = desk.decide(command, decision, person)
    terminal.say(f"Done. {decided.sentence}", "green")
    return Exit.OK


def _confirm(deed: Deed, change: str, what: str, terminal: Terminal) -> None:
    if deed.weighty:
        confirm_by_typing(terminal, change, what)
    else:
        confirm(terminal, f"{what[0].upper()}{what[1:]}?")


_DEEDS: Mapping[str, Deed] = {
    "reopen": Deed("open '{stage}' again; what was built on it goes back to waiting", d.Reopening, weighty=True),
    "retry-gates": Deed("judge the newest artifact of '{stage}' again", d.Retry, weighty=False),
    "grant-attempts": Deed("give '{stage}' more attempts", d.Grant, weighty=True),
    "repin": Deed("judge {change} by the policy of now", d.Reasoned, weighty=True, has_stage=False),
    "cancel": Deed("end {change}; what was made is kept", d.Reasoned, weighty=False, has_stage=False),
    "land": Deed("try landing {change} now", d.Landing, weighty=False, has_stage=False),
}
