"""What the command of a `run:` stage may write, what becomes of it, and that it comes out the same every time."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatewright.gates.contract import Found, Made, Merged, Run
from gatewright.gates.findings import FINDINGS_MAX
from gatewright.schemas.records import Evidence, Outcome

from .kinds.workbench import SAMPLE, Files, Link, Program, Project, use_own_python

GATE = {"command": {"name": "calc", "run": "test -e calc.py"}}
WHEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture(autouse=True)
def own_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", use_own_python())


class Stage:
    """A project whose `gen/**` a command makes."""

    def __init__(self, root: Path, files: Files = SAMPLE, **pipeline: object) -> None:
        self.project = Project(root, [GATE], files, **pipeline)
        self.made: Made | None = None

    def run(self, command: str, *, conflicts: tuple[str, ...] = (), writes: tuple[str, ...] = ("gen/**",)) -> Evidence:
        """The evidence about the command; what it made is kept in `made`, what was found of that in `found`."""
        self.made = None
        job = self.project.job(self.project.base, writes=writes, merges=(Merged(self.project.base, conflicts),))
        run = Run(command, False, "Run it\n", WHEN)
        said = self.project.messages(replace(job, run=run))
        self.made = next((message for message in said if isinstance(message, Made)), None)
        self.found = {message.evidence.gate: message.evidence for message in said if isinstance(message, Found)}
        return self.found["run"]

    def git(self, *arguments: str) -> str:
        return self.project.git("--git-dir", str(self.project.root / "store"), *arguments)

    def paths(self) -> dict[str, str]:
        """Mode and path of what differs from the base in what was made; a removed path has the mode 000000."""
        assert self.made is not None, self.found["run"]
        raw = self.git("diff-tree", "-r", "-z", "--no-renames", self.project.base, self.made.commit)
        fields = raw.split("\0")
        return {path: head.split()[1] for head, path in zip(fields[0:-1:2], fields[1::2], strict=True)}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_what_was_written_becomes_a_commit_on_the_base_that_the_gates_judge(stage: Stage) -> None:
    ran = stage.run("mkdir -p gen/deep && cat calc.py > gen/deep/copy.txt")

    assert (ran.outcome, ran.counted, ran.unit) == (Outcome.PASSED, 1, "runs")
    assert stage.paths() == {"gen/deep/copy.txt": "100644"}
    assert stage.made is not None
    assert stage.made.paths == 1
    assert {name: found.outcome for name, found in stage.found.items()} == dict.fromkeys(
        ("run", "scope", "calc"), Outcome.PASSED
    )
    told = stage.git("log", "-1", "--format=%P %an %cn %at %ct %s", stage.made.commit)
    assert told == f"{stage.project.base} gatewright gatewright 1772600767 1772600767 Run it"


def test_running_it_again_makes_the_same_commit(stage: Stage) -> None:
    """After a crash nobody can tell how often it ran."""
    commits = set()
    for _ in range(2):
        stage.run("mkdir gen && echo x > gen/a")
        assert stage.made is not None
        commits.add(stage.made.commit)

    assert len(commits) == 1


def test_modes_links_deletions_and_odd_names_are_committed_as_they_were_made(tmp_path: Path) -> None:
    before: Files = {**SAMPLE, "gen/old": "x", "gen/was/one": "1", "gen/file": "f", "gen/tool": Program("#!/bin/sh\n")}
    stage = Stage(tmp_path, {**before, "gen/link": Link("old")})
    stage.run(
        "cd gen && rm old && rm -r was && echo now a file > was && rm file && mkdir file && echo x > file/within && "
        "chmod -x tool && ln -sf elsewhere link && echo x > 'ü b.sh' && chmod +x 'ü b.sh'",
    )

    assert stage.found["run"].outcome is Outcome.PASSED
    assert stage.paths() == {
        "gen/old": "000000",
        "gen/was": "100644",
        "gen/was/one": "000000",
        "gen/file": "000000",
        "gen/file/within": "100644",
        "gen/tool": "100644",
        "gen/link": "120000",
        "gen/ü b.sh": "100755",
    }


def test_nothing_new_passes_with_the_base_itself(tmp_path: Path) -> None:
    stage = Stage(tmp_path, {**SAMPLE, "gen/a": "x\n"})

    stage.run("echo x > gen/b && rm gen/a && mv gen/b gen/a")

    assert stage.made is not None
    assert stage.made.commit == stage.project.base
    assert {found.outcome for found in stage.found.values()} == {Outcome.PASSED}
    assert stage.found["scope"].unit == "runs"


OUTSIDE = {
    "another file": ("echo x > calc.py && test -e calc.py", "calc.py"),
    "a file removed": ("rm calc.py", "calc.py"),
    "a mode": ("chmod +x calc.py", "calc.py"),
    "a new file": ("mkdir new && echo x > new/file && test -e new", "new/file"),
    "a link for a file": ("ln -sf tests calc.py", "calc.py"),
    "a folder for a file": ("rm calc.py && mkdir calc.py && touch calc.py/x", "calc.py/x"),
    "a link out of the folder": ("ln -s . gen && echo x > gen/new && test -e new", "new"),
    "rules of what is ignored": ("echo hidden > .gitignore && touch hidden", ".gitignore"),
    "rules of the private copy": ("echo '*' > .git/info/exclude && touch hidden", "hidden"),
    "the private index": (
        "git update-index --assume-unchanged calc.py; echo x > calc.py && test -e calc.py",
        "calc.py",
    ),
    "the private HEAD": ("echo x > calc.py && git -c user.name=x -c user.email=x@x commit -qam x", "calc.py"),
}


@pytest.mark.parametrize("what", OUTSIDE)
def test_what_it_writes_outside_is_a_finding_and_makes_no_commit(stage: Stage, what: str) -> None:
    command, path = OUTSIDE[what]

    ran = stage.run(command)

    assert ran.outcome is Outcome.FAILED
    assert path in {finding.path for finding in ran.findings if finding.rule == "outside"}
    assert stage.made is None
    assert set(stage.found) == {"run"}, "there is nothing for the other gates to judge"


ODD = {
    "a pipe": ("mkdir gen && mkfifo gen/pipe", "kind"),
    "a repository": ("git init -q gen/nested && touch gen/nested/a", "kind"),
    "a repository in disguise": ("mkdir -p gen/.GIT && touch gen/.GIT/config", "kind"),
    "a name of two lines": ('mkdir gen && touch "$(printf "gen/a\\nb")"', "name"),
    "no text": ("mkdir gen && touch gen/$(printf '\\377')", "name"),
    "too large": ("mkdir gen && head -c 2000000 /dev/zero > gen/large", "size"),
}


@pytest.mark.parametrize("what", ODD)
def test_what_no_commit_can_hold_is_a_finding(tmp_path: Path, what: str) -> None:
    stage = Stage(tmp_path, limits={"file": "1MB"})
    command, rule = ODD[what]

    ran = stage.run(command)

    assert (ran.outcome, {finding.rule for finding in ran.findings}) == (Outcome.FAILED, {rule})


def test_a_pipe_where_git_looks_for_rules_keeps_nobody_waiting(stage: Stage) -> None:
    ran = stage.run("mkfifo .gitignore && touch new")

    assert (ran.outcome, {finding.rule for finding in ran.findings}) == (Outcome.FAILED, {"kind", "outside"})


def test_what_it_writes_is_bounded_in_all(tmp_path: Path) -> None:
    stage = Stage(tmp_path, limits={"tree": "1MB"})

    ran = stage.run("mkdir gen && for i in 1 2 3; do head -c 400000 /dev/zero > gen/$i; done; test -e gen/3")

    assert (ran.outcome, {finding.rule for finding in ran.findings}) == (Outcome.FAILED, {"size"})


def test_a_configuration_planted_beside_the_output_runs_nothing(stage: Stage) -> None:
    """A git of ours that looked into the tree would run what stands there."""
    witness = stage.project.root / "witness"
    stage.run(
        f"git config core.fsmonitor 'touch {witness}' && git config core.hooksPath hooks && mkdir -p gen && "
        f"git init -q cache/nested && git -C cache/nested config core.fsmonitor 'touch {witness}' && "
        "echo cache/ > .git/info/exclude && echo '* filter=evil' > gen/.gitattributes && "
        f"git config filter.evil.clean 'touch {witness}; cat' && touch gen/a",
    )

    assert not witness.exists()


def test_files_that_cannot_be_read_are_read_all_the_same(stage: Stage) -> None:
    stage.run("mkdir -p gen/deep && echo x > gen/deep/a && chmod 0 gen/deep/a gen/deep")

    assert stage.paths() == {"gen/deep/a": "100644"}


def test_what_git_ignores_is_neither_committed_nor_held_against_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path, {**SAMPLE, ".gitignore": "cache/\n*.log\n", "gen/kept.log": "x"})

    stage.run("mkdir cache; touch cache/a; echo x > run.log; echo y > gen/kept.log; touch gen/new.log")

    assert stage.paths() == {"gen/new.log": "100644", "gen/kept.log": "100644"}, "where it may write, all is committed"


def test_rules_that_an_agent_made_do_not_hide_what_the_command_makes(tmp_path: Path) -> None:
    """A stage must not pass as up to date because its output was ignored."""
    stage = Stage(tmp_path, {**SAMPLE, ".gitignore": "*\n"})

    stage.run("mkdir gen && touch gen/a")

    assert stage.paths() == {"gen/a": "100644"}


def test_findings_are_bounded_and_all_of_them_counted(stage: Stage) -> None:
    ran = stage.run(f"for i in $(seq {FINDINGS_MAX + 5}); do echo x > file$i; done; test -e file1")

    assert len(ran.findings) == FINDINGS_MAX
    assert f"{FINDINGS_MAX + 5} new findings" in ran.summary


def test_a_command_that_fails_tells_its_last_words(stage: Stage) -> None:
    ran = stage.run("mkdir gen; touch gen/a; echo no template; false")

    assert (ran.outcome, stage.made) == (Outcome.FAILED, None)
    assert "exit code 1" in ran.findings[0].message
    assert "no template" in ran.findings[0].message


@pytest.mark.parametrize("command", ["no-such-program", "kill -9 $$", "./calc.py"])
def test_a_command_that_cannot_run_is_nobodys_failure(stage: Stage, command: str) -> None:
    ran = stage.run(command)

    assert (ran.outcome, stage.made) == (Outcome.ERRORED, None)


@pytest.mark.slow
def test_a_command_that_does_not_end_is_ended_and_nobodys_failure(tmp_path: Path) -> None:
    stage = Stage(tmp_path, limits={"gate": "1s"})

    ran = stage.run("sleep 60")

    assert ran.outcome is Outcome.ERRORED
    assert "did not end" in ran.summary


def test_where_the_stages_before_conflict_nothing_is_run(stage: Stage) -> None:
    ran = stage.run("mkdir gen && touch gen/a", conflicts=("src/a", "src/b"))

    assert ran.outcome is Outcome.FAILED
    assert {finding.path for finding in ran.findings} == {"src/a", "src/b"}


def test_the_command_sees_protected_files_as_the_policy_has_them(tmp_path: Path) -> None:
    stage = Stage(tmp_path, {**SAMPLE, "tools/render.sh": "mkdir gen; echo trusted > gen/a\n"}, protect=["tools/**"])
    changed = stage.project.commit({"tools/render.sh": "mkdir gen; echo forged > gen/a\n"})
    job = stage.project.job(changed, writes=("gen/**",), scope_base=changed)
    said = stage.project.messages(replace(job, run=Run("sh tools/render.sh", False, "Run it\n", WHEN)))

    (made,) = [message for message in said if isinstance(message, Made)]
    assert stage.git("show", f"{made.commit}:gen/a") == "trusted"
    assert "forged" in stage.git("show", f"{made.commit}:tools/render.sh"), "what was handed in stays as it was"
