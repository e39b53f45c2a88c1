"""The OpenAI Chat Completions API, as much of it as clients need, with tools or without, streaming or not."""

import json
from collections.abc import Iterator

from conversation import Conversation, Say
from events import JsonObject, data_event, objects, text_of
from hands import Hands, ToolUse, Turn

from models.wire import VOICE, Heard, Said, ToolAnswer, Utterance, conversation_of

USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}


def is_address(path: str) -> bool:
    return path == "/v1/chat/completions"


def is_streamed(_path: str, body: JsonObject) -> bool:
    return bool(body.get("stream"))


def read(body: JsonObject, hands: Hands) -> Conversation:
    said = [message for message in objects(body.get("messages")) if message.get("role") in {"system", "user"}]
    told = "\n".join(text_of(message.get("content")) for message in said)
    return conversation_of(_utterances(body), offers=f"{json.dumps(body.get('tools'))}\n{told}", told=told, hands=hands)


def whole(body: JsonObject, turn: Turn) -> JsonObject:
    message, reason = _message(turn)
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {**_head(body, "chat.completion"), "choices": [choice], "usage": USAGE}


def events(body: JsonObject, turn: Turn) -> Iterator[bytes]:
    message, reason = _message(turn)
    head = _head(body, "chat.completion.chunk")
    yield data_event({**head, "choices": [{"index": 0, "delta": message, "finish_reason": None}]})
    yield data_event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": USAGE})
    yield b"data: [DONE]\n\n"


def _head(body: JsonObject, kind: str) -> JsonObject:
    return {"id": "chat_scripted", "object": kind, "created": 0, "model": body.get("model")}


def _message(turn: Turn) -> tuple[JsonObject, str]:
    match turn:
        case Say(text):
            return {"role": "assistant", "content": VOICE + text}, "stop"
        case ToolUse(id=identity, name=name, arguments=arguments):
            function = {"name": name, "arguments": json.dumps(arguments)}
            call = {"index": 0, "id": identity, "type": "function", "function": function}
            return {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"


def _utterances(body: JsonObject) -> Iterator[Utterance]:
    for message in objects(body.get("messages")):
        text = text_of(message.get("content"))
        match message.get("role"):
            case "tool":
                yield ToolAnswer(str(message.get("tool_call_id")), text)
            case "assistant" if text:
                yield Said(text)
            case "user":
                yield Heard(text)
            case _:
                pass
