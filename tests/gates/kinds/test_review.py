"""The `review` kind with `run`: a program reviews in the sandbox; an answer that is no review is given back once."""

import json
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import pytest

from gatewright.gates.contract import Found, Handed, Spec, Started
from gatewright.gates.kinds import KINDS
from gatewright.gates.policies.pipeline_file import all_kinds, parse_pipeline
from gatewright.gates.policies.yaml_source import PolicyInvalid
from gatewright.schemas.records import Answered, Evidence, Finding, Outcome

from .workbench import Files, Project

PAGE = Path(__file__).parents[3] / "docs/gates.md"
GOOD: Files = {"more.py": "x = 1\n"}
# Answers what lies in `said-1.json`, and on a repair what lies in `said-2.json` if there is one.
TELLER = """\
import json, pathlib, sys
told = json.load(sys.stdin)
number = 1 if told["repair"] is None else 2
sys.stdout.write(pathlib.Path(f"tools/said-{number}.json").read_text())
"""
GATE = {"review": {"run": "python3 -I tools/teller.py tools/said-1.json tools/said-2.json"}}
NOTHING = json.dumps({"findings": [], "inspected": ["more.py"]})


def finding(severity: str = "blocking", path: str | None = "more.py", line: int | None = 1) -> Mapping[str, object]:
    return {"severity": severity, "path": path, "line": line, "message": "This is wrong."}


def said(*findings: object, **more: object) -> str:
    return json.dumps({"findings": list(findings), **({} if findings else {"inspected": ["more.py"]}), **more})


def reviewed(root: Path, first: str, second: str = NOTHING, files: Files = GOOD, **job: object) -> Evidence:
    base = {"calc.py": "x = 1\n", "tools/teller.py": TELLER, "tools/said-1.json": first, "tools/said-2.json": second}
    project = Project(root, [GATE], base)
    return project.judge(project.commit(files), **job)["review"]


def test_a_program_that_finds_nothing_says_what_it_looked_at_and_passes(tmp_path: Path) -> None:
    evidence = reviewed(tmp_path, NOTHING)

    assert (evidence.outcome, evidence.counted, evidence.unit) == (Outcome.PASSED, 1, "reviews")
    assert "It looked at more.py." in evidence.summary
    assert evidence.isolation != "none"


def test_one_blocking_finding_rejects_and_points_at_the_line(tmp_path: Path) -> None:
    evidence = reviewed(tmp_path, said(finding(), finding("minor"), finding("note", None, None)))

    assert evidence.outcome is Outcome.FAILED
    assert [(f.severity, f.where) for f in evidence.findings] == [("blocking", "more.py:1"), ("minor", "more.py:1")]
    assert [f.severity for f in evidence.tolerated] == ["note"]
    assert len({f.id for f in (*evidence.findings, *evidence.tolerated)}) == 3


def test_a_minor_finding_alone_is_shown_and_does_not_hold_up(tmp_path: Path) -> None:
    evidence = reviewed(tmp_path, said(finding("minor")))

    assert (evidence.outcome, evidence.findings) == (Outcome.PASSED, ())
    assert [(f.severity, f.on_base) for f in evidence.tolerated] == [("minor", False)]


def test_an_objection_to_a_file_that_was_taken_away_points_into_the_base(tmp_path: Path) -> None:
    evidence = reviewed(tmp_path, said(finding(path="calc.py")), files={"calc.py": None, "more.py": "y = 1\n"})

    assert [f.where for f in evidence.findings] == ["calc.py:1"]


FEW = {"garbage", "no such line"}
NO_REVIEWS = {
    "garbage": "I think it looks good to me.",
    "nothing at all": "",
    "a misspelt key": said(finding(), verdcit="reject"),
    "an approval with a blocking finding": said(finding(), verdict="approve"),
    "a rejection without one": said(finding("minor"), verdict="reject"),
    "no such severity": said(finding("critical")),
    "no such path": said(finding(path="lib/nowhere.py")),
    "a path out of the tree": said(finding(path="../secrets")),
    "no such line": said(finding(line=2)),
    "a line without a path": said(finding("note", None, 1)),
    "a blocking finding about no file": said(finding(path=None, line=None)),
    "nothing found and nothing inspected": json.dumps({"findings": [], "inspected": []}),
    "nothing found and blanks inspected": json.dumps({"findings": [], "inspected": [" "]}),
    "an empty message": said({"severity": "note", "message": " "}),
}


