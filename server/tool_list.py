"""The tools as `tools/list` answers: names, descriptions and the schemas of what they take and answer."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import mcp_types as types

from ..schemas import arguments as a
from ..schemas import replies as r
from ..schemas.ids import STAGE_NAME
from .tools import TOOLS, Tool

# What goes without saying: no text is empty, what has a default may be left out, and names come from other replies.
UNSAID = (("minLength", 1), ("default", 0), ("default", ""), ("pattern", f"^{STAGE_NAME.pattern}$"))


@cache
def tool_list() -> tuple[types.Tool, ...]:
    """All eleven, in the order in which an agent meets them."""
    return tuple(_described(name, tool) for name, tool in TOOLS.items())


def _described(name: str, tool: Tool) -> types.Tool:
    return types.Tool(
        name=name,
        title=tool.title,
        description=tool.description,
        input_schema=_input_schema(name),
        output_schema=_output_schema(name, tool),
        annotations=types.ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.is_read_only,
            destructive_hint=tool.is_destructive,
            idempotent_hint=tool.is_read_only,
            open_world_hint=False,
        ),
    )


def _input_schema(name: str) -> dict[str, Any]:  # JSON
    whole = a.TOOLS[name].model_json_schema()
    schema: dict[str, Any] = _compact(_inlined(whole, whole.pop("$defs", {})))
    # The tool has a description of its own; each one here is paid for in tokens by every agent.
    del schema["description"]
    return schema


def _output_schema(name: str, tool: Tool) -> dict[str, Any]:  # JSON
    """What structured content may be: a reply or a refusal. Gemini CLI and others hold errors against it as well."""
    # A verdict or an update, depending on what was waited for.
    replies = (r.Verdict, r.Update) if name == "wait_for_update" else (tool.reply,)
    schemas: list[dict[str, Any]] = [_untitled(model.model_json_schema()) for model in (*replies, r.RefusalReply)]
    definitions = {key: value for schema in schemas for key, value in schema.pop("$defs", {}).items()}
    return {"type": "object", "anyOf": schemas, "$defs": definitions}


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON in, JSON out
    """With each shape written out where it is used: clients and providers that know no `$ref` lose the argument."""
    match schema:
        case {"$ref": str(reference), **rest}:
            return {**_inlined(definitions[reference.removeprefix("#/$defs/")], definitions), **rest}
        case dict():
            return {key: _inlined(part, definitions) for key, part in schema.items()}
        case list():
            return [_inlined(part, definitions) for part in schema]
        case _:
            return schema


def _compact(schema: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
    """An input schema without what agents do not need: titles, names of the code, nulls for what may be left out.

    A null that says something, as that of a deleted file does, stays.
    """
    match _untitled(schema):
        case {"anyOf": [other, {"type": "null"}], "default": None, **rest}:
            return _compact({**other, **rest})
        case {"type": "array", "items": {"description": _, **items}, **rest}:
            return _compact({"type": "array", "items": items, **rest})
        case dict(untitled):
            return {key: _compact(part) for key, part in untitled.items() if (key, part) not in UNSAID}
        case list(parts):
            return [_compact(part) for part in parts]
        case other:
            return other


def _untitled(schema: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
    """Without the titles that pydantic makes from names; a property called `title` is none."""
    match schema:
        case dict():
            return {
                key: _untitled(part) for key, part in schema.items() if not (key == "title" and isinstance(part, str))
            }
        case list():
            return [_untitled(part) for part in schema]
        case _:
            return schema
