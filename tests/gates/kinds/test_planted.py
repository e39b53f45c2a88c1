"""What `schema`, `trace` and `transform` plant to be proved: a specimen that passes, and a flaw that they object to."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from gatewright.gates.artifacts import ArtifactStore
from gatewright.gates.judging.schema_sample import NoSample, refused_document, sample_document, sample_of, written_as
from gatewright.gates.judging.specimens import SpecimenMaker
from gatewright.gates.kinds import KINDS
from gatewright.schemas.records import Outcome

from .workbench import Files, Project

RICH = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["id", "when", "tags", "size", "owner", "kind", "any"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "pattern": "^T[0-9]{3}$"},
        "when": {"type": "string", "format": "date"},
        "tags": {"type": "array", "minItems": 2, "items": {"enum": ["a", "b"]}},
        "size": {"type": ["integer", "null"], "minimum": 4, "multipleOf": 3},
        "owner": {"$ref": "#/definitions/person"},
        "kind": {"oneOf": [{"const": "x"}, {"type": "integer"}]},
        "any": {},
    },
    "definitions": {
        "person": {"allOf": [{"required": ["name"]}, {"properties": {"name": {"minLength": 40, "maxLength": 50}}}]}
    },
}
PLAN = {"document": {"path": "docs/{change}/plan.md", "sections": ["Goal"], "ids": "REQ-\\d+"}}
LIST = {"tools/list.sh": "ls *.src > made/all.txt\n", "a.src": "", "made/all.txt": "a.src\n"}


def schema(path: str) -> Mapping[str, object]:
    return {"schema": {"path": path, "schema": "s.json"}}


def trace(**options: object) -> Mapping[str, object]:
    return {"trace": {"from": "plan", "ids": "REQ-\\d+", "into": ["tests/**"], **options}}


CASES: Mapping[str, tuple[Mapping[str, object], Files]] = {
    "a document of the change": (schema("docs/{change}/tasks.yaml"), {"s.json": json.dumps(RICH)}),
    "a document in JSON": (schema("docs/*.json"), {"s.json": json.dumps(RICH)}),
    "a document in TOML": (schema("docs/**/a.toml"), {"s.json": json.dumps(RICH)}),
    "a schema that few documents break": (schema("a.json"), {"s.json": '{"properties": {"a": {"type": "null"}}}'}),
    "documents that are there": (schema("data/*.json"), {"s.json": '{"type": "object"}', "data/a.json": "{}"}),
    "a plan of the change": (trace(), {"calc.py": ""}),
    "a plan for all": (trace(path="plan.md"), {"plan.md": "- REQ-1: it works\n", "tests/t.py": "# REQ-1\n"}),
    "what is made": ({"transform": {"run": "sh tools/list.sh", "paths": ["made/*"]}}, LIST),
    "what is not made yet": (
        {"transform": {"run": "sh tools/list.sh", "paths": ["made/*", "made/.keep"]}},
        {"tools/list.sh": "mkdir -p made; ls *.src > made/all.txt\n", "a.src": ""},
    ),
}


FEW = {"a document of the change", "a plan for all", "what is not made yet"}


@pytest.mark.parametrize("case", [pytest.param(case, marks=[] if case in FEW else pytest.mark.slow) for case in CASES])
def test_a_gate_passes_its_specimen_and_objects_to_what_is_planted(tmp_path: Path, case: str) -> None:
    gate, files = CASES[case]
    stages = {"plan": {"writes": ["docs/**"], "gates": [PLAN]}, "code": {"needs": ["plan"], "gates": [gate]}}
    project = Project(tmp_path, [], files, stages=stages)
    job = project.job(project.base)
    maker = SpecimenMaker(ArtifactStore(job.store, job.shared), job.policy, job.change, job.stage, ("**",))
    [(name, written)] = gate.items()
    kind = KINDS[name]
    options = kind.options.model_validate(written)

    good = maker.commit(project.base, kind.specimen(options, maker.specimen(project.base)))
    green = project.judge(good)[name]
    spoiled = kind.spoil(options, maker.specimen(good))
    assert spoiled is not None
    red = project.judge(maker.commit(good, spoiled.files))[name]

    assert (green.outcome, green.counted > 0) == (Outcome.PASSED, True), green
    assert red.outcome is Outcome.FAILED, red
    assert {finding.path for finding in red.findings} & set(spoiled.files)


@pytest.mark.parametrize("text", ["true", "{}", '{"title": "Anything", "$defs": {"a": false}}'])
def test_a_schema_that_refuses_nothing_is_not_seen_red(text: str) -> None:
    planted = refused_document(text.encode(), "json", "json")

    assert planted == "null\n"
    assert sample_document(text.encode(), "json", "json") is not None


@pytest.mark.parametrize(
    "text", ['{"type": "strange"}', "{", '{"$ref": "#"}', '{"$ref": "other.json"}', "[]", '{"type": {}}']
)
def test_nothing_is_made_up_for_a_schema_that_is_none(text: str) -> None:
    assert sample_document(text.encode(), "json", "json") is None
    assert refused_document(text.encode(), "json", "yaml") is None


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"$ref": "other.json"},
        {"$ref": "#"},
        {"pattern": "(?=x)y"},
        {"pattern": "("},
        {"type": "array", "minItems": 999},
    ],
)
def test_what_cannot_be_made_up_is_not(schema: object) -> None:
    with pytest.raises(NoSample):
        sample_of(schema)


def test_toml_holds_no_lists_alone_and_no_nulls() -> None:
    for value in ([1], {"a": None}):
        with pytest.raises(NoSample):
            written_as(value, "toml")
