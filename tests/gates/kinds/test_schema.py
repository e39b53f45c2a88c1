"""The `schema` gate: documents keep to a JSON Schema of the policy, whoever wrote them and whatever they hold."""

import base64
import io
import json
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from gatewright.gates.judging import schema_child
from gatewright.gates.judging.data_documents import format_of
from gatewright.gates.kinds.schema import Options
from gatewright.schemas.records import Evidence, Outcome

from .workbench import Files, Link, Project

TASKS = {
    "type": "object",
    "required": ["tasks"],
    "additionalProperties": False,
    "properties": {
        "tasks": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["id", "title"],
                "properties": {
                    "id": {"type": "string", "pattern": "^T[0-9]+$"},
                    "title": {"type": "string", "minLength": 3},
                    "due": {"type": "string", "format": "date"},
                },
            },
        }
    },
}
GOOD = "tasks:\n  - id: T1\n    title: Add it\n  - id: T2\n    title: Test it\n"
GATE = {"schema": {"path": "docs/{change}/tasks.yaml", "schema": "schemas/tasks.json"}}
GLOB = {"schema": {"path": "data/**/*.json", "schema": "schemas/tasks.json"}}


def project(root: Path, gate: object = GATE, schema: object = TASKS, files: Files | None = None) -> Project:
    return Project(root, [gate], {"schemas/tasks.json": json.dumps(schema), **(files or {})})


def judge(root: Path, files: Files, gate: object = GATE, schema: object = TASKS) -> Evidence:
    made = project(root, gate, schema)
    return made.judge(made.commit(files))["schema"]


def validate(monkeypatch: pytest.MonkeyPatch, schema: object, name: str, content: str | bytes) -> dict[str, object]:
    """What the child says of one document, or of the schema."""
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    document = {"path": name, "format": format_of(name), "data": base64.b64encode(data).decode()}
    request = {
        "schema": "s.json",
        "files": {"s.json": base64.b64encode(json.dumps(schema).encode()).decode()},
        "documents": [document],
    }
    answer = io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(request)))
    monkeypatch.setattr(sys, "stdout", answer)
    limit = sys.getrecursionlimit()
    try:
        schema_child.main()
    finally:
        sys.setrecursionlimit(limit)
    first: dict[str, object]
    first, *others = [json.loads(line) for line in answer.getvalue().splitlines()]
    return first if "bad_schema" in first else others[0]


def told(evidence: Evidence) -> list[tuple[str | None, int | None, str]]:
    return [(finding.path, finding.line, finding.rule) for finding in evidence.findings]


def test_a_document_that_keeps_to_the_schema_passes(tmp_path: Path) -> None:
    evidence = judge(tmp_path, {"docs/c1/tasks.yaml": GOOD})

    assert (evidence.outcome, evidence.counted, evidence.unit) == (Outcome.PASSED, 1, "documents")
    assert dict(evidence.environment).keys() == {"jsonschema"}


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        (GOOD.replace("T2", "task two"), [("/tasks/1/id", 4, "pattern")]),
        (GOOD.replace("    title: Test it\n", ""), [("/tasks/1", 4, "required")]),
        (GOOD + "extra: 1\n", [("", 1, "additionalProperties")]),
        (GOOD.replace("title: Add it", "title: 3"), [("/tasks/0/title", 3, "type")]),
        (GOOD + "    due: 2026-13-01\n", [("/tasks/1/due", 6, "format")]),
        ("tasks: []\n", [("/tasks", 1, "minItems")]),
        ("", [("", 1, "unreadable")]),
        ("tasks: [", [("", 1, "unreadable")]),
        (GOOD + "tasks: 1\n", [("", 6, "unreadable")]),
        (GOOD + "---\n" + GOOD, [("", 6, "unreadable")]),
        (GOOD.replace("Add it", "yes"), [("", 3, "unreadable")]),
        (GOOD.replace("Add it", "!!str x"), [("", 3, "unreadable")]),
    ],
)
def test_a_problem_names_the_place_in_the_document_and_its_line(
    monkeypatch: pytest.MonkeyPatch, text: str, findings: list[tuple[str, int, str]]
) -> None:
    problems = validate(monkeypatch, TASKS, "a.yaml", text)["problems"]

    assert isinstance(problems, list)
    assert [(item["pointer"], item["line"], item["rule"]) for item in problems] == findings


