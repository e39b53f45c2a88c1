"""Resources: the same truth as the reading tools tell, under an address that a client can attach, keep and watch.

Each is one JSON text with the fields of a reply, held below the size of a reply. Listing them opens no store: a change
is listed by its own address only once the server has opened it in the background. Source: docs/tools.md
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import mcp_types as types
from mcp.shared.exceptions import MCPError

from ..schemas.arguments import GetEvidence, GetStatus
from ..schemas.fitting import fit
from ..schemas.ids import CHANGE_ID, STAGE_NAME
from ..schemas.records import ChangeRecord, ChangeState
from ..schemas.refusals import Refusal, RefusalCode, Refused
from ..schemas.replies import Reply
from .operations.artifacts import get_evidence
from .operations.inforce import read_pipeline
from .operations.ledger import read_ledger
from .operations.looking import get_status
from .services import Services

CHANGES = "gatewright://changes"
CHANGE = "gatewright://changes/{change}"
STAGE = "gatewright://changes/{change}/stages/{stage}"
EVIDENCE = "gatewright://changes/{change}/stages/{stage}/attempts/{attempt}/evidence/{gate}"
PIPELINE = "gatewright://pipeline"
LEDGER = "gatewright://ledger"

JSON_TYPE = "application/json"
CHANGES_LISTED_MAX = 30
LIVE = (ChangeState.ACTIVE, ChangeState.LANDING)
# What no resource can be: every other refusal says why there is nothing to read for now.
NOT_FOUND = frozenset({RefusalCode.UNKNOWN_CHANGE, RefusalCode.UNKNOWN_STAGE, RefusalCode.BAD_ARGUMENT})

_PATTERNS = {
    "change": CHANGE_ID.pattern,
    "stage": STAGE_NAME.pattern,
    "attempt": "[1-9][0-9]{0,8}",
    "gate": STAGE_NAME.pattern,
}


@dataclass(frozen=True, slots=True)
class _Kind:
    """One resource, or one template of resources, and how it is read from its parameters."""

    uri: str
    name: str
    title: str
    description: str
    read: Callable[[Services, dict[str, str]], Awaitable[Reply]]

    @property
    def is_template(self) -> bool:
        return "{" in self.uri

    def match(self, uri: str) -> dict[str, str] | None:
        """The parameters of an address of this kind; None for every other."""
        pattern = re.sub(r"\\\{(\w+)\\\}", lambda found: f"(?P<{found[1]}>{_PATTERNS[found[1]]})", re.escape(self.uri))
        found = re.fullmatch(pattern, uri)
        return None if found is None else found.groupdict()


async def _read_status(services: Services, given: dict[str, str]) -> Reply:
    return await get_status(services, GetStatus(change=given.get("change"), stage=given.get("stage")))


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


KINDS = (
    _Kind(CHANGES, "changes", "Changes under way", "What get_status() tells: what waits, and for whom.", _read_status),
    _Kind(PIPELINE, "pipeline", "Pipeline", "The stages and gates that a new change goes through.", _read_pipeline),
    _Kind(
        LEDGER,
        "ledger",
        "Gate ledger",
        "How often each gate caught something, wrongly or not, and what came of it.",
        _read_ledger,
    ),
    _Kind(CHANGE, "change", "A change", "Its stages, who holds them, why one waits, what happened.", _read_status),
    _Kind(STAGE, "stage", "A stage of a change", "Why it stands where it does, and its attempts.", _read_status),
    _Kind(EVIDENCE, "evidence", "Evidence", "What a gate found about an attempt, exactly as judged.", _read_evidence),
)


def listed(changes: Iterable[ChangeRecord]) -> types.ListResourcesResult:
    """The fixed resources, and the given changes."""
    fixed = [
        types.Resource(
            uri=kind.uri, name=kind.name, title=kind.title, description=kind.description, mime_type=JSON_TYPE
        )
        for kind in KINDS
        if not kind.is_template
    ]
    live = [
        types.Resource(uri=change_uri(r.id), name=r.id, title=f"{r.id}: {r.title}", mime_type=JSON_TYPE)
        for r in changes
    ]
    return types.ListResourcesResult(resources=[*fixed, *live])


def templates() -> types.ListResourceTemplatesResult:
    """The templates."""
    return types.ListResourceTemplatesResult(
        resource_templates=[
            types.ResourceTemplate(
                uri_template=kind.uri,
                name=kind.name,
                title=kind.title,
                description=kind.description,
                mime_type=JSON_TYPE,
            )
            for kind in KINDS
            if kind.is_template
        ]
    )


async def live_changes(services: Services) -> tuple[ChangeRecord, ...]:
    """The changes that are listed by name: those under way, newest first."""
    return await services.read(lambda tx: tx.changes(LIVE, limit=CHANGES_LISTED_MAX))


def is_resource(uri: str) -> bool:
    """Whether an address is one of ours, be there something under it or not."""
    return any(kind.match(uri) is not None for kind in KINDS)


async def read(open_services: Callable[[], Awaitable[Services]], uri: str) -> types.ReadResourceResult:
    """The resource; raises `MCPError` with code, sentence and next step of the refusal where there is none."""
    for kind in KINDS:
        given = kind.match(uri)
        if given is None:
            continue
        try:
            reply = fit(await kind.read(await open_services(), given))
        except Refused as exc:
            raise _error(uri, exc.refusal) from exc
        text = json.dumps(reply.model_dump(mode="json"), ensure_ascii=False)
        return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, mime_type=JSON_TYPE, text=text)])
    known = ", ".join(kind.uri for kind in KINDS)
    raise MCPError(types.INVALID_PARAMS, f"There is no such resource; there are {known}.", {"uri": uri})


def change_uri(change: str) -> str:
    """The address of a change."""
    return CHANGE.format(change=change)


def stage_uri(change: str, stage: str) -> str:
    """The address of a stage."""
    return STAGE.format(change=change, stage=stage)


def evidence_uri(change: str, stage: str, attempt: int, gate: str) -> str:
    """The address of what a gate found about an attempt."""
    return EVIDENCE.format(change=change, stage=stage, attempt=attempt, gate=gate)


def _error(uri: str, refusal: Refusal) -> MCPError:
    code = types.INVALID_PARAMS if refusal.code in NOT_FOUND else types.INTERNAL_ERROR
    about = {"uri": uri, "code": refusal.code, "next": refusal.next}
    return MCPError(code, f"{refusal.message} {refusal.next}", about)
