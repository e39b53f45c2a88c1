"""Under which addresses the same truth lies that the reading tools tell, for clients that attach, keep and watch.

Listing them opens no store: a change is listed by its own address only once the server has opened it in the background.
What is read there is the business of `resources`. Source: docs/tools.md
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import mcp_types as types

from ..schemas.ids import CHANGE_ID, STAGE_NAME
from ..schemas.records import ChangeRecord, ChangeState

CHANGES = "gatewright://changes"
CHANGE = "gatewright://changes/{change}"
BEFORE = "gatewright://changes/before/{change}"
STAGE = "gatewright://changes/{change}/stages/{stage}"
EVIDENCE = "gatewright://changes/{change}/stages/{stage}/attempts/{attempt}/evidence/{gate}"
PIPELINE = "gatewright://pipeline"
LEDGER = "gatewright://ledger"

JSON_TYPE = "application/json"
# Which changes are listed by name, the newest first, and how many of them.
LIVE = (ChangeState.ACTIVE, ChangeState.LANDING)
CHANGES_LISTED_MAX = 30

_PATTERNS = {
    "change": CHANGE_ID.pattern,
    "stage": STAGE_NAME.pattern,
    "attempt": "[1-9][0-9]{0,8}",
    "gate": STAGE_NAME.pattern,
}


@dataclass(frozen=True, slots=True)
class Address:
    """One resource, or one template of resources."""

    uri: str
    name: str
    title: str
    description: str

    @property
    def is_template(self) -> bool:
        return "{" in self.uri

    def match(self, uri: str) -> dict[str, str] | None:
        """The parameters of an address of this kind; None for every other."""
        pattern = re.sub(r"\\\{(\w+)\\\}", lambda found: f"(?P<{found[1]}>{_PATTERNS[found[1]]})", re.escape(self.uri))
        found = re.fullmatch(pattern, uri)
        return None if found is None else found.groupdict()


ADDRESSES = (
    Address(CHANGES, "changes", "Changes under way", "What get_status() tells: what waits, and for whom."),
    Address(PIPELINE, "pipeline", "Pipeline", "The stages and gates that a new change goes through."),
    Address(
        LEDGER,
        "ledger",
        "Gate ledger",
        "How often each gate caught something, wrongly or not, and what came of it.",
    ),
    Address(
        BEFORE, "further", "Further changes", "Those under way that were begun before a change: a status tells few."
    ),
    Address(CHANGE, "change", "A change", "Its stages, who holds them, why one waits, what happened."),
    Address(STAGE, "stage", "A stage of a change", "Why it stands where it does, and its attempts."),
    Address(EVIDENCE, "evidence", "Evidence", "What a gate found about an attempt, exactly as judged."),
)


def listed(changes: Iterable[ChangeRecord], more: Iterable[types.Resource] = ()) -> types.ListResourcesResult:
    """The fixed resources, `more` of them, and the given changes."""
    fixed = [
        types.Resource(
            uri=address.uri,
            name=address.name,
            title=address.title,
            description=address.description,
            mime_type=JSON_TYPE,
        )
        for address in ADDRESSES
        if not address.is_template
    ]
    live = [
        types.Resource(uri=change_uri(r.id), name=r.id, title=f"{r.id}: {r.title}", mime_type=JSON_TYPE)
        for r in changes
    ]
    return types.ListResourcesResult(resources=[*fixed, *more, *live])


def templates() -> types.ListResourceTemplatesResult:
    """The templates."""
    return types.ListResourceTemplatesResult(
        resource_templates=[
            types.ResourceTemplate(
                uri_template=address.uri,
                name=address.name,
                title=address.title,
                description=address.description,
                mime_type=JSON_TYPE,
            )
            for address in ADDRESSES
            if address.is_template
        ]
    )


def is_resource(uri: str) -> bool:
    """Whether an address is one of ours, be there something under it or not."""
    return any(address.match(uri) is not None for address in ADDRESSES)


def change_uri(change: str) -> str:
    """The address of a change."""
    return CHANGE.format(change=change)


def stage_uri(change: str, stage: str) -> str:
    """The address of a stage."""
    return STAGE.format(change=change, stage=stage)


def evidence_uri(change: str, stage: str, attempt: int, gate: str) -> str:
    """The address of what a gate found about an attempt."""
    return EVIDENCE.format(change=change, stage=stage, attempt=attempt, gate=gate)
