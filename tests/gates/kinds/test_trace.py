"""The `trace` gate: what a plan requires is named where it must be, by this change, and nothing else is."""

from pathlib import Path

import pytest

from gatewright.gates.policy import PolicyInvalid, parse_pipeline
from gatewright.schemas.records import Evidence, Outcome

from .workbench import Files, Project

PLAN_PATH = "docs/changes/c1/plan.md"
PLAN = "# Plan\n\n## Goal\n\nNot R7.\n\n## Requirements\n\n- R1: add\n- R2: halve\n- R12: dozens\n"
TESTS = "# R1\ndef test_R2_is_fast():\n    pass  # and R12\n"
STAGES = {
    "plan": {
        "goal": "Plan.",
        "writes": ["docs/changes/{change}/plan.md"],
        "gates": [{"document": {"path": "docs/changes/{change}/plan.md", "sections": ["Goal"], "ids": "R\\d+"}}],
    },
    "code": {
        "needs": ["plan"],
        "goal": "Do it.",
        "gates": [{"trace": {"from": "plan", "ids": "R\\d+", "into": ["tests/**"]}}],
    },
}


def planned(root: Path, plan: Files | None = None, base: Files | None = None, **trace: object) -> Project:
    """A project whose plan has passed: `scope_base` is where the code stage starts."""
    gate = {"trace": {**STAGES["code"]["gates"][0]["trace"], **trace}}  # type: ignore[index]  # YAML
    stages = {**STAGES, "code": {**STAGES["code"], "gates": [gate]}}
    project = Project(root, [], base or {"calc.py": "x = 1\n"}, stages=stages)
    project.start = project.commit(plan if plan is not None else {PLAN_PATH: PLAN})  # type: ignore[attr-defined]  # put there
    return project


def judge(project: Project, files: Files) -> Evidence:
    start: str = project.start  # type: ignore[attr-defined]  # put there
    return project.judge(project.commit(files, on=start), scope_base=start)["trace"]


def told(evidence: Evidence) -> list[tuple[str | None, int | None, str, str]]:
    return [(f.path, f.line, f.rule, f.message.split()[0]) for f in evidence.findings]


def test_every_id_that_is_named_passes_and_the_ids_are_counted(tmp_path: Path) -> None:
    evidence = judge(planned(tmp_path), {"tests/test_calc.py": TESTS})

    assert (evidence.outcome, evidence.counted, evidence.unit) == (Outcome.PASSED, 3, "ids")


def test_an_id_that_is_not_named_is_told_with_its_line_in_the_plan(tmp_path: Path) -> None:
    project = planned(tmp_path)

    evidence = judge(project, {"tests/test_calc.py": TESTS.replace("R2_", "R12_"), "src/x.py": "# R2\n"})

    assert (evidence.outcome, told(evidence)) == (Outcome.FAILED, [(PLAN_PATH, 10, "untraced", "R2")])
    assert "tests/**" in (evidence.findings[0].satisfy or "")


def test_an_id_inside_a_longer_one_names_nothing(tmp_path: Path) -> None:
    project = planned(tmp_path)

    inside = judge(project, {"tests/test_calc.py": "# R12 R2x xR1 R1y 3R1\n"})
    outside = judge(project, {"tests/test_calc.py": "# (R1), `R2`: test_R12_x\n"})

    assert {f.message.split()[0] for f in inside.findings if f.rule == "untraced"} == {"R1", "R2"}
    assert outside.outcome is Outcome.PASSED


def test_an_id_that_the_plan_does_not_have_is_told_with_its_line(tmp_path: Path) -> None:
    evidence = judge(planned(tmp_path), {"tests/test_calc.py": TESTS + "# R7 and R99\n"})

    assert told(evidence) == [
        ("tests/test_calc.py", 4, "unknown-id", "R7"),
        ("tests/test_calc.py", 4, "unknown-id", "R99"),
    ]


