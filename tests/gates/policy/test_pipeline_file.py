"""What `gatewright.yaml` may say."""

from pathlib import Path

import pytest

from gatewright.gates.policies.pipeline_file import parse_pipeline
from gatewright.gates.policies.pipeline_gates import Kinds
from gatewright.gates.policies.yaml_source import PolicyInvalid

DEFAULT = (Path(__file__).parent / "default.yaml").read_text()
WHOLE = (Path(__file__).parent / "whole.yaml").read_text()


def test_the_default_file_is_read(kinds: Kinds) -> None:
    pipeline = parse_pipeline(DEFAULT, kinds=kinds)

    assert [gate.name for gate in pipeline.stages["code"].gates] == ["compile", "ruff", "test"]
    assert pipeline.stages["plan"].gates[0].options == {
        "path": "docs/changes/{change}.md",
        "sections": ["Goal", "Requirements"],
    }
    assert pipeline.stages["code"].writes == ("**",)


def test_the_whole_vocabulary_is_read(kinds: Kinds) -> None:
    pipeline = parse_pipeline(WHOLE, kinds=kinds)

    types = pipeline.stages["code"].gates[3]
    assert (types.kind, types.name) == ("command", "types")
    assert types.options == {"run": "mypy src", "report": "lines", "timeout": "5m"}
    assert (pipeline.limits.lease, pipeline.limits.output) == (900.0, 200_000)
    assert pipeline.stages["code"].otherwise != "escalate"
    assert pipeline.land.gates is not None


@pytest.mark.parametrize("text", [DEFAULT, WHOLE], ids=["default", "whole"])
def test_both_files_are_read_with_the_gate_kinds_there_really_are(text: str, kinds: Kinds) -> None:
    assert parse_pipeline(text) == parse_pipeline(text, kinds=kinds)


def test_the_options_of_the_real_kinds_are_held_to_their_models() -> None:
    with pytest.raises(PolicyInvalid, match=r"gates\[0\]\.command\.report: 'lins' is not among .*did you mean 'lines'"):
        parse_pipeline(DEFAULT.replace("[compile, ruff, test]", "[{command: {run: mypy src, report: lins}}]"))


def test_stages_that_write_the_same_name_for_themselves_do_not_overlap(kinds: Kinds) -> None:
    text = (
        "version: 1\ntarget: main\nstages:\n"
        '  a: {gates: [test], writes: ["notes/{change}/{stage}.md"]}\n'
        '  b: {gates: [test], writes: ["notes/{change}/{stage}.md"]}\n'
        "land: {needs: [a, b]}\n"
    )

    assert set(parse_pipeline(text, kinds=kinds).stages) == {"a", "b"}
    with pytest.raises(PolicyInvalid, match="overlaps with"):
        parse_pipeline(text.replace("/{stage}", "/x"), kinds=kinds)


def test_a_gate_may_have_a_name_of_its_own_and_empty_options(kinds: Kinds) -> None:
    text = DEFAULT.replace("[compile, ruff, test]", "[test, {test: {name: again}}, {ruff: null}]")

    pipeline = parse_pipeline(text, kinds=kinds)

    assert [(gate.kind, gate.name) for gate in pipeline.stages["code"].gates] == [
        ("test", "test"),
        ("test", "again"),
        ("ruff", "ruff"),
    ]


@pytest.mark.parametrize("branch", ["main", "release/1.x", "feature_ü", "a-b", "v1.0"])
def test_plain_branch_names_are_targets(branch: str, kinds: Kinds) -> None:
    assert parse_pipeline(DEFAULT.replace("target: main", f"target: '{branch}'"), kinds=kinds).target == branch
