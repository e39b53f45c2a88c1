"""The whole run: chaos for some minutes, everything healed, calm until all has ended, then the audit."""

import re
import time
from collections import Counter

from ..chaos.audit import audit_store
from ..chaos.campaign import (
    DEFECT_CHARS_MAX,
    DEFECTS_TOLD_MAX,
    ENTRY,
    SAID_CHARS_MAX,
    Report,
    figures_of,
    told,
    until_over,
)
from ..chaos.crew import Crew
from ..chaos.journal import Call, read_journals
from ..chaos.landings import check_objects, check_target
from ..chaos.truth import Findings
from ..chaos.worker import ERROR
from .agents import TeamCrew
from .person import TeamPerson
from .saboteur import TeamSaboteur
from .site import AGENTS, CALM_AGENTS, SERVERS, WORKERS, Site

SECRET = re.compile(r"gwt_[A-Za-z0-9_-]{20,}")


def run(site: Site, seed: str, minutes: float) -> Report:
    """Let agents loose on the site; returns what came of it."""
    report, started = Report(), time.monotonic()
    chaotic, calm = TeamCrew(site, seed, AGENTS, "chaotic"), TeamCrew(site, seed, CALM_AGENTS, "calm")
    saboteur, person = TeamSaboteur(site, seed), TeamPerson(site, seed, is_calm=False)
    for somebody in (chaotic, saboteur, person):
        somebody.start()
    time.sleep(minutes * 60)
    for somebody in (saboteur, person, chaotic):
        somebody.stop()
    at_the_end, settling = Counter(site.states().values()), time.monotonic()
    settled_s = _calm_down(site, seed, calm, report, settling)
    ended = site.end()
    report.problems += [*chaotic.problems, *calm.problems, *ended, *_left_over(site), *_defects(site)]
    calls = list(read_journals(site.journals))
    _audit(site, calls, report)
    restarts = {name: sum(site.services[name].ends.values()) for name in (*SERVERS, *WORKERS)}
    report.figures = {
        "seed": seed,
        "hosts": f"{len(site.network.address_of)} network namespaces behind one router",
        "minutes": f"{minutes:g} of chaos, {settled_s:.0f} s until everything had ended, "
        f"{time.monotonic() - started:.0f} s in all",
        "agents": f"{len(AGENTS)} with {chaotic.lives} lives",
        "started again": told(Counter(restarts)),
        "by themselves": told(_ended_by_themselves(site)) or "nobody ended",
        **report.figures,
        "people": told(person.done) or "nothing",
        "done to them": told(saboteur.done) or "nothing",
        "before the calm": told(at_the_end),
    }
    return report


def _calm_down(site: Site, seed: str, calm: Crew, report: Report, since: float) -> float:
    """Let careful agents and a person end what was begun; how many seconds that took."""
    helper = TeamPerson(site, seed, is_calm=True)
    for somebody in (calm, helper):
        somebody.start()
    unfinished = until_over(site)
    settled_s = time.monotonic() - since
    for somebody in (helper, calm):
        somebody.stop()
    report.problems += [
        f"{change} is still {state} after {settled_s:.0f} s of calm: {site.ask('why', change)}\n"
        f"{site.ask('log', change)[-SAID_CHARS_MAX:]}"
        for change, state in unfinished
    ]
    examined = site.ask("fsck")
    report.problems += [] if examined.endswith("\n0") else [f"gatewright fsck: {examined[-SAID_CHARS_MAX:]}"]
    return settled_s


def _audit(site: Site, calls: list[Call], report: Report) -> None:
    findings, truth = Findings(), site.truth()
    audit_store(truth, calls, findings)
    check_target(site, str(site.project), truth, findings)
    check_objects(site, (str(site.project),), findings)
    report.problems += findings.all
    report.lost, report.doubled = len(findings.lost), len(findings.doubled)
    report.problems += sorted({f"a call ended in an error: {call.why}" for call in calls if ERROR in call.why})
    report.figures = figures_of(truth, calls)


def _left_over(site: Site) -> list[str]:
    """What servers and workers have left running."""
    return [f"left running: {process.role} {process.command[:200]}" for process in site.left_over()]


def _defects(site: Site) -> list[str]:
    """Where something went wrong by the programs' own account, and whether they told a token."""
    problems = []
    for name in (*SERVERS, *WORKERS):
        text = (site.root / f"{name}.log").read_text(errors="replace")
        entries = [entry[-DEFECT_CHARS_MAX:] for entry in ENTRY.split(text) if "Traceback (most recent" in entry]
        problems += [f"{name}'s log has a defect: {entry}" for entry in entries[:DEFECTS_TOLD_MAX]]
        problems += [f"{name}'s log has a token"] * bool(SECRET.search(text))
    return problems


def _ended_by_themselves(site: Site) -> Counter[str]:
    return Counter(
        {
            f"{name} with {status}": count
            for name in (*SERVERS, *WORKERS)
            for status, count in site.services[name].ends.items()
            if status >= 0
        }
    )
