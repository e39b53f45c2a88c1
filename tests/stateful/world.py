"""One store, a server without an engine, two clients and a person at a terminal; time stands still unless told."""

import contextlib
import io
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from gatewright.gates import verdict
from gatewright.gates.machine import commands as c
from gatewright.schemas.records import ChangeRecord, Evidence, Finding, Outcome
from gatewright.server import composition
from gatewright.server.cli import failures
from gatewright.server.cli.main import main
from gatewright.server.operations import changes
from gatewright.server.operations.deciding import apply, get_change
from gatewright.server.store import StoredEvidence

from ..acceptance.house import Agent, Clock, Repository, Server, Told, serving

PIPELINE = """\
version: 1
target: main
stages:
  plan:
    goal: Say what will change.
    attempts: 4
    reopens: 1
    gates: [{command: {name: ok, run: "test ! -e broken.txt"}}]
  code:
    needs: [plan]
    goal: Make the change.
    attempts: 2
    reopens: 2
    otherwise: {reopen: plan}
    gates: [{command: {name: ok, run: "test ! -e broken.txt"}}, {review: {name: peer}}]
land: {needs: [code]}
"""


class StillClock(Clock):
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Typed(io.StringIO):
    """What a person types, or sees: streams of a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class World:
    """What the machine drives. Calls block; the server runs in a thread of its own.

    `met` are the tools and commands that were called, with the code of the refusal or None.
    """

    repository: Repository
    clock: StillClock
    portal: BlockingPortal
    server: Server
    agents: dict[str, Agent]
    is_here: bool = False
    met: set[tuple[str, str | None]] = field(default_factory=set)

    def call(self, agent: str, tool: str, /, **given: Any) -> Told:  # noqa: ANN401 - JSON
        told = self.portal.call(lambda: self.agents[agent].call(tool, **given))
        self.met.add((tool, told.code))
        return told

    def record(self, change: str) -> ChangeRecord:
        return self.server.services.store.read(lambda tx: get_change(tx, change))

    def decide(self, change: str, command: c.Command) -> None:
        """What the server itself does: settle a landing, or tell a late result."""
        store, clock = self.server.services.store, self.clock
        store.run(lambda tx: apply(tx, get_change(tx, change), command, clock()))

    def judge(self, change: str, stage: str, outcome: Outcome, mark: str) -> None:
        """What the evaluator does with the live evaluation: evidence and result in one transaction."""
        services = self.server.services

        def settle(tx: Any) -> None:  # noqa: ANN401 - the store's own transaction
            record = get_change(tx, change)
            attempt = record.stage(stage).attempts[-1]
            assert tx.start_evaluation(attempt.evaluation, "t", self.clock(), stale_before=self.clock())
            assert tx.finish_evaluation(attempt.evaluation, "t", self.clock())
            found = (evidence("scope", Outcome.PASSED, mark), evidence("ok", outcome, mark))
            for item in found:
                tx.add_evidence(
                    StoredEvidence(
                        evaluation=attempt.evaluation,
                        change=change,
                        stage=stage,
                        attempt=attempt.number,
                        commit=attempt.commit,
                        tree=attempt.tree,
                        policy_digest=record.policy.digest,
                        gate_digest="g",
                        evidence=item,
                    )
                )
            result = c.Settle(stage, attempt.evaluation, verdict.outcomes_of(found), verdict.fingerprints_of(found))
            apply(tx, record, result, self.clock())

        services.store.run(settle)

    def at_terminal(self, *arguments: str, typed: str) -> str | None:
        """The command line with a person at it; the code that it is refused with, if it is."""
        out, err = Typed(), Typed()
        told: list[str] = []
        failure_of = failures.failure_of

        def told_of(problem: BaseException) -> failures.Failure | None:
            # A person is told a sentence; its code goes to programs alone.
            failure = failure_of(problem)
            told.append("a defect" if failure is None else failure.code)
            return failure

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(composition, "open_services", partial(composition.open_services, clock=self.clock))
            patch.setattr("sys.stdin", Typed(typed))
            patch.setattr(failures, "failure_of", told_of)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = main(["--repo", str(self.repository.path), *arguments])
        assert (status == 0) is (not told), f"{arguments} ended with {status}: {out.getvalue()} {err.getvalue()}"
        code = told[0] if told else None
        self.met.add((arguments[0], code))
        return code


def finding_of(mark: str) -> str:
    """The id of the finding that has this fingerprint."""
    return f"f-{mark}"


def evidence(gate: str, outcome: Outcome, mark: str) -> Evidence:
    """What a gate says; a failure has one finding, with `mark` for its fingerprint."""
    finding = Finding(finding_of(mark), gate, "error", "rule", f"It is {mark}.", mark, "code.txt", 1)
    return Evidence(
        gate=gate,
        kind="command",
        outcome=outcome,
        counted=1,
        unit="runs",
        summary="1 run.",
        findings=(finding,) if outcome is Outcome.FAILED else (),
        question="May it?" if outcome is Outcome.PENDING else None,
    )


@contextlib.contextmanager
def a_world(folder: Path, *, is_here: bool = False) -> Generator[World]:
    """A world until the block ends: client `ada` speaks 2025-11-25, client `bob` 2026-07-28.

    With `is_here` agents work in the person's own checkout.
    """
    pipeline = PIPELINE.replace("target: main", "target: main\nworkspace: here") if is_here else PIPELINE
    repository, clock = Repository(folder / "repository", pipeline), StillClock()
    with pytest.MonkeyPatch.context() as patch, start_blocking_portal() as portal:
        patch.setattr(changes, "_enqueue_warming", lambda tx, record: None)
        with portal.wrap_async_context_manager(serving(repository, clock=clock, has_engine=False)) as server:
            ada = portal.wrap_async_context_manager(server.agent("ada", "legacy"))
            bob = portal.wrap_async_context_manager(server.agent("bob", "auto"))
            with ada as first, bob as second:
                yield World(repository, clock, portal, server, {"ada": first, "bob": second}, is_here=is_here)
