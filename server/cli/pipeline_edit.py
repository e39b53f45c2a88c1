"""Change one option of one gate in the text of a `gatewright.yaml`, and nothing else: comments and layout stay.

Every change is read back: unless exactly the wanted pipeline comes out, there is none.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ...gates.policies.pipeline_file import parse_pipeline
from ...gates.policies.shell_text import cannot_fail
from ...gates.policies.yaml_source import PolicyInvalid
from ...schemas.pipeline import GateSpec, Pipeline

LAND = "land"
_SWALLOWED = re.compile(r"\s*(?:\|\||;)\s*(?:true|:|exit 0)\s*$")
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*")


def with_option(text: str, stage: str, gate: str, option: str, value: object) -> str | None:
    """The text with the option set for the gate of a stage, or of `land`; None where that cannot be done safely."""
    found = _find(text, stage, gate)
    if found is None:
        return None
    kind, options = found
    written = f"{option}: {_scalar(value)}"
    if isinstance(options, MappingNode) and any(_text(key) == option for key, _ in options.value):
        changed = _replace(text, next(node for key, node in options.value if _text(key) == option), _scalar(value))
    elif isinstance(options, MappingNode) and options.value:
        changed = _insert(text, options, written)
    else:
        end = kind.end_mark.index
        after = text[options.end_mark.index :] if options is not None else text[end:]
        changed = f"{text[:end]}: {{{written}}}{after}"
    wanted = {option: json.loads(json.dumps(value))}
    return changed if _is_only(text, changed, lambda pipeline: _changed(pipeline, stage, gate, wanted)) else None


def without_swallowing(text: str) -> str | None:
    """The text with commands that cannot fail able to: `pytest || true` is `pytest`; None where there is none."""
    changed = text
    for node in _runs(yaml.compose(text, Loader=yaml.SafeLoader)):
        command = str(node.value)
        mended = _SWALLOWED.sub("", command)
        while mended != command and cannot_fail(mended) and _SWALLOWED.search(mended):
            mended = _SWALLOWED.sub("", mended)
        # A folded text stands on more than one line; only what is written as it is read is replaced.
        if cannot_fail(command) and not cannot_fail(mended) and text.count(command) == 1:
            changed = changed.replace(command, mended)
    return None if changed == text else changed


def _find(text: str, stage: str, gate: str) -> tuple[Node, Node | None] | None:
    """The node of the gate's kind, and that of its options, None where there is none."""
    try:
        top = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    holder = _child(top, LAND) if stage == LAND else _child(_child(top, "stages"), stage)
    gates = _child(holder, "gates")
    for item in gates.value if isinstance(gates, SequenceNode) else ():
        if isinstance(item, ScalarNode) and item.value == gate:
            return item, None
        if isinstance(item, MappingNode) and len(item.value) == 1:
            [(kind, options)] = item.value
            name = _child(options, "name")
            if (_text(name) or _text(kind)) == gate:
                return kind, options
    return None


def _child(node: Node | None, key: str) -> Node | None:
    pairs = node.value if isinstance(node, MappingNode) else ()
    return next((value for name, value in pairs if _text(name) == key), None)


def _text(node: Node | None) -> str | None:
    return str(node.value) if isinstance(node, ScalarNode) else None


def _replace(text: str, node: Node, value: str) -> str:
    return f"{text[: node.start_mark.index]}{value}{text[node.end_mark.index :]}"


def _insert(text: str, options: MappingNode, written: str) -> str:
    """The option after the first one: in the same braces, or on a line of its own."""
    if options.flow_style:
        first_value = options.value[0][1]
        end = first_value.end_mark.index
        return f"{text[:end]}, {written}{text[end:]}"
    place = options.value[min(1, len(options.value) - 1)][0].start_mark
    return f"{text[: place.index]}{written}\n{' ' * place.column}{text[place.index :]}"


def _scalar(value: object) -> str:
    """The value as it is written in one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_scalar, value))}]"
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _runs(node: Node | None) -> Iterator[Node]:
    """The values of every `run`."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if _text(key) == "run" and isinstance(value, ScalarNode):
                yield value
            yield from _runs(value)
    elif isinstance(node, SequenceNode):
        for item in node.value:
            yield from _runs(item)


def _is_only(before: str, after: str, change: Callable[[Pipeline], Pipeline]) -> bool:
    try:
        was, now = parse_pipeline(before), parse_pipeline(after)
    except PolicyInvalid:
        return False
    return now == change(was)


def _changed(pipeline: Pipeline, stage: str, gate: str, wanted: Mapping[str, object]) -> Pipeline:
    def gates(there: tuple[GateSpec, ...]) -> tuple[GateSpec, ...]:
        return tuple(
            found.model_copy(update={"options": {**found.options, **wanted}}) if found.name == gate else found
            for found in there
        )

    if stage == LAND:
        land = pipeline.land.model_copy(update={"gates": gates(pipeline.land.gates or ())})
        return pipeline.model_copy(update={"land": land})
    named = pipeline.stages[stage]
    stages = {**pipeline.stages, stage: named.model_copy(update={"gates": gates(named.gates)})}
    return pipeline.model_copy(update={"stages": stages})
