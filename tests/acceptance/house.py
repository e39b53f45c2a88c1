"""A repository, its server and the agents that work with it: real git, real SQLite, real runners, the SDK's own client.

Every reply that an agent gets here is held against what all replies promise: see `check_reply`.
"""

import json
import re
import subprocess
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import anyio
from mcp.client import Client
from mcp_types import CallToolResult, Implementation, TextContent

from gatewright.gates.machine.commands import Command
from gatewright.schemas import arguments, replies
from gatewright.schemas.records import ChangeRecord
from gatewright.schemas.refusals import Refused
from gatewright.server.app import GatewrightApplication
from gatewright.server.cli.main import COMMANDS
from gatewright.server.composition import open_services
from gatewright.server.operations.deciding import apply, get_change
from gatewright.server.services import Services
from gatewright.server.store import open_store

Generation = Literal["auto", "legacy"]

WITHIN_S = 20.0
REPLY_BYTES_MAX = 10_000
# In the environment of every server here; no reply and no log may ever show it.
SECRET = "hunter2-of-the-environment"

OK_GATE = '{command: {name: ok, run: "test ! -e broken.txt"}}'
SOLO = """\
version: 1
target: main
stages:
  code:
    goal: Make the change.
    gates: [GATES]
land: {needs: [code], strategy: merge}
"""
STAGED = """\
version: 1
target: main
stages:
  plan:
    goal: Say what will change.
    writes: ["docs/changes/{change}.md"]
    gates:
      - document: {path: "docs/changes/{change}.md", sections: [Goal, Requirements]}
  code:
    needs: [plan]
    goal: Make the change.
    gates: [GATES]
land: {needs: [code], strategy: merge}
"""
PLAN = "# Goal\n\nSubtract.\n\n# Requirements\n\nR1: `sub(a, b)` is a minus b.\n"


def solo(*gates: str) -> str:
    """A pipeline of one stage, `code`; by default with a gate that is instant and fails on `broken.txt`."""
    return SOLO.replace("GATES", ", ".join(gates or (OK_GATE,)))


def staged(*gates: str) -> str:
    """A pipeline of a plan and the code for it."""
    return STAGED.replace("GATES", ", ".join(gates or (OK_GATE,)))


