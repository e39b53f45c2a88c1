"""Judge honest changes as the server does: in runners, each from its job alone, the base evaluated once."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
from places import CACHE
from repository import Base, Change

from gatewright.gates.contract import BaseResult, Found, Job, Message
from gatewright.gates.policy import SCOPE_GATE
from gatewright.gates.verdict import combine, outcomes_of
from gatewright.schemas.records import Evidence, Outcome
from gatewright.server.composition import cache_folder, open_services
from gatewright.server.engine.runners import Runners

STAGE = "code"
JUDGEMENT_TIMEOUT_S = 900.0
# Several are judged side by side, and each gets one processor.
SLOTS = 1
FINDINGS_SHOWN = 8
OUTPUT_LINES_SHOWN = 15


@dataclass(frozen=True)
class Verdict:
    """What became of one change: the outcome, what was asked or found, and how long it took (seconds)."""

    change: Change
    outcome: Outcome
    evidence: tuple[Evidence, ...]
    seconds: float

    @property
    def rules(self) -> frozenset[str]:
        """The rules of the findings that the outcome comes from."""
        return frozenset(f.rule for item in self.evidence if item.outcome is self.outcome for f in item.findings)

    def told(self) -> str:
        """Every gate in a line, then what it found."""
        lines = []
        for item in self.evidence:
            lines.append(f"{item.gate}: {item.outcome}, {item.summary} {item.duration_s:.1f} s")
            lines += [f"  {f.where or ''} {f.rule}: {f.message}" for f in item.findings[:FINDINGS_SHOWN]]
            if item.outcome in {Outcome.ERRORED, Outcome.FAILED}:
                lines += [f"  | {line}" for line in item.output.splitlines()[-OUTPUT_LINES_SHOWN:]]
        return "\n".join(lines)


class Bench:
    """Judges the changes of one base, the first of them alone, so that the others know the base's results."""

    def __init__(self, base: Base, runners: Runners, limiter: anyio.CapacityLimiter) -> None:
        self.project = base.project.name
        self._base = base
        self._runners = runners
        self._limiter = limiter
        self._known: dict[str, str] = {}
        self._first = anyio.Lock()

    async def judge(self, number: int, change: Change) -> Verdict:
        """Judge one change. Raises `RunnerLost` and `TimeoutError`."""
        if not self._known:
            async with self._first:
                if not self._known:
                    return await self._judge(number, change)
        return await self._judge(number, change)

    async def _judge(self, number: int, change: Change) -> Verdict:
        async with self._limiter:
            started = time.monotonic()
            job = replace(await anyio.to_thread.run_sync(_job, self._base, number, change), baselines=dict(self._known))
            found: dict[str, Evidence] = {}

            def hear(message: Message) -> None:
                match message:
                    case Found(evidence):
                        found[evidence.gate] = evidence
                    case BaseResult(key, value):
                        self._known[key] = value
                    case _:
                        pass

            with anyio.fail_after(JUDGEMENT_TIMEOUT_S):
                await self._runners.judge(job, hear)
            required = [SCOPE_GATE.name, *(gate.name for gate in job.gates)]
            outcome = combine(required, outcomes_of(found.values()))
            return Verdict(change, outcome, tuple(found.values()), time.monotonic() - started)


def _job(base: Base, number: int, change: Change) -> Job:
    """What the server would hand to a runner."""
    services = open_services(base.repository / ".git")
    try:
        services.policies.tip()
        policy = services.policies.at(base.commit)
        services.artifacts.fetch(change.commit, base=base.commit)
    finally:
        services.store.close()
    stage = policy.pipeline.stages[STAGE]
    return Job(
        evaluation=f"c{number}.{STAGE}.e1",
        change=f"c{number}",
        stage=STAGE,
        commit=change.commit,
        base=base.commit,
        scope_base=change.merged or base.commit,
        policy=policy,
        gates=stage.gates,
        writes=stage.writes,
        store=services.artifacts.path,
        shared=services.repository.common_dir,
        cache=_cache(services.repository.common_dir),
        slots=SLOTS,
    )


def _cache(common_dir: Path) -> Path:
    return cache_folder(common_dir, {"XDG_CACHE_HOME": str(CACHE / "cache")})
