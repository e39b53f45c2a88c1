"""Worker processes on the test's store: see `worker`."""

import subprocess
from collections.abc import Callable

Worker = subprocess.Popen[str]
Hire = Callable[..., Worker]

WITHIN_S = 30.0


def hear(worker: Worker) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def let_begin(*workers: Worker) -> None:
    for worker in workers:
        assert hear(worker) == "ready"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()


def finish(worker: Worker) -> list[str]:
    said, _ = worker.communicate(timeout=WITHIN_S)
    assert worker.returncode == 0
    return said.splitlines()


def let_go_on(worker: Worker) -> None:
    worker.communicate("\n", timeout=WITHIN_S)
    assert worker.returncode == 0