class Repository:
    """Somebody's repository with a commit on `main`, and set up for gatewright unless told otherwise."""

    def __init__(self, path: Path, pipeline: str | None = None, *, is_set_up: bool = True) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        self.write("calc.py", "def add(a, b):\n    return a + b\n")
        self.write("gatewright.yaml", solo() if pipeline is None else pipeline)
        self.commit("Begin")
        if is_set_up:
            self.set_up()

    @property
    def common_dir(self) -> Path:
        return self.path / ".git"

    @property
    def state(self) -> Path:
        return self.common_dir / "gatewright"

    def set_up(self, target: str = "main") -> None:
        """What `gatewright init` records outside of every tree."""
        store = open_store(self.state, create=True)
        store.run(lambda tx: tx.meta_set("target", target))
        store.close()

    def git(self, *arguments: str, cwd: Path | None = None, stdin: str | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=cwd or self.path, check=True, capture_output=True, text=True, input=stdin or ""
        )
        return done.stdout.strip()

    def write(self, name: str, text: str) -> None:
        place = self.path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def commit(self, subject: str, **files: str) -> str:
        """Commit everything in the checkout, with `files` written before (`__` in a name stands for a dot)."""
        for name, text in files.items():
            self.write(name.replace("__", "."), text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", subject)
        return self.tip()

    def tip(self, ref: str = "main") -> str:
        return self.git("rev-parse", ref)

    def tree(self, ref: str = "main") -> str:
        return self.git("rev-parse", f"{ref}^{{tree}}")

    def files(self, ref: str = "main") -> set[str]:
        return set(filter(None, self.git("ls-tree", "-r", "-z", "--name-only", ref).split("\0")))

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def read(self, name: str) -> str:
        return (self.path / name).read_text()

    def workspaces(self) -> list[str]:
        folder = self.path / ".gatewright/work"
        return sorted(place.name for place in folder.iterdir()) if folder.is_dir() else []

    def checkout_bytes(self) -> tuple[bytes, bytes]:
        """The user's own HEAD and index, which no call of an agent may touch."""
        return (self.common_dir / "HEAD").read_bytes(), (self.common_dir / "index").read_bytes()


class Clock:
    """The real time, and as much more as a test says."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Told:
    """One reply, as both kinds of clients get it. `reply["lease"]` reads the structured content."""

    tool: str
    is_refused: bool
    text: str
    content: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - JSON
        return self.content[name]

    @property
    def code(self) -> str | None:
        return str(self.content["code"]) if self.is_refused else None


class Agent:
    """One client connection of one generation, that checks every reply it gets."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name
        self.progress: list[str] = []

    async def call(self, tool: str, /, **given: Any) -> Told:  # noqa: ANN401 - JSON
        """Call a tool; a refusal is told as well. Fails when the reply breaks what all replies promise."""

        async def note(progress: float, total: float | None, message: str | None) -> None:
            self.progress.append(message or "")

        with anyio.fail_after(WITHIN_S + 40):
            result = await self.client.call_tool(tool, given, progress_callback=note)
        return check_reply(tool, result)

    async def get(self, tool: str, /, **given: Any) -> Told:  # noqa: ANN401 - JSON
        """Call a tool that must not refuse."""
        told = await self.call(tool, **given)
        assert not told.is_refused, told.text
        return told

    async def refused(self, tool: str, /, **given: Any) -> str:  # noqa: ANN401 - JSON
        """The code that a call is refused with."""
        told = await self.call(tool, **given)
        assert told.is_refused, f"{tool} was not refused: {told.text}"
        return str(told.code)

    async def start(self, title: str = "Add sub", **given: Any) -> str:  # noqa: ANN401 - JSON
        started = await self.get("start_change", title=title, intent=f"{title}.", **given)
        return str(started["change"])

    async def claim(self, change: str | None = None, stage: str | None = None, **given: Any) -> Told:  # noqa: ANN401 - JSON
        named = {name: value for name, value in {"change": change, "stage": stage}.items() if value is not None}
        brief = await self.get("claim_stage", agent=self.name, **named, **given)
        assert brief["kind"] == "work", brief.text
        return brief

    async def submit(self, brief: Told, files: Mapping[str, str | None] | None = None, **given: Any) -> Told:  # noqa: ANN401 - JSON
        """Write `files` into the workspace of `brief`, hand in, and return the verdict."""
        write_all(Path(brief["workspace"]), files or {})
        return await self.get("submit_artifact", lease=brief["lease"], **{"summary": "Work.", **given})

    async def pass_stage(
        self, files: Mapping[str, str | None], change: str | None = None, stage: str | None = None
    ) -> Told:
        verdict = await self.submit(await self.claim(change, stage), files)
        assert verdict["outcome"] == "passed", verdict.text
        return verdict


class Server:
    """A gatewright server in this process."""

    def __init__(self, application: GatewrightApplication, services: Services | None) -> None:
        self.application = application
        self._services = services

    @property
    def services(self) -> Services:
        assert self._services is not None, "this repository is not set up"
        return self._services

    @asynccontextmanager
    async def agent(
        self, name: str = "ada", generation: Generation = "auto", *, principal: str | None = None, client: str = "test"
    ) -> AsyncGenerator[Agent]:
        principal = f"stdio:{name}" if principal is None else principal
        info = Implementation(name=client, version="1")
        async with Client(self.application.mcp_server(principal), mode=generation, client_info=info) as connected:
            yield Agent(connected, name)

    async def decide(self, change: str, command: Command) -> ChangeRecord:
        """What a person decides, by the operation that the command line uses."""
        services = self.services
        return await services.run(lambda tx: apply(tx, get_change(tx, change), command, services.clock()))

    async def record(self, change: str) -> ChangeRecord:
        return await self.services.read(lambda tx: get_change(tx, change))

    async def landed(self, change: str) -> ChangeRecord:
        """The change once it has landed; fails after WITHIN_S."""
        return await self.until(change, lambda record: record.landed_commit is not None)

    async def until(self, change: str, is_so: Any) -> ChangeRecord:  # noqa: ANN401 - a predicate of a record
        """The change once it is so; wakes by the server's own signal."""
        with anyio.fail_after(WITHIN_S):
            while True:
                ticket = self.services.changed.ticket()
                record = await self.record(change)
                if is_so(record):
                    return record
                await ticket.wait()


@asynccontextmanager
async def serving(
    repository: Repository, *, clock: Clock | None = None, has_engine: bool = True
) -> AsyncGenerator[Server]:
    """Serve a repository until the block ends. Without an engine nothing is judged: attempts stay evaluating."""
    opened: list[Services] = []

    def open_once() -> Services:
        opened.append(open_services(repository.common_dir, clock=clock or Clock()))
        return opened[-1]

    application = GatewrightApplication(open_once)
    services = None
    with suppress(Refused):
        services = await application.services()
    try:
        async with anyio.create_task_group() as tasks:
            if has_engine:
                tasks.start_soon(application.run)
            yield Server(application, services)
            tasks.cancel_scope.cancel()
    finally:
        for found in opened:
            found.store.close()


def write_all(workspace: Path, files: Mapping[str, str | None]) -> None:
    """Write files into a workspace; None deletes one."""
    for name, text in files.items():
        place = workspace / name
        if text is None:
            place.unlink()
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)


