"""`gatewright.yaml` from text to `Pipeline`, with every problem found in one pass."""

from collections.abc import Mapping

from ...schemas.pipeline import PIPELINE_FILE, Pipeline
from .pipeline_gates import Kinds, read_gates
from .pipeline_rules import rule_problems
from .pipeline_shapes import shape_problems
from .yaml_source import PolicyInvalid, PolicyProblem, Source, read_yaml

PROBLEMS_MAX = 50


def parse_pipeline(text: str | bytes, *, file: str = PIPELINE_FILE, kinds: Kinds | None = None) -> Pipeline:
    """The pipeline that the text describes; `file` is its name in problems, `kinds` are all gate kinds if not given.

    Raises `PolicyInvalid` with the first `PROBLEMS_MAX` problems in the order of the file.
    """
    return read_pipeline(text, file=file, kinds=kinds)[0]


def read_pipeline(
    text: str | bytes, *, file: str = PIPELINE_FILE, kinds: Kinds | None = None
) -> tuple[Pipeline, Source]:
    """Like `parse_pipeline`, with the source, by which more problems can be told of with their lines."""
    source = read_yaml(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text, file=file)
    if not isinstance(source.value, dict):
        raise PolicyInvalid((source.problem((), "a pipeline is keys and values", "begin with 'version: 1'"),))
    written, problems = _with_gates_read(source, source.value, all_kinds() if kinds is None else kinds)
    problems += [*source.problems, *shape_problems(source, (), written, Pipeline), *rule_problems(source)]
    if problems:
        in_order = sorted(dict.fromkeys(problems), key=lambda problem: problem.line)
        raise PolicyInvalid(tuple(in_order[:PROBLEMS_MAX]))
    return Pipeline.model_validate(written), source


def all_kinds() -> Kinds:
    """The gate kinds of this version; imported late, because the kinds themselves import the policy."""
    from ..kinds import KINDS

    return KINDS


def _with_gates_read(
    source: Source, written: Mapping[str, object], kinds: Kinds
) -> tuple[dict[str, object], list[PolicyProblem]]:
    """The file's values with each list of gates in the one form that the models know."""
    problems: list[PolicyProblem] = []
    values = dict(written)
    stages, land = written.get("stages"), written.get("land")
    if isinstance(stages, dict):
        read: dict[str, object] = {}
        for name, stage in stages.items():
            read[name], found = _with_own_gates_read(source, ("stages", name), stage, kinds)
            problems += found
        values["stages"] = read
    if isinstance(land, dict):
        values["land"], found = _with_own_gates_read(source, ("land",), land, kinds)
        problems += found
    return values, problems


def _with_own_gates_read(
    source: Source, path: tuple[str, ...], holder: object, kinds: Kinds
) -> tuple[object, list[PolicyProblem]]:
    gates = holder.get("gates") if isinstance(holder, dict) else None
    if not isinstance(holder, dict) or not isinstance(gates, list):
        return holder, []
    read, problems = read_gates(source, (*path, "gates"), gates, kinds)
    return {**holder, "gates": read}, problems