@pytest.mark.parametrize("case", [pytest.param(c, marks=[] if c in FEW else pytest.mark.slow) for c in NO_REVIEWS])
def test_an_answer_that_is_no_review_is_repaired_once_and_then_errored(tmp_path: Path, case: str) -> None:
    repaired = reviewed(tmp_path / "one", NO_REVIEWS[case], NOTHING)
    twice = reviewed(tmp_path / "two", NO_REVIEWS[case], NO_REVIEWS[case])

    assert repaired.outcome is Outcome.PASSED, repaired.summary
    assert "was given back" in repaired.summary
    assert twice.outcome is Outcome.ERRORED
    assert "answered no review, twice" in twice.summary


def test_a_program_that_fails_is_not_asked_again(tmp_path: Path) -> None:
    project = Project(tmp_path, [{"review": {"run": "cat > /dev/null; exit 3"}}], {"calc.py": "x = 1\n"})

    evidence = project.judge(project.commit(GOOD))["review"]

    assert evidence.outcome is Outcome.ERRORED
    assert "exit code 3" in evidence.summary


# Writes what it was told beside its answer, into a file that its own later answer points at.
ECHO = """\
import json, sys
told = json.load(sys.stdin)
print(json.dumps({"findings": [], "inspected": [json.dumps(told)[:100], *map(str, [
    told["spec"]["intent"], told["spec"]["ask"], told["spec"]["inputs"], told["former"], told["diff"],
    sorted(told["paths"]), told["commit"], open("more.py").read()])]}))
"""


def test_the_program_is_told_of_every_path_however_many(tmp_path: Path) -> None:
    """What it is not told of would be accepted unseen, behind files that come first."""
    program = (
        "import json, sys\ntold = json.load(sys.stdin)\n"
        'print(json.dumps({"findings": [], "inspected": [str(len(told["paths"])), told["paths"][-1]]}))\n'
    )
    project = Project(tmp_path, [{"review": {"run": "python3 -I tools/count.py"}}], {"tools/count.py": program})
    many = {f"a/{number:04}.txt": "x\n" for number in range(600)}

    evidence = project.judge(project.commit({**many, "z.py": "x = 1\n"}))["review"]

    assert "It looked at 601, z.py." in evidence.summary


def test_the_program_is_told_artifact_spec_and_what_was_said_before(tmp_path: Path) -> None:
    gate = {"review": {"run": "python3 -I tools/echo.py", "ask": "Is it safe?"}}
    project = Project(tmp_path, [gate], {"calc.py": "x = 1\n", "tools/echo.py": ECHO})
    before = Finding("f1234567", "review", "blocking", "review", "Too slow.", "0" * 16, "calc.py", 1)
    spec = Spec(
        "Make it fast.",
        "Do it.",
        (Handed("plan", "a" * 40, ("docs/plan.md",)),),
        (before,),
        (Answered("f1234567", "disputed", "It is fast."),),
    )
    commit = project.commit(GOOD)

    said_of_it = project.judge(commit, spec=spec)["review"]

    assert said_of_it.outcome is Outcome.PASSED, said_of_it.summary
    told = said_of_it.output
    for expected in (
        "Make it fast.",
        "Is it safe?",
        "docs/plan.md",
        "Too slow.",
        "disputed",
        "It is fast.",
        "+x = 1",
        commit,
    ):
        assert expected in told, expected


def test_nothing_is_reviewed_that_did_not_pass_the_other_gates(tmp_path: Path) -> None:
    project = Project(tmp_path, ["compile", {"review": {"run": "touch reviewed; exit 9"}}], {"calc.py": "x = 1\n"})

    found = project.messages(project.job(project.commit({"more.py": "x = = 1\n"})))
    evidence = {said.evidence.gate: said.evidence for said in found if isinstance(said, Found)}

    assert evidence["compile"].outcome is Outcome.FAILED
    assert evidence["review"].outcome is Outcome.ERRORED
    assert evidence["review"].summary == "Not reviewed, because compile did not pass."
    assert [said.gate for said in found if isinstance(said, Started)][-1] == "review"


