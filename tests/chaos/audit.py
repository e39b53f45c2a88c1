"""Afterwards: is everything that was acknowledged there once, and does everything hold that always has to?

Read with queries on the store and by git, never through the server.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from gatewright.gates.evolve import replay
from gatewright.gates.invariants import broken
from gatewright.schemas.events import Event
from gatewright.schemas.ids import LeaseName, parse_lease
from gatewright.schemas.records import ChangeRecord, ChangeState, Outcome
from gatewright.schemas.stage_events import (
    ArtifactSubmitted,
    AttemptFailed,
    AttemptWithdrawn,
    LeaseReleased,
    StageClaimed,
    StagePassed,
)
from gatewright.server.composition import ARTIFACTS_FOLDER
from gatewright.server.store import EvaluationState, StoredEvidence, open_store

from .journal import Call
from .world import WRONG, World

if TYPE_CHECKING:
    from gatewright.server.store.tx import Tx

PAGE = 500
STAGES = ("plan", "left", "right", "join")


@dataclass
class Findings:
    """What is wrong, in sentences: effects that are missing, that are there twice, and rules that do not hold."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def all(self) -> list[str]:
        return [
            *(f"lost: {sentence}" for sentence in self.lost),
            *(f"doubled: {sentence}" for sentence in self.doubled),
            *(f"broken: {sentence}" for sentence in self.broken),
        ]


@dataclass(frozen=True)
class Truth:
    """All that the store holds."""

    records: Mapping[str, ChangeRecord]
    events: Mapping[str, Sequence[Event]]
    unsettled: Sequence[str]
    evidence: Mapping[str, Sequence[StoredEvidence]]

    def count(self, kind: type[Event]) -> int:
        return sum(isinstance(event, kind) for events in self.events.values() for event in events)

    def of_stage(self, change: str, stage: str) -> list[Event]:
        return [event for event in self.events.get(change, ()) if getattr(event, "stage", None) == stage]


def read_truth(world: World) -> Truth:
    """Read the whole store."""
    with closing(open_store(world.state, create=False)) as store:
        return store.read(_truth)


def audit(world: World, truth: Truth, calls: Sequence[Call]) -> Findings:
    """Hold what agents were told, the store and the repository against one another."""
    findings = Findings()
    _check_records(truth, findings)
    _check_starts(truth, calls, findings)
    _check_claims(truth, calls, findings)
    _check_submissions(truth, calls, findings)
    _check_releases(truth, calls, findings)
    _check_repository(world, truth, findings)
    return findings


def _truth(tx: "Tx") -> Truth:
    records = {record.id: record for record in tx.changes(limit=100_000)}
    rows = {name: tx.evaluations(change=name, states=tuple(EvaluationState)) for name in records}
    live = (EvaluationState.QUEUED, EvaluationState.RUNNING)
    return Truth(
        records=records,
        events={name: _events_of(tx, name) for name in records},
        unsettled=[row.id for found in rows.values() for row in found if row.state in live],
        evidence={row.id: tx.evidence_of(row.id) for found in rows.values() for row in found},
    )


def _events_of(tx: "Tx", change: str) -> list[Event]:
    events: list[Event] = []
    while page := tx.events(change, after=len(events), limit=PAGE):
        assert page[0][0] == len(events) + 1, f"the events of {change} have a gap after {len(events)}"
        events.extend(event for _, event in page)
    return events


def _check_records(truth: Truth, findings: Findings) -> None:
    """The invariants, by queries and by replay."""
    for name, record in truth.records.items():
        if record.version != len(truth.events[name]) or replay(truth.events[name]) != record:
            findings.broken.append(f"{name} is not what its events make of it (I9)")
        findings.broken.extend(f"{name}: {found}" for found in broken(record))
        for stage in record.stages:
            claims = [e for e in truth.of_stage(name, stage.name) if isinstance(e, StageClaimed)]
            fences = [claim.lease.fence for claim in claims]
            if any(later <= earlier for earlier, later in pairwise(fences)):
                findings.broken.append(f"{name}/{stage.name} was leased with the fences {fences} (I2)")
            _check_evidence(truth, record, stage.name, findings)
    findings.broken.extend(f"evaluation {row} was never settled" for row in truth.unsettled)
    for evaluation, evidence in truth.evidence.items():
        for gate, count in Counter(item.evidence.gate for item in evidence).items():
            if count > 1:
                findings.doubled.append(f"{evaluation} has evidence of '{gate}' {count} times")


