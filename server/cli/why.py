"""`gatewright why`: because of what a change or a stage does not move, and what would unlock it."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from ...schemas.ids import short
from .command import Exit
from .opening import services_of
from .questions import find_question
from .terminal import Terminal

if TYPE_CHECKING:
    from ...schemas.records import ChangeRecord, StageRecord
    from ...schemas.replies import Status
    from ..services import Services
    from ..store.tx import Tx

ATTEMPTS_TOLD_MAX = 5


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("change", metavar="CHANGE")
    parser.add_argument("stage", metavar="STAGE", nargs="?", help="only this stage")
    parser.add_argument("--json", action="store_true", help="as get_status tells it")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Tell it from one consistent look at the store."""
    with services_of(options) as services:
        status, record, questions = services.store.read(lambda tx: _look(services, tx, options))
    if options.json:
        terminal.write_data(status.model_dump_json(indent=2) + "\n")
        return Exit.OK
    terminal.say(f"{record.id} {record.title}: {record.state}", "bold")
    terminal.say(f"base {short(record.base)}, target {record.target}, policy of {short(record.policy.commit)}", "dim")
    for told in status.changes[0].stages:
        terminal.say(f"\n{told.stage}: {told.state.replace('_', ' ')}", "bold")
        terminal.say(f"  {told.because}\n  unlock: {told.unlock}")
        for line in _history(record.stage(told.stage)):
            terminal.say(f"  {line}")
        _say_question(questions.get(told.stage), terminal)
    if status.changes[0].landing is not None:
        terminal.say(f"\nlanding: {status.changes[0].landing}", "bold")
    _say_question(questions.get("land"), terminal)
    return Exit.OK


def _look(
    services: "Services", tx: "Tx", options: Namespace
) -> "tuple[Status, ChangeRecord, dict[str, tuple[str, ...]]]":
    from ...schemas.arguments import GetStatus
    from ..operations.deciding import get_change
    from ..operations.looking import status

    record = get_change(tx, options.change)
    arguments = GetStatus.model_construct(change=options.change, stage=options.stage)
    found = status(tx, arguments, services.clock())
    names = [options.stage] if options.stage else [*(stage.name for stage in record.stages), "land"]
    asked = {name: question.texts for name in names if (question := find_question(tx, record, name)) is not None}
    return found, record, asked


def _history(stage: "StageRecord") -> list[str]:
    """The latest attempts, notes and orphans of a stage, a line each."""
    lines = []
    for attempt in stage.attempts[-ATTEMPTS_TOLD_MAX:]:
        gates = ", ".join(f"{gate.gate} {gate.outcome}" for gate in attempt.gates) or attempt.state
        lines.append(f"attempt {attempt.number} by '{attempt.holder}' ({short(attempt.commit)}): {gates}")
    lines += [f"note from {note.source}: {note.text}" for note in stage.notes]
    lines += [f"kept: {short(orphan.commit)} of '{orphan.holder}' ({orphan.note})" for orphan in stage.orphans]
    return lines


def _say_question(texts: tuple[str, ...] | None, terminal: Terminal) -> None:
    for text in texts or ():
        terminal.say("\n".join(f"  {line}" for line in text.splitlines()), "yellow")
