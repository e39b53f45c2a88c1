"""Kill the server with -9 while a gate runs, and find out who judged what in the end."""

import os
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import demo_sample as sample
from .demo_agent import DemoFailed
from .demo_scratch import POLL_S, Scratch, until_gone

if TYPE_CHECKING:
    from ..store import EvaluationRow, Store
    from ..store.tx import Tx

GATE_STARTS_WITHIN_S = 30.0
DIES_WITHIN_S = 5.0


class Killing:
    """One kill of the server that judges the next attempt of a stage."""

    def __init__(self, scratch: Scratch, store: "Store", change: str, stage: str) -> None:
        self._scratch = scratch
        self._store = store
        self._change, self._stage = change, stage
        self._before = self._current()
        self._killed: EvaluationRow | None = None

    def kill(self) -> int:
        """Wait until the next attempt's tests run, end the server, and return the process that it was."""
        deadline = time.monotonic() + GATE_STARTS_WITHIN_S
        while time.monotonic() < deadline:
            row = self._current()
            if row is not None and row != self._before and row.token and self._tests_run(row.id):
                pid = self._scratch.server_pid()
                os.kill(pid, signal.SIGKILL)
                if not until_gone(pid, DIES_WITHIN_S):
                    raise DemoFailed(f"The server {pid} survived kill -9.")
                self._killed = self._current()
                return pid
            time.sleep(POLL_S)
        raise DemoFailed("The gates of the next attempt never ran.")

    def was_judged_again(self) -> bool:
        """Whether the evaluation was unfinished when its server died, and was then finished by another one."""
        now, then = self._current(), self._killed
        if now is None or then is None or now.id != then.id:
            return False
        return then.finished_at is None and now.finished_at is not None and now.token != then.token

    def _current(self) -> "EvaluationRow | None":
        return self._store.read(self._find_current)

    def _find_current(self, tx: "Tx") -> "EvaluationRow | None":
        record = tx.find_change(self._change)
        stage = record.find_stage(self._stage) if record is not None else None
        if stage is None or stage.current is None:
            return None
        return tx.find_evaluation(stage.current.evaluation)

    def _tests_run(self, evaluation: str) -> bool:
        """The sample's test program makes its report when it starts, in a folder named after the evaluation."""
        # Folders come and go meanwhile, which `walk` passes over and `rglob` does not.
        folders = os.walk(self._scratch.cache)
        return any(f"/{evaluation}-" in folder and sample.REPORT in files for folder, _, files in folders)


@contextmanager
def open_killing(scratch: Scratch, change: str, stage: str) -> Generator[Killing]:
    """Look at the store while the stage's next attempt is judged."""
    from ..store import open_store

    store = open_store(scratch.state, create=False)
    try:
        yield Killing(scratch, store, change, stage)
    finally:
        store.close()
