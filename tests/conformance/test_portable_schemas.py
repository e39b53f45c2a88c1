"""What agents are told of a tool must survive every client on its way to a model.

Clients hand schemas on to model providers that know less than JSON Schema; what they do not know makes them drop an
argument's shape, a whole tool, or every request of a session. The smallest common set, each with where it was seen.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import mcp_types as types
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has none

from gatewright.schemas.arguments import TOOLS
from gatewright.server.tool_list import tool_list

Schema = Mapping[str, Any]  # JSON

# No `$ref`: Gemini answers 400 (gemini-cli#13326), and codex has shown such an argument as a string (codex#3152).
# No `const`, `oneOf`, `allOf`, `not`, `format`, tuples or types in lists: OpenAPI's subset has none of them.
KEYWORDS = frozenset(
    {
        *("type", "description", "default", "enum"),
        *("properties", "required", "additionalProperties", "maxProperties"),
        *("items", "minItems", "maxItems", "minLength", "maxLength", "pattern", "minimum", "maximum"),
    }
)
TYPES = frozenset({"object", "array", "string", "integer", "boolean", "number"})
# The one place where there are two types: a path's text, or null where the file goes away.
FILES = ("submit_artifact", "files", "additionalProperties")
DEPTH_MAX = 4
DESCRIPTION_CHARS_MAX = 1_024
NAME_CHARS_MAX = 40
# Claude Code calls a tool so; providers end a name at 64 characters.
PREFIX = "mcp__gatewright__"
PROVIDERS_NAME_CHARS_MAX = 64


@pytest.fixture(params=tool_list(), ids=lambda tool: tool.name)
def tool(request: pytest.FixtureRequest) -> types.Tool:
    found: types.Tool = request.param
    return found


def test_a_name_is_kept_as_it_is(tool: types.Tool) -> None:
    """Clients rewrite dots and dashes, and shorten what is long."""
    assert re.fullmatch("[a-z][a-z0-9_]*", tool.name)
    assert len(tool.name) <= NAME_CHARS_MAX
    assert len(PREFIX + tool.name) <= PROVIDERS_NAME_CHARS_MAX


def test_a_description_is_there_in_plain_words_and_not_cut(tool: types.Tool) -> None:
    assert tool.description is not None
    assert tool.description.isprintable(), "one paragraph"
    assert tool.description.isascii(), "what a terminal shows as it is"
    assert len(tool.description) <= DESCRIPTION_CHARS_MAX


def test_the_description_alone_says_what_the_tool_is_for(tool: types.Tool) -> None:
    """Some clients show names and descriptions only, until the model searches; one looks at the first words."""
    assert tool.description is not None
    first = tool.description.split(maxsplit=1)[0]

    assert first[0].isupper()
    assert first.isalpha(), "an order: what the agent does with it"
    assert tool.title
    assert tool.title.lower() != tool.name.replace("_", " ")


def test_an_input_schema_is_an_object_without_alternatives_at_the_top(tool: types.Tool) -> None:
    """Anthropic's API refuses every request of a session with one such tool (claude-code#40075)."""
    assert tool.input_schema["type"] == "object"
    assert tool.input_schema["additionalProperties"] is False
    assert not {"anyOf", "oneOf", "allOf"} & tool.input_schema.keys()


def test_an_input_schema_keeps_to_words_that_every_client_knows(tool: types.Tool) -> None:
    for place, schema in _subschemas(tool.input_schema, (tool.name,)):
        if place == FILES:
            assert schema == {"anyOf": [{"type": "string"}, {"type": "null"}]}
            continue
        assert schema.keys() <= KEYWORDS, place
        assert schema["type"] in TYPES, place
        assert len(place) - 1 <= DEPTH_MAX, place


def test_an_array_says_of_what(tool: types.Tool) -> None:
    """VS Code drops a tool whose array does not (vscode#246119)."""
    for place, schema in _subschemas(tool.input_schema, (tool.name,)):
        assert (schema.get("type") == "array") == ("items" in schema), place


def test_a_choice_is_among_strings(tool: types.Tool) -> None:
    for place, schema in _subschemas(tool.input_schema, (tool.name,)):
        if "enum" in schema:
            assert schema["type"] == "string", place
            assert all(isinstance(value, str) and value for value in schema["enum"]), place


def test_what_is_required_is_there_and_has_no_default(tool: types.Tool) -> None:
    for place, schema in _subschemas(tool.input_schema, (tool.name,)):
        for name in schema.get("required", ()):
            assert "default" not in schema["properties"][name], (*place, name)


def test_an_argument_is_named_as_every_provider_allows(tool: types.Tool) -> None:
    for place, schema in _subschemas(tool.input_schema, (tool.name,)):
        assert all(re.fullmatch("[a-z][a-z0-9_]{0,63}", name) for name in schema.get("properties", ())), place


def test_a_pattern_means_the_same_everywhere(tool: types.Tool) -> None:
    """Anchored, without look-around, back-references or classes by letter: JavaScript, Rust, Go and Python agree."""
    for place, schema in _subschemas(tool.input_schema, (tool.name,)):
        pattern = schema.get("pattern", "^$")
        assert pattern.startswith("^"), place
        assert pattern.endswith("$"), place
        assert not re.search(r"\(\?|\\[A-Za-z0-9]", pattern), place


def test_every_schema_is_valid_and_an_output_schema_is_an_object(tool: types.Tool) -> None:
    """A client of the TypeScript SDK refuses the whole list where an output schema is of no type."""
    assert tool.output_schema is not None
    Draft202012Validator.check_schema(tool.input_schema)
    Draft202012Validator.check_schema(tool.output_schema)
    assert tool.output_schema["type"] == "object"


def test_the_shown_schema_takes_what_the_server_takes() -> None:
    """Shapes that were written out where they are used still describe the same arguments."""
    lease = {"lease": "gw1"}
    finding = {"severity": "blocking", "path": "a.py", "line": 3, "message": "No."}
    answer = {"finding": "f1", "disposition": "fixed", "note": "Done."}
    given: Mapping[str, Mapping[str, Any]] = {
        "submit_artifact": {**lease, "summary": "s", "files": {"a": "b", "c": None}, "answers": [answer]},
        "review_artifact": {**lease, "findings": [finding], "inspected": ["a.py"]},
    }
    for tool in tool_list():
        for arguments in filter(None, [given.get(tool.name)]):
            TOOLS[tool.name].model_validate(dict(arguments))
            shown = Draft202012Validator(tool.input_schema)
            shown.validate(arguments)
            for part in ("findings", "answers"):
                if part in arguments:
                    assert not shown.is_valid({**arguments, part: [{**arguments[part][0], "passed": True}]})


def _subschemas(schema: Schema, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """A schema and every schema in it, with the way to it."""
    yield place, schema
    for name, part in schema.get("properties", {}).items():
        yield from _subschemas(part, (*place, name))
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from _subschemas(schema[keyword], (*place, keyword))
