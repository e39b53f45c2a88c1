"""A change goes from intent to the target branch, as an agent sees it."""

import pytest

from gatewright.schemas.records import ChangeState

from .conftest import Repositories
from .house import PLAN, Agent, Clock, Generation, Repository, Server, serving, staged

pytestmark = pytest.mark.anyio

SUB = "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n"
WRONG = "import os\n\n\ndef add(a, b):\n    return a - b\n"
TEST_ADD = "from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
TEST_SUB = "from calc import sub\n\n\ndef test_sub():\n    assert sub(3, 2) == 1\n"


JOURNEY = staged("compile", "ruff", "test")


def prepare(repository: Repository) -> None:
    """What the journey begins with, in a repository of the pipeline `JOURNEY`."""
    repository.write("tests/test_calc.py", TEST_ADD)
    repository.commit("Test add")


async def travel(repository: Repository, server: Server, ada: Agent) -> None:
    """A change goes through plan and code and lands, whatever door `ada` came in by: what she hears, and git."""
    own = repository.checkout_bytes()
    change = await ada.start("Add sub")
    plan = await ada.claim()
    assert (plan["stage"], plan["attempt"], plan["writes"]) == ("plan", 1, [f"docs/changes/{change}.md"])
    refused = await ada.submit(plan, {f"docs/changes/{change}.md": "# Goal\n\nSubtract.\n"})
    assert (refused["outcome"], refused["stage_state"], refused["attempts_left"]) == ("failed", "claimed", 2)
    assert refused["findings"][0]["where"].startswith(f"docs/changes/{change}.md")
    passed = await ada.submit(plan, {f"docs/changes/{change}.md": PLAN})
    assert (passed["outcome"], passed["handed_to"]) == ("passed", ["code"])

    code = await ada.claim()
    assert [given["commit"] for given in code["inputs"]] == [passed["commit"]]
    assert code["base_commit"] == passed["commit"]
    wrong = await ada.submit(code, {"calc.py": WRONG}, summary="All tests pass.")
    assert wrong["outcome"] == "failed"
    assert {(found["gate"], found["where"]) for found in wrong["findings"]} == {
        ("ruff", "calc.py:1"),
        ("test", "tests/test_calc.py:5"),
    }
    right = await ada.submit(code, {"calc.py": SUB, "tests/test_sub.py": TEST_SUB})
    assert right["outcome"] == "passed", right.text
    assert {gate["gate"] for gate in right["gates"]} == {"scope", "compile", "ruff", "test"}
    assert all(gate["count"] > 0 for gate in right["gates"])

    assert repository.checkout_bytes()[0] == own[0]
    record = await server.landed(change)
    status = await ada.get("get_status", change=change)

    assert record.state is ChangeState.LANDED
    assert record.landed_commit == repository.tip()
    assert status["changes"][0]["landing"] == f"landed on 'main' as {repository.tip()}"
    assert repository.git("show", "main:calc.py") == SUB.strip()
    assert repository.tree() == repository.tree(right["commit"]), "the landed tree is the judged tree"
    assert repository.git("status", "--porcelain") == "", "the checked-out target was brought along"
    assert repository.read("tests/test_sub.py") == TEST_SUB


@pytest.mark.usefixtures("as_shipped")
async def test_a_change_goes_through_plan_and_code_and_lands(make: Repositories, generation: Generation) -> None:
    """Through the door that agents use."""
    repository = make(JOURNEY)
    prepare(repository)
    async with serving(repository, clock=Clock()) as server, server.agent("ada", generation) as ada:
        await travel(repository, server, ada)

    assert not repository.workspaces(), "workspaces of a change that is over are gone"


@pytest.mark.slow
async def test_work_changes_neither_head_nor_index_nor_files_of_the_users_checkout(make: Repositories) -> None:
    repository = make()
    repository.git("switch", "-q", "-c", "mine")
    repository.write("calc.py", "# half a thought\n")
    repository.write("new.py", "# staged\n")
    repository.git("add", "new.py")
    before = repository.checkout_bytes(), repository.git("status", "--porcelain=v2", "--branch")
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        brief = await ada.claim()
        await ada.get("check_gates", lease=brief["lease"], gates=["ok"])
        await ada.submit(brief, {"broken.txt": "x"})
        await ada.submit(brief, {"broken.txt": None, "calc.py": SUB})
        await server.landed(change)

    assert (repository.checkout_bytes(), repository.git("status", "--porcelain=v2", "--branch")) == before
    assert repository.read("calc.py") == "# half a thought\n"
    assert repository.git("show", "main:calc.py") == SUB.strip()


@pytest.mark.slow
async def test_everything_that_was_handed_over_can_be_read_without_a_file_system(make: Repositories) -> None:
    repository = make(staged())
    async with serving(repository) as server, server.agent() as ada:
        change = await ada.start()
        await ada.pass_stage({f"docs/changes/{change}.md": PLAN})
        listed = await ada.get("read_artifact", change=change)
        one = await ada.get("read_artifact", change=change, stage="plan", path=f"docs/changes/{change}.md")
        diff = await ada.get("read_artifact", change=change, stage="plan", path="diff")
        evidence = await ada.get("get_evidence", change=change, stage="plan", gate="document")
        absent = await ada.refused("read_artifact", change=change, path="nothing/here.py")

    assert listed["paths"] == [f"docs/changes/{change}.md"]
    assert one["text"] == PLAN
    assert "+R1: `sub(a, b)` is a minus b." in diff["text"]
    assert (evidence["gates"][0]["outcome"], evidence["gates"][0]["count"]) == ("passed", 2)
    assert absent == "bad_argument"
    assert not repository.has("docs")
