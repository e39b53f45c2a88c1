"""The servers that `bench_peers.py` compares, each with the calls by which agents create, claim and complete work.

Where a server has no claim (it stores what it is told) an agent does what it can: it looks whether an item is free and
writes its name there. What is counted is what a server acknowledged.
"""

import json
import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from downloads import Npm, Pip, bare_environment
from line_client import Json, LineClient, text_of
from peer import Peer
from served_project import GATEWRIGHT, GIT_CONFIG, end_server, make_repository

GATEWRIGHT_PIPELINE = """\
version: 1
target: main
stages:
  do:
    goal: Do it.
    writes: ["done/**"]
    gates:
      - document: {path: "done/{change}.md", sections: [Goal]}
land: {needs: [do]}
"""


class Gatewright(Peer):
    """To complete is to submit: the server commits, judges by a gate, and lands later."""

    name = "gatewright"
    package = None

    def prepare(self) -> None:
        (self.folder / "config").write_text(GIT_CONFIG)
        make_repository(self.folder / "repository", GATEWRIGHT_PIPELINE)

    def command(self) -> list[str]:
        return GATEWRIGHT

    def working_folder(self) -> Path:
        return self.folder / "repository"

    def variables(self, who: str) -> dict[str, str]:
        folder = str(self.folder)
        return {"XDG_RUNTIME_DIR": folder, "XDG_CACHE_HOME": f"{folder}/cache", "GIT_CONFIG_GLOBAL": f"{folder}/config"}

    def end(self) -> None:
        end_server(self.working_folder())

    def kill(self, client: LineClient) -> None:
        """The server keeps the truth; the client's own process is only a bridge to it."""
        pid = int((self.working_folder() / ".git" / "gatewright" / "server.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        super().kill(client)

    def create(self, client: LineClient, title: str) -> str | None:
        reply = client.call("start_change", title=title, intent="Do it.").get("structuredContent", {})
        change = reply.get("change")
        return None if change is None else str(change)

    def claim(self, client: LineClient, item: str, who: str) -> bool:
        reply = client.call("claim_stage", agent=who, change=item, stage="do", wait_s=0).get("structuredContent", {})
        if reply.get("kind") != "work":
            return False
        self.leases[item] = reply["lease"], reply["workspace"]
        return True

    def complete(self, client: LineClient, item: str) -> bool:
        lease, workspace = self.leases[item]
        file = Path(workspace) / "done" / f"{item}.md"
        file.parent.mkdir(exist_ok=True)
        file.write_text("# Goal\nDone.\n")
        reply = client.call("submit_artifact", lease=lease, summary="Done").get("structuredContent", {})
        return bool(reply.get("outcome") == "passed")

    def stored(self, client: LineClient, items: Collection[str], *, done: bool) -> set[str]:
        found = set()
        for item in items:
            reply = client.call("get_status", change=item).get("structuredContent", {})
            stages = [stage["state"] for change in reply.get("changes", ()) for stage in change["stages"]]
            if stages and (not done or stages == ["passed"]):
                found.add(item)
        return found


class Fleetwright(Peer):
    """A queue of units: whoever claims gets the next one."""

    name = "fleetwright"
    package = Pip("fleetwright", "0.25.0")
    _is_defined = False

    def command(self) -> list[str]:
        return [str(self.programs / "fleetwright"), "serve", "--db", str(self.folder / "work.db"), "--create"]

    def create(self, client: LineClient, title: str) -> str | None:
        if not self._is_defined:
            client.call("define_kind", kind="work", instructions="Do $name.", done_when="it is done")
            self._is_defined = True
        added = _json(client.call("add_jobs", kind="work", names=[title]))
        return f"work:{title}" if added.get("added") == 1 else None

    def claim(self, client: LineClient, item: str, who: str) -> bool:
        return False

    def claim_next(self, client: LineClient, who: str) -> str | None:
        units = _json(client.call("claim_job", kind="work")).get("units") or []
        return str(units[0]["unit_id"]) if units else None

    def complete(self, client: LineClient, item: str) -> bool:
        return bool(_json(client.call("finish_job", unit_id=item, result="ok")).get("finished"))

    def stored(self, client: LineClient, items: Collection[str], *, done: bool) -> set[str]:
        with closing(sqlite3.connect(f"file:{self.folder / 'work.db'}?mode=ro", uri=True)) as database:
            rows = dict(database.execute("SELECT unit_id, status FROM unit").fetchall())
        return {item for item in items if item in rows and (not done or rows[item] == "done")}


class AgentLease(Peer):
    """Leases of paths; an item is a path, which needs no creation and has no completion but its release."""

    name = "agent-lease-mcp"
    package = Pip("agent-lease-mcp", "0.2.0")
    has_items = False

    def command(self) -> list[str]:
        return [str(self.programs / "agent-lease-mcp")]

    def variables(self, who: str) -> dict[str, str]:
        quiet = {"FASTMCP_CHECK_FOR_UPDATES": "off", "FASTMCP_SHOW_SERVER_BANNER": "false"}
        return {"AGENT_NAME": who, "AGENT_LEASE_DB": str(self.folder / "leases.db"), **quiet}

    def create(self, client: LineClient, title: str) -> str | None:
        return f"src/{title}"

    def claim(self, client: LineClient, item: str, who: str) -> bool:
        return bool(_json(client.call("claim", paths=[item], purpose="work")).get("ok"))

    def complete(self, client: LineClient, item: str) -> bool:
        return bool(_json(client.call("release", paths=[item])).get("released"))

    def stored(self, client: LineClient, items: Collection[str], *, done: bool) -> set[str]:
        return set(items)


class Memory(Peer):
    """A graph of entities with observations; an agent that takes one writes so."""

    name = "server-memory"
    package = Npm("@modelcontextprotocol/server-memory", "2026.8.31")

    def command(self) -> list[str]:
        return [str(self.programs / "mcp-server-memory")]

    def variables(self, who: str) -> dict[str, str]:
        return {"MEMORY_FILE_PATH": str(self.folder / "memory.jsonl")}

    def create(self, client: LineClient, title: str) -> str | None:
        entity = {"name": title, "entityType": "task", "observations": []}
        return None if client.call("create_entities", entities=[entity]).get("isError") else title

    def claim(self, client: LineClient, item: str, who: str) -> bool:
        found = client.call("open_nodes", names=[item]).get("structuredContent", {}).get("entities") or []
        return bool(found) and not found[0]["observations"] and self._observe(client, item, f"claimed by {who}")

    def complete(self, client: LineClient, item: str) -> bool:
        return self._observe(client, item, "done")

    def stored(self, client: LineClient, items: Collection[str], *, done: bool) -> set[str]:
        graph = client.call("read_graph").get("structuredContent", {}).get("entities") or []
        known = {entity["name"]: entity["observations"] for entity in graph}
        return {item for item in items if item in known and (not done or "done" in known[item])}

    def _observe(self, client: LineClient, item: str, text: str) -> bool:
        given = [{"entityName": item, "contents": [text]}]
        return not client.call("add_observations", observations=given).get("isError")


class Shrimp(Peer):
    """A task list; `execute_task` takes a task, `verify_task` with a score of the agent's own completes it."""

    name = "shrimp"
    package = Npm("mcp-shrimp-task-manager", "1.0.21")

    def command(self) -> list[str]:
        return [str(self.programs / "mcp-shrimp-task-manager")]

    def variables(self, who: str) -> dict[str, str]:
        return {"DATA_DIR": str(self.folder / "data"), "ENABLE_GUI": "false"}

    def create(self, client: LineClient, title: str) -> str | None:
        task = {"name": title, "description": "All of it, as told.", "implementationGuide": "Do it."}
        given = json.dumps([{**task, "verificationCriteria": "It is done."}])
        told = text_of(client.call("split_tasks", updateMode="append", tasksRaw=given, globalAnalysisResult="work"))
        # It tells of all tasks that it knows, the new one among them.
        found = re.search(rf"{re.escape(title)}\s+\*\*ID:\*\* `([0-9a-f-]{{36}})`", told)
        return None if found is None else found[1]

    def claim(self, client: LineClient, item: str, who: str) -> bool:
        if self._task(item).get("status") != "pending":
            return False
        result = client.call("execute_task", taskId=item)
        return not result.get("isError") and item in text_of(result)

    def complete(self, client: LineClient, item: str) -> bool:
        summary = "Everything that was asked for is there, and was looked at."
        return not client.call("verify_task", taskId=item, summary=summary, score=90).get("isError")

    def stored(self, client: LineClient, items: Collection[str], *, done: bool) -> set[str]:
        tasks = {item: self._task(item) for item in items}
        return {item for item, task in tasks.items() if task and (not done or task["status"] == "completed")}

    def _task(self, item: str) -> Json:
        """As its own file tells it; a file that is no JSON holds no task."""
        files = list((self.folder / "data").rglob("tasks.json"))
        try:
            tasks = json.loads(files[0].read_text())["tasks"]
        except (IndexError, ValueError):
            return {}
        return next((task for task in tasks if task["id"] == item), {})


class Backlog(Peer):
    """A Markdown file for each task; an agent that takes one sets its state and its assignee."""

    name = "backlog.md"
    package = Npm("backlog.md", "1.52.0")

    def prepare(self) -> None:
        (self.folder / "gitconfig").write_text(GIT_CONFIG)
        environment = bare_environment(self.folder, self.variables(""))
        for command in (["git", "init", "-q"], [str(self.programs / "backlog"), "init", "bench", "--defaults"]):
            subprocess.run(command, cwd=self.folder, env=environment, check=True, capture_output=True, timeout=60)

    def command(self) -> list[str]:
        return [str(self.programs / "backlog"), "mcp", "start"]

    def variables(self, who: str) -> dict[str, str]:
        return {"GIT_CONFIG_GLOBAL": str(self.folder / "gitconfig")}

    def create(self, client: LineClient, title: str) -> str | None:
        found = re.search(rf"Task (TASK-\d+) - {re.escape(title)}", text_of(client.call("task_create", title=title)))
        return None if found is None else found[1]

    def claim(self, client: LineClient, item: str, who: str) -> bool:
        told = text_of(client.call("task_view", id=item))
        if "To Do" not in told or "Assignee" in told:
            return False
        edited = client.call("task_edit", id=item, status="In Progress", assignee=[f"@{who}"])
        return not edited.get("isError")

    def complete(self, client: LineClient, item: str) -> bool:
        return not client.call("task_edit", id=item, status="Done").get("isError")

    def stored(self, client: LineClient, items: Collection[str], *, done: bool) -> set[str]:
        told = {item: text_of(client.call("task_view", id=item)) for item in items}
        return {item for item, text in told.items() if f"Task {item} " in text and (not done or "✔ Done" in text)}


PEERS: tuple[type[Peer], ...] = (Gatewright, Fleetwright, AgentLease, Memory, Shrimp, Backlog)


def _json(result: Json) -> Json:
    try:
        told: Json = json.loads(text_of(result))
    except ValueError:
        return {}
    return told
