"""A whole job with one agent: start, a plan that fails and then passes, code on top of it, a landing with a merge.

Every call has a key. Playing it again, from the beginning, is what a client does after a crash: each call is answered
by its first effect, or has it now.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress

import anyio

from ..acceptance.house import Agent, Repository, Told, serving, write_all

PIPELINE = """\
version: 1
target: main
stages:
  plan:
    goal: Say what will change.
    writes: ["docs/**"]
    gates:
      - command: {name: no-doubt, run: "! grep -rq TODO docs"}
  code:
    needs: [plan]
    goal: Make the change.
    writes: ["*.py"]
    gates:
      - command: {name: whole, run: "test -e docs/plan.md"}
land:
  needs: [code]
  strategy: merge
  gates:
    - command: {name: together, run: "test -e sub.py"}
"""
WRONG = {"docs/plan.md": "TODO\n"}
RIGHT = {"docs/plan.md": "Subtract.\n"}
CODE = {"sub.py": "def sub(a, b):\n    return a - b\n"}
BY_A_PERSON = {"notes.txt": "Somebody else's work.\n"}
WITHIN_S = 90.0
CLEARED_WITHIN_S = 10.0


async def play(repository: Repository) -> None:
    """Take the change to its landing; what was done before, in an earlier life, is not done again."""
    with anyio.fail_after(WITHIN_S):
        async with _ada(repository) as ada:
            change = await ada.start(key="start")
            plan = await _claim(ada, repository, change, "plan")
            await _submit(ada, plan, "wrong plan", files=WRONG)
            await _submit(ada, plan, "right plan", files=RIGHT)
            _commit_as_a_person(repository)
            code = await _claim(ada, repository, change, "code")
            _write_where_there_is_a_workspace(repository, CODE)
            await _submit(ada, code, "code")
            await _until_landed(ada, change)
            await _until_cleared(repository)


@asynccontextmanager
async def _ada(repository: Repository) -> AsyncGenerator[Agent]:
    async with serving(repository) as server, server.agent("ada", principal="stdio:ada") as ada:
        yield ada


def _write_where_there_is_a_workspace(repository: Repository, files: Mapping[str, str]) -> None:
    """After the landing of an earlier life there is none any more, and it may be taken away at this moment."""
    for name, text in files.items():
        with suppress(FileNotFoundError):
            (repository.path / ".gatewright/work/c1-code-1" / name).write_text(text)


async def _claim(ada: Agent, repository: Repository, change: str, stage: str) -> str:
    """The lease, which the client keeps in a file of its own: when its stage is done, a repeated claim tells none."""
    brief = await ada.get("claim_stage", agent=ada.name, change=change, stage=stage, key=f"claim {stage}")
    memory = repository.path.with_name(f"{repository.path.name}-{stage}.json")
    if brief["kind"] == "work":
        memory.write_text(json.dumps(brief["lease"]))
    return str(json.loads(memory.read_text()))


async def _submit(ada: Agent, lease: str, summary: str, **given: object) -> Told:
    return await ada.get("submit_artifact", lease=lease, summary=summary, key=f"submit {summary}", wait_s=30, **given)


async def _until_landed(ada: Agent, change: str) -> None:
    position = 0
    while True:
        (found,) = (await ada.get("get_status", change=change))["changes"]
        if found["state"] == "landed":
            return
        position = (await ada.get("wait_for_update", change=change, after=position, wait_s=5))["position"]


async def _until_cleared(repository: Repository) -> None:
    """Workspaces are taken away after the landing is told; what stays in the end is what the comparison is about."""
    folder = repository.common_dir / "worktrees"
    with anyio.move_on_after(CLEARED_WITHIN_S):
        while repository.workspaces() or (folder.is_dir() and any(folder.iterdir())):  # noqa: ASYNC110
            await anyio.sleep(0.02)


def _commit_as_a_person(repository: Repository) -> None:
    """The target moves on meanwhile, so that landing is a merge."""
    if not repository.has("notes.txt"):
        write_all(repository.path, BY_A_PERSON)
    if "notes.txt" not in repository.files():
        repository.git("add", "notes.txt")
        repository.git("commit", "-q", "-m", "A person's own")
