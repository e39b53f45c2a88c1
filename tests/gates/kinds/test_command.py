"""The `command` gate: exit codes, reports, and what is no answer at all."""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gatewright.gates.policies.yaml_source import PolicyInvalid
from gatewright.schemas.records import Evidence, Outcome

from .workbench import SAMPLE, Files, Program, Project

LINT = "#!/bin/sh\ngrep -nH BAD *.txt | sed 's/^\\([^:]*:[0-9]*\\):.*/\\1: error: it is bad/'\n! grep -q BAD *.txt\n"


def judge(project: Project, files: Files, **changed: object) -> Evidence:
    return project.judge(project.commit(files, on=project.base), **changed)["check"]


def make(root: Path, run: str, files: Files = SAMPLE, **options: object) -> Project:
    return Project(root, [{"command": {"name": "check", "run": run, **options}}], files)


def test_exit_code_zero_passes_and_counts_the_run(tmp_path: Path) -> None:
    evidence = judge(make(tmp_path, "grep -q new more.txt"), {"more.txt": "new\n"})

    assert (evidence.outcome, evidence.counted) == (Outcome.PASSED, 1)


def test_another_exit_code_fails_with_the_output_and_says_whether_the_base_fails_too(tmp_path: Path) -> None:
    project = make(tmp_path, "echo some reason; grep -q new more.txt")

    evidence = judge(project, {"more.txt": "old\n"})

    assert evidence.outcome is Outcome.FAILED
    assert "some reason" in evidence.findings[0].message
    assert "On the base: 2" in evidence.findings[0].message


class TestNoAnswerIsNoPass:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("run", "said"),
        [
            ("no-such-program-anywhere", "not found"),
            ("./calc.py", "could not be executed"),
            ("kill -9 $$", "SIGKILL"),
            ("sleep 60", "within"),
        ],
    )
    def test_errored_and_told_so(self, tmp_path: Path, run: str, said: str) -> None:
        evidence = judge(make(tmp_path, run, timeout="1s"), {"more.txt": "x\n"})

        assert evidence.outcome is Outcome.ERRORED
        assert said in evidence.summary
        assert "not your fault" in evidence.summary


class TestLines:
    def test_findings_are_judged_against_the_base(self, tmp_path: Path) -> None:
        files: Files = {"lint.sh": Program(LINT), "a.txt": "fine\nBAD one\n"}
        project = make(tmp_path, "sh lint.sh", files, report="lines")

        same = judge(project, {"a.txt": "more\nfine\nBAD one\n"})
        worse = judge(project, {"b.txt": "x\n\nBAD two\n"})
        clean = judge(project, {"a.txt": "fine\n"})

        assert (same.outcome, [f.where for f in same.tolerated]) == (Outcome.PASSED, ["a.txt:3"])
        assert (worse.outcome, [f.where for f in worse.findings]) == (Outcome.FAILED, ["b.txt:3"])
        assert (clean.outcome, clean.counted) == (Outcome.PASSED, 1)

    def test_a_failure_without_a_finding_is_still_a_failure(self, tmp_path: Path) -> None:
        project = make(tmp_path, "test ! -f more.txt", report="lines")

        assert [f.rule for f in judge(project, {"more.txt": "x\n"}).findings] == ["exit-code"]

    def test_another_failure_does_not_hide_behind_the_bases_findings(self, tmp_path: Path) -> None:
        run = "echo 'calc.py:1: error: known'; test ! -f more.txt || exit 3; exit 1"
        project = make(tmp_path, run, report="lines")

        evidence = judge(project, {"more.txt": "x\n"})

        assert [f.rule for f in evidence.findings] == ["exit-code"]


