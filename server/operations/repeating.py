"""The same request again has one effect (rule 11, invariant I8).

A key is looked at before anything else. What is kept is a *reference* to the effect (which change, lease or
evaluation), in the same transaction as the effect; the reply is told again from it and from the truth of now, so that
a repeated submit brings the verdict and not the "running" of the first call.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ...schemas import refusals
from ...schemas.refusals import Refused
from ..identity.scopes import EVERY_SCOPE, Scopes
from ..store import StoredReply

if TYPE_CHECKING:
    from ..store.tx import Tx

Reference = dict[str, object]


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for what, and what the principal may. `key` is the agent's own, else the bridge's stamp of the call.

    Without either nothing is kept.
    """

    principal: str
    tool: str
    arguments: Mapping[str, object]
    key: str | None
    scopes: Scopes = EVERY_SCOPE

    @property
    def digest(self) -> str:
        """Equal exactly for equal requests; how long the caller waits is no part of what it asks."""
        told = {name: value for name, value in self.arguments.items() if name not in {"wait_s", "key"}}
        text = json.dumps([self.tool, told], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def find_effect(tx: "Tx", request: Request) -> Reference | None:
    """What the request led to before; raises `Refused` (idempotency_conflict) when its key was used for another one."""
    if request.key is None:
        return None
    kept = tx.find_reply(request.principal, request.key)
    if kept is None:
        return None
    if kept.request_digest != request.digest:
        raise Refused(refusals.idempotency_conflict(request.key))
    reference: Reference = json.loads(kept.reference)
    return reference


def once(tx: "Tx", request: Request, now: datetime, effect: Callable[[], Reference]) -> Reference:
    """Do `effect` unless it was done; return its reference either way."""
    done = find_effect(tx, request)
    if done is not None:
        return done
    reference = effect()
    if request.key is not None:
        tx.add_reply(request.principal, request.key, StoredReply(request.digest, json.dumps(reference)), now)
    return reference
