"""Which clients this repository's gatewright was plugged into, kept in the store for `uninstall`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .clients.client import Traces

if TYPE_CHECKING:
    from ..store import Store

INSTALLED = "installed_clients"
"""Under this name the store keeps the list."""


@dataclass(frozen=True, slots=True)
class Installation:
    """A client, or its hook, as it was told from the checkout `top`, and what was made for that."""

    client: str
    top: Path
    traces: Traces


def installations(store: "Store") -> list[Installation]:
    """Every one of them, the oldest first."""
    text = store.read(lambda tx: tx.meta_get(INSTALLED))
    return [
        Installation(item["client"], Path(item["top"]), Traces(tuple(item["paths"]), tuple(item["holders"])))
        for item in (json.loads(text) if text else [])
    ]


def remember(store: "Store", client: str, top: Path, traces: Traces) -> None:
    """Add one; a second time adds what was made then."""
    known = {(one.client, one.top): one.traces for one in installations(store)}
    known[client, top] = known.get((client, top), Traces()).with_more(traces)
    items = [{"client": name, "top": str(place), **asdict(made)} for (name, place), made in known.items()]
    store.run(lambda tx: tx.meta_set(INSTALLED, json.dumps(items)))
