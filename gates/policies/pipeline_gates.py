"""The list of gates of a stage as people write it, made into one form: kind, name, options."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel

from ...schemas.ids import STAGE_NAME
from ...schemas.pipeline import LABEL
from ..paths import PLACEHOLDERS, check_glob, check_placeholders
from .pipeline_shapes import NAME_RULE, nearest, shape_problems
from .shell_text import cannot_fail
from .yaml_source import KeyPath, PolicyProblem, Source

COMMAND_SHOWN_CHARS_MAX = 120

SCOPE = "scope"
REVIEW = "review"
# Options that are globs or paths of the repository, with what is substituted in each.
GLOB_OPTIONS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("document", "path"): PLACEHOLDERS,
    ("schema", "path"): PLACEHOLDERS,
    ("schema", "schema"): (),
    ("schema", "refs"): (),
    ("trace", "path"): ("change",),
    ("trace", "into"): PLACEHOLDERS,
    ("transform", "paths"): PLACEHOLDERS,
    ("compile", "paths"): (),
    ("ruff", "paths"): (),
    ("test", "area"): (),
    ("approval", "signers"): (),
}

# Stands where a gate could not be read, so that an empty list is not reported as well. It never leaves this package:
# where it is used there is a problem, and a policy with a problem is not made.
_UNREAD: Mapping[str, object] = {"kind": "unread", "name": "unread", "options": {}}


class KindDeclaration(Protocol):
    """What the policy needs to know of a gate kind."""

    @property
    def options(self) -> type[BaseModel]: ...

    # Each kind takes its own options model, which a mapping of kinds cannot express.
    def references(self, options: Any, /) -> tuple[str, ...]: ...  # noqa: ANN401 - as said above


Kinds = Mapping[str, KindDeclaration]


@dataclass(frozen=True, slots=True)
class _Written:
    """One gate as it stands in the file; `path` is where its options stand."""

    kind: str
    options: dict[str, object]
    path: KeyPath


def read_gates(
    source: Source, path: KeyPath, written: Iterable[object], kinds: Kinds
) -> tuple[list[Mapping[str, object]], list[PolicyProblem]]:
    """Each gate as the keys of a `GateSpec`, in order, and what is wrong with them."""
    gates: list[Mapping[str, object]] = []
    problems: list[PolicyProblem] = []
    for index, item in enumerate(written):
        here = (*path, index)
        gate = _read_gate(source, here, item)
        if isinstance(gate, PolicyProblem):
            problems.append(gate)
            gates.append(_UNREAD)
            continue
        name = gate.options.pop("name", gate.kind)
        labels = gate.options.pop("runs_on", ())
        found = _kind_problems(source, here, gate, kinds)
        if name != gate.kind or not found:
            found += _name_problems(source, here, name, gates)
        found += _label_problems(source, gate.path, labels)
        problems += found
        spec = {"kind": gate.kind, "name": name, "options": gate.options, "runs_on": labels}
        gates.append(_UNREAD if found else spec)
    return gates, problems


def run_problems(source: Source, path: KeyPath, command: object) -> list[PolicyProblem]:
    """A command that ends with success whatever it finds must not stand where something is to be checked."""
    if not isinstance(command, str) or not cannot_fail(command):
        return []
    shown = command.strip()[:COMMAND_SHOWN_CHARS_MAX]
    message = f"{shown!r} cannot fail: it ends with success whatever its programs find"
    return [source.problem(path, message, "let the program that checks decide the exit status")]


def _read_gate(source: Source, path: KeyPath, item: object) -> _Written | PolicyProblem:
    if isinstance(item, str):
        return _Written(item, {}, path)
    if not isinstance(item, dict) or not item:
        return source.problem(path, "a gate is a kind, or a kind with its options, as in {test: {runner: pytest}}")
    kind, *others = item
    options = item[kind]
    if others and options is None:
        return source.problem(path, f"the options of {kind!r} stand beside it", f"indent them below '{kind}:'")
    if others:
        return source.problem(path, f"{kind!r} and {others[0]!r} are one item", "begin each gate with '- '")
    if not isinstance(options, dict | None):
        return source.problem((*path, kind), "the options of a gate are keys and values", f"write {{{kind}: {{...}}}}")
    return _Written(kind, dict(options or {}), (*path, kind))


def _kind_problems(source: Source, path: KeyPath, gate: _Written, kinds: Kinds) -> list[PolicyProblem]:
    if gate.kind == SCOPE:
        hint = "'writes' of the stage says what it allows; remove it here"
        return [source.problem(path, "'scope' is always on and is not listed", hint)]
    if gate.kind not in kinds:
        known = [kind for kind in kinds if kind != SCOPE]
        return [source.problem(path, f"unknown gate kind {gate.kind!r}", nearest(gate.kind, known))]
    if gate.kind == REVIEW and path[0] == "land" and gate.options.get("run") is None:
        message = "agents review what one of them hands in, and nobody hands in a merge: no author to differ from"
        return [source.problem(path, message, "put it into the stage that lands, or let a program review: {run: ...}")]
    model = kinds[gate.kind].options
    problems = [*shape_problems(source, gate.path, gate.options, model, keys_beside=("name", "runs_on"))]
    problems += run_problems(source, (*gate.path, "run"), gate.options.get("run"))
    for option, value in gate.options.items():
        if (gate.kind, option) in GLOB_OPTIONS:
            placeholders = GLOB_OPTIONS[gate.kind, option]
            texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
            complaints = (check_placeholders(text, placeholders) or check_glob(text) for text in texts)
            problems += [source.problem((*gate.path, option), each) for each in complaints if each is not None]
    return problems


def _name_problems(
    source: Source, path: KeyPath, name: object, before: Iterable[Mapping[str, object]]
) -> list[PolicyProblem]:
    if not isinstance(name, str) or not re.fullmatch(STAGE_NAME, name):
        return [source.problem(path, f"{name!r} is not a name: {NAME_RULE}")]
    if name == SCOPE:
        return [source.problem(path, "the name 'scope' belongs to the gate that is always on")]
    if any(name == other["name"] for other in before):
        return [source.problem(path, f"two gates are named {name!r}", "give one of them another 'name'")]
    return []


def _label_problems(source: Source, path: KeyPath, labels: object) -> list[PolicyProblem]:
    here = (*path, "runs_on")
    if not isinstance(labels, list | tuple):
        return [source.problem(here, "'runs_on' is a list of labels", "write 'runs_on: [gpu]'")]
    rule = "lower-case letters, digits, '-' and '_', a letter first, at most 16"
    wrong = (label for label in labels if not isinstance(label, str) or not LABEL.fullmatch(label))
    return [source.problem(here, f"{label!r} is not a label: {rule}") for label in wrong]
