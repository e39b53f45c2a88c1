"""A reply as text for clients that show the model nothing else: the headline, then every field, `next` last.

Complete by construction: it walks the same values that go out as structured content.
"""

from collections.abc import Iterator, Mapping, Sequence

from .refusals import Refusal
from .replies import Reply

INDENT = "  "


def text_of(reply: Reply) -> str:
    """The whole reply as plain text; empty fields are left out."""
    return text_of_fields(reply.headline(), reply.model_dump(mode="json"))


def text_of_fields(headline: str, fields: Mapping[str, object], *, is_dense: bool = False) -> str:
    """`text_of` a reply whose fields are there already as JSON values.

    A dense text has each value on one line: for values that are little else than line breaks, which take room here.
    """
    others = {name: value for name, value in fields.items() if name != "next"}
    first = _told(headline, INDENT, is_dense=is_dense)
    lines = [first, *_lines(others, is_dense=is_dense, headline=headline), f"next: {fields['next']}"]
    return "\n".join(lines)


def text_of_refusal(refusal: Refusal) -> str:
    """`code: sentence`, then what to do."""
    return f"{refusal.code}: {_told(refusal.message, INDENT, is_dense=False)}\nnext: {refusal.next}"


def _lines(
    fields: Mapping[str, object], indent: str = "", *, is_dense: bool, headline: str | None = None
) -> Iterator[str]:
    for name, value in fields.items():
        if value is None or value in ("", [], {}) or value == headline:
            continue
        match value:
            case dict():
                yield f"{indent}{name}:"
                yield from _lines(value, indent + INDENT, is_dense=is_dense)
            case list():
                yield from _listed(name, value, indent, is_dense=is_dense)
            case str() if "\n" in value and not is_dense:
                yield f"{indent}{name}:"
                yield from (f"{indent}{INDENT}{line}" if line else "" for line in value.splitlines())
            case _:
                yield f"{indent}{name}: {_told(value, indent, is_dense=is_dense)}"


def _listed(name: str, values: Sequence[object], indent: str, *, is_dense: bool) -> Iterator[str]:
    if all(isinstance(value, str) and "\n" not in value for value in values) and len(values) <= 3:
        yield f"{indent}{name}: {', '.join(map(str, values))}"
        return
    yield f"{indent}{name}:"
    for value in values:
        nested: dict[str, object] = {}
        if isinstance(value, dict):
            told = {key: part for key, part in value.items() if part not in (None, "", [], {})}
            nested = {key: part for key, part in told.items() if _holds_records(part)}
            item = "; ".join(f"{key}: {_inline(part)}" for key, part in told.items() if key not in nested)
        else:
            item = str(value)
        yield f"{indent}- {_told(item, f'{indent}{INDENT}{INDENT}', is_dense=is_dense)}"
        yield from _lines(nested, indent + INDENT, is_dense=is_dense)


def _told(value: object, indent: str, *, is_dense: bool) -> str:
    """What a program printed must not read as a line of ours."""
    return str(value).replace("\n", " " if is_dense else f"\n{indent}")


def _inline(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _holds_records(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(part, dict) for part in value)
