"""The OpenAI Responses API, as much of it as `codex exec` needs, with streaming.

Codex offers gatewright's tools as a namespace `mcp__gatewright` whose description is the server's instructions,
and writes files through its shell, which it runs in its own sandbox.
"""

import json
import shlex
from collections.abc import Iterator

from conversation import Action, CallTool, Conversation, Received, Say, WriteFile
from events import JsonObject, objects, server_sent_event, text_of

NAMESPACE = "mcp__gatewright"
ACTION_ID_PREFIX = "call_story_"

PATH = "/v1/responses"


def read_request(body: JsonObject) -> Conversation | None:
    """The conversation in a request, or None when it offers none of our tools."""
    offers = [tool for tool in objects(body.get("tools")) if tool.get("name") == NAMESPACE]
    if not offers:
        return None
    items = [item for item in objects(body.get("input")) if item.get("type") == "function_call_output"]
    of_actions = [item for item in items if str(item.get("call_id")).startswith(ACTION_ID_PREFIX)]
    return Conversation(
        offered=frozenset(str(tool.get("name")) for offer in offers for tool in objects(offer.get("tools"))),
        instructions=str(offers[0].get("description") or ""),
        received=tuple(Received(text_of(item.get("output"))) for item in of_actions),
    )


def answer(body: JsonObject, conversation: Conversation | None, action: Action) -> JsonObject:
    """The response that carries `action`."""
    number = len(conversation.received) if conversation else 0
    return {
        "id": f"resp_{number:04}",
        "object": "response",
        "status": "completed",
        "model": body.get("model"),
        "output": [_item(number, action)],
        "usage": {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110},
    }


def stream(response: JsonObject) -> Iterator[bytes]:
    """The response as the events of a streamed reply."""
    [item] = objects(response["output"])
    started = {**response, "status": "in_progress", "output": []}
    yield server_sent_event({"type": "response.created", "response": started})
    yield server_sent_event({"type": "response.output_item.added", "output_index": 0, "item": item})
    yield server_sent_event({"type": "response.output_item.done", "output_index": 0, "item": item})
    yield server_sent_event({"type": "response.completed", "response": response})


def _item(number: int, action: Action) -> JsonObject:
    call: JsonObject = {"type": "function_call", "id": f"fc_{number:04}", "call_id": f"{ACTION_ID_PREFIX}{number:04}"}
    match action:
        case Say(text):
            content = [{"type": "output_text", "text": text, "annotations": []}]
            return {"type": "message", "id": f"msg_{number:04}", "role": "assistant", "content": content}
        case WriteFile(path, text):
            where = shlex.quote(path)
            command = f"mkdir -p $(dirname {where}) && printf %s {shlex.quote(text)} > {where} && echo written"
            return {**call, "name": "exec_command", "arguments": json.dumps({"cmd": command, "login": False})}
        case CallTool(name, given):
            return {**call, "namespace": NAMESPACE, "name": name, "arguments": json.dumps(dict(given))}