def test_a_finding_says_where_what_and_what_would_do(tmp_path: Path) -> None:
    evidence = judge(tmp_path, {"docs/c1/tasks.yaml": GOOD.replace("T2", "task two")})

    assert (evidence.outcome, told(evidence)) == (Outcome.FAILED, [("docs/c1/tasks.yaml", 4, "pattern")])
    assert evidence.findings[0].message == "/tasks/1/id: 'task two' does not match '^T[0-9]+$'"
    assert evidence.findings[0].satisfy == 'Make /tasks/1/id agree with schemas/tasks.json: pattern: "^T[0-9]+$".'


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.json", '{\n  "tasks": [\n    {"id": "T1",\n     "title": 1}\n  ]\n}\n', 4),
        ("a.toml", '[[tasks]]\nid = "T1"\ntitle = 1\n', 3),
        ("a.yml", "tasks:\n- id: T1\n  title: 1\n", 3),
    ],
)
def test_each_format_is_read_as_its_name_says(monkeypatch: pytest.MonkeyPatch, name: str, text: str, line: int) -> None:
    good = text.replace("1", '"now"', 2).replace('T"now"', "T1")

    bad = validate(monkeypatch, TASKS, name, text)["problems"]

    assert isinstance(bad, list)
    assert [(item["line"], item["message"]) for item in bad] == [(line, "1 is not of type 'string'")]
    assert validate(monkeypatch, TASKS, name, good)["problems"] == []


def test_a_document_that_is_not_there_is_missing_and_a_glob_that_matches_nothing_checked_nothing(
    tmp_path: Path,
) -> None:
    literal = judge(tmp_path / "literal", {"docs/c2/tasks.yaml": GOOD})
    glob = judge(tmp_path / "glob", {"other.json": "{}"}, GLOB)

    assert (literal.outcome, told(literal)) == (Outcome.FAILED, [("docs/c1/tasks.yaml", None, "missing")])
    assert glob.outcome is Outcome.ERRORED
    assert glob.summary.startswith("Checked nothing: no document matches data/**/*.json.")


def test_the_schema_is_the_policys_whatever_the_artifact_has_in_its_place(tmp_path: Path) -> None:
    made = project(tmp_path)

    found = made.judge(made.commit({"docs/c1/tasks.yaml": "tasks: 1\n", "schemas/tasks.json": "true"}))

    assert found["schema"].outcome is Outcome.FAILED
    assert found["scope"].outcome is Outcome.PENDING
    assert "schemas/tasks.json" in (found["scope"].question or "")


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "strange"}, "s.json is none at /type"),
        ({"$ref": "#/$defs/nowhere"}, "'#/$defs/nowhere', which is not there"),
        ({"properties": {"a": {"$ref": "http://127.0.0.1:9/x.json"}}}, "Nothing is fetched"),
        ({"$ref": "other.json"}, "named in `refs`"),
        ({"$schema": "https://example.com/own"}, "https://example.com/own, which is not known"),
        ({"$ref": "#"}, "refers to itself without end"),
        ({"pattern": "("}, "is none at /pattern"),
        ([], "neither an object nor true or false"),
    ],
)
def test_a_schema_that_is_none_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, schema: object, said: str
) -> None:
    answer = validate(monkeypatch, schema, "a.json", "{}")

    assert said in str(answer["bad_schema"])


def test_a_bad_schema_is_the_policys_fault_and_told_before_there_is_a_document(tmp_path: Path) -> None:
    evidence = judge(tmp_path, {"x.txt": "x"}, schema={"type": "strange"})

    assert evidence.outcome is Outcome.ERRORED
    assert "A person has to mend the policy" in evidence.summary


def test_a_schema_that_the_policy_does_not_have_is_not_taken_from_the_artifact(tmp_path: Path) -> None:
    made = Project(tmp_path, [GATE])

    evidence = made.judge(made.commit({"docs/c1/tasks.yaml": GOOD, "schemas/tasks.json": "true"}))["schema"]

    assert evidence.outcome is Outcome.ERRORED
    assert "has no schema schemas/tasks.json" in evidence.summary