class TestJUnit:
    def test_a_report_that_was_there_before_is_not_believed(self, tmp_path: Path) -> None:
        report = '<testsuite tests="1"><testcase classname="a" name="b"/></testsuite>'
        project = make(tmp_path, "test -f calc.py", report="junit", path="report.xml")

        assert judge(project, {"report.xml": report}).outcome is Outcome.ERRORED

    def test_a_report_through_a_link_is_not_believed(self, tmp_path: Path) -> None:
        outside = tmp_path / "forged.xml"
        outside.write_text('<testsuite tests="1"><testcase classname="a" name="b"/></testsuite>')
        project = make(tmp_path / "p", f"ln -s {outside} report.xml", report="junit", path="report.xml")

        assert judge(project, {"more.txt": "x\n"}).outcome is Outcome.ERRORED

    @pytest.mark.parametrize(
        ("cases", "code", "outcome"),
        [
            ("<testcase name='a'/>", 0, Outcome.PASSED),
            ("<testcase name='a'><failure/></testcase>", 1, Outcome.FAILED),
            ("<testcase name='a'><failure/></testcase>", 0, Outcome.ERRORED),
            ("<testcase name='a'/>", 1, Outcome.ERRORED),
            ("", 0, Outcome.ERRORED),
            ("<testcase name='a'><skipped/></testcase>", 0, Outcome.ERRORED),
        ],
    )
    def test_exit_code_and_report_must_agree_and_count_something(
        self, tmp_path: Path, cases: str, code: int, outcome: Outcome
    ) -> None:
        run = 'echo "<testsuite>$(cat cases)</testsuite>" > out.xml; exit "$(cat code)"'
        project = make(tmp_path, run, report="junit", path="out.xml")

        assert judge(project, {"cases": cases, "code": f"{code}\n"}).outcome is outcome


class TestTheRules:
    def test_a_script_of_the_policy_runs_as_the_policy_has_it(self, tmp_path: Path) -> None:
        project = make(tmp_path, "sh tools/check.sh", {**SAMPLE, "tools/check.sh": "test ! -f bad.txt\n"})

        evidence = judge(project, {"bad.txt": "x\n", "tools/check.sh": "exit 0\n"})

        assert evidence.outcome is Outcome.FAILED
        assert "policy's version of tools/check.sh" in evidence.summary

    def test_a_program_of_the_tree_does_not_stand_in_for_a_tool(self, tmp_path: Path) -> None:
        project = make(tmp_path, "grep -q good calc.py")

        assert judge(project, {"grep": Program("#!/bin/sh\nexit 0\n")}).outcome is Outcome.FAILED

    def test_it_sees_no_variable_of_the_server(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GATEWRIGHT_PROBE_SECRET", "s3cret")

        evidence = judge(make(tmp_path, "env; test -f calc.py"), {"more.txt": "x\n"})

        assert "s3cret" not in evidence.output
        assert evidence.outcome is Outcome.PASSED

    @pytest.mark.parametrize(("network", "reached"), [(False, False), (True, True)])
    def test_it_leaves_its_own_loopback_only_where_the_gate_says_so(
        self, tmp_path: Path, network: bool, reached: bool
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            connect = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5)"
            evidence = judge(make(tmp_path, f'python3 -c "{connect}"', network=network), {"more.txt": "x\n"})

        if evidence.isolation != "full":
            pytest.skip("nothing here keeps a program from the network")
        assert (evidence.outcome is Outcome.PASSED) is reached

    def test_git_answers_as_in_a_clone(self, tmp_path: Path) -> None:
        project = make(tmp_path, 'git describe --tags && test -z "$(git status --porcelain)"')
        project.git("tag", "v1.0", project.base)

        evidence = judge(project, {"more.txt": "x\n"})

        assert evidence.outcome is Outcome.PASSED
        assert evidence.output.startswith("v1.0-1-g")


class TestASharedTree:
    """`tree: shared`: no copy is made for a command that only reads."""

    @pytest.mark.parametrize("level", ["full", "files", "process"])
    def test_is_judged_as_an_own_one_at_every_level(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str
    ) -> None:
        monkeypatch.setenv("GATEWRIGHT_ISOLATION", level)
        project = make(tmp_path, "grep -q new more.txt", tree="shared")

        assert judge(project, {"more.txt": "new\n"}).outcome is Outcome.PASSED
        assert judge(project, {"more.txt": "old\n"}).outcome is Outcome.FAILED

    def test_cannot_be_spoilt_for_those_who_read_it_next(self, tmp_path: Path) -> None:
        spoil = {"name": "spoil", "run": "! (rm calc.py; echo x > calc.py; echo x > new.py)", "tree": "shared"}
        check = {"name": "check", "run": "grep -q half calc.py && ! test -e new.py", "tree": "shared"}
        project = Project(tmp_path, [{"command": spoil}, {"command": check}])

        for number in range(3):
            judged = project.judge(project.commit({"more.txt": f"{number}\n"}, on=project.base))

            assert judged["check"].outcome is Outcome.PASSED
            if judged["spoil"].isolation in ("full", "files"):
                assert "calc.py" in judged["spoil"].output

    @pytest.mark.parametrize("level", ["full", "files", "process"])
    def test_keeps_its_modes_and_times_whoever_runs_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str
    ) -> None:
        """A folder that is made unwritable would be in everybody's way for good, an unreadable file out of sight."""
        monkeypatch.setenv("GATEWRIGHT_ISOLATION", level)
        project = make(tmp_path, "chmod 400 calc.py; chmod 500 .; touch -d @9 calc.py; test -e calc.py", tree="shared")
        project.judge(project.base)

        for tree in (tmp_path / "cache" / "checkouts").glob("*/tree"):
            file = (tree / "calc.py").stat()
            assert (tree.stat().st_mode & 0o777, file.st_mode & 0o777) == (0o755, 0o644)
            assert file.st_mtime > 9

    def test_holds_no_committed_bytecode(self, tmp_path: Path) -> None:
        project = make(tmp_path, "! test -e old.pyc", {**SAMPLE, "old.pyc": b"\0"}, tree="shared")

        assert judge(project, {"more.txt": "new\n"}).outcome is Outcome.PASSED

    def test_is_no_place_for_a_report(self, tmp_path: Path) -> None:
        with pytest.raises(PolicyInvalid, match="cannot be written into a shared tree"):
            judge(make(tmp_path, "true;false", report="junit", path="r.xml", tree="shared"), {"more.txt": "x\n"})