def check_reply(tool: str, result: CallToolResult) -> Told:
    """Hold a reply against the promises: one text that says all of the content, small, with a real `next`."""
    (block,) = result.content
    assert isinstance(block, TextContent)
    content, text = result.structured_content, block.text
    assert isinstance(content, dict)
    whole = json.dumps(content, ensure_ascii=False)
    assert len(whole.encode()) < REPLY_BYTES_MAX, f"{tool} answered {len(whole.encode())} bytes"
    assert len(text.encode()) < REPLY_BYTES_MAX, f"{tool} answered {len(text.encode())} bytes of text"
    missing = [value for value in leaves(content) if flat(value) not in flat(text)]
    assert not missing, f"the text of {tool} does not say {missing!r}"
    assert SECRET not in whole + text, f"{tool} told a secret"
    assert text.rstrip().rpartition("\nnext: ")[2] == content["next"], "`next` comes last"
    check_next(content["next"])
    if result.is_error:
        assert set(content) == {"code", "message", "next"}
        assert text.startswith(f"{content['code']}: ")
    return Told(tool, bool(result.is_error), text, content)


def check_next(following: str) -> None:
    """Every tool, argument and command that a `next` names exists."""
    assert following.strip(), "a reply says what to do next"
    called = set(re.findall(r"\b([a-z_]+)\(", following))
    assert called <= set(arguments.TOOLS), f"{following!r} calls what is no tool"
    words = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", following))
    assert words <= KNOWN_WORDS, f"{following!r} names {words - KNOWN_WORDS}"
    commands = set(re.findall(r"`gatewright ([a-z][a-z-]*)", following))
    assert commands <= set(COMMANDS), f"{following!r} names a command that there is not"


def leaves(value: object) -> Iterator[str]:
    """Every text and number in a JSON value that says something."""
    match value:
        case dict():
            for part in value.values():
                yield from leaves(part)
        case list():
            for part in value:
                yield from leaves(part)
        case str() if value:
            yield value
        case bool() | None:
            pass
        case int() | float():
            yield str(value)
        case _:
            assert value == "", f"{value!r} is not JSON"


def flat(text: str) -> str:
    """Without the white space by which a text is laid out."""
    return "".join(text.split())


def _known_words() -> frozenset[str]:
    words = set(arguments.TOOLS)
    for model in vars(arguments).values():
        for name, field in getattr(model, "model_fields", {}).items():
            words.add(name)
            words.update(re.findall(r"[a-z]+(?:_[a-z]+)+", str(field.annotation)))
    for reply in vars(replies).values():
        words.update(getattr(reply, "model_fields", {}))
    return frozenset(words)


KNOWN_WORDS = _known_words()
