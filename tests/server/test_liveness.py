"""Who counts as running: it decides how soon a killed server's work is taken up again."""

import os
import signal
import subprocess
import sys

from gatewright.server.liveness import is_running


def test_a_process_runs_until_it_ends_even_when_nobody_has_asked_how_it_ended() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        before = is_running(process.pid)
        process.send_signal(signal.SIGKILL)
        # Waits for the end and leaves the zombie.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert (before, is_running(process.pid)) == (True, False)
    finally:
        process.communicate()


def test_a_process_that_was_waited_for_does_not_run() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()

    assert not is_running(process.pid)