def test_nothing_is_left_of_a_run(tmp_path: Path) -> None:
    seconds = 300 + os.getpid() / 1e7  # a sleep like no other
    run = f"setsid sh -c 'echo $$ > pid; exec sleep {seconds}' & while ! test -s pid; do :; done; test -f calc.py"
    project = make(tmp_path / "p", run)

    evidence = judge(project, {"more.txt": "x\n"})

    assert evidence.outcome is Outcome.PASSED
    assert not any(str(seconds).encode() in command for command in _commands_running())
    assert list((tmp_path / "p" / "cache" / "scratch").iterdir()) == []


def test_output_keeps_head_and_tail_within_the_limit(tmp_path: Path) -> None:
    project = Project(
        tmp_path,
        [{"command": {"name": "check", "run": "echo first; seq 1 100000; echo last; test -f calc.py"}}],
        limits={"output": "2kB"},
    )

    output = judge(project, {"more.txt": "x\n"}).output

    assert output.startswith("first\n")
    assert output.endswith("last\n")
    assert len(output) < 3_000


def _commands_running() -> Iterator[bytes]:
    """The command line of every process, also of those that have another number where they run."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield file.read_bytes()


def test_the_script_that_the_documentation_shows_works(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "recipes.md").read_text()
    script = page.split("## A shell script")[1].split("```sh\n")[1].split("```")[0]
    files = {"tools/no_todo.sh": script, "src/a.py": "# TODO: some day\n", "src/b.py": "# TODO(#1): soon\n"}
    project = make(tmp_path, "sh tools/no_todo.sh", files, report="lines")

    evidence = judge(project, {"src/b.py": "x = 1\n# TODO never\n"})

    assert [(f.where, f.rule) for f in evidence.findings] == [("src/b.py:2", "todo")]
    assert [f.where for f in evidence.tolerated] == ["src/a.py:1"]


class TestWhatIsKeptAboutTheBase:
    BAD = "{ echo calc.py:1: error: it is bad; exit 1; }"

    def test_a_base_that_could_not_be_judged_is_tried_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Otherwise one killed run would have everybody blamed for what is wrong with the base."""
        trouble = tmp_path / "outside" / "trouble"
        trouble.parent.mkdir()
        trouble.write_text("")
        monkeypatch.setenv("GATEWRIGHT_READABLE", str(trouble.parent))
        run = f"if test ! -e new.txt && test -e {trouble}; then kill -9 $$; fi; {self.BAD}"
        project = make(tmp_path / "p", run, report="lines")
        blamed = judge(project, {"new.txt": "1\n"})
        trouble.unlink()

        assert blamed.outcome is Outcome.FAILED
        assert judge(project, {"new.txt": "2\n"}).outcome is Outcome.PASSED

    def test_what_failed_on_the_base_for_want_of_a_program_is_not_tolerated_once_it_is_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tool = tmp_path / "tools" / "a-tool-of-the-servers-owner"
        tool.parent.mkdir()
        tool.write_text("#!/bin/sh\ntest ! -e bad.txt\n")
        tool.chmod(0o755)
        project = make(tmp_path / "p", f"{tool.name} || {self.BAD}", report="lines")

        assert judge(project, {"bad.txt": "1\n"}).outcome is Outcome.PASSED, "it is so on the base too"
        monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
        assert judge(project, {"bad.txt": "2\n"}).outcome is Outcome.FAILED
