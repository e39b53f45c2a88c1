"""Completions: the names of changes, stages, gates and attempts, for whoever fills in a prompt or an address.

A help and nothing more: where nothing can be known there is nothing to offer, and no error.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import mcp_types as types

from ..schemas.ids import CHANGE_ID, LAND
from ..schemas.records import ChangeRecord
from ..schemas.refusals import Refused
from .resources import live_changes
from .services import Services

if TYPE_CHECKING:
    from .store.tx import Tx

# What the protocol allows in one answer.
VALUES_MAX = 100


async def complete(
    open_services: Callable[[], Awaitable[Services]], argument: str, begun: str, given: Mapping[str, str]
) -> types.CompleteResult:
    """What an argument that begins so can be, where the other arguments are as `given`.

    Changes are those under way, the newest first; an ended one can be given as `change` all the same.
    """
    try:
        values = await _values(await open_services(), argument, given)
    except Refused:
        values = ()
    fitting = [value for value in dict.fromkeys(values) if value.startswith(begun)]
    return types.CompleteResult(
        completion=types.Completion(values=fitting[:VALUES_MAX], total=len(fitting), has_more=len(fitting) > VALUES_MAX)
    )


async def _values(services: Services, argument: str, given: Mapping[str, str]) -> Iterable[str]:
    records = await _records(services, given.get("change"))
    stage = given.get("stage")
    match argument:
        case "change":
            return [record.id for record in await live_changes(services)]
        case "stage":
            return [name for record in records for name in (*(found.name for found in record.stages), LAND)]
        case "gate":
            return [gate for record in records for gate in _gates(record, stage)]
        case "attempt":
            return [number for record in records for number in _attempts(record, stage)]
        case _:
            return ()


async def _records(services: Services, change: str | None) -> tuple[ChangeRecord, ...]:
    if change is None or not CHANGE_ID.fullmatch(change):
        return await live_changes(services)

    def look(tx: "Tx") -> tuple[ChangeRecord, ...]:
        record = tx.find_change(change)
        return () if record is None else (record,)

    return await services.read(look)


def _gates(record: ChangeRecord, stage: str | None) -> Iterator[str]:
    for rule in record.plan.stages:
        if stage in (None, rule.name):
            yield from rule.every_gate
    if stage in (None, LAND):
        yield from record.plan.land_gates


def _attempts(record: ChangeRecord, stage: str | None) -> Iterator[str]:
    for found in record.stages:
        if stage in (None, found.name):
            # The newest first: that is the one that people ask for.
            yield from (str(attempt.number) for attempt in reversed(found.attempts))
