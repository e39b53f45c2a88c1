"""The Anthropic Messages API, as much of it as `claude -p` needs, with streaming.

Claude Code names gatewright's tools `mcp__gatewright__x` and lists them by name only, to be loaded through its
ToolSearch tool first. Loading is done here, unseen by the story.
"""

import json
import re
from collections.abc import Iterator
from typing import assert_never

from conversation import Action, CallTool, Conversation, Received, Say, WriteFile
from events import JsonObject, objects, server_sent_event, text_of

PREFIX = "mcp__gatewright__"
ACTION_ID_PREFIX = "toolu_story_"
SEARCH_ID_PREFIX = "toolu_search_"

PATH = "/v1/messages"
COUNT_PATH = "/v1/messages/count_tokens"


def read_request(body: JsonObject) -> Conversation | None:
    """The conversation in a request, or None for a side question (a title, a summary) that has no tools of ours."""
    offered = frozenset(re.findall(PREFIX + r"([a-z_]+)", json.dumps([body.get("tools"), *_said_by_the_client(body)])))
    if not offered:
        return None
    answers = [block for block in _blocks(body) if block.get("type") == "tool_result"]
    of_actions = [block for block in answers if str(block.get("tool_use_id")).startswith(ACTION_ID_PREFIX)]
    instructions = re.search(r"## gatewright\n(.+?)(?:\n\n|$)", "\n".join(_said_by_the_client(body)), re.DOTALL)
    return Conversation(
        offered=offered,
        instructions=instructions[1] if instructions else "",
        received=tuple(Received(text_of(block.get("content"))) for block in of_actions),
    )


def answer(body: JsonObject, conversation: Conversation | None, action: Action) -> JsonObject:
    """The assistant message that carries `action`, or the search that must come before it."""
    number = len(conversation.received) if conversation else 0
    block, stop_reason = _block(body, number, action)
    return {
        "id": f"msg_{number:04}",
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": [block],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 10},
    }


def stream(message: JsonObject) -> Iterator[bytes]:
    """The message as the events of a streamed reply."""
    [block] = objects(message["content"])
    start = {**message, "content": [], "stop_reason": None}
    yield server_sent_event({"type": "message_start", "message": start})
    if block["type"] == "text":
        opened: JsonObject = {**block, "text": ""}
        delta: JsonObject = {"type": "text_delta", "text": block["text"]}
    else:
        opened = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    yield server_sent_event({"type": "content_block_start", "index": 0, "content_block": opened})
    yield server_sent_event({"type": "content_block_delta", "index": 0, "delta": delta})
    yield server_sent_event({"type": "content_block_stop", "index": 0})
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield server_sent_event({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 10}})
    yield server_sent_event({"type": "message_stop"})


def _block(body: JsonObject, number: int, action: Action) -> tuple[JsonObject, str]:
    arguments: JsonObject
    match action:
        case Say(text):
            return {"type": "text", "text": text}, "end_turn"
        case WriteFile(path, text):
            tool = "Write"
            arguments = {"file_path": path, "content": text}
        case CallTool(name, given):
            tool, arguments = PREFIX + name, dict(given)
            if not _is_loaded(body, tool):
                return _search(body, tool), "tool_use"
        case _:
            assert_never(action)
    return {"type": "tool_use", "id": f"{ACTION_ID_PREFIX}{number:04}", "name": tool, "input": arguments}, "tool_use"


def _search(body: JsonObject, tool: str) -> JsonObject:
    searches = sum(str(block.get("id")).startswith(SEARCH_ID_PREFIX) for block in _blocks(body))
    query = {"query": f"select:{tool}", "max_results": 1}
    return {"type": "tool_use", "id": f"{SEARCH_ID_PREFIX}{searches:04}", "name": "ToolSearch", "input": query}


def _is_loaded(body: JsonObject, tool: str) -> bool:
    if any(offer.get("name") == tool and not offer.get("defer_loading") for offer in objects(body.get("tools"))):
        return True
    found = [block for block in _blocks(body) if str(block.get("tool_use_id")).startswith(SEARCH_ID_PREFIX)]
    return any(f'"{tool}"' in json.dumps(block.get("content")).replace("\\", "") for block in found)


def _blocks(body: JsonObject) -> list[JsonObject]:
    contents = [message.get("content") for message in objects(body.get("messages"))]
    return [block for content in contents if isinstance(content, list) for block in objects(content)]


def _said_by_the_client(body: JsonObject) -> list[str]:
    """System prompt and system messages: where Claude Code lists deferred tools and servers' instructions."""
    messages = [message for message in objects(body.get("messages")) if message.get("role") != "assistant"]
    return [text_of(body.get("system")), *(text_of(message.get("content")) for message in messages)]
