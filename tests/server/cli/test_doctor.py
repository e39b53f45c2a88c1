"""`gatewright doctor` believes no gate that it has not seen both green and red, and remembers what it saw."""

import socket
from collections.abc import Callable

import anyio
import pytest

from gatewright.gates.sandbox import choose
from gatewright.server.cli.command import Exit
from tests.gates.kinds.workbench import use_own_python

from .conftest import Desk, Ran

Call = Callable[..., Ran]

CODE = """\
version: 1
target: main
stages:
  code:
    gates:
{gates}
land: {{needs: [code]}}
"""
PLAN = """\
  plan:
    writes: ["docs/changes/{change}.md"]
    gates:
      - document: {path: "docs/changes/{change}.md", sections: [Goal, Requirements], ids: "R\\\\d+"}
"""
BAD = "--- a/src/calc.py\n+++ b/src/calc.py\n@@ -1,2 +1,3 @@\n def add(a, b):\n     return a + b\n+BAD = 1\n"
FILES = {
    "src/calc.py": "def add(a, b):\n    return a + b\n",
    "tests/test_calc.py": "from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
    "lint.sh": "! grep -rn BAD src\n",
    "noop.sh": "echo fine\n",
    "canary.patch": BAD,
}
RUNS_ALL = {
    "tests/test_all.py": (
        "import pathlib\n\nfor file in pathlib.Path('src').glob('*.py'):\n    compile(file.read_text(), file, 'exec')\n"
    )
}
LINT = 'command: {name: lint, run: "sh lint.sh", canary: canary.patch}'


def pipeline(*gates: str) -> str:
    return CODE.format(gates="\n".join(f"      - {gate}" for gate in gates))


def given(desk: Desk, text: str, **files: str) -> None:
    """A project with this pipeline on its trusted branch, set up."""
    desk.commit({**FILES, **files, "gatewright.yaml": text})
    assert desk.do("init").status == 0


def lines_about(label: str, told: Ran) -> list[str]:
    return [line for line in told.out.splitlines() if line[5:].startswith(f"{label} ")]


def fixed(desk: Desk) -> str:
    return (desk.top / "gatewright.yaml").read_text()


def test_every_gate_is_seen_green_on_something_and_red_on_what_was_planted(desk: Desk, call: Call) -> None:
    text = pipeline("compile", "ruff", "test: {runner: pytest}", LINT)
    given(desk, text.replace("  code:\n", f"{PLAN}  code:\n    needs: [plan]\n"))

    told = call("doctor")

    assert told.status == Exit.OK, told
    assert told.out.splitlines()[-1] == "All green."
    planted = {
        "plan/scope": "gatewright_canary.txt, which this stage may not write",
        "plan/document": "docs/changes/c0.md without the section 'Goal'",
        "code/scope": ".gatewright/gatewright_canary.txt, which this stage may not write",
        "code/compile": "a syntax error in src/calc.py and 1 more file",
        "code/ruff": "an undefined name in src/calc.py and 1 more file",
        "code/test": "a failing test in tests/test_gatewright_canary.py",
        "code/lint": "the canary canary.patch",
    }
    for label, what in planted.items():
        [line] = lines_about(label, told)
        assert line.startswith("ok "), line
        assert line.endswith(f"; red with {what}."), line
    assert "passed on 2 files" in lines_about("code/ruff", told)[0]
    assert "passed on 1 test in" in lines_about("code/test", told)[0]
    assert "code/compile: trying it on the trusted branch ..." in told.err.splitlines()


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("mkdir -p docs/api && ls src > docs/api/list", Exit.OK, "ends well"),
        ("sh no-such.sh", Exit.FAILED, "no-such.sh"),
    ],
)
def test_the_command_of_a_stage_that_the_server_runs_is_tried(
    desk: Desk, call: Call, command: str, status: Exit, said: str
) -> None:
    stage = f'  docs:\n    needs: [code]\n    run: "{command}"\n    writes: ["docs/api/**"]\n    gates: [{{{LINT}}}]\n'
    given(desk, pipeline(LINT).replace("land: {needs: [code]}", f"{stage}land: {{needs: [docs]}}"))

    told = call("doctor")

    assert told.status == status, told
    assert len(lines_about("docs/run", told)) == 1, told
    assert said in told.out


@pytest.mark.slow
def test_a_gate_that_cannot_say_no_is_red(desk: Desk, call: Call) -> None:
    """A no-op, one that looks elsewhere, missing tools, and canaries that sing of nothing."""
    softened = "--- a/lint.sh\n+++ b/lint.sh\n@@ -1 +1 @@\n-! grep -rn BAD src\n+false\n"
    because = {
        "noop": ('run: "sh noop.sh", canary: canary.patch', "it checks nothing that was planted"),
        "elsewhere": ('run: "! grep -rn BAD tests", canary: canary.patch', "it checks nothing that was planted"),
        "missing": ('run: "no-such-checker src"', "errored"),
        "not-found": ('run: "exit 127"', "Let `setup` install it"),
        "no-canary": ('run: "sh lint.sh", canary: away.patch', "There is no away.patch"),
        "no-patch": ('run: "sh lint.sh", canary: noop.sh', "does not apply"),
        "restored": ('run: "sh lint.sh", canary: softened.patch', "only in protected files"),
    }
    gates = [f"command: {{name: {name}, {options}}}" for name, (options, _) in because.items()]
    given(desk, pipeline(*gates), **{"softened.patch": softened})

    told = call("doctor")

    for name, (_, reason) in because.items():
        [line] = lines_about(f"code/{name}", told)
        assert line.startswith("RED"), line
        assert reason in line
        assert line.endswith(".")
    assert told.status == Exit.FAILED
    assert told.out.rstrip().endswith(f"{len(because)} red.")


