"""The OpenAI Responses API, as much of it as a client needs that streams and offers an MCP server as a namespace."""

import json
from collections.abc import Iterator

from conversation import Conversation, Say
from events import JsonObject, named_event, objects, text_of
from hands import Hands, ToolUse, Turn

from models.wire import VOICE, Heard, Said, ToolAnswer, Utterance, conversation_of


def is_address(path: str) -> bool:
    return path == "/v1/responses"


def is_streamed(_path: str, body: JsonObject) -> bool:
    return bool(body.get("stream"))


def read(body: JsonObject, hands: Hands) -> Conversation:
    namespaces = [tool for tool in objects(body.get("tools")) if tool.get("name") == hands.namespace]
    names = [str(tool.get("name")) for namespace in namespaces for tool in objects(namespace.get("tools"))]
    # The server's instructions are the namespace's description.
    told = "\n".join(str(namespace.get("description")) for namespace in namespaces)
    conversation = conversation_of(_utterances(body), offers="", told=told, hands=hands)
    return Conversation(frozenset(names), told, conversation.received, conversation.searched)


def whole(body: JsonObject, turn: Turn) -> JsonObject:
    return {
        "id": "resp_scripted",
        "object": "response",
        "status": "completed",
        "model": body.get("model"),
        "output": [_item(turn)],
        "usage": {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110},
    }


def events(body: JsonObject, turn: Turn) -> Iterator[bytes]:
    response = whole(body, turn)
    [item] = objects(response["output"])
    yield named_event({"type": "response.created", "response": {**response, "status": "in_progress", "output": []}})
    yield named_event({"type": "response.output_item.added", "output_index": 0, "item": item})
    yield named_event({"type": "response.output_item.done", "output_index": 0, "item": item})
    yield named_event({"type": "response.completed", "response": response})


def _item(turn: Turn) -> JsonObject:
    match turn:
        case Say(text):
            content = [{"type": "output_text", "text": VOICE + text, "annotations": []}]
            return {"type": "message", "id": "msg_scripted", "role": "assistant", "content": content}
        case ToolUse(id=identity, name=name, arguments=arguments, namespace=namespace):
            call: JsonObject = {"type": "function_call", "id": f"fc_{identity}", "call_id": identity, "name": name}
            where = {"namespace": namespace} if namespace else {}
            return {**call, **where, "arguments": json.dumps(arguments)}


def _utterances(body: JsonObject) -> Iterator[Utterance]:
    for item in objects(body.get("input")):
        if item.get("type") == "function_call_output":
            yield ToolAnswer(str(item.get("call_id")), text_of(item.get("output")))
        elif item.get("role") == "assistant":
            yield Said(text_of(item.get("content")))
        elif item.get("role") == "user":
            yield Heard(text_of(item.get("content")))
