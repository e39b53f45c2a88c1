"""docs/real-repositories.md: what `setup` is trusted with stays in `setup`, and whose key files it runs on matters."""

from pathlib import Path

import pytest

from gatewright.gates.preparation.setup_secrets import CHUNK_BYTES, find_leak
from gatewright.schemas.records import Evidence, Outcome

from ..kinds.workbench import SAMPLE, Files, Project
from .conftest import shell

SECRET = "s3cr3t-of-the-index"
RUN = 'mkdir made && cp need.txt made && test ${#TOKEN} = 19 && echo "with $TOKEN" && cp need.txt $HOME'
NEED: Files = {**SAMPLE, "need.txt": "honest\n"}


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWRIGHT_SECRET_TOKEN", SECRET)


def project_with(root: Path, *gates: object, run: str = RUN, **setup: object) -> Project:
    wanted = {"run": run, "key": ["need.txt"], "keep": ["made"], "secrets": ["TOKEN"], **setup}
    return Project(root, list(gates), NEED, setup=wanted)


def told(found: dict[str, Evidence]) -> str:
    return "\n".join(map(repr, found.values()))


def test_setup_has_the_secret_and_gates_have_not(tmp_path: Path) -> None:
    look = shell("env; cat made/need.txt; env | grep -qv TOKEN; ! env | grep -q TOKEN; ! env | grep -q s3cr3t")
    project = project_with(tmp_path, look)

    found = project.judge(project.commit({"more.py": "x = 1\n"}))

    assert found["look"].outcome is Outcome.PASSED, found["look"]
    assert SECRET not in told(found)


def test_a_secret_is_in_nothing_that_is_kept(tmp_path: Path) -> None:
    project = project_with(tmp_path, shell("test -f calc.py"))
    commit = project.commit({"more.py": "x = 1\n"})

    said = project.messages(project.job(commit))

    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert any(path.name == "need.txt" for path in kept), "the environment is there"
    assert not any(SECRET.encode() in path.read_bytes() or SECRET in str(path) for path in kept)
    assert not any(SECRET in repr(message) for message in said)


def test_a_secret_that_setup_prints_when_it_fails_is_not_told(tmp_path: Path) -> None:
    project = project_with(tmp_path, shell("test -f calc.py"), run="echo $TOKEN; exit 1")

    found = project.judge(project.commit({"more.py": "x = 1\n"}))

    assert "(TOKEN)" in found["look"].output
    assert SECRET not in told(found)


@pytest.mark.parametrize("leave", ["echo $TOKEN > made/pip.conf", "touch made/$TOKEN", "ln -s /$TOKEN made/link"])
def test_an_environment_with_a_secret_in_it_is_none(tmp_path: Path, leave: str) -> None:
    project = project_with(tmp_path, shell("cat made/*"), run=f"mkdir made && {leave}")

    found = project.judge(project.commit({"more.py": "x = 1\n"}))

    assert found["look"].outcome is Outcome.ERRORED
    assert "left the secret 'TOKEN' in" in found["look"].summary
    assert SECRET not in told(found)


def test_an_artifacts_key_files_are_a_persons_to_allow_before_setup_runs_on_them_with_secrets(tmp_path: Path) -> None:
    """A package that it names is installed by running it; nobody has looked at it yet."""
    project = project_with(tmp_path, shell("cat made/need.txt"))

    found = project.judge(project.commit({"need.txt": "of an attacker\n"}))

    assert found["scope"].outcome is Outcome.PENDING
    assert [finding.path for finding in found["scope"].findings] == ["need.txt"]
    assert found["look"].output == "honest\n"


def test_a_new_key_file_is_not_taken_to_setup_either(tmp_path: Path) -> None:
    project = project_with(tmp_path, shell("cat made/*"), run="mkdir made && cp *.txt made", key=["*.txt"])

    found = project.judge(project.commit({"other.txt": "of an attacker\n"}))

    assert found["scope"].outcome is Outcome.PENDING
    assert found["look"].output == "honest\n"


@pytest.mark.parametrize("setup", [{"changed_keys": "allow"}, {"secrets": []}])
def test_without_secrets_or_with_leave_a_changed_key_file_gets_an_environment_of_its_own(
    tmp_path: Path, setup: dict[str, object]
) -> None:
    project = project_with(tmp_path, shell("cat made/need.txt"), run="mkdir made && cp need.txt made", **setup)

    found = project.judge(project.commit({"need.txt": "a new dependency\n"}))

    assert found["scope"].outcome is Outcome.PASSED
    assert found["look"].output == "a new dependency\n"


class TestLookingForSecrets:
    def test_one_across_two_pieces_of_a_file_is_found(self, tmp_path: Path) -> None:
        (tmp_path / "large").write_bytes(b"x" * (CHUNK_BYTES - 3) + SECRET.encode() + b"x" * CHUNK_BYTES)

        assert find_leak(tmp_path, {"TOKEN": SECRET}) == ("TOKEN", "large")

    def test_a_value_that_turns_up_by_chance_is_not_looked_for(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("abc")

        assert find_leak(tmp_path, {"TOKEN": "abc", "OTHER": SECRET}) is None
