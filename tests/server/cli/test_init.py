"""`init`: one commented file for the project that is there, the trusted branch, and nothing else unasked."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from gatewright.gates.policy import PolicyInvalid, parse_pipeline, plan_of
from gatewright.schemas.pipeline import Pipeline
from gatewright.server.cli.command import Exit
from gatewright.server.cli.project import look_at
from gatewright.server.cli.template import pipeline_text, setup_steps

from .conftest import Desk, Ran

Call = Callable[..., Ran]

TEST = "def test_it() -> None:\n    assert True\n"
LIBRARY = {
    "pyproject.toml": """\
[build-system]
requires = ["setuptools"]
[project]
name = "library"
[project.optional-dependencies]
docs = ["sphinx"]
tests = ["pytest>=8", "pytest-cov", "hypothesis"]
""",
    "src/library/__init__.py": "",
    "tests/test_it.py": TEST,
}


def _pipeline(folder: Path) -> Pipeline:
    return parse_pipeline((folder / "gatewright.yaml").read_bytes())


def test_a_library_gets_two_stages_and_gates_that_judge_it(desk: Desk, call: Call) -> None:
    desk.commit(LIBRARY)

    told = call("init")

    assert told.status == 0
    pipeline = _pipeline(desk.top)
    assert list(pipeline.stages) == ["plan", "code"]
    compiled, ruff, test = pipeline.stages["code"].gates
    assert (compiled.kind, ruff.kind) == ("compile", "ruff")
    assert test.options == {"runner": "pytest", "plugins": ["pytest-cov", "hypothesis"]}
    assert pipeline.setup is not None
    assert pipeline.setup.key == ("pyproject.toml",)
    assert "gatewright requirements --extra tests > .venv/requirements.txt" in pipeline.setup.run
    assert pipeline.install is not None
    assert "Python, 1 test file, requirements from extra 'tests'" in told.out


@pytest.mark.parametrize(("more", "options"), [({}, {"select": ["E9", "F"]}), ({"ruff.toml": ""}, {})])
def test_a_style_that_nobody_chose_is_not_asked_for(
    desk: Desk, call: Call, more: Mapping[str, str], options: object
) -> None:
    """Found by the honest suite: ruff's defaults fail code that is written as everything around it is."""
    desk.commit({"tool.py": "x = 1\n", **more})

    call("init")

    _, ruff = _pipeline(desk.top).stages["code"].gates
    assert ruff.options == options


def test_it_writes_one_file_and_commits_nothing_unasked(desk: Desk, call: Call) -> None:
    head = desk.commit(LIBRARY)

    told = call("init")

    assert desk.git("rev-parse", "HEAD") == head
    assert desk.git("status", "--porcelain") == "?? gatewright.yaml"
    assert not (desk.top / ".git/hooks/reference-transaction").exists()
    assert "git add gatewright.yaml" in told.out
    assert "gatewright install claude-code" in told.out
    assert "restart the client" in told.out
    assert "gatewright uninstall" in told.out


def test_a_second_time_says_what_is_there_and_force_writes_it_anew(desk: Desk, call: Call) -> None:
    desk.commit(LIBRARY)
    call("init")
    desk.write({"gatewright.yaml": (desk.top / "gatewright.yaml").read_text() + "# mine\n"})

    again = call("init")
    kept = (desk.top / "gatewright.yaml").read_text()
    call("init", "--force")

    assert again.status == 0
    assert "is there already" in again.out
    assert kept.endswith("# mine\n")
    assert "# mine" not in (desk.top / "gatewright.yaml").read_text()


def test_without_tests_it_says_so_and_writes_no_test_gate(desk: Desk, call: Call) -> None:
    desk.commit({"tool.py": "x = 1\n", "tests/test_nothing.py": "# to come\n"})

    told = call("init")

    assert "No tests were found, so there is no test gate" in told.out
    assert [gate.kind for gate in _pipeline(desk.top).stages["code"].gates] == ["compile", "ruff"]
    text = (desk.top / "gatewright.yaml").read_text()
    assert "# - test: {runner: pytest}" in text
    assert _pipeline(desk.top).setup is None, "nothing is downloaded that no gate needs"
    filled = parse_pipeline(text.replace("# setup:", "setup:").replace("# - test:", "- test:"))
    assert filled.setup is not None
    assert filled.setup.run.endswith("install --quiet --upgrade pytest")


