"""The run over several hosts can itself be wrong: links are cut, nothing is left, and a short one finds nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from ..postgres import find_programs
from .enclosure import CannotEnclose, command_in_enclosure

ROOT = Path(__file__).resolve().parent.parent.parent
WITHIN_S = 170.0
RUN = (sys.executable, "-m", "tests.team_chaos")
LINKS = """
import subprocess, sys
from tests.team_chaos.network import Cut, Network

ask = "import socket; socket.create_connection(('10.77.1.2', 8000), timeout=1)"
listen = "import socket, time; s = socket.create_server(('10.77.1.2', 8000)); print('on', flush=True); time.sleep(60)"
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
network = Network(["one", "two", "three"])
network.make()
with subprocess.Popen(network.on("one", [sys.executable, "-c", listen]), stdout=subprocess.PIPE) as listener:
    listener.stdout.readline()
    def reached(host):
        done = subprocess.run(network.on(host, [sys.executable, "-c", ask]), capture_output=True, text=True)
        return done.stderr.strip().rpartition("\\n")[2].partition(":")[0] or "reached"
    print(reached("two"))
    for how in Cut:
        network.cut("one", "two", how)
        print(reached("two"), reached("three"))
        network.heal("two", "one")
    print(reached("two"))
    listener.kill()
"""


@pytest.fixture
def enclosure() -> None:
    """Skips where the system gives none; everything here is about hosts that are made of them."""
    try:
        command_in_enclosure(["true"])
    except CannotEnclose as exc:
        pytest.skip(str(exc))


@pytest.mark.slow
@pytest.mark.usefixtures("enclosure")
def test_a_cut_link_is_cut_for_its_two_hosts_until_it_is_healed() -> None:
    done = subprocess.run(
        command_in_enclosure([sys.executable, "-c", LINKS]), cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.stdout.split("\n") == ["reached", "TimeoutError reached", "OSError reached", "reached", ""], done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("enclosure")
def test_a_short_run_over_several_hosts_loses_and_doubles_nothing() -> None:
    if find_programs() is None:
        pytest.skip("there is no PostgreSQL here (initdb, postgres)")

    done = subprocess.run(
        [*RUN, "--minutes", "0.33", "--seed", "smoke"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    said = {line.partition("  ")[0]: line.partition("  ")[2].strip() for line in done.stdout.splitlines()}
    assert (said["lost"], said["doubled"]) == ("0", "0")
    assert int(said["landed"]) > 0


@pytest.mark.slow
@pytest.mark.usefixtures("enclosure")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_whatever_ends_a_run_nothing_of_it_is_left(number: signal.Signals) -> None:
    if find_programs() is None:
        pytest.skip("there is no PostgreSQL here (initdb, postgres)")
    mounts = Path("/proc/self/mounts").read_text()
    with subprocess.Popen([*RUN, "--minutes", "10"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        while "hosts are up" not in run.stdout.readline():
            assert run.poll() is None
        family = _family_of(run.pid)

        run.send_signal(number)
        run.wait(WITHIN_S)

        deadline = time.monotonic() + 20
        while left := [pid for pid in family if _is_alive(pid)]:
            assert time.monotonic() < deadline, left
            time.sleep(0.05)
    assert len(family) > len(("servers", "workers", "agents", "and others"))
    assert Path("/proc/self/mounts").read_text() == mounts


def _family_of(pid: int) -> Sequence[int]:
    """Everybody who descends from a process, and it."""
    parents: dict[int, list[int]] = {}
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(place.name))
    found = [pid]
    for known in found:
        found.extend(parents.get(known, ()))
    return found


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
