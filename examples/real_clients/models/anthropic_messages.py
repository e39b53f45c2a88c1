"""The Anthropic Messages API, as much of it as a client needs that streams, searches tools and runs hooks."""

import json
from collections.abc import Iterator

from conversation import Conversation, Say
from events import JsonObject, named_event, objects, text_of
from hands import Hands, ToolUse, Turn

from models.wire import VOICE, Heard, Said, ToolAnswer, Utterance, conversation_of


def is_address(path: str) -> bool:
    return path == "/v1/messages"


def is_streamed(_path: str, body: JsonObject) -> bool:
    return bool(body.get("stream"))


def read(body: JsonObject, hands: Hands) -> Conversation:
    # Deferred tools are listed in what the client says, the others where tools are declared.
    said = [message for message in objects(body.get("messages")) if message.get("role") != "assistant"]
    told = "\n".join([text_of(body.get("system")), *(text_of(message.get("content")) for message in said)])
    return conversation_of(_utterances(body), offers=f"{json.dumps(body.get('tools'))}\n{told}", told=told, hands=hands)


def whole(body: JsonObject, turn: Turn) -> JsonObject:
    block, stop_reason = _block(turn)
    return {
        # Messages of one id are one message to Claude Code.
        "id": f"msg_{len(objects(body.get('messages'))):04}",
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": [block],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 10},
    }


def events(body: JsonObject, turn: Turn) -> Iterator[bytes]:
    message = whole(body, turn)
    [block] = objects(message["content"])
    yield named_event({"type": "message_start", "message": {**message, "content": [], "stop_reason": None}})
    if block["type"] == "text":
        opened: JsonObject = {**block, "text": ""}
        delta: JsonObject = {"type": "text_delta", "text": block["text"]}
    else:
        opened = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    yield named_event({"type": "content_block_start", "index": 0, "content_block": opened})
    yield named_event({"type": "content_block_delta", "index": 0, "delta": delta})
    yield named_event({"type": "content_block_stop", "index": 0})
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield named_event({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 10}})
    yield named_event({"type": "message_stop"})


def _block(turn: Turn) -> tuple[JsonObject, str]:
    match turn:
        case Say(text):
            return {"type": "text", "text": VOICE + text}, "end_turn"
        case ToolUse(id=identity, name=name, arguments=arguments):
            return {"type": "tool_use", "id": identity, "name": name, "input": arguments}, "tool_use"


def _utterances(body: JsonObject) -> Iterator[Utterance]:
    for message in objects(body.get("messages")):
        content = message.get("content")
        if message.get("role") == "assistant":
            if text := text_of(content):
                yield Said(text)
            continue
        for block in objects(content):
            if block.get("type") == "tool_result":
                yield ToolAnswer(str(block.get("tool_use_id")), text_of(block.get("content")))
        if text := text_of(content):
            yield Heard(text)