def test_a_commit_cannot_bring_its_own_reviewer(tmp_path: Path) -> None:
    evidence = reviewed(tmp_path, said(finding()), files={**GOOD, "tools/said-1.json": NOTHING})

    assert evidence.outcome is Outcome.FAILED
    assert [f.where for f in evidence.findings] == ["more.py:1"]


WRONG = {
    "{run: ./look, quorum: 2}": "`quorum` is about reviews by agents",
    "{run: ./look, independence: agent}": "`independence` is about reviews by agents",
    "{network: true}": "are about the program of `run`",
    "{quorum: 0}": "greater than or equal to 1",
    "{quorum: 10}": "less than or equal to 9",
    "{independence: vendor}": "principal",
}


@pytest.mark.parametrize("options", WRONG)
def test_options_that_make_no_sense_do_not_load(options: str) -> None:
    assert WRONG[options] in problem_of(
        f"stages: {{code: {{gates: [{{review: {options}}}]}}}}\nland: {{needs: [code]}}"
    )


def test_agents_do_not_review_a_merge_and_a_program_may() -> None:
    page = "stages: {code: {gates: [compile]}}\nland: {needs: [code], gates: [GATE]}"

    assert "nobody hands in a merge" in problem_of(page.replace("GATE", "review"))
    assert problem_of(page.replace("GATE", "{review: {run: ./look}}")) == ""


def problem_of(page: str) -> str:
    try:
        parse_pipeline(f"version: 1\ntarget: main\n{page}\n".encode(), kinds=all_kinds())
    except PolicyInvalid as exc:
        return str(exc)
    return ""


def test_what_is_asked_is_told_to_agents() -> None:
    kind = KINDS["review"]
    about = kind.about(kind.options.model_validate({"quorum": 2, "independence": "family", "ask": "Is it\nsafe?"}))

    assert "2 of other model families as they are declared" in about
    assert about.endswith("Asked: Is it safe?")


@pytest.mark.parametrize("language", ["sh", "python"])
def test_the_programs_of_the_page_are_reviewers(tmp_path: Path, language: str) -> None:
    program = programs_of_the_page()[language]
    name, run = {"sh": ("look.sh", "sh tools/look.sh"), "python": ("look.py", "python3 -I tools/look.py")}[language]
    base = {"calc.py": "x = 1\n", "old.py": "y = 1\n", f"tools/{name}": program}
    project = Project(tmp_path, [{"review": {"run": run}}], base)

    good = project.judge(project.commit({**GOOD, "old.py": None}))["review"]
    bad = project.judge(project.commit({"more.py": "x = 1\n# TODO: y\n"}))["review"]

    assert good.outcome is Outcome.PASSED, good.summary + good.output
    assert bad.outcome is Outcome.FAILED, bad.summary + bad.output
    assert [f.where for f in bad.findings] == ["more.py:2"]


def programs_of_the_page() -> dict[str, str]:
    section = PAGE.read_text().partition("\n### `review`\n")[2].partition("\n### ")[0]
    found = re.findall(r"```(sh|python)\n(.*?)```", section, re.DOTALL)
    return dict(found)


@pytest.mark.parametrize("answer", [NOTHING, said(finding(), verdict="reject"), NO_REVIEWS["a misspelt key"]])
def test_the_schema_of_the_page_takes_what_the_gate_takes(answer: str) -> None:
    section = PAGE.read_text().partition("\n### `review`\n")[2].partition("\n### ")[0]
    _told, schema = (json.loads(text) for text in re.findall(r"```json\n(.*?)```", section, re.DOTALL))

    is_taken = import_module("jsonschema").Draft202012Validator(schema).is_valid(json.loads(answer))

    assert is_taken == ("verdcit" not in answer)