def test_a_schema_refers_to_files_of_the_policy_that_the_gate_names(tmp_path: Path) -> None:
    gate = {"schema": {"path": "a.json", "schema": "schemas/tasks.json", "refs": ["schemas/parts/id.json"]}}
    made = project(
        tmp_path,
        gate,
        {"properties": {"id": {"$ref": "parts/id.json#/$defs/id"}}},
        {"schemas/parts/id.json": json.dumps({"$defs": {"id": {"type": "integer"}}})},
    )

    bad = made.judge(made.commit({"a.json": '{"id": "x"}', "schemas/parts/id.json": "{}"}))
    good = made.judge(made.commit({"a.json": '{"id": 1}'}, on=made.base))

    assert [f.rule for f in bad["schema"].findings] == ["type"]
    assert "schemas/parts/id.json" in (bad["scope"].question or "")
    assert good["schema"].outcome is Outcome.PASSED


@pytest.mark.slow
def test_what_the_base_has_wrong_is_tolerated_also_further_down_and_in_a_file_that_was_moved(tmp_path: Path) -> None:
    old = {"tasks": [{"id": "old one", "title": "A title"}, {"id": "T9", "title": "A title of its own, and long"}]}
    made = project(tmp_path, GLOB, files={"data/a.json": json.dumps(old, indent=1)})
    longer = {"tasks": [{"id": "T1", "title": "Another"}, *old["tasks"]]}

    further = made.judge(made.commit({"data/a.json": json.dumps(longer, indent=1)}))["schema"]
    moved = made.judge(made.commit({"data/a.json": None, "data/b/c.json": json.dumps(old, indent=1)}, on=made.base))[
        "schema"
    ]
    more = made.judge(made.commit({"data/z.json": json.dumps(old)}, on=made.base))["schema"]

    assert (further.outcome, [f.path for f in further.tolerated]) == (Outcome.PASSED, ["data/a.json"])
    assert (moved.outcome, [f.path for f in moved.tolerated]) == (Outcome.PASSED, ["data/b/c.json"])
    assert (more.outcome, told(more)) == (Outcome.FAILED, [("data/z.json", 1, "pattern")])


def test_absolute_tolerates_nothing(tmp_path: Path) -> None:
    gate = {"schema": {**GLOB["schema"], "absolute": True}}
    made = project(tmp_path, gate, files={"data/a.json": "{}"})

    assert made.judge(made.commit({"x": "x"}))["schema"].outcome is Outcome.FAILED


@pytest.mark.parametrize("options", [{"path": "docs/tasks"}, {"path": "docs/*.xml"}])
def test_a_name_that_does_not_say_the_format_is_refused_when_the_policy_is_read(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="add `format: json`, yaml or toml"):
        Options.model_validate({**options, "schema": "s.json"})

    assert Options.model_validate({**options, "schema": "s.json", "format": "json"}).format == "json"


@pytest.mark.parametrize(
    "options", [{"schema": "schemas/*.json"}, {"schema": "s.json", "refs": ["a.json", "b[1].json"]}]
)
def test_a_schema_is_named_by_its_path(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="a schema is one file"):
        Options.model_validate({"path": "a.json", **options})


@pytest.mark.parametrize("draft", ["draft-03", "draft-04", "draft-06", "draft-07", "2019-09", "2020-12"])
def test_each_published_draft_is_known(monkeypatch: pytest.MonkeyPatch, draft: str) -> None:
    year = draft.startswith("20")
    uri = f"https://json-schema.org/draft/{draft}/schema" if year else f"http://json-schema.org/{draft}/schema#"
    schema = {
        "$schema": uri,
        "properties": {"a": {"$ref": "#/definitions/a"}},
        "definitions": {"a": {"type": "integer"}},
    }

    assert validate(monkeypatch, schema, "a.json", '{"a": 1}')["problems"] == []
    assert validate(monkeypatch, schema, "a.json", '{"a": "x"}')["problems"] != []


# -- attacks ----------------------------------------------------------------------------------------------------------

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.yaml", BOMB),
        ("a.yaml", "a: &a [*a]\n"),
        ("a.yaml", "[" * 5_000 + "]" * 5_000),
        ("a.json", "[" * 200_000),
        ("a.json", '{"a": 1, "a": 2}'),
        ("a.json", '{"a": NaN}'),
        ("a.json", '{"a": 1e400}'),
        ("a.json", b'{"a": "\xff"}'),
        ("a.json", '{"a": 1} {"b": 2}'),
        ("a.json", "\ufeff{}"),
        ("a.json", b"{}" + b" " * 1_000_001),
        ("a.toml", "a = " + "[" * 3_000 + "]" * 3_000),
        ("a.yaml", "<<: {a: 1}\n"),
        ("a.yaml", "? [a]\n: 1\n"),
        ("a.yaml", "!!python/object/apply:os.system ['touch /tmp/x']\n"),
    ],
    ids=range(15),
)
def test_a_document_that_is_made_to_hurt_or_to_be_read_in_two_ways_is_refused_by_any_schema(
    monkeypatch: pytest.MonkeyPatch, name: str, content: str | bytes
) -> None:
    problems = validate(monkeypatch, True, name, content)["problems"]

    assert isinstance(problems, list)
    assert {item["rule"] for item in problems} == {"unreadable"}


