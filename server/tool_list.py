"""The tools as `tools/list` answers: names, descriptions and the schemas of what they take and answer."""

from functools import cache
from typing import Any

import mcp_types as types

from ..schemas import arguments as a
from ..schemas import replies as r
from .tools import TOOLS, Tool


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
    schema: dict[str, Any] = _compact(a.TOOLS[name].model_json_schema())
    # The tool has a description of its own; each one here is paid for in tokens by every agent.
    del schema["description"]
    return schema


def _output_schema(name: str, tool: Tool) -> dict[str, Any]:  # JSON
    if name != "wait_for_update":
        schema: dict[str, Any] = _untitled(tool.reply.model_json_schema())
        return schema
    # A verdict or an update, depending on what was waited for.
    verdict: dict[str, Any] = _untitled(r.Verdict.model_json_schema())
    update: dict[str, Any] = _untitled(r.Update.model_json_schema())
    definitions = {**verdict.pop("$defs", {}), **update.pop("$defs", {})}
    return {"type": "object", "anyOf": [verdict, update], "$defs": definitions}


def _compact(schema: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
    """An input schema without what agents do not need: titles, nulls for what may be left out, defaults of null.

    A null that says something, as that of a deleted file does, stays.
    """
    match _untitled(schema):
        case {"anyOf": [other, {"type": "null"}], "default": None, **rest}:
            return _compact({**other, **rest})
        case dict(untitled):
            return {key: _compact(part) for key, part in untitled.items()}
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
