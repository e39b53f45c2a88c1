"""Small things that all wire formats need."""

import json

JsonObject = dict[str, object]


def objects(value: object) -> list[JsonObject]:
    """The objects of a JSON array; none when it is no array."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text_of(content: object) -> str:
    """The text of a message's content, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    return "\n".join(str(part["text"]) for part in objects(content) if "text" in part)


def named_event(event: JsonObject) -> bytes:
    """One event of a text/event-stream, named by its type."""
    return f"event: {event['type']}\n".encode() + data_event(event)


def data_event(event: JsonObject) -> bytes:
    """One event of a text/event-stream, without a name."""
    return f"data: {json.dumps(event)}\n\n".encode()
