"""`gatewright worker`: run the gates of a team. See docs/team.md.

It runs programs of the project, so its own secrets are kept where none of them looks: the address of the database
comes by the environment or an option, and the process starts itself again without either.
"""

import ctypes
import logging
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...schemas.pipeline import LABEL, LABELS_MAX
from .command import CannotGoOn, Exit, UsageError
from .database import VARIABLE, add_database_url, database_url, told_of_database
from .serve import DRAIN_S, log_to_stderr, raise_descriptors, seconds
from .terminal import Terminal

if TYPE_CHECKING:
    from ..services import Services

SLOTS_MAX = 256
# The number of a pipe with the database's address in it: set by the process that this one was, and by nobody else.
HANDED = "GATEWRIGHT_HANDED_DATABASE"
URL_BYTES_MAX = 4096
PR_SET_DUMPABLE = 4


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    add_database_url(parser)
    parser.add_argument("--remote", metavar="URL", required=True, help="the git repository that the team shares")
    text = "a folder of this worker's own, which may be lost"
    parser.add_argument("--state", metavar="DIR", type=Path, required=True, help=text)
    text = "what this machine has that gates ask for by runs_on, such as gpu,big-memory"
    parser.add_argument("--labels", metavar="LABELS", type=_labels, default=(), help=text)
    slots = max(2, os.cpu_count() or 1)
    text = f"how many evaluations at once (default: one for each processor, {slots} here)"
    parser.add_argument("--slots", metavar="N", type=_slots, default=slots, help=text)
    text = f"how long what runs may go on after SIGTERM before another worker begins it anew (default: {DRAIN_S:.0f})"
    parser.add_argument("--drain", metavar="SECONDS", type=seconds, default=DRAIN_S, dest="drain_s", help=text)


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Work until told to end."""
    url = _handed_url()
    if url is None:
        _start_again(database_url(options), options)
        raise AssertionError("exec does not return")
    _keep_others_out()
    log_to_stderr()
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    raise_descriptors()
    with _services_of(url, options) as services:
        import anyio

        labels = f" with {', '.join(options.labels)}" if options.labels else ""
        terminal.say(f"Working on up to {options.slots} evaluations at once{labels}")
        terminal.flush()
        anyio.run(_work, services, url, options)
    return Exit.OK


async def _work(services: "Services", url: str, options: Namespace) -> None:
    """Until SIGTERM or SIGINT, and then as long as draining takes; the second one does not wait for it."""
    import signal

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


@contextmanager
def _services_of(url: str, options: Namespace) -> Generator["Services"]:
    """What is worked with, opened; raises in a sentence where it cannot be."""
    from ...gates.remote.address import parse_address
    from ...gates.remote.problems import RemoteProblem
    from ..composition import open_team_services
    from ..store import open_database

    try:
        parse_address(options.remote)
    except ValueError as exc:
        raise UsageError(f"--remote: {exc}") from exc
    with told_of_database(), closing(open_database(url, is_worker=True)) as store:
        try:
            services = open_team_services(store, options.remote, options.state)
        except RemoteProblem as exc:
            raise CannotGoOn(str(exc), "Mend that, then run it again.", code="remote") from exc
        yield services


def _handed_url() -> str | None:
    """What the process that this one was has left in a pipe."""
    number = os.environ.pop(HANDED, None)
    if number is None:
        return None
    with os.fdopen(int(number), "rb") as pipe:
        return pipe.read(URL_BYTES_MAX).decode()


def _start_again(url: str, options: Namespace) -> None:
    """Become the same worker, with the address in nothing that other processes can read."""
    if len(url.encode()) > URL_BYTES_MAX:
        raise UsageError("the database's address is too long")
    begin, end = os.pipe()
    os.write(end, url.encode())
    os.close(end)
    os.set_inheritable(begin, True)
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    command = [sys.executable, "-P", "-m", "gatewright", "worker"]
    command += ["--remote", options.remote, "--state", str(options.state.absolute())]
    command += ["--slots", str(options.slots), "--drain", str(options.drain_s)]
    command += ["--labels", ",".join(options.labels)] if options.labels else []
    os.execve(sys.executable, command, {**environment, HANDED: str(begin)})


def _keep_others_out() -> None:
    """No process of the same user reads this one's memory or descriptors; on Linux, and from everybody but root."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def _labels(text: str) -> tuple[str, ...]:
    found = tuple(sorted({label.strip() for label in text.split(",")}))
    wrong = [label for label in found if not LABEL.fullmatch(label)]
    if wrong or len(found) > LABELS_MAX:
        raise ArgumentTypeError(f"{text!r} is not up to {LABELS_MAX} labels as in gpu,big-memory")
    return found


def _slots(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= SLOTS_MAX:
        raise ArgumentTypeError(f"{text!r} is no number from 1 to {SLOTS_MAX}")
    return int(text)
