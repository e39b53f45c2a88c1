"""`gatewright doctor`: look at the surroundings, then prove every gate both ways on the trusted branch.

Of this repository, or of a team (team_doctor).
"""

import io
import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ...gates.worktrees.problems import RepositoryProblem
from .command import Exit, UsageError
from .failures import failure_of
from .mends import Mend, offer, swallowing_mend
from .opening import open_git, recorded_target, services_of, store_of
from .surroundings import Item, look_around, look_at_store
from .terminal import Terminal

if TYPE_CHECKING:
    from ...gates.repository import SharedRepository


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--no-gates", action="store_true", help="only the surroundings and the pipeline")
    parser.add_argument("--again", action="store_true", help="prove gates anew that were proved before")
    parser.add_argument("--fix", action="store_true", help="offer changes of files that would mend what is found")
    parser.add_argument(
        "--yes", action="store_true", help="with --fix: write them without asking; nothing is committed"
    )
    parser.add_argument("--json", action="store_true", help="what was looked at, and what would mend it, as data")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """0 when nothing is red, 1 when anything is."""
    from . import team_doctor

    shown = Terminal(out=io.StringIO(), err=io.StringIO()) if options.json else terminal
    if team_doctor.is_about_team(options):
        if options.fix:
            raise UsageError("--fix changes files of a repository here, and a team has none here")
        items = team_doctor.run(options, shown)
        status = _conclude(items, shown)
    else:
        items, status = _look_here(options, shown)
    if options.json:
        told = [asdict(item) for item in items]
        terminal.write_data(json.dumps({"items": told}, indent=2, ensure_ascii=False) + "\n")
    return status


def _look_here(options: Namespace, terminal: Terminal) -> tuple[list[Item], int]:
    from .examination import say, stopped

    repository = open_git(options)
    items: list[Item] = []
    mends: list[Mend] = []

    def tell(item: Item) -> None:
        items.append(item)
        say(item, terminal)

    for item in look_around(repository):
        tell(item)
    try:
        with store_of(repository) as store:
            for item in look_at_store(repository, store):
                tell(item)
            tell(Item("trusted branch", True, recorded_target(store)))
        found, mends = _examine(options, repository, terminal)
        items += found
    except Exception as exc:  # told in a line when it is an expected problem, else it surfaces
        failure = failure_of(exc)
        if failure is None:
            raise
        tell(Item(failure.code.replace("_", " "), False, f"{stopped(failure.message)} {failure.next}"))
        mends += filter(None, [swallowing_mend(_top(repository))] if "cannot fail" in failure.message else [])
    status = _conclude(items, terminal)
    if mends:
        offer(mends, _top(repository), options, terminal)
    return items, status


def _examine(options: Namespace, repository: "SharedRepository", terminal: Terminal) -> tuple[list[Item], list[Mend]]:
    from .answerers import look_at_answerers
    from .examination import Examination, Wishes, say

    with services_of(options) as services:
        tip = services.policies.tip()
        policy = services.policies.at(tip)
        item = Item("pipeline", True, f"loads from {tip[:10]}, digest {policy.digest[:12]}")
        say(item, terminal)
        answerers = list(look_at_answerers(services, policy))
        for found in answerers:
            say(found, terminal)
        if options.no_gates:
            return [item, *answerers], []
        wishes = Wishes(is_anew=options.again, seeks_canaries=options.fix)
        examination = Examination(services, policy, terminal, wishes, _top(repository))
        examination.examine()
        return [item, *answerers, *examination.items], examination.mends


def _top(repository: "SharedRepository") -> Path:
    """Where the files are that a person edits; a bare repository has none, and nothing is found there."""
    try:
        return repository.get_worktree()
    except RepositoryProblem:
        return repository.common_dir


def _conclude(items: list[Item], terminal: Terminal) -> int:
    from .examination import NEVER_SEEN_RED

    red = sum(item.is_good is False for item in items)
    doubtful = sum(item.text.startswith(NEVER_SEEN_RED) for item in items)
    were = "gate was" if doubtful == 1 else "gates were"
    doubt = f" {doubtful} {were} {NEVER_SEEN_RED}." if doubtful else ""
    terminal.say(f"\n{red} red.{doubt}" if red else f"\nAll green.{doubt}", "red" if red else "green")
    return Exit.FAILED if red else Exit.OK
