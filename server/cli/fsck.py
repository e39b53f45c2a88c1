"""`gatewright fsck`: examine the store, the artifacts and the refs, and say what to do about what is found."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...gates.text import number_of
from .command import CannotGoOn, Exit
from .opening import open_git, services_of, set_up_common_dir, store_of
from .team import find_team
from .team_server import refuse_server
from .terminal import Terminal

if TYPE_CHECKING:
    from ..operations.fsck import Place, Report
    from ..operations.fsck_problem import Problem

TOLD_MAX = 50
RESTORE = "Restore the store from a backup; `gatewright doctor` looks at what it stands on."
# How it is told of a team's.
UNOPENED = frozenset({"store_unusable", "store_unavailable"})


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="everything that was found, as data")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """0 when all is well, 1 when something is not, 4 when the store cannot be opened. Changes nothing."""
    from ..store import StoreUnavailable, StoreUnusable

    try:
        with _place_of(options) as place:
            report = _examine(place, terminal)
    except (StoreUnusable, StoreUnavailable) as exc:
        _say_unopened(str(exc), RESTORE, terminal, as_json=options.json)
        return Exit.ERRORED
    except CannotGoOn as exc:
        if exc.code not in UNOPENED:
            raise
        _say_unopened(exc.message, exc.next, terminal, as_json=options.json)
        return Exit.ERRORED
    terminal.clear_progress()
    if options.json:
        terminal.write_data(json.dumps(_data(report), indent=2, ensure_ascii=False) + "\n")
    else:
        _say(report, terminal)
    return Exit.OK if report.is_clean else Exit.FAILED


@contextmanager
def _place_of(options: Namespace) -> "Generator[Place]":
    from ...gates.artifacts import ArtifactStore
    from ...gates.workspaces import Workspaces
    from ..composition import ARTIFACTS_FOLDER
    from ..operations.fsck import Place

    if find_team(options) is not None:
        with services_of(options) as s:
            yield Place(s.store, s.repository, s.artifacts, s.workspaces, bring=s.artifacts.has)
        return
    refuse_server(options)
    set_up_common_dir(options)
    repository = open_git(options)
    # Put together here and not by `open_services`, which makes what is missing and tidies what was left.
    with store_of(repository) as store:
        artifacts = ArtifactStore(repository.state_dir / ARTIFACTS_FOLDER, repository.common_dir)
        yield Place(store, repository, artifacts, Workspaces(repository))


def _examine(place: "Place", terminal: Terminal) -> "Report":
    from ..composition import system_clock
    from ..operations.fsck import examine

    return examine(place, place.store.clock(system_clock)(), lambda what: terminal.progress(f"looking at {what}"))


def _say(report: "Report", terminal: Terminal) -> None:
    bad = [problem for problem in report.problems if not problem.is_harmless]
    for problem in bad[:TOLD_MAX]:
        terminal.say(f"{problem.kind}: {problem.what}", "red")
        terminal.say(f"  means: {problem.means}\n  do: {problem.do}")
    if len(bad) > TOLD_MAX or report.cut:
        terminal.say(f"and {len(bad) - TOLD_MAX} more{' at least' if report.cut else ''}: --json tells them", "red")
    left = [problem for problem in report.problems if problem.is_harmless]
    for problem in left[:TOLD_MAX]:
        terminal.say(f"{problem.kind}: {problem.what} {problem.do}", "dim")
    counted = f"{number_of(report.changes, 'changes')} with {number_of(report.events, 'events')}"
    looked = f"{counted}, their evidence, artifacts and refs"
    wrong = number_of(len(bad), "problems") if bad else "all is well"
    terminal.say(f"Looked at {looked}: {wrong}.", "red" if bad else "green")


def _data(report: "Report") -> dict[str, object]:
    def told(problem: "Problem") -> dict[str, object]:
        data = {"kind": problem.kind, "change": problem.change, "what": problem.what}
        return {**data, "means": problem.means, "do": problem.do}

    return {
        "clean": report.is_clean,
        "changes": report.changes,
        "events": report.events,
        "problems": [told(problem) for problem in report.problems if not problem.is_harmless],
        "leftovers": [told(problem) for problem in report.problems if problem.is_harmless],
        "cut": report.cut,
    }


def _say_unopened(problem: str, do: str, terminal: Terminal, *, as_json: bool) -> None:
    if as_json:
        terminal.write_data(json.dumps({"clean": None, "problem": problem, "next": do}, ensure_ascii=False) + "\n")
    else:
        terminal.warn(f"gatewright: nothing could be looked at: {problem}", "red")
        terminal.warn(f"next: {do}")