def test_a_command_that_swallows_its_failure_is_refused_before_it_runs_and_mended(desk: Desk, call: Call) -> None:
    given(desk, pipeline('command: {name: check, run: "sh lint.sh || true"}   # later'))

    told, written = call("doctor"), call("doctor", "--fix", "--yes")

    assert told.status == Exit.FAILED
    assert "cannot fail" in told.out
    assert "code/check" not in told.out
    assert "`gatewright doctor --fix` offers to let commands fail that swallow their exit code." in told.out
    assert '+      - command: {name: check, run: "sh lint.sh"}   # later' in written.out
    assert 'run: "sh lint.sh"}   # later' in fixed(desk)


@pytest.mark.slow
def test_a_gate_whose_red_nobody_knows_is_told_until_it_has_a_canary_which_a_person_may_take_over(
    desk: Desk, call: Call
) -> None:
    given(desk, pipeline('command: {name: tests, run: "python3 tests/test_all.py"}  # from outside'), **RUNS_ALL)

    told, offered = call("doctor"), call("doctor", "--fix")
    before = fixed(desk)
    written = call("doctor", "--fix", "--yes")
    desk.commit({})
    proved = call("doctor")

    passed, warned = lines_about("code/tests", told)
    assert told.status == Exit.OK
    assert passed.startswith("ok ")
    assert "never seen red: give it a `canary:`" in warned
    assert told.out.splitlines()[-1] == "All green. 1 gate was never seen red."
    assert "Nothing was written." in offered.err
    assert offered.status == Exit.REFUSED
    assert "canary:" not in before
    assert "+++ b/canaries/code-tests.patch" in written.out
    assert "{name: tests, canary: canaries/code-tests.patch, run: " in fixed(desk)
    assert "  # from outside\n" in fixed(desk)
    assert lines_about("code/tests", proved)[0].endswith("; red with the canary canaries/code-tests.patch.")


@pytest.mark.slow
def test_a_person_at_a_terminal_is_asked_before_anything_is_written(desk: Desk, call: Call) -> None:
    given(desk, pipeline('command: {name: check, run: "sh lint.sh || true"}'))
    before = fixed(desk)

    refused = desk.at_terminal("doctor", "--fix", answers=["n"])
    unchanged = fixed(desk)
    desk.at_terminal("doctor", "--fix", answers=["y"])

    assert "Write this into the working tree?" in refused.out
    assert (unchanged, fixed(desk)) == (before, before.replace(" || true", ""))
    assert desk.git("log", "--format=%s") == "Work"


@pytest.mark.slow
def test_what_another_runner_need_not_collect_is_no_proof_against_it(desk: Desk, call: Call) -> None:
    run = "python3 -m pytest -q tests/unit --junitxml=out.xml"
    unit = {"tests/unit/test_unit.py": "def test_unit():\n    assert 1\n"}
    given(desk, pipeline(f'test: {{run: "{run}", report: out.xml}}'), **unit)

    told = call("doctor")

    passed, warned = lines_about("code/test", told)
    assert passed.startswith("ok ")
    assert "never seen red" in warned


@pytest.mark.slow
def test_what_was_proved_is_remembered_until_the_policy_changes(desk: Desk, call: Call) -> None:
    given(desk, pipeline(LINT))
    first = call("doctor")
    desk.commit({"src/more.py": "x = 1\n"})

    second, again = call("doctor"), call("doctor", "--again")
    desk.commit({"lint.sh": "! grep -rn BAD src tests\n"})
    changed = call("doctor")

    def is_remembered(told: Ran) -> bool:
        [line] = lines_about("code/lint", told)
        assert "red with the canary canary.patch" in line
        return "proved just now at" in line

    assert [is_remembered(told) for told in (first, second, again, changed)] == [False, True, False, False]
    assert second.out.splitlines()[-1] == "All green."


