"""Who is told, when somebody watches: counts at once, and reads what was committed again in a thread of its own.

What a commit means is told by the change's events, which are read after it: nothing is remembered between two steps,
so that any process can tell of any step. Source: docs/decisions/0023-spans-are-told-by-events.md
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.metrics import MeterProvider, NoOpMeterProvider
from opentelemetry.trace import SpanContext

from ... import __version__
from ...schemas import events as e
from ...schemas.events import Event
from ...schemas.records import ChangeRecord, Evidence
from ..store import EvaluationRow, Store, StoreUnavailable
from . import measures as m
from .emitting import Emitter, context_of
from .ids import trace_id_of
from .levels import observe_store
from .providers import Providers
from .spans import CHANGE, Span, spans_of
from .watching import Saved, Watcher

if TYPE_CHECKING:
    from ..store.tx import Tx

# Steps that wait to be told of; then the oldest changes' steps go on and new ones are dropped, and counted.
WAITING_MAX = 10_000
AT_ONCE_MAX = 1_000
TRIES = 5
TRY_AGAIN_AFTER_S = 1.0
FINISH_WITHIN_S = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction saved of one change: its events from `after` on, and in which call."""

    store: Store
    record: ChangeRecord
    after: int
    caller: SpanContext

    @property
    def subject(self) -> tuple[int, str]:
        """Which change of which store."""
        return id(self.store), self.record.id