def _check_evidence(truth: Truth, record: ChangeRecord, stage: str, findings: Findings) -> None:
    """Passed evidence of every gate, all of the accepted commit and the pinned policy (I4)."""
    accepted = record.stage(stage).artifact
    if accepted is None:
        return
    found = {
        item.evidence.gate
        for item in truth.evidence.get(accepted.evaluation, ())
        if item.evidence.outcome is Outcome.PASSED
        and (item.commit, item.policy_digest) == (accepted.commit, record.policy.digest)
    }
    missing = {*record.rule(stage).gates} - found - {*accepted.allowed}
    if missing:
        findings.broken.append(f"{record.id}/{stage} passed without evidence of {sorted(missing)} (I4)")


def _check_starts(truth: Truth, calls: Iterable[Call], findings: Findings) -> None:
    titles = Counter(record.title for record in truth.records.values())
    findings.doubled.extend(f"the change '{title}' is there {n} times" for title, n in titles.items() if n > 1)
    for call in calls:
        if call.tool == "start_change" and call.told is not None:
            record = truth.records.get(str(call.told["change"]))
            if record is None or record.title != call.asked["title"]:
                findings.lost.append(f"{call.told['change']}, which {call.agent} started")


def _check_claims(truth: Truth, calls: Iterable[Call], findings: Findings) -> None:
    holders: dict[tuple[str, str, int], set[str]] = defaultdict(set)
    for call in calls:
        lease = parse_lease(str(call.told["lease"])) if call.told is not None and "lease" in call.told else None
        if call.tool != "claim_stage" or not isinstance(lease, LeaseName):
            continue
        holders[lease.change, lease.stage, lease.fence].add(call.connection)
        claims = [
            event
            for event in truth.of_stage(lease.change, lease.stage)
            if isinstance(event, StageClaimed) and event.lease.fence == lease.fence
        ]
        if [event.lease.holder for event in claims] != [call.agent]:
            findings.lost.append(f"lease {lease.fence} of {lease.change}/{lease.stage}, which {call.agent} was given")
    for (change, stage, fence), connections in holders.items():
        if len(connections) > 1:
            findings.doubled.append(f"lease {fence} of {change}/{stage} was given to {sorted(connections)}")


def _check_submissions(truth: Truth, calls: Iterable[Call], findings: Findings) -> None:
    attempts: dict[tuple[str, str], set[str]] = defaultdict(set)
    for call in calls:
        told = call.told
        if call.tool not in {"submit_artifact", "wait_for_update"} or told is None or "attempt" not in told:
            continue
        change, stage, attempt = str(told["change"]), str(told["stage"]), told["attempt"]
        events = truth.of_stage(change, stage)
        made = [e for e in events if isinstance(e, ArtifactSubmitted) and e.attempt == attempt]
        if [event.commit for event in made] != [told["commit"]]:
            findings.lost.append(f"attempt {attempt} of {change}/{stage} by {call.agent}")
        if call.tool == "submit_artifact" and call.key is not None:
            attempts[call.connection, call.key].add(f"{change}/{stage}/{attempt}")
        _check_verdict(events, f"{change}/{stage}/{attempt}", told, findings)
    findings.doubled.extend(f"one submission of {by} is {a}" for by, a in attempts.items() if len(a) > 1)
    for name in truth.records:
        # Whatever is handed in is like nothing else, so the same tree again is the same submission again.
        made = [e for e in truth.events[name] if isinstance(e, ArtifactSubmitted) and not e.is_free]
        trees = Counter((event.stage, event.tree) for event in made)
        findings.doubled.extend(
            f"{name}/{stage} has one artifact {n} times" for (stage, _), n in trees.items() if n > 1
        )


def _check_verdict(events: Iterable[Event], attempt: str, told: Mapping[str, object], findings: Findings) -> None:
    """A verdict that somebody was told is the one that is recorded, once."""
    kinds: Mapping[object, type[StagePassed | AttemptFailed]] = {"passed": StagePassed, "failed": AttemptFailed}
    kind = kinds.get(told.get("outcome"))
    if kind is None or told.get("state") != "settled":
        return
    number = told["attempt"]
    found = [event for event in events if isinstance(event, kind) and event.attempt == number]
    if len(found) != 1:
        (findings.doubled if found else findings.lost).append(f"the verdict {told['outcome']} of {attempt}")


