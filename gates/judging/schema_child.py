"""The program that holds documents against a JSON Schema, in a process that can be ended: patterns may run for ever.

Started by the `schema` gate under gatewright's own Python. Standard input: JSON `{"schema": path, "files": {path:
base64}, "documents": [{"path", "format", "data": base64}]}`, where `files` are the schema and those that it refers to,
from the policy's commit. Standard output, one JSON object a line: `{"bad_schema": sentence}` and nothing else, or
`{"ready": {"dialect", "unchecked": [formats]}}`, then for each document in order
`{"done": path, "problems": [{"rule", "line", "pointer", "place", "message", "wanted", "text"}]}`, at last
`{"finished": count}`. Nothing is ever fetched: there is only what was given, and the published meta-schemas.
"""

import base64
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from importlib import import_module
from itertools import islice
from typing import Any
from urllib.parse import quote, urlsplit

from .data_documents import DataDocument, DataUnreadable, Flaw, format_of, pointer, read_data

PROBLEMS_PER_DOCUMENT_MAX = 1_000
MESSAGE_CHARS_MAX = 400
TEXT_CHARS_MAX = 300
RECURSION_MAX = 5_000
# What the library checks without further packages, and what is checked here: the same on every machine.
LIBRARY_FORMATS = ("date", "email", "idn-email", "ipv4", "ipv6", "regex", "uuid")

# The objects of jsonschema and referencing carry no types.
Validator = Any


class BadSchema(Exception):
    """The policy's schema cannot be used; `str()` is one sentence."""


def main() -> None:
    """Read one request, answer it."""
    sys.setrecursionlimit(RECURSION_MAX)
    request = json.load(sys.stdin)
    try:
        schemas = {path: _read_schema(path, base64.b64decode(data)) for path, data in request["files"].items()}
        validator, unchecked = _make_validator(request["schema"], schemas)
    except BadSchema as exc:
        _say(bad_schema=str(exc))
        return
    _say(ready={"dialect": validator.META_SCHEMA.get("$schema", ""), "unchecked": unchecked})
    for document in request["documents"]:
        try:
            problems = _judge(validator, base64.b64decode(document["data"]), document["format"])
        except BadSchema as exc:
            _say(bad_schema=str(exc))
            return
        _say(done=document["path"], problems=problems)
    _say(finished=len(request["documents"]))


