"""The services of `examples/team`: whatever they name exists, and what they start is a server and a worker."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from argparse import Namespace
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from gatewright.server.cli.main import parse
from gatewright.server.cli.serve import _settings
from gatewright.server.cli.team import TEAM_VARIABLES
from gatewright.server.http.listening import require_safe
from gatewright.server.store import create_database, open_database

from .acceptance.serve_process import issue_in
from .acceptance.team import Team
from .postgres import Cluster, postgres

__all__ = ["postgres"]

FOLDER = Path(__file__).resolve().parent.parent / "examples" / "team"
UNITS = ("gatewright-serve.service", "gatewright-worker@.service")
PROGRAM = "/usr/local/lib/gatewright/bin/gatewright"
WITHIN_S = 60.0
# Each of them would take away what bubblewrap needs: see the folder's README.
NOT_FOR_WORKERS = {
    "PrivateUsers",
    "ProcSubset",
    "ProtectKernelLogs",
    "ProtectKernelTunables",
    "RestrictNamespaces",
    "SystemCallFilter",
}


def settings_of(unit: str) -> dict[str, list[str]]:
    """Every setting of a unit, with its values in order."""
    found: dict[str, list[str]] = {}
    for line in (FOLDER / unit).read_text("utf-8").splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def command_of(unit: str) -> list[str]:
    """What it starts, without the program's own path."""
    (line,) = settings_of(unit)["ExecStart"]
    program, *arguments = shlex.split(line)
    assert program == PROGRAM
    return arguments


def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))
    return read


def commands_of_compose() -> dict[str, str]:
    """What each service of ours runs, as a shell gets it."""
    services = compose()["services"].items()
    return {name: service["command"][-1].replace("$$", "$") for name, service in services if "command" in service}


def parsed(command: list[str]) -> Namespace:
    """By the parser of the program, which ends the process for what it does not know."""
    return parse(command)[2]


def seconds_of(text: str) -> float:
    return float(text.removesuffix("s"))


def test_every_command_of_the_units_and_of_compose_is_one_that_the_program_knows() -> None:
    shells = [re.findall(r"exec gatewright (.*)", text) for text in commands_of_compose().values()]
    commands = [*map(command_of, UNITS), *(shlex.split(found) for (found,) in shells)]

    names = [parse(command)[0] for command in commands]

    assert sorted(names) == ["migrate", "serve", "serve", "worker", "worker"]
    for command, name in zip(commands, names, strict=True):
        if name == "serve":
            require_safe(_settings(parsed(command)))


def test_every_variable_is_one_that_the_program_reads() -> None:
    named = set()
    for file in FOLDER.iterdir():
        if file.is_file() and file.suffix != ".md":
            named |= set(re.findall(r"\bGATEWRIGHT_[A-Z_]+", file.read_text("utf-8")))

    assert named == TEAM_VARIABLES


def test_no_secret_is_an_argument() -> None:
    """Arguments stand in the list of processes; a shell's own do not hold what it reads from a file."""
    for unit in UNITS:
        assert not {"--database-url", "--remote"} & set(command_of(unit))
        assert settings_of(unit)["EnvironmentFile"]
    for name, text in commands_of_compose().items():
        assert "--database-url" not in text, name
        assert "--remote" not in text, name


def test_who_ends_them_waits_for_longer_than_they_drain_and_signals_them_alone() -> None:
    for unit in UNITS:
        settings = settings_of(unit)
        assert seconds_of(settings["TimeoutStopSec"][0]) > parsed(command_of(unit)).drain_s
        assert settings["KillMode"] == ["mixed"]
    for name in ("server", "worker"):
        (command,) = re.findall(r"exec gatewright (.*)", commands_of_compose()[name])
        assert seconds_of(compose()["services"][name]["stop_grace_period"]) > parsed(shlex.split(command)).drain_s


def test_a_worker_s_unit_leaves_bubblewrap_what_it_needs() -> None:
    assert not NOT_FOR_WORKERS & set(settings_of(UNITS[1]))
    assert set(settings_of(UNITS[0])) >= {"RestrictNamespaces", "ProtectKernelTunables"}, "a server runs no gates"


def test_compose_names_only_what_it_declares() -> None:
    whole = compose()
    services = whole["services"]
    for name, service in services.items():
        assert set(service.get("secrets", [])) <= set(whole["secrets"]), name
        assert set(service.get("depends_on", {})) <= set(services), name
        assert set(re.findall(r"/run/secrets/(\w+)", str(service))) <= set(service.get("secrets", [])), name
        for mounted in service.get("volumes", []):
            source = mounted.partition(":")[0]
            assert source.startswith("/") or source in whole["volumes"] or (FOLDER / source).is_file(), mounted
    shell = shutil.which("sh")
    assert shell is not None
    for text in (*commands_of_compose().values(), (FOLDER / "roles.sh").read_text()):
        subprocess.run([shell, "-n"], input=text, text=True, check=True)


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_nothing_wrong_with_the_units(unit: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze here")
    # The program and the users are those of the machine that it is meant for.
    text = re.sub(r"^(User|Group)=.*", r"\1=root", (FOLDER / unit).read_text(), flags=re.MULTILINE)
    (tmp_path / unit).write_text(text.replace(PROGRAM, sys.executable))

    done = subprocess.run([analyze, "verify", str(tmp_path / unit)], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture
def database(postgres: Cluster) -> str:
    url = postgres.url(postgres.new_database())
    create_database(url)
    return url


@pytest.mark.slow
def test_what_the_units_start_is_a_server_and_a_worker(tmp_path: Path, database: str) -> None:
    """Their very command lines and variables, but for the addresses, the port and the folder."""
    team = Team(tmp_path / "team")
    with closing(open_database(database)) as store:
        issue_in(store)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    running = [_start(unit, tmp_path, team.url, database, port) for unit in UNITS]
    try:
        # By the proxy's own address, as a probe of it would ask.
        probe = {"host": "gates.example.org"}
        deadline = time.monotonic() + WITHIN_S
        while True:
            told = [(tmp_path / f"{unit}.log").read_text() for unit in UNITS]
            assert [process.poll() for process in running] == [None, None], told
            assert time.monotonic() < deadline, told
            if "Serving on https://gates.example.org/mcp" in told[0] and "working as" in told[1]:
                ready = httpx2.get(f"http://127.0.0.1:{port}/readyz", headers=probe)
                if ready.status_code == 200:
                    break
            time.sleep(0.05)
        for process in running:
            process.send_signal(signal.SIGTERM)
        ended = [process.wait(WITHIN_S) for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()

    assert ended == [0, 0]


def _start(unit: str, folder: Path, remote: str, database: str, port: int) -> "subprocess.Popen[bytes]":
    name, _, value = settings_of(unit)["Environment"][0].partition("=")
    environment = {**os.environ, name: value.replace("%S", str(folder)).replace("%i", "1")}
    (file,) = settings_of(unit)["EnvironmentFile"]
    given = {"GATEWRIGHT_DATABASE_URL": database, "GATEWRIGHT_REMOTE": remote}
    for line in (FOLDER / f"{Path(file).name}.example").read_text().splitlines():
        variable = line.partition("=")[0]
        environment[variable] = given.pop(variable)
    assert not given, "the file names both"
    arguments = [word.replace("127.0.0.1:8765", f"127.0.0.1:{port}") for word in command_of(unit)]
    with (folder / f"{unit}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "gatewright", *arguments], stdout=log, stderr=log, env=environment
        )
