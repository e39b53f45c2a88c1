"""Gates that look back at another stage: it exists, comes before, and says where its ids stand; pure."""

from collections.abc import Iterable, Iterator, Mapping

from .. import graph
from .pipeline_shapes import nearest
from .yaml_source import KeyPath, PolicyProblem, Source

TRACE = "trace"
EVERYTHING = "**"


def trace_problems(
    source: Source, stages: Mapping[str, Mapping[str, object]], needs: graph.Needs, land: Mapping[str, object]
) -> Iterator[PolicyProblem]:
    """What is wrong with the `from` of every `trace` gate; `stages` and `land` as they were written."""
    for name, stage in stages.items():
        above = graph.upstream(name, needs)
        for path, options in _traces(("stages", name), stage):
            yield from _problems(source, (path, options), f"{name!r}", above, stages)
    for path, options in _traces(("land",), land):
        yield from _problems(source, (path, options), "the landing", frozenset(stages), stages)


def _traces(path: KeyPath, holder: Mapping[str, object]) -> Iterator[tuple[KeyPath, Mapping[str, object]]]:
    for index, gate in enumerate(_gates(holder)):
        options = gate.get(TRACE) if isinstance(gate, dict) else None
        if isinstance(options, dict):
            yield (*path, "gates", index, TRACE), options


def _problems(
    source: Source,
    trace: tuple[KeyPath, Mapping[str, object]],
    here: str,
    above: Iterable[str],
    stages: Mapping[str, Mapping[str, object]],
) -> Iterator[PolicyProblem]:
    path, options = trace
    start, above = options.get("from"), sorted(above)
    if not isinstance(start, str):
        return
    if start not in stages:
        yield source.problem((*path, "from"), f"unknown stage {start!r}", nearest(start, above))
    elif start not in above:
        hint = f"before it come {', '.join(above)}" if above else "no stage does"
        yield source.problem((*path, "from"), f"{start!r} does not come before {here}", hint)
    elif "path" not in options and not _says_where(stages[start]):
        hint = "add 'path', the document in which they are declared"
        yield source.problem(path, f"nothing says where the ids of {start!r} stand", hint)


def _says_where(stage: Mapping[str, object]) -> bool:
    writes = stage.get("writes")
    if any(isinstance(gate, dict) and "document" in gate for gate in _gates(stage)):
        return True
    return isinstance(writes, list) and EVERYTHING not in writes


def _gates(holder: Mapping[str, object]) -> Iterable[object]:
    written = holder.get("gates")
    return written if isinstance(written, list) else ()
