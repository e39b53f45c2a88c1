"""Tell clients that a resource changed: whoever subscribed, in the way of its generation of the protocol.

2025-11-25: `resources/subscribe`, and `notifications/resources/updated` on the connection. 2026-07-28:
`subscriptions/listen`, whose answer is a stream of them. A notice is a hint to read again; it carries nothing, may come
twice, and is not repeated for who was away. Nothing correct depends on one: `wait_for_update` is how an agent waits.
"""

import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import mcp_types as types
from mcp.server.session import ServerSession
from mcp.server.subscriptions import ListenHandler, ResourcesListChanged, ResourceUpdated, ServerEvent
from mcp.shared.exceptions import MCPError

from ..schemas import events as e
from ..schemas.records import ChangeRecord
from ..schemas.refusals import Refused
from . import addresses

if TYPE_CHECKING:
    from .services import Services
    from .store.tx import Tx

# What happens together is told together, after the reply to whoever made it happen.
GATHER_S = 0.05
EVENTS_AT_ONCE = 200
URIS_MAX = 256
# Nothing that a resource tells but the seconds that a lease has left.
QUIET = (e.LeaseRenewed, e.ReviewLeaseRenewed)
BEGIN_OR_END = (e.ChangeStarted, e.ChangeLanded, e.ChangeCancelled)
# After these there is evidence that was not there before.
VERDICTS = (
    e.FloorPassed,
    e.StagePassed,
    e.AttemptFailed,
    e.EvaluationErrored,
    e.StageEscalated,
    e.QuestionAnswered,
    e.ReviewGiven,
    e.ApprovalGiven,
)

log = logging.getLogger(__name__)


class Bus:
    """The SDK's seam for events, which also knows whether anybody listens."""

    def __init__(self) -> None:
        self._listeners: dict[object, Callable[[ServerEvent], None]] = {}

    def is_heard(self) -> bool:
        """Whether anybody subscribed."""
        return bool(self._listeners)

    async def publish(self, event: ServerEvent) -> None:
        """Hand an event to every listener; they neither wait nor raise."""
        for listener in list(self._listeners.values()):
            listener(event)
        # A stream is ended when too much lies before it: let it send in between.
        await anyio.lowlevel.checkpoint()

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Add a listener; what is returned takes it away, also a second time."""
        token = object()
        self._listeners[token] = listener

        def unsubscribe() -> None:
            self._listeners.pop(token, None)

        return unsubscribe


class Subscriber:
    """One connection of the handshake generation: what it subscribed to, and what it has still to be told.

    An update that was not sent yet is not sent twice, so a client that reads slowly costs no more than its addresses.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._uris: set[str] = set()
        self._hears_of_list = False
        self._session: ServerSession | None = None
        self._pending: dict[ServerEvent, None] = {}
        self._woken = anyio.Event()
        self._leave: Callable[[], None] | None = None

    def subscribe(self, session: ServerSession, uri: str) -> None:
        """Tell of this resource from now on; raises `MCPError` for too many."""
        if len(self._uris) >= URIS_MAX and uri not in self._uris:
            raise MCPError(types.INVALID_PARAMS, f"{URIS_MAX} resources are subscribed to already.", {"uri": uri})
        self._uris.add(uri)
        self._join(session)

    def unsubscribe(self, uri: str) -> None:
        """Tell no more of it; no effect where it was not subscribed to."""
        self._uris.discard(uri)

    def note_listing(self, session: ServerSession) -> None:
        """Who has the list of resources is told when it changes."""
        self._hears_of_list = True
        self._join(session)

    def close(self) -> None:
        """The connection is over."""
        if self._leave is not None:
            self._leave()

    async def work(self) -> None:
        """Send what is to be told, until cancelled or the client is gone."""
        while True:
            await self._woken.wait()
            self._woken = anyio.Event()
            while self._pending:
                event = next(iter(self._pending))
                del self._pending[event]
                try:
                    await self._send(event)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError, MCPError):
                    log.debug("a client was gone before it could be told of a change")
                    self.close()
                    return

    def _join(self, session: ServerSession) -> None:
        self._session = session
        if self._leave is None:
            self._leave = self._bus.subscribe(self._take)

    def _take(self, event: ServerEvent) -> None:
        is_wanted = self._hears_of_list if not isinstance(event, ResourceUpdated) else event.uri in self._uris
        if is_wanted:
            self._pending[event] = None
            self._woken.set()

    async def _send(self, event: ServerEvent) -> None:
        assert self._session is not None, "who joined has a session"
        if isinstance(event, ResourceUpdated):
            await self._session.send_resource_updated(event.uri)
        else:
            await self._session.send_resource_list_changed()