def _check_releases(truth: Truth, calls: Iterable[Call], findings: Findings) -> None:
    acknowledged: dict[tuple[str, str, str], set[tuple[str, str | None]]] = defaultdict(set)
    for call in calls:
        if call.tool == "release_stage" and call.told is not None:
            place = str(call.told["change"]), str(call.told["stage"]), str(call.asked["because"])
            acknowledged[place].add((call.connection, call.key))
    for (change, stage, because), given in acknowledged.items():
        events = truth.of_stage(change, stage)
        match because:
            case "withdraw":
                found = sum(isinstance(event, AttemptWithdrawn) for event in events)
            case "done_for_now" | "cannot":
                found = sum(isinstance(event, LeaseReleased) and event.because == because for event in events)
            case _:
                continue
        if found < len(given):
            findings.lost.append(f"{len(given) - found} of {len(given)} times '{because}' of {change}/{stage}")


def _check_repository(world: World, truth: Truth, findings: Findings) -> None:
    """What landed is what was judged, is on the target once, and nothing bad is among it."""
    landed = {name: record for name, record in truth.records.items() if record.state is ChangeState.LANDED}
    subjects = Counter(world.git("log", "--first-parent", "--format=%s", "main").splitlines())
    for name, record in landed.items():
        subject = f"Land {name}: {record.title}"
        count = subjects.pop(subject, 0)
        if count != 1:
            (findings.doubled if count else findings.lost).append(f"'{subject}' is {count} times on the target")
            continue
        _check_landing(world, truth, record, findings)
    findings.broken.extend(
        f"'{subject}' is on the target, and not recorded" for subject in subjects if subject.startswith("Land ")
    )
    if commits := [record.landed_commit for record in landed.values() if record.landed_commit is not None]:
        findings.broken.extend(f"something bad has landed: {line}" for line in _bad_in(world, commits))
    artifacts = str(world.state / ARTIFACTS_FOLDER)
    for record in truth.records.values():
        for attempt in (a for stage in record.stages for a in stage.attempts):
            if world.git("--git-dir", artifacts, "cat-file", "--batch-check", stdin=attempt.commit).endswith("missing"):
                findings.lost.append(f"the commit of attempt {attempt.number} of {record.id}")
    for folder in (artifacts, str(world.project / ".git")):
        said = world.git("--git-dir", folder, "fsck", "--connectivity-only", "--no-dangling")
        findings.broken.extend(f"git fsck: {line}" for line in said.splitlines())
    if dirty := world.git("status", "--porcelain"):
        findings.broken.append(f"the person's checkout of the target is left behind: {dirty[:300]}")


def _check_landing(world: World, truth: Truth, record: ChangeRecord, findings: Findings) -> None:
    commit, landing = record.landed_commit, record.landing
    assert commit is not None
    assert landing is not None
    tree = world.git("rev-parse", f"{commit}^{{tree}}")
    evidence = truth.evidence.get(landing.evaluation, ())
    judged = {item.tree for item in evidence if item.evidence.outcome is Outcome.PASSED}
    if tree != landing.tree or judged != {tree}:
        findings.broken.append(f"{record.id} landed {tree}; {landing.tree} was intended and {judged} judged (I11)")
    if world.git("merge-base", commit, "main") != commit:
        findings.lost.append(f"{record.id}, which has landed, is not on the target")
    files = world.git("ls-tree", "-r", "--name-only", commit, "--", f"work/{record.id}").splitlines()
    missing = {f"work/{record.id}/{stage}.txt" for stage in STAGES} - {*files}
    findings.lost.extend(f"{path} of the landed {record.id}" for path in missing)


def _bad_in(world: World, commits: Sequence[str]) -> list[str]:
    """Every landed tree is looked at, because a later one could hide what an earlier one brought."""
    found: list[str] = []
    for commit in commits:
        listing = world.git("ls-tree", "-r", "--name-only", commit, "--", "work")
        found.extend(f"{commit[:10]}:{path}" for path in listing.splitlines() if WRONG in path)
        found.extend(world.run("git", "grep", "-l", "-e", WRONG, commit, "--", "work", expected=(0, 1)).splitlines())
    return found
