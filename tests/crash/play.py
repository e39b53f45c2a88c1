"""A whole job: a plan that fails and then passes its gate and a person, code that another agent reviews, a landing.

Every call has a key. Playing it again, from the beginning, is what a client does after a crash: each call is answered
by its first effect, or has it now.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress

import anyio

from gatewright.schemas.refusals import Refusal
from gatewright.server.operations.approving import approve, find_asked, pinned_policy
from gatewright.server.operations.people import decide_once
from gatewright.server.operations.repeating import Request
from gatewright.server.people.hashing import Hashed
from gatewright.server.people.known import Person, Proof
from gatewright.server.people.register import add_person, read_people
from gatewright.server.services import Services

from ..acceptance.house import Agent, Repository, Server, Told, serving, write_all

PIPELINE = """\
version: 1
target: main
stages:
  plan:
    goal: Say what will change.
    writes: ["docs/**"]
    gates:
      - command: {name: no-doubt, run: "! grep -rq TODO docs"}
      - approval: {}
  code:
    needs: [plan]
    goal: Make the change.
    writes: ["*.py"]
    gates:
      - command: {name: whole, run: "test -e docs/plan.md"}
      - review: {ask: "Does it subtract?"}
land:
  needs: [code]
  strategy: merge
  gates:
    - command: {name: together, run: "test -e sub.py"}
"""
# The agent works in the person's checkout; the target stays, or the checkout would not be at the change's base.
HERE = PIPELINE.replace("target: main", "target: main\nworkspace: here")
WRONG = {"docs/plan.md": "TODO\n"}
RIGHT = {"docs/plan.md": "Subtract.\n"}
CODE = {"sub.py": "def sub(a, b):\n    return a - b\n"}
NOTE = {"severity": "note", "path": "sub.py", "line": 2, "message": "It does."}
SECRET = Hashed("00", "11")
ANN = Person("ann", Proof.SECRET, secret=SECRET)
BY_A_PERSON = {"notes.txt": "Somebody else's work.\n"}
WITHIN_S = 90.0
CLEARED_WITHIN_S = 10.0


async def play(repository: Repository) -> None:
    """Take the change to its landing; what was done before, in an earlier life, is not done again."""
    with anyio.fail_after(WITHIN_S):
        async with _agents(repository) as (server, ada, bob):
            change = await ada.start(key="start")
            plan = await _claim(ada, repository, change, "plan")
            await _submit(ada, plan, "wrong plan", files=WRONG)
            await _submit(ada, plan, "right plan", files=RIGHT)
            await server.services.act(lambda: _approve(server.services, change))
            if not _is_here(repository):
                _commit_as_a_person(repository)
            code = await _claim(ada, repository, change, "code")
            _write_where_there_is_a_workspace(repository, CODE)
            await _submit(ada, code, "code")
            await _review(bob, repository, change)
            await _until_landed(ada, change)
            await _until_cleared(repository)


@asynccontextmanager
async def _agents(repository: Repository) -> AsyncGenerator[tuple[Server, Agent, Agent]]:
    """The server, who works and who reviews."""
    async with serving(repository) as server, server.agent("ada") as ada, server.agent("bob") as bob:
        yield server, ada, bob


def _approve(services: Services, change: str) -> None:
    """What `gatewright approve --key` does for a person whom it knows by her secret."""
    if not services.store.read(read_people):
        services.store.run(lambda tx: add_person(tx, ANN.name, SECRET, vouched=None, now=services.clock()))
    found = services.store.read(lambda tx: find_asked(tx, change, "plan", None))
    request = Request(ANN.principal, "approve", {"change": change}, "approve")
    if not isinstance(found, Refusal):
        policy = pinned_policy(services, change)
        approve(services, found, ANN, policy, is_given=True, note="It is.", request=request)
    else:
        # Nothing waits for it: it was done before, which its key tells.
        services.store.run(lambda tx: decide_once(tx, services, change, ANN, _never, request=request))


def _never() -> None:
    raise AssertionError("nothing waits for the approval, and it was never given")


async def _review(bob: Agent, repository: Repository, change: str) -> None:
    lease = await _claim(bob, repository, change, "code", kind="review")
    await bob.get("review_artifact", lease=lease, findings=[NOTE], inspected=["sub.py"], key="review")


def _write_where_there_is_a_workspace(repository: Repository, files: Mapping[str, str]) -> None:
    """After the landing of an earlier life there is none any more, and it may be taken away at this moment."""
    place = repository.path if _is_here(repository) else repository.path / ".gatewright/work/c1-code-1"
    for name, text in files.items():
        with suppress(FileNotFoundError):
            (place / name).write_text(text)


def _is_here(repository: Repository) -> bool:
    return repository.read("gatewright.yaml") == HERE


async def _claim(agent: Agent, repository: Repository, change: str, stage: str, kind: str = "work") -> str:
    """The lease, which the client keeps in a file of its own: when its stage is done, a repeated claim tells none."""
    brief = await agent.get("claim_stage", agent=agent.name, change=change, stage=stage, key=f"claim {stage}")
    memory = repository.path.with_name(f"{repository.path.name}-{stage}-{kind}.json")
    if brief["kind"] == kind:
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
        while repository.workspaces() or (folder.is_dir() and any(folder.iterdir())):  # noqa: ASYNC110 - nothing tells
            await anyio.sleep(0.02)


def _commit_as_a_person(repository: Repository) -> None:
    """The target moves on meanwhile, so that landing is a merge."""
    if not repository.has("notes.txt"):
        write_all(repository.path, BY_A_PERSON)
    if "notes.txt" not in repository.files():
        repository.git("add", "notes.txt")
        repository.git("commit", "-q", "-m", "A person's own")
