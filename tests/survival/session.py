"""A client as real ones are, a scripted session of two of them, and who is killed at which point of it."""

import dataclasses
import json
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from gatewright import __version__
from gatewright.gates.machine.evolve import replay
from gatewright.schemas.ids import parse_lease
from gatewright.server.liveness import is_running
from gatewright.server.operations.deciding import get_change
from gatewright.server.store import open_store

from ..acceptance.house import OK_GATE, Repository, solo
from .watched_bridge import bridge_command

WAIT_S = 20
# What a start of a server, and a workspace, take on a busy machine: a client's patience beyond what it asked for.
PATIENCE_S = 40.0
POLL_S = 0.005
HANDSHAKE, STATELESS = "2025-11-25", "2026-07-28"
GENERATIONS = (HANDSHAKE, STATELESS)
CHANGE = "c1"
REVIEWED = solo(OK_GATE, '{review: {ask: "Is it right?"}}')
MINOR = {"severity": "minor", "path": "sub.py", "line": 1, "message": "No docstring."}

Content = Mapping[str, Any]  # Any: JSON


class Victim(StrEnum):
    """Who is killed."""

    SERVER = "server"
    BRIDGE = "bridge"


@dataclass(frozen=True, slots=True)
class Doom:
    """Kill `victims` when a request stands at `moment`: `before` it, or where the server stops (see `watched`)."""

    moment: str
    victims: tuple[Victim, ...]


