"""The `transform` gate: a command of the policy makes exactly what is committed, twice, and no file more or less."""

from pathlib import Path
from typing import Any

import pytest

from gatewright.gates.policy import PolicyInvalid, land_gates_of, parse_pipeline
from gatewright.schemas.records import Evidence, Outcome

from .workbench import Files, Link, Program, Project

LIST = "tools/list.py"
MAKE = """import pathlib
out = pathlib.Path("made")
for source in sorted(pathlib.Path("src").glob("*.src")):
    (out / (source.stem + ".txt")).write_text(source.read_text().upper())
"""
BASE: Files = {LIST: MAKE, "src/a.src": "one\ntwo\n", "made/a.txt": "ONE\nTWO\n"}


# What pytest makes of a parameter has no public name.
def slow(*values: str) -> list[Any]:
    """More of what another value shows already."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


def project(root: Path, base: Files | None = None, **options: object) -> Project:
    gate = {"transform": {"run": f"python {LIST}", "paths": ["made/**"], **options}}
    return Project(root, [gate], {**BASE, **(base or {})})


def judge(root: Path, files: Files, base: Files | None = None, **options: object) -> Evidence:
    made = project(root, base, **options)
    return made.judge(made.commit(files))["transform"]


def told(evidence: Evidence) -> list[tuple[str | None, int | None, str]]:
    return [(finding.path, finding.line, finding.rule) for finding in evidence.findings]


def test_what_the_command_makes_passes_and_the_files_are_counted(tmp_path: Path) -> None:
    evidence = judge(tmp_path, {"src/b.src": "three\n", "made/b.txt": "THREE\n"})

    assert (evidence.outcome, evidence.counted, evidence.unit) == (Outcome.PASSED, 2, "files"), evidence


def test_each_way_to_differ_is_told_by_file_with_the_command_that_mends_it(tmp_path: Path) -> None:
    files: Files = {
        "src/a.src": "one\n2\n",
        "src/b.src": "b",
        "made/c.txt": "nobody makes me\n",
        "src/d.src": "d\n",
        "made/d.txt": Program("D\n"),
        "src/e.src": "e\n",
        "made/e.txt": Link("a.txt"),
    }

    evidence = judge(tmp_path, files)

    assert told(evidence) == [
        ("made/a.txt", 2, "differs"),
        ("made/b.txt", None, "not-committed"),
        ("made/c.txt", None, "not-made"),
        ("made/d.txt", None, "mode"),
        ("made/e.txt", None, "mode"),
    ]
    assert "- TWO\n- \n+ 2\n+" in evidence.findings[0].message
    assert all(f"Run `python {LIST}` and commit what it makes" in (f.satisfy or "") for f in evidence.findings)


def test_what_the_base_has_stale_is_tolerated_until_somebody_touches_it(tmp_path: Path) -> None:
    made = project(tmp_path, {"made/a.txt": "by hand\n", "made/notes.txt": "nobody makes me\n"})

    untouched = made.judge(made.commit({"src/b.src": "b", "made/b.txt": "B"}))["transform"]
    touched = made.judge(made.commit({"made/a.txt": "by another hand\n"}, on=made.base))["transform"]

    assert (untouched.outcome, {f.path for f in untouched.tolerated}) == (
        Outcome.PASSED,
        {"made/a.txt", "made/notes.txt"},
    )
    assert told(touched) == [("made/a.txt", 1, "differs")]


def test_absolute_tolerates_nothing(tmp_path: Path) -> None:
    evidence = judge(tmp_path, {"README": "x"}, {"made/a.txt": "by hand\n"}, absolute=True)

    assert told(evidence) == [("made/a.txt", 1, "differs")]


def test_where_nothing_is_made_and_nothing_committed_nothing_was_checked(tmp_path: Path) -> None:
    evidence = judge(tmp_path, {"README": "x"}, {"src/a.src": None, "made/a.txt": None})

    assert evidence.outcome is Outcome.ERRORED
    assert evidence.summary.startswith("Checked nothing")


def test_a_command_that_fails_because_of_the_artifact_fails_the_gate(tmp_path: Path) -> None:
    evidence = judge(tmp_path, {"src/a.src": b"\xff"})

    assert told(evidence) == [(None, None, "exit-code")]
    assert "on the base it succeeds" in evidence.findings[0].message
    assert "UnicodeDecodeError" in evidence.findings[0].message


def test_what_is_written_elsewhere_is_told_and_not_compared(tmp_path: Path) -> None:
    evidence = judge(tmp_path, {"README": "x"}, {LIST: MAKE + "pathlib.Path('log.txt').write_text('x')\n"})

    assert evidence.outcome is Outcome.PASSED
    assert "also wrote log.txt" in evidence.summary


@pytest.mark.parametrize("name", ["ä b.src", *slow("-n.src", "a'b.src", "$(x).src")])
def test_files_with_odd_names_are_compared_like_others(tmp_path: Path, name: str) -> None:
    stem = name.removesuffix(".src")

    evidence = judge(tmp_path, {f"src/{name}": "x", f"made/{stem}.txt": "X"})

    assert (evidence.outcome, evidence.counted) == (Outcome.PASSED, 2)


# -- attacks, and commands that prove nothing --------------------------------------------------------------------------


@pytest.mark.parametrize("script", ["", *slow("import sys; sys.exit(0)\n")])
def test_a_command_that_does_nothing_cannot_pass(tmp_path: Path, script: str) -> None:
    evidence = judge(tmp_path, {"README": "x"}, {LIST: script})

    assert evidence.outcome is Outcome.ERRORED
    assert "makes none of the files in made/**" in evidence.summary
    assert "A person has to mend" in evidence.summary


def test_a_command_that_fails_on_the_base_too_is_not_the_artifacts_fault(tmp_path: Path) -> None:
    evidence = judge(tmp_path, {"README": "x"}, {LIST: "raise SystemExit(3)\n"})

    assert evidence.outcome is Outcome.ERRORED
    assert "exit code 3, and does not succeed on the base either" in evidence.summary


@pytest.mark.parametrize(
    "value", ["list({'a', 'b', 'c', 'd', 'e', 'f'})", *slow("time.time_ns()", "os.getcwd()", "os.urandom(9)")]
)
def test_a_command_that_makes_something_else_each_time_is_the_policys_fault(tmp_path: Path, value: str) -> None:
    script = f"import os, time\nopen('made/a.txt', 'w').write(str({value}))\n"

    evidence = judge(tmp_path, {"README": "x"}, {LIST: script})

    assert evidence.outcome is Outcome.ERRORED
    assert "makes made/a.txt otherwise each time, on the base too" in evidence.summary


def test_an_artifact_that_makes_the_command_unsteady_fails(tmp_path: Path) -> None:
    script = "import sys; sys.path.insert(0, 'lib')\nimport text\nopen('made/a.txt', 'w').write(text.text())\n"
    base = {LIST: script, "lib/text.py": "def text():\n    return 'x'\n", "made/a.txt": "x"}

    evidence = judge(tmp_path, {"lib/text.py": "import os\ndef text():\n    return str(os.urandom(9))\n"}, base)

    assert told(evidence) == [("made/a.txt", None, "not-deterministic")]


def test_the_command_is_the_policys_whatever_the_artifact_has_in_its_place(tmp_path: Path) -> None:
    made = project(tmp_path)
    forged = "open('made/a.txt', 'w').write('forged')\n"

    found = made.judge(made.commit({LIST: forged, "made/a.txt": "forged"}))

    assert told(found["transform"]) == [("made/a.txt", 1, "differs")]
    assert found["scope"].outcome is Outcome.PENDING


def test_a_folder_that_is_a_link_gives_the_command_nowhere_to_write(tmp_path: Path) -> None:
    evidence = judge(tmp_path, {"made/a.txt": None, "made": Link("elsewhere"), "elsewhere/a.txt": "forged\n"})

    assert evidence.outcome is not Outcome.PASSED


@pytest.mark.parametrize("kind", ["os.mkfifo('made/a.txt')", "os.symlink('/etc/passwd', 'made/a.txt')"])
def test_what_is_made_is_never_followed_or_waited_for(tmp_path: Path, kind: str) -> None:
    script = f"import os\n{kind}\n"

    evidence = judge(tmp_path, {"made/a.txt": "other"}, {LIST: script})

    assert [rule for _, _, rule in told(evidence)] == ["special" if "fifo" in kind else "mode"]


def test_more_than_is_looked_at_is_refused_before_it_is_read(tmp_path: Path) -> None:
    script = "open('made/a.txt', 'w').truncate(600_000_000)\n"

    evidence = judge(tmp_path, {"README": "x"}, {LIST: script})

    assert evidence.outcome is Outcome.ERRORED
    assert "made more than 500000000 bytes" in evidence.summary


def test_files_that_cannot_be_read_are_compared_all_the_same(tmp_path: Path) -> None:
    evidence = judge(
        tmp_path, {"README": "x"}, {LIST: MAKE + "import os; os.chmod('made/a.txt', 0); os.chmod('made', 0)\n"}
    )

    assert evidence.outcome is Outcome.PASSED


def test_what_is_protected_takes_part_in_judging_and_is_not_made(tmp_path: Path) -> None:
    made = Project(
        tmp_path,
        [{"transform": {"run": f"python {LIST}", "paths": ["**/*.txt"]}}],
        {**BASE, "tools/words.txt": "x", LIST: "open('tools/words.txt').read()\n" + MAKE},
        protect=["tools/**"],
    )

    assert made.judge(made.commit({"README": "x"}))["transform"].outcome is Outcome.PASSED


# -- the pipeline ------------------------------------------------------------------------------------------------------

PIPELINE = """version: 1
target: main
stages:
  code: {gates: [{transform: {%s}}]}
land: {needs: [code]}
"""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ('run: "python gen.py || true", paths: ["a"]', "cannot fail"),
        ('run: "python gen.py", paths: ["a/"]', "write 'a/**'"),
        ('run: "python gen.py", paths: []', "is empty"),
        ('run: "python gen.py"', "is missing"),
        ('run: "python gen.py", path: ["a"]', "did you mean 'paths'?"),
    ],
)
def test_a_gate_that_could_prove_nothing_is_refused_when_the_policy_is_read(options: str, said: str) -> None:
    with pytest.raises(PolicyInvalid) as refused:
        parse_pipeline(PIPELINE % options)

    assert said in str(refused.value)


def test_what_is_made_is_judged_again_when_it_lands() -> None:
    pipeline = parse_pipeline(PIPELINE % 'run: "x", paths: ["a"]')

    assert [gate.kind for gate in land_gates_of(pipeline)] == ["transform"]
