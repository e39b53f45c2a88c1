"""The whole run: chaos for some minutes, calm until everything has ended, then the audit."""

import re
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field

from gatewright.schemas.records import ChangeState
from gatewright.schemas.stage_events import (
    ArtifactSubmitted,
    AttemptFailed,
    OrphanKept,
    ReviewGiven,
    StageClaimed,
    StageOpened,
    StageReopened,
)

from .audit import audit
from .crew import CALM_NAMES, NAMES, Crew
from .journal import Call, read_journals
from .person import Person
from .saboteur import Saboteur
from .truth import Findings, Truth, read_truth
from .worker import ERROR
from .world import GATEWRIGHT, World

SETTLE_WITHIN_S = 300.0
LOOK_EVERY_S = 0.5
# How a bridge answers while no server can be started, as on a disk that cannot be written.
NO_SERVER = "-32603"
OVER = ("landed", "cancelled")
SAID_CHARS_MAX = 4_000
DEFECTS_TOLD_MAX = 5
DEFECT_CHARS_MAX = 1_500
ENTRY = re.compile(r"^(?=\d{4}-\d\d-\d\d \d\d:)", re.MULTILINE)


@dataclass
class Report:
    """What happened, and what is wrong; nothing may be."""

    figures: dict[str, object] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    lost: int = 0
    doubled: int = 0


def run(world: World, seed: str, minutes: float) -> Report:
    """Let agents loose on the world; returns what came of it."""
    report = Report()
    started = time.monotonic()
    chaotic = Crew(world, seed, NAMES, "chaotic")
    saboteur, person = Saboteur(world, seed), Person(world, seed, is_calm=False)
    for somebody in (chaotic, saboteur, person):
        somebody.start()
    time.sleep(minutes * 60)
    for somebody in (saboteur, person, chaotic):
        somebody.stop()
    at_the_end = Counter(world.states().values())
    calm, helper = Crew(world, seed, CALM_NAMES, "calm"), Person(world, seed, is_calm=True)
    for somebody in (calm, helper):
        somebody.start()
    settling = time.monotonic()
    unfinished = until_over(world)
    settled_s = time.monotonic() - settling
    for somebody in (helper, calm):
        somebody.stop()
    report.problems += [*chaotic.problems, *calm.problems]
    report.problems += [
        f"{change} is still {state} after {settled_s:.0f} s of calm: {_why(world, change)}"
        for change, state in unfinished
    ]
    _end(world, report)
    calls = list(read_journals(world.journals))
    truth = read_truth(world)
    _take(report, audit(world, truth, calls))
    report.figures = {
        "seed": seed,
        "minutes": f"{minutes:g} of chaos, {settled_s:.0f} s until everything had ended, "
        f"{time.monotonic() - started:.0f} s in all",
        "agents": f"{len(NAMES)} with {chaotic.lives} lives",
        **figures_of(truth, calls),
        "killed and broken": told(saboteur.done) or "nothing",
        "people": told(person.done + helper.done) or "nothing",
        "before the calm": told(at_the_end),
    }
    report.problems += sorted({f"a call ended in an error: {c.why}" for c in calls if _is_defect(c.why)})
    if not world.is_mounted:
        report.figures["disk"] = "no full and no read-only disk: to mount one needs more rights than this run has"
    return report


def until_over(world: World) -> list[tuple[str, str]]:
    """Wait until every change has landed or was cancelled; those that have not after `SETTLE_WITHIN_S`."""
    deadline = time.monotonic() + SETTLE_WITHIN_S
    while time.monotonic() < deadline:
        states = world.states()
        if states and all(state in OVER for state in states.values()):
            return []
        time.sleep(LOOK_EVERY_S)
    return [(change, state) for change, state in world.states().items() if state not in OVER]


def _why(world: World, change: str) -> str:
    """What the product says about a change that does not end, and the last of what happened to it."""
    said = world.run(*GATEWRIGHT, "why", change, expected=range(256))
    history = world.run(*GATEWRIGHT, "log", change, expected=range(256))
    return f"{said}\n{history[-SAID_CHARS_MAX:]}"


def _end(world: World, report: Report) -> None:
    """End the server, after a look at the whole by the product itself; nothing may run afterwards."""
    _examine(world, report)
    world.end_server()
    report.problems += [f"left running: {process.role} {process.command[:200]}" for process in world.left_over()]
    report.problems += [f"the server's log has a defect: {entry}" for entry in _defects(world)[:DEFECTS_TOLD_MAX]]


def _examine(world: World, report: Report) -> None:
    if " fsck " not in world.run(*GATEWRIGHT, "--help"):
        return
    done = subprocess.run(
        [*GATEWRIGHT, "--repo", str(world.project), "fsck"],
        env=world.environment(),
        cwd=world.root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        report.problems.append(f"gatewright fsck: {(done.stdout + done.stderr)[-SAID_CHARS_MAX:]}")


def _defects(world: World) -> list[str]:
    """Where something went wrong by the server's own account, the end of each entry: what it comes down to."""
    text = "".join(file.read_text(errors="replace") for file in sorted(world.state.glob("server.log*"), reverse=True))
    entries = ENTRY.split(text)
    return [entry[-DEFECT_CHARS_MAX:] for entry in entries if "Traceback (most recent call last)" in entry]


def _take(report: Report, findings: Findings) -> None:
    report.problems += findings.all
    report.lost, report.doubled = len(findings.lost), len(findings.doubled)


def figures_of(truth: Truth, calls: list[Call]) -> dict[str, object]:
    """How much happened."""
    states = Counter(str(record.state) for record in truth.records.values())
    asked = Counter(call.tool for call in calls)
    refused = Counter(call.refused for call in calls if call.refused is not None)
    unanswered = Counter(_kind(call.why) for call in calls if call.told is None and call.refused is None)
    repeated = len([c for c in calls if c.key]) - len({(c.connection, c.key) for c in calls if c.key})
    return {
        "changes": told(states),
        "landed": states[str(ChangeState.LANDED)],
        "claims": truth.count(StageClaimed),
        "takeovers": sum(
            isinstance(event, StageClaimed) and event.taken_over is not None
            for events in truth.events.values()
            for event in events
        ),
        "handoffs": truth.count(StageOpened),
        "attempts": f"{truth.count(ArtifactSubmitted)}, {truth.count(AttemptFailed)} failed",
        "reopened": truth.count(StageReopened),
        "reviews": truth.count(ReviewGiven),
        "orphans kept": truth.count(OrphanKept),
        "calls": f"{len(calls)}: {told(asked)}",
        "repeated with the same key": repeated,
        "unanswered": f"{sum(unanswered.values())}: {told(unanswered)}",
        "refusals": told(refused) or "none",
    }


def _is_defect(why: str) -> bool:
    """Whether a call was answered with an error of the protocol by anybody but a bridge that finds no server."""
    return ERROR in why and NO_SERVER not in why


def _kind(why: str) -> str:
    """What kept an answer away, in a word or two."""
    kinds = {
        "": "agent killed",
        " ended during ": "connection ended",
        " is gone": "connection gone",
        "has not answered": "too late",
        ERROR: "no server",
    }
    return next((kind for words, kind in kinds.items() if words and words in why), kinds[""] if not why else "else")


def told(counts: Counter[str]) -> str:
    """What was counted, the most frequent first."""
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())