@pytest.mark.slow
def test_a_proof_of_another_level_of_isolation_does_not_hold(
    desk: Desk, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    if anyio.run(choose).level not in {"full", "files"}:
        pytest.skip("here there is no weaker level to ask for")
    given(desk, pipeline(LINT))
    call("doctor")

    monkeypatch.setenv("GATEWRIGHT_ISOLATION", "process")

    assert "proved just now at" not in lines_about("code/lint", call("doctor"))[0]


@pytest.mark.slow
def test_what_is_red_is_not_remembered(desk: Desk, call: Call) -> None:
    given(desk, pipeline('command: {name: check, run: "sh noop.sh", canary: canary.patch}'))

    told = [call("doctor"), call("doctor")]

    assert [each.status for each in told] == [Exit.FAILED, Exit.FAILED]


@pytest.mark.slow
def test_the_status_repeats_which_gates_were_never_seen_red(desk: Desk, call: Call) -> None:
    given(desk, pipeline("compile", 'command: {name: lint, run: "sh lint.sh"}'))

    call("doctor", "--no-gates")
    before = call("status")
    call("doctor")
    after = call("status", "--json")
    desk.commit({"gatewright.yaml": pipeline("compile")})
    changed = call("status")

    assert "Never seen red under the present policy: code/scope, code/compile, code/lint. " in before.out
    assert "gatewright doctor" in before.out
    assert str(after.json["warning"]).startswith("Never seen red under the present policy: code/lint. ")
    assert "code/compile" in changed.out


def test_a_stage_that_may_write_only_what_is_protected_is_left_to_people(desk: Desk, call: Call) -> None:
    given(desk, pipeline("compile").replace("    gates:", '    writes: ["gatewright.yaml"]\n    gates:'))

    told = call("doctor")

    [line] = lines_about("code/scope", told)
    assert "people decide about it" in line
    assert told.status == Exit.OK


@pytest.mark.slow
def test_a_repository_without_tests_yet_is_warned_and_its_runner_is_tried(desk: Desk, call: Call) -> None:
    desk.commit({"gatewright.yaml": pipeline("test: {runner: pytest}"), "src/calc.py": "x = 1\n"})
    call("init")

    told = call("doctor")

    passed, warned = lines_about("code/test", told)
    assert told.status == Exit.OK, told.out
    assert "red with a failing test in tests/test_gatewright_canary.py" in passed
    assert "The branch has no tests for it yet." in warned


@pytest.mark.slow
def test_a_gate_that_wants_new_tests_is_proved_on_a_branch_that_has_none(desk: Desk, call: Call) -> None:
    given(desk, pipeline("test: {runner: pytest, red_first: true}"))

    [line] = lines_about("code/test", call("doctor"))

    assert line.startswith("ok ")
    assert line.endswith("; red with a failing test in tests/test_gatewright_canary.py.")


def test_a_suite_that_cannot_be_collected_is_red_with_what_to_do(desk: Desk, call: Call) -> None:
    given(desk, pipeline("test: {runner: pytest}"), **{"tests/test_calc.py": "import no_such_module\n"})

    told = call("doctor")

    [line] = lines_about("code/test", told)
    assert told.status == Exit.FAILED
    assert line.startswith("RED")
    assert "Let `setup` install what has the module no_such_module, or let `install` do it." in line


@pytest.mark.slow
def test_plug_ins_that_the_configuration_needs_are_found_and_offered(
    desk: Desk, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", use_own_python())
    settings = "[pytest]\naddopts = --dist=no\n"
    given(desk, pipeline("test: {runner: pytest}   # ours"), **{"pytest.ini": settings})

    told = call("doctor", "--fix", "--yes")

    assert told.status == Exit.FAILED
    assert "- test: {runner: pytest, plugins: [pytest-xdist]}   # ours" in fixed(desk)


def test_a_set_up_that_fails_is_told_and_no_gate_is_tried(desk: Desk, call: Call) -> None:
    broken = 'setup: {run: "echo no index; false", key: [lint.sh]}\nstages:'
    given(desk, pipeline("compile").replace("stages:", broken, 1))

    told = call("doctor")

    assert told.status == Exit.FAILED
    assert "RED  environment" in told.out
    assert "| no index" in told.out
    assert "code/compile" not in told.out


def test_a_gate_that_is_red_on_the_branch_itself_is_told_with_what_it_finds(desk: Desk, call: Call) -> None:
    given(desk, pipeline(LINT), **{"src/calc.py": "BAD = 1\n"})

    told = call("doctor")

    [line] = lines_about("code/lint", told)
    assert line.startswith("RED  code/lint         failed: 1 check, 1 new finding.")
    assert told.out.count("src/calc.py:1:BAD = 1") == 1
    assert told.out.rstrip().endswith("1 red.")


@pytest.mark.slow
def test_a_gate_that_needs_the_network_is_found_by_trying_and_offered_it(desk: Desk, call: Call) -> None:
    if anyio.run(choose).level != "full":
        pytest.skip("here nothing keeps programs from the network")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        connect = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
        given(desk, pipeline('command: {name: online, run: "python3 online.py"}'), **{"online.py": connect})

        told = call("doctor")
        call("doctor", "--fix", "--yes")
        desk.commit({})
        proved = call("doctor")

    red, tried = lines_about("code/online", told)
    assert red.startswith("RED")
    assert "it comes closer to green with `network: true`" in tried
    assert "`gatewright doctor --fix` offers to let code/online use the network." in told.out
    assert "{name: online, network: true, run: " in fixed(desk)
    assert lines_about("code/online", proved)[0].startswith("ok ")
