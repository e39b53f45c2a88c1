"""`gatewright worker`: run the gates of a team. See docs/team.md.

It runs programs of the project, so its own secrets are kept where none of them looks: the addresses of the database
and the remote come by the environment or options, and the process starts itself again without either.
"""

import ipaddress
import logging
import os
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ...schemas.pipeline import LABEL, LABELS_MAX
from ..telemetry.logs import LogFormat
from ..telemetry.starting import begin
from .command import CannotGoOn, Exit, UsageError
from .handing import handed_team, keep_others_out, start_again
from .serve import DRAIN_S, add_log_format, begin_with_metrics, log_to_stderr, raise_descriptors, seconds
from .starting import Start
from .team import add_team, find_team, team_services_of
from .terminal import Terminal

if TYPE_CHECKING:
    from ..services import Services

SLOTS_MAX = 256


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    add_team(parser)
    text = "what this machine has that gates ask for by runs_on, such as gpu,big-memory"
    parser.add_argument("--labels", metavar="LABELS", type=_labels, default=(), help=text)
    slots = max(2, os.cpu_count() or 1)
    text = f"how many evaluations at once (default: one for each processor, {slots} here)"
    parser.add_argument("--slots", metavar="N", type=_slots, default=slots, help=text)
    text = f"how long what runs may go on after SIGTERM before another worker begins it anew (default: {DRAIN_S:.0f})"
    parser.add_argument("--drain", metavar="SECONDS", type=seconds, default=DRAIN_S, dest="drain_s", help=text)
    text = "answer /metrics there, as Prometheus reads it, to this machine alone: 127.0.0.1:9464"
    parser.add_argument("--metrics", metavar="HOST:PORT", type=_own_address, help=text)
    add_log_format(parser)


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Work until told to end."""
    team = handed_team()
    if team is None:
        team = find_team(options)
        if team is None:
            raise UsageError("give --database-url, --remote and --state, or set the variables that stand for them")
        start_again(team, _arguments(options))
        raise AssertionError("exec does not return")
    keep_others_out()
    log_to_stderr(LogFormat(options.log_format))
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    raise_descriptors()
    if options.metrics is not None:
        _serve_metrics(terminal, *options.metrics)
    begin()
    # Nobody else listens for it yet, and the first process of a container would not be ended by it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(Exit.OK))
    with ExitStack() as at_end:
        services = Start(lambda: at_end.enter_context(team_services_of(team, is_worker=True))).wait()
        import anyio

        labels = f" with {', '.join(options.labels)}" if options.labels else ""
        terminal.say(f"Working on up to {options.slots} evaluations at once{labels}")
        terminal.flush()
        anyio.run(_work, services, team.database_url, options)
    return Exit.OK


async def _work(services: "Services", url: str, options: Namespace) -> None:
    """Until SIGTERM or SIGINT, and then as long as draining takes; the second one does not wait for it."""
    import anyio

    from ..engine.distributed import DistributedEngine
    from ..engine.queue import Queue

    queue = Queue(url, options.labels)
    engine = DistributedEngine(services, queue, slots=options.slots, drain_s=options.drain_s)
    async with anyio.create_task_group() as tasks:

        async def listen() -> None:
            told = 0
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    told += 1
                    if told > 1:
                        tasks.cancel_scope.cancel()
                    engine.drain()

        tasks.start_soon(listen)
        await engine.work()
        tasks.cancel_scope.cancel()


def _arguments(options: Namespace) -> list[str]:
    """What makes the same worker again, but for the team."""
    arguments = ["worker", "--slots", str(options.slots), "--drain", str(options.drain_s)]
    arguments += ["--labels", ",".join(options.labels)] if options.labels else []
    arguments += ["--log-format", options.log_format]
    return arguments + ([] if options.metrics is None else ["--metrics", "[{}]:{}".format(*options.metrics)])


def _serve_metrics(terminal: Terminal, host: str, port: int) -> None:
    page = begin_with_metrics()
    try:
        port = page.serve(host, port)
    except OSError as exc:
        problem = f"Metrics cannot be shown at {host}:{port}: {exc.strerror}."
        raise CannotGoOn(problem, "Give --metrics another address.", code="cannot_listen") from exc
    terminal.say(f"Showing metrics on port {port}")


def _labels(text: str) -> tuple[str, ...]:
    found = tuple(sorted({label.strip() for label in text.split(",")}))
    wrong = [label for label in found if not LABEL.fullmatch(label)]
    if wrong or len(found) > LABELS_MAX:
        raise ArgumentTypeError(f"{text!r} is not up to {LABELS_MAX} labels as in gpu,big-memory")
    return found


def _own_address(text: str) -> tuple[str, int]:
    """Whoever can reach it reads it: nobody from outside can."""
    from ..http.listening import parse_address

    try:
        host, port = parse_address(text)
        is_own = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError as exc:
        raise ArgumentTypeError(f"{text!r} {exc}") from None
    if not is_own:
        raise ArgumentTypeError(
            f"{text!r} would be read by other machines, and nobody is asked for a token there: give an address of this "
            "machine alone, or export by OTEL_EXPORTER_OTLP_ENDPOINT"
        )
    return host, port


def _slots(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= SLOTS_MAX:
        raise ArgumentTypeError(f"{text!r} is no number from 1 to {SLOTS_MAX}")
    return int(text)