def test_the_name_of_a_new_file_may_name_an_id(tmp_path: Path) -> None:
    evidence = judge(planned(tmp_path), {"tests/test_R1_R2.py": "# R12\n"})

    assert evidence.outcome is Outcome.PASSED


def test_without_a_requirement_nothing_is_traced_and_nothing_passes(tmp_path: Path) -> None:
    for number, plan in enumerate(({PLAN_PATH: "# Plan\n\n## Requirements\n\nNone.\n"}, {"other.md": PLAN})):
        evidence = judge(planned(tmp_path / str(number), plan), {"tests/test_calc.py": TESTS})

        assert evidence.outcome is Outcome.ERRORED
        assert "No requirement with an id like R\\d+ is declared in docs/changes/c1/plan.md" in evidence.summary
        assert "'plan' has to be done again" in evidence.summary


# -- what an older change left -----------------------------------------------------------------------------------------

OLD = "# R1\n# R2\n# R7\ndef test_R12_old():\n    pass\n"


@pytest.mark.slow
def test_what_the_base_names_says_nothing_about_a_new_plan(tmp_path: Path) -> None:
    project = planned(tmp_path, base={"tests/test_old.py": OLD})

    nothing = judge(project, {"src/x.py": "x = 1\n"})
    moved = judge(project, {"tests/test_old.py": None, "tests/sub/test_R1_old.py": "\n    " + OLD + "# fine\n"})

    assert {f.message.split()[0] for f in nothing.findings} == {"R1", "R2", "R12"}
    assert "only where the base names it too (tests/test_old.py:1)" in nothing.findings[0].message
    # The new name of the file is this change's doing.
    assert {f.message.split()[0] for f in moved.findings} == {"R2", "R12"}


def test_an_id_of_an_older_plan_may_be_edited_moved_and_copied(tmp_path: Path) -> None:
    project = planned(tmp_path, base={"tests/test_old.py": OLD})

    evidence = judge(project, {"tests/test_old.py": OLD.replace("# R7", "# R7, of an older plan"), "tests/t.py": TESTS})

    assert evidence.outcome is Outcome.PASSED


@pytest.mark.slow
def test_a_requirement_that_the_base_has_may_be_named_where_the_base_names_it(tmp_path: Path) -> None:
    base = {PLAN_PATH: PLAN.replace("- R2: halve\n", ""), "tests/test_old.py": "# R1 R12\n"}
    project = planned(tmp_path, base=base)

    evidence = judge(project, {"tests/test_new.py": "# R2\n"})
    without = judge(project, {"tests/test_old.py": "# R12\n", "tests/test_new.py": "# R2\n"})

    assert evidence.outcome is Outcome.PASSED
    assert told(without) == [(PLAN_PATH, 9, "untraced", "R1")]


def test_a_requirement_that_the_base_has_and_nobody_names_was_lost_before(tmp_path: Path) -> None:
    base = {PLAN_PATH: PLAN.replace("- R2: halve\n", ""), "tests/test_old.py": "# R1\n"}
    project = planned(tmp_path, base=base)

    evidence = judge(project, {"tests/test_new.py": "# R2\n"})

    assert evidence.outcome is Outcome.PASSED
    assert [f.message.split()[0] for f in evidence.tolerated] == ["R12"]


# -- attacks -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_later_stage_drops_no_requirement_by_editing_or_removing_the_plan(tmp_path: Path) -> None:
    project = planned(tmp_path)
    tests = {"tests/test_calc.py": "# R1 R12\n"}

    edited = judge(project, {PLAN_PATH: PLAN.replace("- R2: halve\n", ""), **tests})
    removed = judge(project, {PLAN_PATH: None, **tests})
    renamed = judge(project, {PLAN_PATH: None, "docs/changes/c1/plan2.md": PLAN, **tests})

    for evidence in (edited, removed, renamed):
        assert told(evidence) == [(PLAN_PATH, 10, "untraced", "R2")]


