"""The names that the conformance suite asks for, served in front of the product's own surface.

Everything else is the product's: its server, capabilities, notices, tools, resources and prompts. So the suite sees how
gatewright lists, calls, reads, watches and reports, whatever the contents. What gatewright has no use for (pictures,
sampling, questions inside a call, tasks) is not made up here; `fixture.yaml` lists it.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import mcp_types as types
from mcp.server.subscriptions import PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPError

from gatewright.server.notices import Bus
from gatewright.server.surface import Context, Surface

STEP_S = 0.05
STATIC = "test://static-text"
WATCHED = "test://watched-resource"
TEMPLATE = "test://template/{id}/data"

Answer = types.CallToolResult
Schema = Mapping[str, Any]  # JSON

NOTHING: Schema = {"type": "object", "properties": {}, "additionalProperties": False}
MESSAGE: Schema = {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}
# Every keyword that a listing could lose on its way.
DIALECT: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"$anchor": "place", "type": "object", "properties": {"town": {"type": "string"}}}},
    "properties": {"by": {"enum": ["post", "wire"]}, "address": {"$ref": "#/$defs/address"}},
    "allOf": [{"anyOf": [{"required": ["by"]}, {"required": ["address"]}]}],
    "if": {"properties": {"by": {"const": "post"}}, "required": ["by"]},
    "then": {"required": ["address"]},
    "else": {"required": []},
    "additionalProperties": False,
}
USER: types.ElicitRequestedSchema = {
    "type": "object",
    "properties": {"username": {"type": "string"}, "email": {"type": "string"}},
    "required": ["username", "email"],
}


@dataclass(frozen=True, slots=True)
class _Tool:
    description: str
    takes: Schema
    run: Callable[[Bus, Context, Mapping[str, Any]], Awaitable[Answer]]


async def _simple_text(_: Bus, __: Context, ___: Mapping[str, Any]) -> Answer:
    return _said("This is a simple text response for testing.")


async def _error(_: Bus, __: Context, ___: Mapping[str, Any]) -> Answer:
    return Answer(content=_said("This tool intentionally returns an error for testing").content, is_error=True)


async def _progress(_: Bus, context: Context, __: Mapping[str, Any]) -> Answer:
    for done in (0, 50, 100):
        await context.session.report_progress(done, 100, f"{done} of 100")
        await anyio.sleep(STEP_S)
    return _said("Done.")


async def _elicitation(_: Bus, context: Context, given: Mapping[str, Any]) -> Answer:
    # As `server/pointing.py` asks: a form, by clients of the generation that has requests by the server.
    answer = await context.session.elicit_form(given["message"], USER, related_request_id=context.request_id)
    return _said(f"User response: {answer.action}, {answer.content}")


async def _missing_capability(_: Bus, __: Context, ___: Mapping[str, Any]) -> Answer:
    needed: Schema = {"requiredCapabilities": {"sampling": {}}}
    raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "This tool needs a client that can sample.", needed)


async def _change_tools(bus: Bus, _: Context, __: Mapping[str, Any]) -> Answer:
    await bus.publish(ToolsListChanged())
    return _said("Told.")


async def _change_prompts(bus: Bus, _: Context, __: Mapping[str, Any]) -> Answer:
    await bus.publish(PromptsListChanged())
    return _said("Told.")


TOOLS: Mapping[str, _Tool] = {
    "test_simple_text": _Tool("Answers with a text.", NOTHING, _simple_text),
    "test_error_handling": _Tool("Answers with an error.", NOTHING, _error),
    "test_tool_with_progress": _Tool("Reports progress three times.", NOTHING, _progress),
    "test_elicitation": _Tool("Asks the user.", MESSAGE, _elicitation),
    "test_missing_capability": _Tool("Needs a client that can sample.", NOTHING, _missing_capability),
    "test_trigger_tool_change": _Tool("Tells that the tools changed.", NOTHING, _change_tools),
    "test_trigger_prompt_change": _Tool("Tells that the prompts changed.", NOTHING, _change_prompts),
    "json_schema_2020_12_tool": _Tool("Has a schema with every keyword.", DIALECT, _simple_text),
    # Both report what they do by progress, and nothing by logging or by a request: as every tool of ours does.
    "test_streaming_elicitation": _Tool("Reports while it works.", NOTHING, _progress),
    "test_logging_tool": _Tool("Reports while it works.", NOTHING, _progress),
}
PROMPTS: Mapping[str, tuple[str, ...]] = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
}


class FixtureSurface(Surface):
    """`product` and the suite's names; `bus` is where the product tells of changes."""

    def __init__(self, product: Surface, bus: Bus) -> None:
        self._product = product
        self._bus = bus

    async def list_tools(self, context: Context) -> types.ListToolsResult:
        ours = await self._product.list_tools(context)
        theirs = [
            types.Tool(name=name, description=tool.description, input_schema=dict(tool.takes))
            for name, tool in TOOLS.items()
        ]
        return ours.model_copy(update={"tools": [*ours.tools, *theirs]})

    async def call_tool(
        self, context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        tool = TOOLS.get(params.name)
        if tool is None:
            return await self._product.call_tool(context, params)
        return await tool.run(self._bus, context, params.arguments or {})

    async def list_resources(self, context: Context) -> types.ListResourcesResult:
        ours = await self._product.list_resources(context)
        theirs = [
            types.Resource(uri=uri, name=uri, description="For the suite.", mime_type="text/plain")
            for uri in (STATIC, WATCHED)
        ]
        return ours.model_copy(update={"resources": [*ours.resources, *theirs]})

    async def list_resource_templates(self) -> types.ListResourceTemplatesResult:
        ours = await self._product.list_resource_templates()
        theirs = types.ResourceTemplate(uri_template=TEMPLATE, name="data", description="For the suite.")
        return ours.model_copy(update={"resource_templates": [*ours.resource_templates, theirs]})

    async def read_resource(self, uri: str) -> types.ReadResourceResult:
        text = _text_of(uri)
        if text is None:
            return await self._product.read_resource(uri)
        return types.ReadResourceResult(
            contents=[types.TextResourceContents(uri=uri, mime_type="text/plain", text=text)]
        )

    def is_resource(self, uri: str) -> bool:
        return _text_of(uri) is not None or self._product.is_resource(uri)

    async def list_prompts(self) -> types.ListPromptsResult:
        ours = await self._product.list_prompts()
        theirs = [
            types.Prompt(
                name=name,
                description="For the suite.",
                arguments=[types.PromptArgument(name=argument, required=True) for argument in takes],
            )
            for name, takes in PROMPTS.items()
        ]
        return ours.model_copy(update={"prompts": [*ours.prompts, *theirs]})

    async def get_prompt(
        self, context: Context, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult | types.InputRequiredResult:
        if params.name not in PROMPTS:
            return await self._product.get_prompt(context, params)
        given = params.arguments or {}
        told = ", ".join(f"{name}='{given[name]}'" for name in PROMPTS[params.name])
        text = f"Prompt with arguments: {told}" if told else "This is a simple prompt for testing."
        message = types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))
        return types.GetPromptResult(messages=[message])

    async def complete(self, params: types.CompleteRequestParams) -> types.CompleteResult:
        return await self._product.complete(params)


def _said(text: str) -> Answer:
    return Answer(content=[types.TextContent(type="text", text=text)])


def _text_of(uri: str) -> str | None:
    """What the fixture has under an address; None for the product's, and for what nobody has."""
    found = re.fullmatch(r"test://template/(\w+)/data", uri)
    if found is not None:
        return f'{{"id": "{found[1]}", "templateTest": true, "data": "Data for ID: {found[1]}"}}'
    return "This is the content of the static text resource." if uri in {STATIC, WATCHED} else None
