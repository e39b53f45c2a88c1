"""Labels of the machine that a gate needs: read, bounded, and no matter of policies that have none."""

import pytest

from gatewright.gates.policy import PolicyInvalid, gate_digest, land_gates_of, parse_pipeline, plan_of

PIPELINE = """\
version: 1
target: main
stages:
  code:
    gates: [compile, {{command: {{name: cuda, run: "nvidia-smi", runs_on: {labels}}}}}]
  docs:
    needs: [code]
    gates: [compile]
land: {{needs: [docs]}}
"""


def pipeline(labels: str) -> str:
    return PIPELINE.format(labels=labels)


def problems(labels: str) -> list[str]:
    with pytest.raises(PolicyInvalid) as raised:
        parse_pipeline(pipeline(labels))
    return [str(problem) for problem in raised.value.problems]


def test_a_stage_runs_on_what_has_all_labels_of_its_gates() -> None:
    plan = plan_of(parse_pipeline(pipeline("[gpu, big]")))

    assert [stage.runs_on for stage in plan.stages] == [("big", "gpu"), ()]
    assert plan.land_runs_on == ("big", "gpu")


def test_the_same_gate_on_other_machines_is_another_gate() -> None:
    with_labels, without = (parse_pipeline(pipeline(labels)) for labels in ("[gpu]", "[]"))

    digests = [[gate_digest(gate) for gate in land_gates_of(found)] for found in (with_labels, without)]

    assert digests[0][0] == digests[1][0]
    assert digests[0][1] != digests[1][1]


def test_a_gate_without_labels_leaves_no_trace_of_them() -> None:
    """Policies that were pinned before there were labels have the digest that they had."""
    assert "runs_on" not in parse_pipeline(pipeline("[]")).model_dump_json()
    assert "runs_on" in parse_pipeline(pipeline("[gpu]")).model_dump_json()


@pytest.mark.parametrize("labels", ["gpu", "[GPU]", "[7]", "[a-label-of-more-than-16]", "[null]"])
def test_what_is_no_list_of_labels_is_told_with_its_line(labels: str) -> None:
    (problem,) = problems(labels)

    assert "line 5" in problem or ":5" in problem, problem
    assert "label" in problem


def test_more_labels_than_a_worker_could_serve_are_refused() -> None:
    (problem,) = problems("[a, b, c, d, e, f, g]")

    assert "7 labels" in problem