class OtelWatcher(Watcher):
    """Tells of what happens by spans and metrics of OpenTelemetry, and keeps nobody waiting.

    What cannot be told, because too much waits or the store cannot be read, is counted as dropped.
    """

    is_watching = True

    def __init__(self, providers: Providers) -> None:
        self._emitter = None if providers.traces is None else Emitter(providers.traces)
        meters: MeterProvider = providers.metrics or NoOpMeterProvider()
        self._instruments = m.Instruments(meters.get_meter("gatewright", __version__))
        self._steps: Queue[Step] = Queue(WAITING_MAX)
        self._closing: set[int] = set()
        self._thread = threading.Thread(target=self._work, name="gatewright-telemetry", daemon=True)
        self._thread.start()

    # -- told --------------------------------------------------------------------------------------------------------

    def committed(self, store: Store, saved: Sequence[Saved]) -> None:
        caller = trace.get_current_span()
        for record, events in saved:
            if caller.is_recording():
                caller.set_attribute("cicd.pipeline.run.id", record.id)
                if self._emitter is not None:
                    caller.add_link(context_of(trace_id_of(record), CHANGE))
            try:
                self._steps.put_nowait(Step(store, record, record.version - len(events), caller.get_span_context()))
            except Full:
                self._instruments.count(m.DROPPED)

    def transacted(self, seconds: float, *, is_writing: bool, is_ok: bool) -> None:
        what = "write" if is_writing else "read"
        self._instruments.time(m.STORE, seconds, gatewright__transaction=what, gatewright__ok=is_ok)

    def called(self, tool: str, seconds: float, refused_with: str | None) -> None:
        labels = {"mcp__method__name": "tools/call", "gen_ai__tool__name": tool}
        if refused_with is not None:
            self._instruments.count(m.REFUSALS, gatewright__code=refused_with, gen_ai__tool__name=tool)
            labels["error__type"] = "tool_error"
        self._instruments.time(m.TOOLS, seconds, **labels)

    def requested(self, method: str, route: str, status: int, seconds: float) -> None:
        labels = {"http__request__method": method, "http__route": route}
        self._instruments.time(m.HTTP, seconds, http__response__status_code=status, **labels)

    def began(self, row: EvaluationRow, waited_s: float) -> None:
        self._instruments.time(m.QUEUED, waited_s, gatewright__purpose=row.purpose)

    def serves(self, store: Store, clock: Callable[[], datetime]) -> None:
        observe_store(self._instruments, store, clock)

    def runs(self, used: Callable[[], int], slots: int) -> None:
        def look() -> list[tuple[int, m.Labels]]:
            busy = used()
            return [(busy, {"gatewright__state": "used"}), (max(slots - busy, 0), {"gatewright__state": "free"})]

        self._instruments.observe(m.SLOTS_NOW, look)

    def finish(self, store: Store) -> None:
        self._closing.add(id(store))
        self.drain()

    def drain(self) -> None:
        """Wait until everything is told that was to be told of, for a bounded time."""
        gives_up_at = time.monotonic() + FINISH_WITHIN_S
        with self._steps.all_tasks_done:
            while self._steps.unfinished_tasks and (left_s := gives_up_at - time.monotonic()) > 0:
                self._steps.all_tasks_done.wait(left_s)

    # -- telling -----------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            # All that waits: the events of a change are read once, however many steps it has made meanwhile.
            waiting = [self._steps.get()]
            with suppress(Empty):
                while len(waiting) < AT_ONCE_MAX:
                    waiting.append(self._steps.get_nowait())
            for _, steps in groupby(sorted(waiting, key=lambda step: step.subject), lambda step: step.subject):
                self._tell_safely(sorted(steps, key=lambda step: step.after))
            for _ in waiting:
                self._steps.task_done()

    def _tell_safely(self, steps: Sequence[Step]) -> None:
        try:
            self._tell(steps)
        except StoreUnavailable as exc:
            self._drop(steps)
            log.warning("what happened to %s is told nowhere: %s", steps[0].record.id, exc)
        except Exception:  # a defect of ours must not end what tells of it
            self._drop(steps)
            log.exception("what happened to %s could not be told", steps[0].record.id)

    def _drop(self, steps: Sequence[Step]) -> None:
        for _ in steps:
            self._instruments.count(m.DROPPED)

    def _tell(self, steps: Sequence[Step]) -> None:
        """Of one change, in order. What lies between them others have committed, and tell."""
        last = steps[-1]
        history = self._read(last)
        by_number = {number: step for step in steps for number in range(step.after + 1, step.record.version + 1)}

        def evidence_of(evaluation: str) -> Sequence[Evidence]:
            return [item.evidence for item in last.store.read(lambda tx: tx.evidence_of(evaluation))]

        told = spans_of(history, evidence_of, after=steps[0].after)
        spans = [(span, by_number[number].caller) for number, span in told if number in by_number]
        if self._emitter is not None:
            self._emitter.emit(last.record, spans)
        for number, event in history:
            if number in by_number:
                self._count(event)
        for span, _ in spans:
            self._measure(span)

    def _read(self, step: Step) -> tuple[tuple[int, Event], ...]:
        """The change's events up to the step. Raises `StoreUnavailable` after some tries."""

        def read(tx: "Tx") -> tuple[tuple[int, Event], ...]:
            return tx.events(step.record.id, limit=step.record.version)

        for _ in range(TRIES - 1):
            try:
                return step.store.read(read)
            except StoreUnavailable:
                if id(step.store) in self._closing:
                    raise
                time.sleep(TRY_AGAIN_AFTER_S)
        return step.store.read(read)

    def _count(self, event: Event) -> None:
        match event:
            case e.StageClaimed(stage=stage, taken_over=taken_over):
                self._instruments.count(m.CLAIMS, gatewright__stage=stage, gatewright__claim="stage")
                if taken_over is not None:
                    self._instruments.count(m.TAKEOVERS, gatewright__stage=stage)
            case e.ReviewClaimed(stage=stage):
                self._instruments.count(m.CLAIMS, gatewright__stage=stage, gatewright__claim="review")
            case e.ArtifactSubmitted(stage=stage):
                self._instruments.count(m.SUBMISSIONS, gatewright__stage=stage)
            case _:
                pass

    def _measure(self, span: Span) -> None:
        seconds, outcome = span.seconds, span.outcome
        match span.what:
            case "attempt":
                self._instruments.count(m.ATTEMPTS, gatewright__stage=span.name, gatewright__outcome=outcome)
            case "landing":
                self._instruments.count(m.LANDINGS, gatewright__outcome=outcome)
            case "gate":
                kind, is_cached = span.attributes["gatewright.gate.kind"], span.attributes["gatewright.gate.cached"]
                labels = {"gatewright__gate__kind": kind, "gatewright__gate__cached": is_cached}
                self._instruments.time(m.GATES, seconds, gatewright__outcome=outcome, **labels)
            case "unclaimed":
                self._instruments.time(m.UNCLAIMED, seconds, gatewright__stage=span.name)
            case "escalated" | "in review" | "landing asking" | "landing blocked" as what:
                self._instruments.time(m.PEOPLE, seconds, gatewright__wait=what)
            case "change":
                labels = {"cicd__pipeline__name": "gatewright", "cicd__pipeline__run__state": "executing"}
                result = span.attributes["cicd.pipeline.result"]
                self._instruments.time(m.CHANGES, seconds, cicd__pipeline__result=result, **labels)
            case _:
                pass
