"""docs/real-repositories.md: a refusal for size names the limit; a repository beyond it is not the agent's fault."""

from pathlib import Path

from gatewright.schemas.records import Outcome

from ..kinds.workbench import SAMPLE, Project


def test_an_artifact_beyond_a_limit_fails_and_is_told_which(tmp_path: Path) -> None:
    project = Project(tmp_path, ["compile"], limits={"entries": 10})

    found = project.judge(project.commit({f"part{number}.py": "x = 1\n" for number in range(20)}))["compile"]

    assert found.outcome is Outcome.FAILED
    assert "`limits.entries`" in found.findings[0].message


def test_a_repository_beyond_a_limit_is_nobodys_fault_and_says_what_to_raise(tmp_path: Path) -> None:
    files = {**SAMPLE, **{f"part{number}.py": "x = 1\n" for number in range(20)}}
    project = Project(tmp_path, ["compile"], files, limits={"entries": 10})

    found = project.judge(project.commit({"more.py": "x = 1\n"}))["compile"]

    assert found.outcome is Outcome.ERRORED
    assert "`limits.entries`" in found.summary
    assert "raise that limit in gatewright.yaml" in found.summary