@dataclass
class World:
    """A repository, the folder where the watched server is met, and whose requests are doomed; those met are gone."""

    root: Path
    nursery: Path
    pipeline: str = REVIEWED
    dooms: dict[str, Doom] = field(default_factory=dict)
    callers: list["Caller"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.repository = Repository(self.root / "repo", self.pipeline)
        self.meeting = self.root / "meeting"
        self.meeting.mkdir(parents=True)

    def trace(self) -> list[str]:
        """Every point that servers passed, in order."""
        return (self.meeting / "trace").read_text().splitlines()

    def server_pid(self) -> int | None:
        with suppress(FileNotFoundError):
            return int((self.repository.state / "server.pid").read_text())
        return None

    def kill_server(self) -> None:
        pid = self.server_pid()
        if pid is not None:
            end(pid)

    def clear(self) -> None:
        for caller in self.callers:
            caller.hang_up()
        self.kill_server()


class Caller:
    """A client. When its bridge dies it starts another one and asks again what had no reply, under the same key."""

    def __init__(self, world: World, name: str, generation: str = HANDSHAKE, version: str = __version__) -> None:
        self.name = name
        self.longest_s = 0.0
        self._world = world
        self._generation = generation
        self._version = version
        self._bridges = 0
        self._received = b""
        self._process = self._start_bridge()
        world.callers.append(self)

    def hello(self) -> None:
        self._greet("hello")

    def ask(self, tool: str, label: str | None = None, **arguments: object) -> Content:
        """Call a tool that must not refuse; what it told, structured."""
        label = f"{self.name} {label or tool}"
        result = self._request(label, "tools/call", {"name": tool, "arguments": arguments})
        content = result["structuredContent"]
        assert not result.get("isError"), f"{label}: {content}"
        assert isinstance(content, dict)
        return content

    def request(self, method: str) -> Content:
        return self._request(f"{self.name} {method}", method, {})

    def kill_bridge(self) -> None:
        self._process.kill()
        self._process.wait()

    def hang_up(self) -> None:
        self.kill_bridge()
        for stream in (self._process.stdin, self._process.stdout):
            # What a dead bridge was still to be told cannot be written out.
            with suppress(BrokenPipeError):
                if stream is not None:
                    stream.close()

    def close(self) -> int:
        """Close the input as a client that ends does; the bridge's exit status."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(PATIENCE_S)

    def _start_bridge(self) -> "subprocess.Popen[bytes]":
        self._bridges += 1
        self._received = b""
        return subprocess.Popen(
            bridge_command(self._world.nursery, self._world.meeting, self._version),
            cwd=self._world.repository.path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def _greet(self, label: str) -> None:
        label = f"{self.name} {label}"
        if self._generation == STATELESS:
            assert "supportedVersions" in self._request(label, "server/discover", {})
            return
        info = {"name": "survivor", "version": "1"}
        params = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": info}
        assert "serverInfo" in self._request(label, "initialize", params)
        with suppress(BrokenPipeError):
            self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def _request(self, label: str, method: str, params: Mapping[str, object]) -> Content:
        """The result of a request, however often it is made; fails when that takes longer than a client bears."""
        doom = self._world.dooms.pop(label, None)
        message = {"jsonrpc": "2.0", "id": label, "method": method, "params": self._with_meta(params)}
        arguments = params.get("arguments")
        wait_s = arguments.get("wait_s", 0) if isinstance(arguments, dict) else 0
        begun = time.monotonic()
        deadline = begun + wait_s + PATIENCE_S
        if doom is not None and doom.moment == "before":
            self._kill(doom)
        elif doom is not None:
            self._have_it_stop(f"{label}: {doom.moment}")
        self._write_or_nothing(message)
        if doom is not None and doom.moment != "before":
            until((self._world.meeting / "reached").exists, deadline)
            self._kill(doom)
            (self._world.meeting / "go").touch()
        while (reply := self._reply_to(label, deadline)) is None:
            self.hang_up()
            self._process = self._start_bridge()
            if method not in ("initialize", "server/discover"):
                self._greet(f"hello {self._bridges}")
            self._write_or_nothing(message)
        self.longest_s = max(self.longest_s, time.monotonic() - begun - wait_s)
        assert "result" in reply, f"{label}: {reply}"
        result = reply["result"]
        assert isinstance(result, dict)
        return result

    def _with_meta(self, params: Mapping[str, object]) -> Mapping[str, object]:
        if self._generation == HANDSHAKE:
            return params
        prefix = "io.modelcontextprotocol/"
        about: dict[str, object] = {"protocolVersion": STATELESS, "clientCapabilities": {}}
        about["clientInfo"] = {"name": "survivor", "version": "1"}
        return {**params, "_meta": {prefix + name: value for name, value in about.items()}}

    def _have_it_stop(self, point: str) -> None:
        meeting = self._world.meeting
        (meeting / "go").unlink(missing_ok=True)
        (meeting / "reached").unlink(missing_ok=True)
        fresh = meeting / "doom.new"
        fresh.write_text(point)
        fresh.rename(meeting / "doom")

    def _kill(self, doom: Doom) -> None:
        if Victim.BRIDGE in doom.victims:
            self.kill_bridge()
        if Victim.SERVER in doom.victims:
            self._world.kill_server()

    def _write_or_nothing(self, message: Mapping[str, object]) -> None:
        # To a bridge that was killed nothing can be said: that no reply comes tells the rest.
        with suppress(BrokenPipeError):
            self._write(message)

    def _write(self, message: Mapping[str, object]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def _reply_to(self, label: str, deadline: float) -> Content | None:
        """The reply; None when the bridge has ended without one."""
        assert self._process.stdout is not None
        while True:
            while b"\n" not in self._received:
                readable, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
                assert readable, f"{label} was not answered in time"
                data = os.read(self._process.stdout.fileno(), 65_536)
                if not data:
                    return None
                self._received += data
            line, self._received = self._received.split(b"\n", 1)
            message = json.loads(line)
            if "method" not in message and message.get("id") == label:
                assert isinstance(message, dict)
                return message


def play(world: World, generation: str) -> dict[str, Content]:
    """A whole session: what each call told, by what was asked."""
    told: dict[str, Content] = {}

    def ask(caller: Caller, tool: str, label: str, **arguments: object) -> Content:
        told[label] = caller.ask(tool, label, **arguments)
        return told[label]

    ada = Caller(world, "ada", generation)
    ada.hello()
    told["tools"] = {"names": [tool["name"] for tool in ada.request("tools/list")["tools"]]}
    ask(ada, "start_change", "start", title="Add sub", intent="Subtract.", key="start")
    lease = ask(ada, "claim_stage", "claim", agent="ada", key="claim")["lease"]
    ask(ada, "renew_lease", "renew", lease=lease)
    workspace = Path(told["claim"]["workspace"])
    (workspace / "broken.txt").write_text("Not yet.\n")
    ask(ada, "check_gates", "check", lease=lease, wait_s=WAIT_S)
    ask(ada, "release_stage", "release", lease=lease, because="done_for_now", reason="Lunch.", key="release")
    lease = ask(ada, "claim_stage", "claim again", agent="ada", key="claim again")["lease"]
    workspace = Path(told["claim again"]["workspace"])
    (workspace / "broken.txt").write_text("Still broken.\n")
    ask(ada, "submit_artifact", "submit", lease=lease, summary="Work.", wait_s=WAIT_S, key="submit")
    (workspace / "broken.txt").unlink()
    (workspace / "sub.py").write_text("def sub(a, b):\n    return a - b\n")
    verdict = ask(ada, "submit_artifact", "submit again", lease=lease, summary="Mended.", wait_s=WAIT_S, key="again")
    ask(ada, "get_status", "status", change=CHANGE)
    ask(ada, "get_evidence", "evidence", change=CHANGE, stage="code")
    bob = Caller(world, "bob", generation)
    bob.hello()
    lease = ask(bob, "claim_stage", "claim review", agent="bob", role="reviewer", key="claim")["lease"]
    ask(bob, "read_artifact", "read", change=CHANGE, stage="code", path="diff")
    given = {"lease": lease, "findings": [MINOR], "inspected": ["sub.py"]}
    ask(bob, "review_artifact", "review", **given, key="review")
    ask(ada, "wait_for_update", "settled", evaluation=verdict["evaluation"], wait_s=WAIT_S)
    for caller in (ada, bob):
        assert caller.close() == 0
    return told


@dataclass(frozen=True)
class Outcome:
    """What a session came to, without what differs from run to run: times, hashes, random names."""

    told: Mapping[str, object]
    history: tuple[str, ...]
    files: frozenset[str]


def outcome_of(world: World, told: Mapping[str, Content]) -> Outcome:
    """Read the truth. Fails when the record is not what its events say, or the change does not land."""
    store = open_store(world.repository.state, create=False)
    try:
        until(lambda: store.read(lambda tx: get_change(tx, CHANGE)).landed_commit, time.monotonic() + PATIENCE_S)
        record = store.read(lambda tx: get_change(tx, CHANGE))
        events = [event for _, event in store.read(lambda tx: tx.events(CHANGE, limit=1_000))]
        changes = store.read(lambda tx: tx.changes(limit=10))
    finally:
        store.close()
    assert [found.id for found in changes] == [CHANGE], "something was started twice"
    assert replay(events) == record
    plain = _Plain()
    history = tuple(json.dumps(plain.of(event)) for event in events if event.kind != "lease_renewed")
    files = frozenset(world.repository.files())
    return Outcome({label: _decisive(content) for label, content in told.items()}, history, files)


class _Plain:
    """Values as they are in every run."""

    def __init__(self) -> None:
        self._principals: dict[str, str] = {}

    def of(self, value: object) -> object:
        match value:
            case datetime():
                return "when"
            case str() if value.startswith("stdio:"):
                return self._principals.setdefault(value, f"caller {len(self._principals)}")
            case str():
                return re.sub(r"\b[0-9a-f]{7,64}\b", "#", str(value))
            case list() | tuple():
                return [self.of(part) for part in value]
            case dict():
                return {str(name): self.of(part) for name, part in value.items()}
            case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
                fields = {name.name: getattr(value, name.name) for name in dataclasses.fields(value)}
                return {"is": type(value).__name__, **{name: self.of(part) for name, part in fields.items()}}
            case _:
                return value


DECISIVE = ("kind", "change", "stage", "attempt", "outcome", "state", "stage_state", "names", "reviews", "path")


def _decisive(content: Content) -> object:
    lease = content.get("lease")
    kept = {name: content[name] for name in DECISIVE if name in content}
    if lease is None:
        return kept
    name = parse_lease(lease)
    assert name is not None
    # What proves it is another in each store.
    told = {field.name: getattr(name, field.name) for field in dataclasses.fields(name) if field.name != "proof"}
    return {**kept, "lease": told}


def until(is_so: Callable[[], object], deadline: float) -> None:
    """Wait for what another process does."""
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(POLL_S)


def end(pid: int) -> None:
    """Kill, and wait until it is gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not is_running(pid), time.monotonic() + PATIENCE_S)