@pytest.mark.parametrize("text", [*"010 0x1F 0o17 0b1 1_000 1:30 16:9 .5 .inf .nan 1e3 1.5e3 1e-3".split(), "1" * 19])
def test_a_number_of_some_readers_only_is_to_be_quoted(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    problems = validate(monkeypatch, True, "a.yaml", f"a: {text}\n")["problems"]

    assert isinstance(problems, list)
    assert [item["line"] for item in problems] == [1]
    assert validate(monkeypatch, True, "a.yaml", f'a: "{text}"\n')["problems"] == []


@pytest.mark.parametrize("text", "0 -12 1.5 1.5e+3 1.10 2026-11-22 1.2.3 T1 0a3f 12:30-13:30 v1e3".split())
def test_plain_numbers_dates_and_words_are_read(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert validate(monkeypatch, True, "a.yaml", f"a: {text}\n")["problems"] == []


@pytest.mark.slow
def test_a_pattern_that_runs_for_ever_on_a_document_is_ended_and_its_document_named(tmp_path: Path) -> None:
    gate = {"schema": {"path": "*.json", "schema": "schemas/tasks.json", "timeout": "2s"}}

    files = {"a.json": '"a"', "z.json": json.dumps("a" * 60 + "c")}

    evidence = judge(tmp_path, files, gate, schema={"pattern": "^(a+)+$"})

    assert evidence.outcome is Outcome.ERRORED
    assert "Validating z.json was not done after 2 s." in evidence.summary


def test_what_is_wrong_outside_of_the_glob_is_not_tolerated_within(tmp_path: Path) -> None:
    made = project(tmp_path, GLOB, files={"fixtures/bad.json": '{"tasks": [1, 2, 3]}'})

    evidence = made.judge(made.commit({"fixtures/bad.json": None, "data/bad.json": '{"tasks": [1, 2, 3]}'}))["schema"]

    assert (evidence.outcome, len(evidence.findings)) == (Outcome.FAILED, 3)


@pytest.mark.slow
def test_a_document_that_nobody_could_read_is_tolerated_only_with_the_bytes_it_had(tmp_path: Path) -> None:
    many = json.dumps({"tasks": list(range(1_001))})
    made = project(tmp_path, GLOB, files={"data/a.json": "{", "data/b.json": many})

    untouched = made.judge(made.commit({"x": "x"}))["schema"]
    touched = made.judge(made.commit({"data/a.json": "{ ", "data/b.json": many[:-2] + ", 1.5]}"}, on=made.base))[
        "schema"
    ]

    assert untouched.outcome is Outcome.PASSED
    assert told(touched) == [("data/a.json", 1, "unreadable"), ("data/b.json", None, "too-many")]


def test_a_link_is_no_document(tmp_path: Path) -> None:
    made = project(tmp_path, GLOB, files={"good.json": json.dumps({"tasks": [{"id": "T1", "title": "A title"}]})})

    evidence = made.judge(made.commit({"data/a.json": Link("../good.json")}))["schema"]

    assert (evidence.outcome, told(evidence)) == (Outcome.FAILED, [("data/a.json", None, "link")])


def test_what_a_document_says_cannot_speak_to_whoever_reads_the_finding(tmp_path: Path) -> None:
    gate = {"schema": {"path": "a.json", "schema": "schemas/tasks.json"}}

    evidence = judge(tmp_path, {"a.json": '{"tasks": "\\u001b[2J\\u202e\\ud800", "\\ud801": 1}'}, gate)

    assert evidence.outcome is Outcome.FAILED
    text = "".join(finding.message + (finding.satisfy or "") for finding in evidence.findings)
    assert not any(bad in text for bad in ("\x1b", "\u202e", "\ud800"))


def test_a_number_that_cannot_be_compared_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    assert validate(monkeypatch, {"multipleOf": 0.1}, "a.json", "1" * 400)["problems"] != []
