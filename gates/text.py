"""Text that programs printed, made safe and short for agents, terminals and the ledger. Pure.

What a program prints is untrusted: control sequences repaint a terminal, bidirectional overrides make a line read
backwards, and invisible "tag" letters carry instructions to a model that no person sees. All of them are taken out.
"""

import re
from collections.abc import Sequence

from ..schemas.counted import number_of as number_of  # noqa: PLC0414  # told on: texts are made here

LAST_LINES = 20
_ESCAPE_SEQUENCE = re.compile(
    "\x1b\\[[0-?]{0,64}[ -/]{0,16}[@-~]"  # CSI: colours, cursor movements
    "|\x9b[0-?]{0,64}[ -/]{0,16}[@-~]"  # the same, introduced by one 8-bit character
    "|\x1b\\][^\x07\x1b\n]{0,4096}(?:\x07|\x1b\\\\)"  # OSC: titles, hyperlinks, clipboard
    "|\x1b[PX^_][^\x1b\n]{0,4096}\x1b\\\\"  # DCS, SOS, PM, APC
    "|\x1b[ -/]{0,16}[0-~]"  # two-character sequences
)
_LINE_END = re.compile("\r\n?|[\u2028\u2029]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 except tab and newline, DEL, C1
    "\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # direction, zero width, annotation
    "\U000e0000-\U000e01ef]"  # tags and supplementary variation selectors
)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def clean_text(text: str) -> str:
    """Return `text` without control sequences and invisible characters; tabs stay, every line end becomes a newline.

    The text of an unfinished sequence is kept, so nobody can hide output behind an escape that never ends.
    """
    if text.isprintable():
        return text
    text = _LINE_END.sub("\n", _ESCAPE_SEQUENCE.sub("", text))
    return _LONE_SURROGATE.sub("\ufffd", _INVISIBLE.sub("", text))


def head_and_tail(head: bytes, tail: bytes, bytes_left_out: int) -> str:
    """Return both ends of an output as clean text, with a line between them that says how much is missing."""
    if not bytes_left_out:
        return clean_text((head + tail).decode("utf-8", "replace"))
    # A character that the cut went through would show as a replacement character that nobody printed.
    first = clean_text(_without_cut_end(head).decode("utf-8", "replace"))
    last = clean_text(tail[_cut_start(tail) :].decode("utf-8", "replace"))
    return f"{first}\n... {bytes_left_out} bytes left out ...\n{last}"


def shorten(text: str, chars_max: int) -> str:
    """Return `text` in at most `chars_max` characters (3 or more), the end replaced by dots when it is longer."""
    return text if len(text) <= chars_max else text[: chars_max - 3] + "..."


def last_lines(output: str) -> str:
    """The end of what a program printed, where it says as a rule why it failed."""
    return "\n".join(output.strip().splitlines()[-LAST_LINES:])


def some_of(names: Sequence[str], names_max: int) -> str:
    """`a, b and 3 more`: the first `names_max` of the names, and how many there are besides."""
    more = f" and {len(names) - names_max} more" if len(names) > names_max else ""
    return ", ".join(names[:names_max]) + more


def _cut_start(tail: bytes) -> int:
    continuation = 0
    while continuation < min(3, len(tail)) and tail[continuation] & 0xC0 == 0x80:
        continuation += 1
    return continuation


def _without_cut_end(head: bytes) -> bytes:
    for back in range(1, min(4, len(head)) + 1):
        lead = head[-back]
        if lead & 0xC0 == 0x80:
            continue
        length = 4 if lead >= 0xF0 else 3 if lead >= 0xE0 else 2 if lead >= 0xC0 else 1
        return head[:-back] if length > back else head
    return head
