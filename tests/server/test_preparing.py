"""What `setup` makes is laid into workspaces; nothing that an agent handed in may decide more there than at a gate."""

import logging
from pathlib import Path

import pytest

from gatewright.gates.machine.commands import Reopen
from gatewright.server import preparing
from gatewright.server.composition import cache_folder
from gatewright.server.preparing import Preparation, Workplace

from ..acceptance.house import PLAN, Agent, Repository, Server, Told, serving, staged

pytestmark = pytest.mark.anyio

SETUP = """\
protect: [tools.txt]
setup:
  run: mkdir made && cp *.txt made/
  key: ["*.txt"]
  keep: [made]
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # The server would prepare at a time of its own; here the test says when.
    monkeypatch.setattr(Preparation, "ask", lambda *_: None)
    repository = Repository(tmp_path / "repo", staged() + SETUP)
    repository.commit("Name the tools", tools__txt="trusted\n", data__txt="1\n")
    return repository


async def prepared(server: Server, brief: Told) -> Path:
    """The folder that `setup` makes, once the workspace of a claim was prepared."""
    workspace = Path(brief["workspace"])
    await Preparation(server.services).prepare(Workplace(brief["change"], brief["stage"], workspace))
    return workspace / "made"


async def claimed_after_failure(ada: Agent, files: dict[str, str]) -> Told:
    """A claim that goes on from an attempt with these files, which failed."""
    await ada.pass_stage({"docs/changes/c1.md": PLAN}, await ada.start())
    first = await ada.claim()
    await ada.submit(first, {**files, "broken.txt": "yes\n"})
    await ada.get("release_stage", lease=first["lease"], because="cannot", reason="Somebody else should.")
    return await ada.claim()


@pytest.mark.slow
async def test_a_workspace_has_what_setup_makes_of_its_own_key_files(repository: Repository) -> None:
    async with serving(repository) as server, server.agent("ada") as ada:
        made = await prepared(server, await claimed_after_failure(ada, {"data.txt": "2\n"}))

    assert (made / "data.txt").read_text() == "2\n"


@pytest.mark.slow
async def test_a_protected_key_file_is_the_policys_in_a_workspace_too(repository: Repository) -> None:
    """docs/pipeline.md: who names a key file in `protect` says that a new dependency is a person's to allow."""
    async with serving(repository) as server, server.agent("ada") as ada:
        brief = await claimed_after_failure(ada, {"tools.txt": "of the agent's choice\n"})
        made = await prepared(server, brief)

    assert (Path(brief["workspace"]) / "tools.txt").read_text() == "of the agent's choice\n"
    assert (made / "tools.txt").read_text() == "trusted\n"


@pytest.mark.slow
async def test_a_key_file_that_is_too_large_leaves_a_workspace_unprepared_and_the_server_alive(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(preparing, "KEY_FILE_BYTES_MAX", 100)
    async with serving(repository) as server, server.agent("ada") as ada:
        brief = await claimed_after_failure(ada, {"data.txt": "2" * 101})
        with caplog.at_level(logging.WARNING):
            made = await prepared(server, brief)

    assert not made.exists()
    assert "was not prepared" in caplog.text


@pytest.mark.slow
async def test_a_stage_that_went_back_to_waiting_is_passed_over(repository: Repository) -> None:
    """Between the claim and its turn a person reopened what it starts from."""
    async with serving(repository) as server, server.agent("ada") as ada:
        await ada.pass_stage({"docs/changes/c1.md": PLAN}, await ada.start())
        brief = await ada.claim()
        await server.decide("c1", Reopen("plan", "person:eve", "Think again."))
        made = await prepared(server, brief)

    assert not made.exists()


def test_the_cache_is_named_without_links_on_the_way(tmp_path: Path) -> None:
    (tmp_path / "cache").symlink_to(tmp_path / "elsewhere")
    found = cache_folder(tmp_path / "repo" / ".git", {"XDG_CACHE_HOME": str(tmp_path / "cache")})

    assert found.parent == tmp_path.resolve() / "elsewhere" / "gatewright"