def _say(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _read_schema(path: str, data: bytes) -> object:
    try:
        return read_data(data, format_of(path) or "json").value
    except DataUnreadable as exc:
        line = f" (line {exc.flaws[0].line})" if exc.flaws[0].line else ""
        raise BadSchema(f"The schema {path} cannot be read{line}: {exc.flaws[0].message}") from exc


def _make_validator(root: str, schemas: Mapping[str, object]) -> tuple[Validator, list[str]]:
    """The validator of the root schema, and the formats that the schemas name and nobody checks."""
    jsonschema, referencing = import_module("jsonschema"), import_module("referencing")
    kinds = {path: _dialect(path, schema, jsonschema) for path, schema in schemas.items()}
    for path, schema in schemas.items():
        try:
            kinds[path].check_schema(schema)
        except jsonschema.SchemaError as exc:
            place = pointer(list(exc.absolute_path))
            raise BadSchema(
                f"The schema {path} is none{f' at {place}' if place else ''}: {_short(exc.message)}"
            ) from exc
    specification = import_module("referencing.jsonschema").specification_with
    resources = {
        _uri(path): referencing.Resource.from_contents(
            schema, default_specification=specification(kinds[path].META_SCHEMA["$schema"])
        )
        for path, schema in schemas.items()
    }
    # The published meta-schemas and these files; a registry of our own fetches nothing.
    registry = import_module("jsonschema_specifications").REGISTRY.with_resources(resources.items()).crawl()
    for uri, resource in resources.items():
        _check_references(resource, registry.resolver(uri), uri)
    checker = jsonschema.FormatChecker(formats=LIBRARY_FORMATS)
    checker.checkers = {**checker.checkers, **{name: (check, ()) for name, check in OWN_FORMATS.items()}}
    named = {name for schema in schemas.values() for name in _formats(schema)}
    validator = kinds[root]({"$ref": _uri(root)}, registry=registry, format_checker=checker)
    return validator, sorted(named - set(checker.checkers))


def _dialect(path: str, schema: object, jsonschema: Any) -> Any:  # noqa: ANN401 - a class of jsonschema, without types
    named = schema.get("$schema") if isinstance(schema, dict) else None
    if not isinstance(schema, dict | bool):
        raise BadSchema(f"The schema {path} is none: it is neither an object nor true or false.")
    found = jsonschema.validators.validator_for(schema, default=None)
    if named is None:
        return jsonschema.Draft202012Validator
    if found is None:
        raise BadSchema(f"The schema {path} is written in {_short(str(named))}, which is not known.")
    return found


def _uri(path: str) -> str:
    return f"file:///{quote(path)}"


def _check_references(resource: Any, resolver: Any, uri: str) -> None:  # noqa: ANN401 - of `referencing`, generic
    """Every reference leads to something that is there, before a document is judged by half of a schema."""
    unresolvable = import_module("referencing.exceptions").Unresolvable
    contents = resource.contents
    for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
        reference = contents.get(keyword) if isinstance(contents, dict) else None
        if isinstance(reference, str):
            try:
                resolver.lookup(reference)
            except (unresolvable, ValueError) as exc:
                raise BadSchema(_unknown(reference, uri)) from exc
    for inner in resource.subresources():
        _check_references(inner, resolver.in_subresource(inner), uri)


def _unknown(reference: str, uri: str = "") -> str:
    where = uri.removeprefix("file:///") or "the policy"
    return (
        f"The schema {where} refers to {_short(reference)!r}, which is not there. Nothing is fetched: a file that it"
        " refers to stands in the policy's commit and is named in `refs`."
    )


def _formats(schema: object) -> Iterator[str]:
    match schema:
        case dict():
            if isinstance(name := schema.get("format"), str):
                yield name
            for value in schema.values():
                yield from _formats(value)
        case list():
            for value in schema:
                yield from _formats(value)
        case _:
            pass


def _judge(validator: Validator, data: bytes, kind: Any) -> list[dict[str, object]]:  # noqa: ANN401 - from the request
    try:
        document = read_data(data, kind)
    except DataUnreadable as exc:
        lines = data.decode("utf-8", "replace").split("\n")
        return [_unreadable(flaw, lines) for flaw in exc.flaws]
    exceptions = import_module("jsonschema.exceptions")
    unresolvable = import_module("referencing.exceptions").Unresolvable
    try:
        errors = list(islice(validator.iter_errors(document.value), PROBLEMS_PER_DOCUMENT_MAX + 1))
    except (exceptions._WrappedReferencingError, unresolvable) as exc:  # noqa: SLF001 - what the library raises
        raise BadSchema(_unknown(str(getattr(exc, "ref", exc)))) from exc
    except exceptions.UnknownType as exc:
        raise BadSchema(f"The schema names a type that there is not: {_short(str(exc.type))}.") from exc
    except RecursionError as exc:
        raise BadSchema("The schema refers to itself without end.") from exc
    except re.error as exc:
        raise BadSchema(f"A pattern of the schema is no regular expression of Python: {exc}.") from exc
    except (ArithmeticError, ValueError) as exc:
        return [_unreadable(Flaw(f"It holds a value that cannot be compared: {exc}."), [])]
    if not errors:
        return []
    lines, places = document.text.split("\n"), document.lines()
    # Of the alternatives that all fail, the one that came nearest says what is to do.
    nearest = [exceptions.best_match([error]) for error in errors]
    problems = [_problem(error, document, places, lines) for error in nearest[:PROBLEMS_PER_DOCUMENT_MAX]]
    if len(errors) > PROBLEMS_PER_DOCUMENT_MAX:
        flaw = Flaw(f"There are more than {PROBLEMS_PER_DOCUMENT_MAX} problems; the rest was not looked for.")
        problems.append({**_unreadable(flaw, []), "rule": "too-many"})
    return problems


def _unreadable(flaw: Flaw, lines: list[str]) -> dict[str, object]:
    text = lines[flaw.line - 1] if flaw.line and flaw.line <= len(lines) else ""
    return {
        "rule": "unreadable",
        "line": flaw.line,
        "pointer": "",
        "place": "",
        "message": _short(flaw.message),
        "wanted": None,
        "text": text[:TEXT_CHARS_MAX],
    }


def _problem(
    error: Any,  # noqa: ANN401 - an error of jsonschema, without types
    document: DataDocument,
    places: Mapping[tuple[str | int, ...], int],
    lines: list[str],
) -> dict[str, object]:
    path = tuple(error.absolute_path)
    line = next((places[path[:size]] for size in range(len(path), -1, -1) if path[:size] in places), None)
    if line is None and document.kind == "toml":
        line = _toml_line(path, lines)
    return {
        "rule": str(error.validator),
        "line": line,
        "pointer": pointer(path),
        # Where it stands whatever stands before it in a list.
        "place": pointer(["*" if isinstance(part, int) else part for part in path]),
        "message": _short(str(error.message)),
        "wanted": f"{error.validator}: {_short(json.dumps(error.validator_value, default=str))}",
        "text": lines[line - 1][:TEXT_CHARS_MAX] if line else "",
    }


def _toml_line(path: Iterable[str | int], lines: list[str]) -> int | None:
    """The only line that gives the last key on the way a value, if there is but one."""
    keys = [part for part in path if isinstance(part, str)]
    if not keys:
        return None
    given = re.compile(
        rf"\s*(?:[\w.-]+\.)?[\"']?{re.escape(keys[-1])}[\"']?\s*=|\s*\[+(?:.*\.)?{re.escape(keys[-1])}\]+"
    )
    found = [number for number, line in enumerate(lines, 1) if given.match(line[:TEXT_CHARS_MAX])]
    return found[0] if len(found) == 1 else None


def _short(text: str) -> str:
    return text if len(text) <= MESSAGE_CHARS_MAX else text[: MESSAGE_CHARS_MAX - 3] + "..."


def _is_date_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", value, re.ASCII):
        return False
    try:
        # Python reads six digits behind the point, and no leap second.
        datetime.fromisoformat(re.sub(r"\.\d+", "", value.upper()).replace(":60", ":59"))
    except ValueError:
        return False
    return True


def _is_time(value: object) -> bool:
    return not isinstance(value, str) or _is_date_time(f"2000-01-01T{value}")


def _is_uri(value: object) -> bool:
    if not isinstance(value, str):
        return True
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return bool(parts.scheme and (parts.netloc or parts.path)) and not re.search(r"[\s<>\"{}|\\^`]", value)


OWN_FORMATS: Mapping[str, Callable[[object], bool]] = {"date-time": _is_date_time, "time": _is_time, "uri": _is_uri}

if __name__ == "__main__":
    main()
