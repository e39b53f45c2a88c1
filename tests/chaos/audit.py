"""Afterwards: is everything that was acknowledged there once, and does everything hold that always has to?"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from gatewright.gates.machine.evolve import replay
from gatewright.gates.machine.invariants import broken
from gatewright.schemas.events import Event
from gatewright.schemas.ids import LeaseName, ReviewLeaseName, parse_lease
from gatewright.schemas.records import ChangeRecord, Outcome
from gatewright.schemas.stage_events import (
    ArtifactSubmitted,
    AttemptFailed,
    AttemptWithdrawn,
    LeaseReleased,
    ReviewClaimed,
    ReviewGiven,
    StageClaimed,
    StagePassed,
)

from .journal import Call
from .landings import check_repository
from .truth import Findings, Truth
from .world import World


def audit(world: World, truth: Truth, calls: Sequence[Call]) -> Findings:
    """Hold what agents were told, the store and the repository against one another."""
    findings = Findings()
    audit_store(truth, calls, findings)
    check_repository(world, truth, findings)
    return findings


def audit_store(truth: Truth, calls: Sequence[Call], findings: Findings) -> None:
    """Hold what agents were told and the store against each other."""
    _check_records(truth, findings)
    _check_starts(truth, calls, findings)
    _check_claims(truth, calls, findings)
    _check_reviews(truth, calls, findings)
    _check_submissions(truth, calls, findings)
    _check_releases(truth, calls, findings)


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
    missing = {*record.rule(stage).every_gate} - found - {*accepted.allowed}
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


def _check_reviews(truth: Truth, calls: Iterable[Call], findings: Findings) -> None:
    """Every review lease and every judgement that was acknowledged is there once, under its number."""
    for call in calls:
        lease = _review_lease(call)
        if lease is None or call.told is None:
            continue
        place, found = f"{lease.number} of {lease.change}/{lease.stage}", truth.of_stage(lease.change, lease.stage)
        if call.tool == "claim_stage":
            who = [e.lease.reviewer for e in found if isinstance(e, ReviewClaimed) and e.lease.number == lease.number]
            if who != [call.agent]:
                findings.lost.append(f"review lease {place}, which {call.agent} was given")
        elif call.tool == "review_artifact":
            given = [e.review.is_rejecting for e in found if isinstance(e, ReviewGiven) and e.number == lease.number]
            if given != [call.told["verdict"] == "rejected"]:
                findings.lost.append(f"review {place} by {call.agent}, {call.told['verdict']}")


def _review_lease(call: Call) -> ReviewLeaseName | None:
    told = call.told or {}
    lease = parse_lease(str(told["lease"] if "lease" in told else call.asked.get("lease")))
    return lease if isinstance(lease, ReviewLeaseName) else None


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
