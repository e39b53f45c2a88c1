"""How the level of isolation is chosen, and where it is told."""

import sys
from pathlib import Path

import anyio
import pytest

from gatewright.gates.sandbox import Choice, choose, find_best
from gatewright.schemas.records import Evidence, Outcome

from ..kinds.workbench import SAMPLE, Project
from .conftest import LEVELS, PATH, choice_of


class TestChoosing:
    def test_a_weaker_level_can_be_asked_for(self) -> None:
        choice = choice_of("process")

        assert choice.level == "process"
        assert choice.unreached["full"] == "GATEWRIGHT_ISOLATION asks for 'process'."

    def test_what_is_missing_is_told(self, tmp_path: Path) -> None:
        python = Path(sys.executable)
        (tmp_path / "python3").symlink_to(python)

        choice = anyio.run(find_best, {"PATH": str(tmp_path), "HOME": str(tmp_path)})

        assert choice.unreached["full"] == "bubblewrap is not installed."
        assert choice.level in ("files", "process")

    def test_a_sandbox_that_keeps_nothing_out_is_found_out(self, tmp_path: Path) -> None:
        fake = tmp_path / "bwrap"
        fake.write_text(
            '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; echo \'{"exit-code": 0}\' >&3; exec "$@"\n'
        )
        fake.chmod(0o755)

        choice = anyio.run(find_best, {"PATH": f"{tmp_path}:{PATH}", "HOME": str(tmp_path)})

        assert choice.level != "full"
        assert choice.unreached["full"].startswith("A trial program could ")

    def test_a_shortfall_says_what_is_reached_what_is_required_and_what_to_do(self) -> None:
        choice = Choice("files", choice_of("process").enclose, {"full": "bubblewrap is not installed."})

        assert choice.explain_shortfall(None) is None
        assert choice.explain_shortfall("files") is None
        assert choice.explain_shortfall("process") is None
        assert choice.explain_shortfall("full") == (
            "The policy requires isolation 'full', and this machine reaches 'files': bubblewrap is not installed. "
            "To mend it, install bubblewrap, and allow it to make user namespaces; `gatewright doctor` tells more."
        )

    def test_a_shortfall_that_was_asked_for_is_not_mended_by_installing_anything(self) -> None:
        forced = anyio.run(find_best, {"PATH": PATH, "GATEWRIGHT_ISOLATION": "process"})

        said = forced.explain_shortfall("full")

        assert said is not None
        assert said.endswith(
            "GATEWRIGHT_ISOLATION asks for 'process'. "
            "To mend it, start the server without GATEWRIGHT_ISOLATION; `gatewright doctor` tells more."
        )

    def test_is_done_once_for_a_process(self) -> None:
        async def twice() -> bool:
            return await choose() is await choose()

        assert anyio.run(twice)


class TestInTheVerdict:
    def judge(self, tmp_path: Path, **pipeline: object) -> Evidence:
        project = Project(tmp_path, [{"command": {"name": "check", "run": "test -f calc.py"}}], SAMPLE, **pipeline)
        return project.judge(project.commit({"more.py": "x = 1\n"}))["check"]

    @pytest.mark.parametrize("level", LEVELS)
    def test_stands_the_level_that_was_reached(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str
    ) -> None:
        monkeypatch.setenv("GATEWRIGHT_ISOLATION", level)
        reached = choice_of(level).level

        evidence = self.judge(tmp_path, require_isolation=reached)

        assert (evidence.outcome, evidence.isolation) == (Outcome.PASSED, reached)

    def test_a_gate_errs_where_the_policy_requires_more(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GATEWRIGHT_ISOLATION", "process")

        evidence = self.judge(tmp_path, require_isolation="files")

        assert evidence.outcome is Outcome.ERRORED
        assert "The policy requires isolation 'files', and this machine reaches 'process'" in evidence.summary

    def test_neither_set_up_nor_installation_runs_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GATEWRIGHT_ISOLATION", "process")
        witness = tmp_path / "witness"
        ran = {"run": f"touch {witness}"}

        evidence = self.judge(
            tmp_path, require_isolation="full", setup={**ran, "key": ["calc.py"], "network": False}, install=ran
        )

        assert evidence.outcome is Outcome.ERRORED
        assert not witness.exists()

    def test_what_the_base_did_at_another_level_counts_for_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What fails in the sandbox only would otherwise be the artifact's fault."""
        outside = tmp_path / "outside.txt"
        outside.write_text("")
        lint = (
            "if test -e bad.txt; then echo bad.txt:1: error: it is bad; exit 1; fi; "
            f"if ! cat {outside}; then echo calc.py:1: error: it is not there; exit 1; fi"
        )
        project = Project(tmp_path / "p", [{"command": {"name": "check", "run": lint, "report": "lines"}}], SAMPLE)
        if choice_of("files").level != "files":
            pytest.skip(choice_of("files").unreached["files"])
        monkeypatch.setenv("GATEWRIGHT_ISOLATION", "process")
        failed = project.judge(project.commit({"bad.txt": "x\n"}, on=project.base))["check"]
        monkeypatch.setenv("GATEWRIGHT_ISOLATION", "files")
        passed = project.judge(project.commit({"more.py": "x = 1\n"}, on=project.base))["check"]

        assert (failed.outcome, passed.outcome) == (Outcome.FAILED, Outcome.PASSED)
        assert len(project.baselines) == 2

    def test_a_gate_reaches_neither_the_repository_nor_the_checkouts_of_others(self, tmp_path: Path) -> None:
        level = choice_of("full").level
        if level == "process":
            pytest.skip("nothing keeps files out here")
        attack = (
            f"cat {tmp_path}/repository/.git/config; ls {tmp_path}/cache/checkouts {tmp_path}/cache; git log -1; true"
        )
        project = Project(tmp_path, [{"command": {"name": "check", "run": f"{attack}; exit 1"}}])

        said = project.judge(project.commit({"more.py": "x = 1\n"}))["check"].output

        assert "[core]" not in said
        assert "def add" not in said
        assert "Work" in said, "git answers in the private tree"