class Notices:
    """All subscribers of one application, and what they are told; `work` runs beside the calls."""

    def __init__(self) -> None:
        self.bus = Bus()
        self.listen = ListenHandler(self.bus)

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Subscriber]:
        """A subscriber for as long as its connection lasts."""
        subscriber = Subscriber(self.bus)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(subscriber.work)
            try:
                yield subscriber
            finally:
                subscriber.close()
                tasks.cancel_scope.cancel()

    async def work(self, services: "Services") -> None:
        """Publish what changes in the store from now on, whoever changes it, until cancelled.

        Whoever subscribed before is told of everything under way: it may have come from a server that was killed.
        """
        position: int | None = None
        # The changes under way can be listed from now on.
        await self.bus.publish(ResourcesListChanged())
        while True:
            ticket = services.changed.ticket()
            news: tuple[ServerEvent, ...] = ()
            try:
                position, news = await services.read(partial(self._look, after=position))
            except Refused as exc:
                log.info("nobody can be told of changes for now: %s", exc)
            except Exception:  # a defect of ours must not end the server: nothing correct depends on a notice
                log.exception("nobody was told of a change")
            for event in news:
                await self.bus.publish(event)
            await ticket.wait()
            await anyio.sleep(GATHER_S)

    def _look(self, tx: "Tx", after: int | None) -> tuple[int, tuple[ServerEvent, ...]]:
        """The newest position, and what became other since `after`; nothing while nobody would hear it."""
        # In this order: who subscribes after the question hears what comes after the position.
        newest = tx.position()
        if not self.bus.is_heard():
            return newest, ()
        if after is None:
            return newest, tuple(_everything(tx.changes(addresses.LIVE, limit=addresses.CHANGES_LISTED_MAX)))
        happened: list[tuple[str, e.Event]] = []
        is_more = True
        while is_more:
            page = tx.events_since(after, limit=EVENTS_AT_ONCE)
            is_more = len(page) == EVENTS_AT_ONCE
            for at, change, event in page:
                after = at
                happened.append((change, event))
        records = {change: tx.find_change(change) for change, _ in happened}
        return after, news_of(happened, {name: record for name, record in records.items() if record is not None})


def news_of(happened: Iterable[tuple[str, e.Event]], records: Mapping[str, ChangeRecord]) -> tuple[ServerEvent, ...]:
    """What is other than it was once these events of changes have happened; each once.

    With a change all of its stages: why one of them waits tells of the others. The pipeline is other when a change
    lands; of commits that come to the branch in other ways nobody hears here.
    """
    found: dict[ServerEvent, None] = {}
    for change, event in happened:
        if isinstance(event, QUIET):
            continue
        record = records.get(change)
        stages = () if record is None else record.stages
        uris = [addresses.CHANGES, addresses.change_uri(change)]
        uris += [addresses.stage_uri(change, stage.name) for stage in stages]
        if isinstance(event, VERDICTS):
            uris += [addresses.LEDGER, *_evidence_uris(record, event.stage)]
        if isinstance(event, e.DecisionGiven):
            uris.append(addresses.LEDGER)
        if isinstance(event, e.ChangeLanded):
            uris.append(addresses.PIPELINE)
        found |= {ResourceUpdated(uri): None for uri in uris}
        if isinstance(event, BEGIN_OR_END):
            found[ResourcesListChanged()] = None
    return tuple(found)


def _evidence_uris(record: ChangeRecord | None, name: str) -> Iterator[str]:
    """The evidence of the stage's newest attempt."""
    stage = None if record is None else record.find_stage(name)
    if record is None or stage is None or stage.current is None:
        return
    for gate in record.rule(name).every_gate:
        yield addresses.evidence_uri(record.id, name, stage.current.number, gate)


def _everything(records: Iterable[ChangeRecord]) -> Iterator[ServerEvent]:
    for uri in (addresses.CHANGES, addresses.PIPELINE, addresses.LEDGER):
        yield ResourceUpdated(uri)
    for record in records:
        yield ResourceUpdated(addresses.change_uri(record.id))
        for stage in record.stages:
            yield ResourceUpdated(addresses.stage_uri(record.id, stage.name))
            for uri in _evidence_uris(record, stage.name):
                yield ResourceUpdated(uri)
