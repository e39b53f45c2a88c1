"""A small value that a JSON Schema accepts, to prove a gate on.

Made by the commonest keywords alone, and believed only when jsonschema finds that the schema accepts it.
"""

import json
import re
from collections.abc import Mapping
from importlib import import_module
from math import ceil

from ..patterns import example_of
from .data_documents import DataUnreadable, Format, read_data

TEXT = "planted by gatewright doctor"
# One of these is refused by any schema that asks for a type, for a key, or for none but its own.
OTHERS: tuple[object, ...] = (None, {}, {"gatewright_canary": TEXT}, [], TEXT, -1, True)
# What stands in a schema and refuses nothing.
NOTES = frozenset({"$schema", "$id", "id", "$comment", "$defs", "definitions", "title", "description", "examples"})
DEPTH_MAX = 20
ITEMS_MAX = 100
_FORMATS = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "uri": "https://example.org/",
    "email": "doctor@example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "regex": "x",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


class NoSample(Exception):
    """The schema asks for what is not made up here."""


def sample_document(schema: bytes, schema_format: Format, kind: Format) -> str | None:
    """A document that the schema accepts, by the word of jsonschema itself; None when none was found."""
    try:
        value = read_data(schema, schema_format).value
        sample = sample_of(value)
        return written_as(sample, kind) if _accepts(value, sample) else None
    except (DataUnreadable, NoSample):
        return None


def refused_document(schema: bytes, schema_format: Format, kind: Format) -> str | None:
    """A document that the schema refuses; None when none of those tried is. Of a schema that says nothing, any."""
    try:
        value = read_data(schema, schema_format).value
        says_nothing = value is True or (isinstance(value, dict) and value.keys() <= NOTES)
        for other in OTHERS:
            # Only tables are TOML.
            if (kind != "toml" or isinstance(other, dict)) and (says_nothing or not _accepts(value, other)):
                return written_as(other, kind)
    except (DataUnreadable, NoSample):
        pass  # what cannot be read refuses nothing; the gate itself says so
    return None


def _accepts(schema: object, value: object) -> bool:
    """Whether it does. Raises `NoSample` when the schema is none, or is not here as a whole."""
    jsonschema, registry = import_module("jsonschema"), import_module("referencing").Registry()
    kind = jsonschema.validators.validator_for(schema)
    try:
        kind.check_schema(schema)
        return bool(kind(schema, registry=registry).is_valid(value))
    except (jsonschema.SchemaError, jsonschema.exceptions._WrappedReferencingError) as exc:  # noqa: SLF001 - as raised
        raise NoSample from exc
    except (re.error, RecursionError, ArithmeticError, TypeError) as exc:
        raise NoSample from exc


def sample_of(schema: object) -> object:
    """A value for the schema. Raises `NoSample`."""
    return _sample(schema, schema, 0)


def written_as(value: object, kind: Format) -> str:
    """The value as a file of the format. Raises `NoSample` for what it cannot hold."""
    if kind == "toml":
        if not isinstance(value, dict):
            raise NoSample
        return "".join(f"{json.dumps(key)} = {_toml(item)}\n" for key, item in value.items())
    # JSON is YAML.
    return json.dumps(value, indent=2) + "\n"


def _toml(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case None:
            raise NoSample
        case _:
            return json.dumps(value)


def _sample(schema: object, root: object, depth: int) -> object:
    if depth > DEPTH_MAX or schema is False:
        raise NoSample
    if not isinstance(schema, dict):
        return TEXT
    schema = _flat(schema, root, depth)
    if "const" in schema:
        return schema["const"]
    for key in ("examples", "enum"):
        if values := _list(schema.get(key)):
            return values[0]
    if "default" in schema:
        return schema["default"]
    match _type_of(schema):
        case "object":
            properties = _mapping(schema.get("properties"))
            required = [str(name) for name in _list(schema.get("required"))]
            return {name: _sample(properties.get(name, True), root, depth + 1) for name in required}
        case "array":
            return _array(schema, root, depth)
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return _text(schema)


def _flat(schema: Mapping[str, object], root: object, depth: int) -> dict[str, object]:
    """The schema with what it refers to, all that it demands besides, and the first alternative, in one."""
    flat = {key: value for key, value in schema.items() if key not in {"$ref", "allOf", "anyOf", "oneOf"}}
    inner = [_at(root, schema["$ref"])] if "$ref" in schema else []
    inner += [*_list(schema.get("allOf")), *_list(schema.get("anyOf"))[:1], *_list(schema.get("oneOf"))[:1]]
    for part in inner:
        if depth > DEPTH_MAX or not isinstance(part, dict):
            raise NoSample
        more = _flat(part, root, depth + 1)
        merged = {
            "properties": {**_mapping(more.get("properties")), **_mapping(flat.get("properties"))},
            "required": [*_list(more.get("required")), *_list(flat.get("required"))],
        }
        flat = {**more, **flat, **{key: value for key, value in merged.items() if value}}
    return flat


def _at(root: object, reference: object) -> object:
    """What a reference within the schema leads to."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise NoSample
    place = root
    for part in reference[1:].split("/")[1:]:
        place = _mapping(place).get(part.replace("~1", "/").replace("~0", "~"))
    return place


def _type_of(schema: Mapping[str, object]) -> object:
    named = schema.get("type")
    if isinstance(named, list):
        return named[0] if named else None
    if named is None and ("properties" in schema or "required" in schema):
        return "object"
    return "array" if named is None and "items" in schema else named


def _array(schema: Mapping[str, object], root: object, depth: int) -> list[object]:
    first = [_sample(item, root, depth + 1) for item in _list(schema.get("prefixItems"))]
    wanted = schema.get("minItems", 0)
    more = max(0, (wanted if isinstance(wanted, int) else 0) - len(first))
    if more > ITEMS_MAX:
        raise NoSample
    return [*first, *(_sample(schema.get("items", True), root, depth + 1) for _ in range(more))]


def _number(schema: Mapping[str, object]) -> int | float:
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below, step = schema.get("maximum"), schema.get("exclusiveMaximum"), schema.get("multipleOf")
    if isinstance(low, int | float):
        found: int | float = ceil(low)
    elif isinstance(above, int | float) and not isinstance(above, bool):
        found = int(above) + 1
    else:
        found = min([1, *(int(most) - 1 for most in (high, below) if isinstance(most, int | float))])
    return step * ceil(found / step) if isinstance(step, int | float) and step > 0 else found


def _text(schema: Mapping[str, object]) -> str:
    if isinstance(pattern := schema.get("pattern"), str):
        try:
            example = example_of(pattern)
        except re.error as exc:
            raise NoSample from exc
        if example is None:
            raise NoSample
        return example
    text = _FORMATS.get(str(schema.get("format")), TEXT)
    least, most = schema.get("minLength"), schema.get("maxLength")
    if isinstance(least, int):
        text = text.ljust(min(least, 10_000), "x")
    return text[:most] if isinstance(most, int) else text


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