def test_another_language_gets_a_file_that_does_not_load_until_it_is_filled_in(desk: Desk, call: Call) -> None:
    """A gate that checks nothing would only be green."""
    desk.commit({"package.json": '{"scripts": {"test": "jest", "lint": "eslint ."}}', "scripts/tool.py": "x = 1\n"})

    told = call("init")

    assert told.status == 0
    assert "does not load yet" in told.out
    text = (desk.top / "gatewright.yaml").read_text()
    with pytest.raises(PolicyInvalid, match=r"stages\.code\.gates"):
        parse_pipeline(text)
    filled = text.replace(
        '# - command: {name: lint, run: "npm run lint"}', '- command: {name: lint, run: "npm run lint"}'
    )
    assert [gate.name for gate in parse_pipeline(filled).stages["code"].gates] == ["lint"]


@pytest.mark.parametrize(
    ("files", "steps"),
    [
        (LIBRARY, ["gatewright requirements --extra tests > .venv/requirements.txt", "-r .venv/requirements.txt"]),
        (
            {
                "pyproject.toml": '[project]\nname = "p"\n[dependency-groups]\ntests = ["pytest", "pytest-xdist"]\n',
                "test_p.py": TEST,
            },
            ["gatewright requirements --group tests > .venv/requirements.txt", "-r .venv/requirements.txt"],
        ),
        (
            {"requirements.txt": "click\n", "requirements-dev.txt": "-r requirements.txt\npytest\n", "test_p.py": TEST},
            ["-r requirements.txt -r requirements-dev.txt"],
        ),
        (
            {
                "pyproject.toml": '[project]\nname = "p"\n',
                "tox.ini": "[testenv]\ndeps =\n    pytest\n    pytest-timeout\n    py39: old\n    -r more.txt\n",
                "test_p.py": TEST,
            },
            ["gatewright requirements > .venv/requirements.txt", "-r .venv/requirements.txt pytest pytest-timeout"],
        ),
        ({"test_p.py": TEST}, ["--upgrade pytest"]),
    ],
    ids=["extra", "group", "requirements", "tox", "undeclared"],
)
def test_what_the_tests_need_is_taken_from_where_it_is_declared(
    tmp_path: Path, files: dict[str, str], steps: list[str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    project = look_at(tmp_path)

    found = " && ".join(setup_steps(project))
    assert [step for step in steps if step not in found] == []
    parse_pipeline(pipeline_text(project, target="main", template="staged"))


def test_test_files_and_plug_ins_are_those_of_pytests_own_settings(tmp_path: Path) -> None:
    """tqdm calls its test files tests_*.py, and its metadata name neither pytest nor the plug-ins that it sets up."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "p"\n[tool.pytest.ini_options]\npython_files = ["tests_*.py"]\ntimeout = 30\n'
        'addopts = "-v --asyncio-mode=strict -n2"\n'
    )
    (tmp_path / "tests_p.py").write_text(TEST)
    (tmp_path / "test_other.py").write_text(TEST)

    project = look_at(tmp_path)

    plugins = ("pytest-timeout", "pytest-asyncio", "pytest-xdist")
    assert project.test_files == ("tests_p.py",)
    assert (project.loose, project.plugins) == (("pytest", *plugins), plugins)
    text = pipeline_text(project, target="main", template="staged")
    assert "Declared nowhere, so named here: pytest, pytest-timeout" in text
    parse_pipeline(text)


@pytest.mark.parametrize("file", ["pytest.ini", "tox.ini", "setup.cfg"])
def test_settings_in_every_file_that_pytest_reads_count(tmp_path: Path, file: str) -> None:
    section = "tool:pytest" if file == "setup.cfg" else "pytest"
    (tmp_path / file).write_text(f"[{section}]\npython_files = check_*.py\nDJANGO_SETTINGS_MODULE = p.settings\n")
    (tmp_path / "check_p.py").write_text(TEST)

    project = look_at(tmp_path)

    assert (project.test_files, project.plugins) == (("check_p.py",), ("pytest-django",))


def test_ruff_is_the_version_that_checks_the_projects_commits(tmp_path: Path) -> None:
    """Another one has other rules: structlog's new files would lack a notice that none of its files has."""
    (tmp_path / ".pre-commit-config.yaml").write_text(
        "repos:\n  - repo: https://github.com/astral-sh/ruff-pre-commit\n    rev: v0.15.16\n    hooks: [{id: ruff}]\n"
    )
    (tmp_path / "test_p.py").write_text(TEST)

    assert setup_steps(look_at(tmp_path))[-1].endswith(" pytest ruff==0.15.16")

    (tmp_path / "pyproject.toml").write_text('[project]\nname = "p"\n[dependency-groups]\ntest = ["pytest", "ruff"]\n')
    assert "ruff==" not in setup_steps(look_at(tmp_path))[-1]


def test_benchmarks_run_once_as_tests(tmp_path: Path) -> None:
    (tmp_path / "requirements-dev.txt").write_text("pytest-benchmark\n")
    (tmp_path / "test_p.py").write_text(TEST)

    text = pipeline_text(look_at(tmp_path), target="main", template="staged")

    [gate] = [gate for gate in parse_pipeline(text).stages["code"].gates if gate.kind == "test"]
    assert gate.options["args"] == ["--benchmark-disable"]


def test_included_requirements_are_key_files_too(tmp_path: Path) -> None:
    """Else the environment would stay as it was when they change."""
    (tmp_path / "requirements").mkdir()
    for name, text in {
        "test.txt": "-r base.txt\npytest\n",
        "base.txt": "-c limits.txt\nclick\n",
        "limits.txt": "",
    }.items():
        (tmp_path / "requirements" / name).write_text(text)
    (tmp_path / "test_p.py").write_text(TEST)

    keys = look_at(tmp_path).key_files

    assert keys == ("requirements/test.txt", "requirements/base.txt", "requirements/limits.txt")


def test_the_set_up_works_from_the_key_files_alone(tmp_path: Path) -> None:
    """Run as the server runs it, up to pip, which would need the network."""
    (tmp_path / "pyproject.toml").write_text(LIBRARY["pyproject.toml"])
    project = look_at(tmp_path)
    make, list_them, _install = setup_steps(project)
    assert make == "python3 -m venv .venv"
    (tmp_path / ".venv").mkdir()
    ours = f"{Path(sys.executable).parent}"

    subprocess.run(["sh", "-c", list_them], cwd=tmp_path, env={"PATH": f"{ours}:/usr/bin:/bin"}, check=True)

    assert (tmp_path / ".venv/requirements.txt").read_text().split() == [
        *("pytest>=8", "pytest-cov", "hypothesis", "setuptools", "wheel"),
    ]


STAGES_OF_TEMPLATES = {"solo": ["code"], "reviewed": ["plan", "code"], "team": ["plan", "design", "code"]}


@pytest.mark.parametrize("template", STAGES_OF_TEMPLATES)
def test_a_template_says_which_stages_and_who_looks_at_them(desk: Desk, call: Call, template: str) -> None:
    desk.commit(LIBRARY)

    told = call("init", "--template", template)

    plan = plan_of(_pipeline(desk.top))
    quorums = {(stage.name, review.quorum) for stage in plan.stages for review in stage.reviews}
    approved = [stage.name for stage in plan.stages if stage.approvals]
    assert told.status == Exit.OK
    assert [stage.name for stage in plan.stages] == STAGES_OF_TEMPLATES[template]
    assert quorums == {"solo": set(), "reviewed": {("code", 1)}, "team": {("design", 1), ("code", 2)}}[template]
    assert approved == (["plan"] if template == "team" else [])


def test_where_no_program_checks_the_code_a_reviewed_pipeline_says_so_and_loads(desk: Desk, call: Call) -> None:
    desk.commit({"README": "x\n"})

    told = call("init", "--template", "reviewed")

    assert told.status == Exit.OK
    assert "No program checks the code yet" in (desk.top / "gatewright.yaml").read_text()
    assert [gate.kind for gate in _pipeline(desk.top).stages["code"].gates] == ["review"]


def test_commit_commits_what_was_written_and_nothing_else(desk: Desk, call: Call) -> None:
    desk.commit(LIBRARY)
    desk.write({"mine.txt": "mine\n", "tests/test_it.py": f"{TEST}# mine\n"})
    desk.git("add", "mine.txt")

    told = call("init", "--commit", "--agents-md", "--guard")

    assert told.status == 0, told.err
    assert desk.git("show", "--format=", "--name-only", "HEAD").splitlines() == ["AGENTS.md", "gatewright.yaml"]
    assert desk.git("diff", "--cached", "--name-only") == "mine.txt"
    assert desk.git("diff", "--name-only") == "tests/test_it.py"
    assert "commit gatewright.yaml" not in told.out
    assert f"Committed on main as {desk.git('log', '-1', '--format=%cn <%ce>')}." in told.out


def test_a_commit_that_a_hook_refuses_leaves_nothing_staged(desk: Desk, call: Call) -> None:
    desk.commit(LIBRARY)
    hook = desk.top / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'not today' >&2\nexit 1\n")
    hook.chmod(0o755)
    desk.write({"mine.txt": "mine\n"})
    desk.git("add", "mine.txt")

    told = call("init", "--commit")

    assert told.status == Exit.ERRORED
    assert "not today" in told.err
    assert desk.git("diff", "--cached", "--name-only") == "mine.txt"


def test_a_file_that_does_not_load_is_not_committed_over_one_that_does(desk: Desk, call: Call) -> None:
    """On the trusted branch it would stop everybody's work."""
    desk.commit(LIBRARY)
    call("init", "--commit")
    head = desk.git("rev-parse", "HEAD")
    desk.write({"gatewright.yaml": "version: 1\nstages: {code: {gates: [compil]}}\n"})

    told = call("init", "--commit")

    assert told.status == Exit.REFUSED
    assert "Nothing was committed: it has to load first." in told.out
    assert "1. Mend gatewright.yaml until gatewright check-pipeline calls it good, then commit it on main" in told.out
    assert desk.git("rev-parse", "HEAD") == head


def test_a_file_that_is_committed_already_needs_no_commit_whatever_else_is_staged(desk: Desk, call: Call) -> None:
    desk.commit(LIBRARY)
    call("init", "--commit")
    head = desk.git("rev-parse", "HEAD")
    desk.write({"mine.txt": "mine\n"})
    desk.git("add", "mine.txt")

    told = call("init", "--commit", "--force")

    assert told.status == 0, told.err
    assert "It is on main already" in told.out
    assert desk.git("rev-parse", "HEAD") == head
    assert desk.git("diff", "--cached", "--name-only") == "mine.txt"


def test_a_commit_that_git_refuses_is_told_with_its_reason_and_not_with_its_advice(desk: Desk, call: Call) -> None:
    desk.commit({**LIBRARY, ".gitignore": "*.yaml\n"})

    told = call("init", "--commit")

    assert told.status == Exit.ERRORED
    assert "git could not do its part: The following paths are ignored" in told.err
    assert "gatewright.yaml." in told.err
    assert "hint:" not in told.err


def test_agents_lines_are_added_once_and_to_a_linked_file_once(desk: Desk, call: Call) -> None:
    desk.commit({**LIBRARY, "AGENTS.md": "# Ours\nBe kind.\n"})
    (desk.top / "CLAUDE.md").symlink_to("AGENTS.md")

    call("init", "--agents-md")
    call("init", "--agents-md")

    text = (desk.top / "AGENTS.md").read_text()
    assert text.startswith("# Ours\nBe kind.\n\n")
    assert text.count("`claim_stage`") == 1
    assert (desk.top / "CLAUDE.md").is_symlink()


@pytest.mark.slow
def test_a_person_is_asked_and_a_pipe_is_not(desk: Desk) -> None:
    desk.commit(LIBRARY)

    told = desk.at_terminal("init", answers=["y", "n"])

    assert told.status == 0
    assert (desk.top / "AGENTS.md").is_file()
    assert not (desk.top / ".git/hooks/reference-transaction").exists()


def test_the_trusted_branch_is_not_moved_by_setting_up_again(desk: Desk, call: Call) -> None:
    """Policy is read from it: whoever moves the record decides what holds."""
    desk.commit(LIBRARY)
    call("init")
    desk.git("branch", "evil")

    moved = call("init", "--target", "evil", "--force")

    assert moved.status == Exit.REFUSED
    assert "'main' is recorded" in moved.err
    assert _pipeline(desk.top).target == "main"


def test_a_metadata_file_that_does_not_parse_is_named_before_anything_is_written(desk: Desk, call: Call) -> None:
    desk.commit({"pyproject.toml": "[project\n"})

    told = call("init")

    assert told.status == Exit.REFUSED
    assert "pyproject.toml does not parse" in told.err
    assert desk.git("status", "--porcelain") == ""
    assert not (desk.top / ".git/gatewright").exists()
