"""Have this process watched, if its environment or its options ask for it. Standard library only, until they do."""

import atexit
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from .asked import PROTOCOL, Asked, asked_of
from .watching import set_watcher, watcher

if TYPE_CHECKING:
    from .page import Page

EXTRA = "gatewright[telemetry]"
TIMEOUT = "OTEL_EXPORTER_OTLP_TIMEOUT"
BRIEF_S = 2.0

log = logging.getLogger(__name__)

_page: "list[Page]" = []


class TelemetryMissing(Exception):
    """What was asked for by an option is not installed; `str()` is one sentence."""


def begin(environment: Mapping[str, str] = os.environ) -> None:
    """Watch from now on, if the variables ask for it; once in a process. What stands in the way is logged.

    For those whose environment is their operator's: a repository's own server has that of whichever agent came first.
    At the end of the process what has not been exported is, for as long as the exporters' variables let it take.
    """
    asked = asked_of(environment)
    if not asked or watcher().is_watching:
        return
    _say_unknown(asked)
    if asked.traces or asked.metrics:
        try:
            _watch(asked)
        except ImportError:
            log.info("the variables OTEL_... ask for telemetry, and %s is not installed: none is exported", EXTRA)


def begin_briefly(environment: Mapping[str, str] = os.environ) -> None:
    """`begin` for a person's command: traces alone, and a collector that is away keeps nobody waiting for long.

    What lives for a second measures nothing that anybody could add up.
    """
    asked = asked_of(environment)
    if not asked.traces or watcher().is_watching:
        return
    # One line about an export that failed, and none about each try.
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    with suppress(ImportError):
        _watch(Asked(asked.traces), timeout_s=None if TIMEOUT in environment else BRIEF_S)


def begin_with_page(environment: Mapping[str, str] = os.environ) -> "Page":
    """Watch from now on with what `/metrics` shows, and with what the variables ask for besides.

    Raises `TelemetryMissing`.
    """
    if not _page:
        asked = asked_of(environment, has_page=True)
        _say_unknown(asked)
        try:
            _watch(asked)
        except ImportError as exc:
            raise TelemetryMissing(f"Metrics are not shown without {EXTRA}.") from exc
    return _page[0]


def _say_unknown(asked: Asked) -> None:
    for text in asked.unknown:
        log.info("%s is not known here: there are otlp by %s, console and none", text, PROTOCOL)


def _watch(asked: Asked, *, timeout_s: float | None = None) -> None:
    from .otel_watcher import OtelWatcher
    from .providers import make_providers

    providers = make_providers(asked, timeout_s=timeout_s)
    if providers.registry is not None:
        from .page import Page

        _page.append(Page(providers.registry))
    new = OtelWatcher(providers)
    set_watcher(new)
    # Before the providers' own, which were registered before.
    atexit.register(new.drain)
