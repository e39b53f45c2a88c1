"""Resources: the same truth as the reading tools tell, under the addresses of `addresses`.

Each is one JSON text with the fields of a reply, held below the size of a reply. Source: docs/tools.md
"""

import json
from collections.abc import Awaitable, Callable, Mapping

import mcp_types as types
from mcp.shared.exceptions import MCPError

from ..schemas.arguments import GetEvidence, GetStatus
from ..schemas.fitting import fit
from ..schemas.records import ChangeRecord
from ..schemas.refusals import Refusal, RefusalCode, Refused
from ..schemas.replies import Reply
from .addresses import (
    ADDRESSES,
    BEFORE,
    CHANGE,
    CHANGES,
    CHANGES_LISTED_MAX,
    EVIDENCE,
    JSON_TYPE,
    LEDGER,
    LIVE,
    PIPELINE,
    STAGE,
)
from .operations.artifacts import get_evidence
from .operations.inforce import read_pipeline
from .operations.ledger import read_ledger
from .operations.looking import get_status, get_status_before
from .services import Services

# What no resource can be: every other refusal says why there is nothing to read for now.
NOT_FOUND = frozenset({RefusalCode.UNKNOWN_CHANGE, RefusalCode.UNKNOWN_STAGE, RefusalCode.BAD_ARGUMENT})


async def _read_status(services: Services, given: dict[str, str]) -> Reply:
    return await get_status(services, GetStatus(change=given.get("change"), stage=given.get("stage")))


async def _read_before(services: Services, given: dict[str, str]) -> Reply:
    return await get_status_before(services, given["change"])


async def _read_evidence(services: Services, given: dict[str, str]) -> Reply:
    change, stage, gate, attempt = given["change"], given["stage"], given["gate"], int(given["attempt"])
    reply = await get_evidence(services, GetEvidence(change=change, stage=stage, attempt=attempt, gate=gate))
    if reply.next_offset is None:
        return reply
    call = f'get_evidence(change="{change}", stage="{stage}", attempt={attempt}, gate="{gate}"'
    return reply.model_copy(update={"next": f"{call}, offset={reply.next_offset}) tells the rest. {reply.next}"})


async def _read_pipeline(services: Services, _: dict[str, str]) -> Reply:
    return await read_pipeline(services)


async def _read_ledger(services: Services, _: dict[str, str]) -> Reply:
    return await read_ledger(services)


READERS: Mapping[str, Callable[[Services, dict[str, str]], Awaitable[Reply]]] = {
    CHANGES: _read_status,
    PIPELINE: _read_pipeline,
    LEDGER: _read_ledger,
    BEFORE: _read_before,
    CHANGE: _read_status,
    STAGE: _read_status,
    EVIDENCE: _read_evidence,
}


async def live_changes(services: Services) -> tuple[ChangeRecord, ...]:
    """The changes that are listed by name: those under way, newest first."""
    return await services.read(lambda tx: tx.changes(LIVE, limit=CHANGES_LISTED_MAX))


async def read(open_services: Callable[[], Awaitable[Services]], uri: str) -> types.ReadResourceResult:
    """The resource; raises `MCPError` with code, sentence and next step of the refusal where there is none."""
    for address in ADDRESSES:
        given = address.match(uri)
        if given is None:
            continue
        try:
            reply = fit(await READERS[address.uri](await open_services(), given))
        except Refused as exc:
            raise _error(uri, exc.refusal) from exc
        text = json.dumps(reply.model_dump(mode="json"), ensure_ascii=False)
        return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, mime_type=JSON_TYPE, text=text)])
    known = ", ".join(address.uri for address in ADDRESSES)
    raise MCPError(types.INVALID_PARAMS, f"There is no such resource; there are {known}.", {"uri": uri})


def _error(uri: str, refusal: Refusal) -> MCPError:
    code = types.INVALID_PARAMS if refusal.code in NOT_FOUND else types.INTERNAL_ERROR
    about = {"uri": uri, "code": refusal.code, "next": refusal.next}
    return MCPError(code, f"{refusal.message} {refusal.next}", about)
