"""Become the repository's server: leave the starter's session, open the application, say that it listens, serve.

Started by `reach` with the start lock as input, the readiness pipe as output and the log as error output.
"""

import gc
import logging
import logging.handlers
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from .build import code_stamp
from .lines import message_line
from .reach import LOG_BYTES_MAX, START_TIMEOUT_S
from .rendezvous import LOG_FILE, PID_FILE, state_folder

if TYPE_CHECKING:
    from .daemon import Application

IDLE_S = 600.0
IDLE_VARIABLE = "GATEWRIGHT_IDLE_S"
DESCRIPTORS_MAX = 4_096

logger = logging.getLogger(__name__)


def open_real_application(common_dir: Path) -> "Application":
    """The application that users get."""
    from .app import open_application

    return open_application(common_dir)


def main(
    arguments: Sequence[str],
    *,
    open_application: Callable[[Path], "Application"] = open_real_application,
    version: str = __version__,
    code: Callable[[], int] = code_stamp,
) -> int:
    """Serve the repository named by `--common-dir PATH` until idle or told to end; return the exit status.

    `code` tells which code lies on the disk; when that changes, this server makes room for one that runs it.
    """
    if len(arguments) != 2 or arguments[0] != "--common-dir":
        sys.stderr.write("server-process is started by gatewright itself, with --common-dir PATH.\n")
        return 2
    common_dir = Path(arguments[1])
    starter = _detach()
    _log_to(Path(state_folder(str(common_dir))) / LOG_FILE)
    try:
        _serve(common_dir, open_application, version, code, lambda: starter.tell({"ok": True}))
    except Exception as exc:  # the starter is told in one sentence, the log keeps the rest
        logger.exception("the server ended")
        starter.tell({"ok": False, "problem": f"The server of this repository cannot start: {_sentence(exc)}"})
        return 1
    return 0


def _serve(
    common_dir: Path,
    open_application: Callable[[Path], "Application"],
    version: str,
    code: Callable[[], int],
    on_ready: Callable[[], None],
) -> None:
    # Before anything of it is imported.
    started_with = code()
    # Half of a start is imports, which make hundreds of thousands of objects and no garbage.
    gc.disable()
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "1"
    import anyio

    from .daemon import Daemon

    application = open_application(common_dir)
    gc.freeze()
    gc.enable()

    pid_file = common_dir / "gatewright" / PID_FILE
    daemon = Daemon(application, common_dir=common_dir, version=version, is_current=lambda: code() == started_with)

    def announce() -> None:
        pid_file.write_text(f"{os.getpid()}\n")
        on_ready()

    async def run() -> None:
        await daemon.serve(idle_s=float(os.environ.get(IDLE_VARIABLE, IDLE_S)), on_ready=announce)

    anyio.run(run)


class Starter:
    """Who waits for this server: told once how the start went, upon which the next start may go on."""

    def __init__(self, ready: int, lock: int) -> None:
        self._descriptors = [ready, lock]

    def tell(self, answer: dict[str, object]) -> None:
        """Send the answer; a second one is dropped, because by then the descriptors' numbers belong to other files."""
        signal.alarm(0)
        if not self._descriptors:
            return
        ready, lock = self._descriptors
        self._descriptors.clear()
        try:
            os.write(ready, message_line(answer))
        except OSError:
            logger.info("whoever started this server is gone")
        os.close(ready)
        os.close(lock)


def _detach() -> Starter:
    """Leave session, process tree and folder of the starter, which gave the lock as input and its pipe as output."""
    os.closerange(3, DESCRIPTORS_MAX)  # what a client leaked would stay open as long as the server lives
    os.setsid()
    if os.fork():
        os._exit(0)
    # A start that hangs would hold the lock, and with it every other start, for ever.
    signal.alarm(int(START_TIMEOUT_S))
    os.chdir("/")
    starter = Starter(os.dup(1), os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return starter


def _log_to(path: Path) -> None:
    logging.basicConfig(
        level=logging.INFO,
        handlers=[_Log(path, maxBytes=LOG_BYTES_MAX, backupCount=1)],
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )


class _Log(logging.handlers.RotatingFileHandler):
    """A log that also takes what libraries write to the standard streams, before and after it was rotated."""

    def doRollover(self) -> None:  # noqa: N802 - the standard library's name
        super().doRollover()
        with self._open() as fresh:
            for standard in (1, 2):
                os.dup2(fresh.fileno(), standard)


def _sentence(problem: Exception) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]