def test_a_requirement_that_a_later_stage_adds_must_be_named_too(tmp_path: Path) -> None:
    evidence = judge(planned(tmp_path), {PLAN_PATH: PLAN + "- R13: more\n", "tests/t.py": TESTS})

    assert told(evidence) == [(PLAN_PATH, 12, "untraced", "R13")]


def test_a_document_of_this_stage_declares_nothing_for_the_other(tmp_path: Path) -> None:
    gate = {"trace": {"from": "plan", "ids": "R\\d+", "into": ["docs/changes/c1/design.md"]}}
    stages = {
        "plan": {"writes": ["docs/changes/{change}/**"], "gates": ["compile"]},
        "code": {"needs": ["plan"], "gates": [gate]},
    }
    project = Project(tmp_path, [], {"calc.py": ""}, stages=stages)
    project.start = project.commit({PLAN_PATH: PLAN})  # type: ignore[attr-defined]  # put there

    evidence = judge(project, {"docs/changes/c1/design.md": "R1, R2, R12\n\nR99: of my own\n"})

    assert told(evidence) == [("docs/changes/c1/design.md", 3, "unknown-id", "R99")]


@pytest.mark.parametrize("text", [b"\xff\xfe R1 R2 R12\n", b"\x00R1\x00 R2 R12\n"], ids=["encoding", "binary"])
def test_files_of_any_bytes_are_searched(tmp_path: Path, text: bytes) -> None:
    assert judge(planned(tmp_path), {"tests/data.bin": text}).outcome is Outcome.PASSED


@pytest.mark.slow
def test_a_pattern_that_takes_too_long_on_a_hostile_file_is_ended(tmp_path: Path) -> None:
    project = planned(tmp_path, ids="R\\d+|[a-z]+[a-z]+[a-z]+[a-z]+0", timeout="1s")

    evidence = judge(project, {"tests/t.py": TESTS + "a" * 100_000 + "\n"})

    assert evidence.outcome is Outcome.ERRORED
    assert "did not end within 1 s" in evidence.summary


# -- the pipeline ------------------------------------------------------------------------------------------------------

PIPELINE = """version: 1
target: main
stages:
  plan: {writes: ["docs/{change}.md"], gates: [compile]}
  wide: {needs: [plan], gates: [compile]}
  code: {needs: [wide], gates: [{trace: {from: %s, ids: "R\\\\d+", into: ["tests/**"]%s}}]}
  last: {needs: [code], gates: [compile]}
land: {needs: [last], gates: [compile%s]}
"""


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("plam", "", ""), "stages.code.gates[0].trace.from: unknown stage 'plam'; did you mean 'plan'?"),
        (("last", "", ""), "'last' does not come before 'code'; before it come plan, wide"),
        (("code", "", ""), "'code' does not come before 'code'"),
        (("wide", "", ""), "nothing says where the ids of 'wide' stand; add 'path'"),
        (("plan", ', path: "/x"', ""), "must be relative to the repository's root"),
        (("plan", ', path: "{stage}.md"', ""), "'{stage}' is not substituted"),
        (("plan", ", form: x", ""), "unknown key 'form'; did you mean 'from'?"),
        (("plan", "", ", {trace: {from: lst, ids: x, into: [a]}}"), "land.gates[1].trace.from: unknown stage 'lst'"),
    ],
)
def test_a_stage_that_cannot_be_looked_back_at_is_refused_with_its_line(
    values: tuple[str, str, str], said: str
) -> None:
    with pytest.raises(PolicyInvalid) as refused:
        parse_pipeline(PIPELINE % values)

    assert said in str(refused.value)


def test_a_stage_that_says_where_its_ids_stand_is_accepted() -> None:
    parse_pipeline(PIPELINE % ("plan", "", ", {trace: {from: code, ids: x, into: [a], path: b.md}}"))
    parse_pipeline(PIPELINE % ("wide", ', path: "docs/{change}/plan.md"', ""))
