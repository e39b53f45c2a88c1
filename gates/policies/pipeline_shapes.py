"""What pydantic finds wrong with a part of `gatewright.yaml`, as sentences for the person who wrote it."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .yaml_source import KeyPath, PolicyProblem, Source, format_key

NEAR = "did you mean"
MISSING = "is missing"
NAME_RULE = "lower-case letters, digits, '-' and '_', a letter first, at most 32"

# Said of a key that is missing or empty; `*` stands for the name of a stage.
_WHY_NEEDED: Mapping[KeyPath, str] = {
    ("version",): "write 'version: 1'",
    ("target",): "name the branch that finished changes land on",
    ("stages",): "a pipeline has at least one stage",
    ("stages", "*", "gates"): "a stage without gates would open itself; give it at least one",
    ("land",): "say which stages landing needs, as in 'land: {needs: [code]}'",
    ("land", "needs"): "name the stages that must have passed",
    ("land", "gates"): "leave the key out to run the gates of the stages on the merged tree",
    ("setup", "key"): "name the files that decide what setup makes",
}
_MUST_BE: Mapping[str, str] = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "string_type": "must be text",
    "dict_type": "must hold keys and values",
    "mapping_type": "must hold keys and values",
    "model_type": "must hold keys and values",
    "model_attributes_type": "must hold keys and values",
}
_LIST_TYPES = frozenset({"tuple_type", "list_type", "set_type", "frozen_set_type"})


def shape_problems(
    source: Source, prefix: KeyPath, value: object, model: type[BaseModel], *, keys_beside: tuple[str, ...] = ()
) -> tuple[PolicyProblem, ...]:
    """What keeps `value`, which stands at `prefix` of the file, from being a `model`; empty when nothing does.

    `keys_beside` are keys that may stand there too, read by the caller: they are offered as spellings.
    """
    try:
        model.model_validate(value)
    except ValidationError as exc:
        found = [
            _problem(source, prefix, value, (model, keys_beside), error) for error in exc.errors(include_url=False)
        ]
        return tuple(problem for problem in dict.fromkeys(found) if not _is_misspelt(problem, found))
    return ()


def nearest(word: str, known: Iterable[str]) -> str | None:
    """A hint that names the spelling that was probably meant, or all there are when none is near; None without any."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if close:
        return f"{NEAR} {close[0]!r}?"
    return f"known: {', '.join(words)}" if words else None


def _problem(
    source: Source, prefix: KeyPath, value: object, keys: tuple[type[BaseModel], tuple[str, ...]], error: ErrorDetails
) -> PolicyProblem:
    path = (*prefix, *_path_in(value, error))
    if path[0] == "stages" and path[2:3] == ("otherwise",):
        # One sentence instead of one for each alternative that the value is not.
        return source.problem(path[:3], "must be 'escalate' or '{reopen: STAGE}'")
    if error["type"] == "extra_forbidden":
        model, keys_beside = keys
        hint = nearest(str(path[-1]), (*_keys_at(model, error["loc"]), *keys_beside))
        return PolicyProblem(source.file, source.line(path), format_key(path[:-1]), f"unknown key {path[-1]!r}", hint)
    return source.problem(path, *_sentence(error, path))


def _is_misspelt(missing: PolicyProblem, problems: Iterable[PolicyProblem]) -> bool:
    """Whether the key that is missing stands beside, misspelt, and is told of there."""
    holder, _, key = missing.key.rpartition(".")
    if missing.message != MISSING:
        return False
    return any((problem.key, problem.hint) == (holder, f"{NEAR} {key!r}?") for problem in problems)


def _sentence(error: ErrorDetails, path: KeyPath) -> tuple[str, str | None]:
    given, context = error["input"], error.get("ctx", {})
    match error["type"]:
        case "missing":
            return MISSING, _why_needed(path)
        case "too_short" | "string_too_short":
            return "is empty", _why_needed(path)
        case _ if given is None:
            return "has no value", "fill it in or leave the key out"
        case kind if kind in _LIST_TYPES:
            return "must be a list", f"write [{given}]" if isinstance(given, str | int) else None
        case "literal_error" if path == ("version",):
            return f"version {given!r} is not read by this gatewright", "write 'version: 1'"
        case "literal_error":
            hint = nearest(str(given), re.findall(r"'([^']*)'", context["expected"]))
            return f"{given!r} is not among {context['expected']}", hint if hint and hint.startswith(NEAR) else None
        case "string_pattern_mismatch":
            return f"{given!r} is not a name: {NAME_RULE}", None
        case "value_error":
            return str(context["error"]), None
        case kind if kind in _MUST_BE:
            return f"{_MUST_BE[kind]}, not {_shown(given)}", None
        case _:
            return error["msg"].replace("Input should", "must").replace("String should", "must"), None


def _shown(given: object) -> str:
    if isinstance(given, list):
        return "a list"
    return "keys and values" if isinstance(given, dict) else repr(given)[:80]


def _why_needed(path: KeyPath) -> str | None:
    return _WHY_NEEDED.get(("stages", "*", *path[2:]) if path[:1] == ("stages",) and len(path) > 1 else path)


def _path_in(value: object, error: ErrorDetails) -> KeyPath:
    """The place of an error in what the person wrote: pydantic's, without the names of alternatives and of `[key]`."""
    path: KeyPath = ()
    for part in error["loc"]:
        members = _members(value)
        if part in members:
            value = members[part]
        elif error["type"] != "missing" or part != error["loc"][-1]:
            continue
        path = (*path, part)
    return path


def _members(value: object) -> Mapping[int | str, object]:
    if isinstance(value, list):
        return dict(enumerate(value))
    return value if isinstance(value, dict) else {}


def _keys_at(model: type[BaseModel], loc: KeyPath) -> Iterable[str]:
    """The keys that could stand beside the last part of `loc`."""
    at_hand, is_member = model, False
    for part in loc[:-1]:
        if is_member:
            # A key of a mapping or a place in a list, of which the model at hand describes every member.
            is_member = False
        elif part in at_hand.model_fields:
            annotation = at_hand.model_fields[str(part)].annotation
            at_hand, is_member = _model_in(annotation) or at_hand, get_origin(annotation) in {dict, tuple, list}
    return [field.alias or name for name, field in at_hand.model_fields.items()]


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
