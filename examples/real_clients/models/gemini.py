"""The Gemini API (`generateContent`, `streamGenerateContent`), as much of it as a client needs that calls tools."""

import json
import re
from collections.abc import Iterator

from conversation import Conversation, Say
from events import JsonObject, data_event, objects, text_of
from hands import Hands, ToolUse, Turn

from models.wire import VOICE, Heard, Said, ToolAnswer, Utterance, conversation_of

_ADDRESS = re.compile(r"/v1(beta)?/models/[^/:]+:(stream)?[gG]enerateContent")


def is_address(path: str) -> bool:
    return _ADDRESS.fullmatch(path) is not None


def is_streamed(path: str, _body: JsonObject) -> bool:
    return ":stream" in path


def read(body: JsonObject, hands: Hands) -> Conversation:
    system = body.get("systemInstruction")
    parts = objects(system.get("parts")) if isinstance(system, dict) else []
    said = [part for content in objects(body.get("contents")) for part in objects(content.get("parts"))]
    told = text_of([*parts, *said])
    return conversation_of(_utterances(body), offers=json.dumps(body.get("tools")), told=told, hands=hands)


def whole(_body: JsonObject, turn: Turn) -> JsonObject:
    candidate = {"content": {"role": "model", "parts": [_part(turn)]}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 100, "candidatesTokenCount": 10, "totalTokenCount": 110}
    return {"candidates": [candidate], "usageMetadata": usage}


def events(body: JsonObject, turn: Turn) -> Iterator[bytes]:
    yield data_event(whole(body, turn))


def _part(turn: Turn) -> JsonObject:
    match turn:
        case Say(text):
            return {"text": VOICE + text}
        case ToolUse(id=identity, name=name, arguments=arguments):
            return {"functionCall": {"id": identity, "name": name, "args": arguments}}


def _utterances(body: JsonObject) -> Iterator[Utterance]:
    for content in objects(body.get("contents")):
        for part in objects(content.get("parts")):
            match part:
                case {"functionResponse": {"id": identity, "response": response}}:
                    yield ToolAnswer(str(identity), _text_of_response(response))
                case {"text": str(text)}:
                    yield Said(text) if content.get("role") == "model" else Heard(text)
                case _:
                    pass


def _text_of_response(response: object) -> str:
    """The client's words: `output`, or `error`, or whatever else it is."""
    match response:
        case {"output": str(text)} | {"error": str(text)}:
            return text
        case _:
            return json.dumps(response)
