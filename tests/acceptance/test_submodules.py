"""docs/real-repositories.md: an agent has the submodules that the person has, or is told which it lacks."""

import shutil
from pathlib import Path

import pytest

from .conftest import Repositories
from .house import Repository, serving, solo

pytestmark = pytest.mark.anyio

LOOK = '{command: {name: look, run: "test -f vendor/lib/lib.txt"}}'


@pytest.fixture
def repository(make: Repositories, tmp_path: Path) -> Repository:
    library = make(name="library", is_set_up=False)
    library.commit("Add a file", lib__txt="library\n")
    repository = make(solo(LOOK))
    repository.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library.path), "vendor/lib")
    repository.commit("Add a submodule")
    shutil.rmtree(library.path)
    return repository


@pytest.mark.slow
async def test_an_agent_works_with_the_submodules_and_its_work_is_judged_with_them(repository: Repository) -> None:
    async with serving(repository) as server, server.agent("ada") as ada:
        await ada.start()
        brief = await ada.claim()
        verdict = await ada.submit(brief, {"more.py": "x = 1\n"})

        assert (Path(brief["workspace"]) / "vendor" / "lib" / "lib.txt").read_text() == "library\n"
        assert verdict["outcome"] == "passed", verdict.text
        assert brief["notes"] == []


@pytest.mark.slow
async def test_without_them_the_brief_says_so_and_gates_cannot_judge(repository: Repository) -> None:
    shutil.rmtree(repository.path / ".git" / "modules")
    async with serving(repository) as server, server.agent("ada") as ada:
        await ada.start()
        brief = await ada.claim()
        verdict = await ada.get("check_gates", lease=brief["lease"], gates=["look"])

        assert "git submodule update --init" in brief["notes"][0]
        assert "vendor/lib" in brief["notes"][0]
        assert verdict["outcome"] == "errored", verdict.text
        assert "do not change the code" in verdict.text
