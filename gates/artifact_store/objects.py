"""What objects are: their ids, the items of trees, and what is wrong with an artifact."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

TREE = "040000"
FILE = "100644"
EXECUTABLE = "100755"
LINK = "120000"
SUBMODULE = "160000"

OBJECT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class BadArtifact(Exception):
    """A commit, tree or path that is refused; `str()` is one sentence that says what is wrong with it."""


class TooLarge(BadArtifact):
    """It is refused because a bound was reached, which the sentence names."""


def checked_id(text: str) -> str:
    """Return `text` when it is a full lower-case object id; raise `BadArtifact` otherwise. No git call is made."""
    if not OBJECT_ID.fullmatch(text):
        raise BadArtifact(f"{text[:80]!r} is not a full commit id. Give all 40 (or 64) lower-case hexadecimal digits.")
    return text


@dataclass(frozen=True, slots=True)
class TreeItem:
    """One line of one tree object. `mode` has six octal digits; `name` is UTF-8, has no slash and is no `.` or `..`."""

    name: str
    mode: str
    oid: str


def parse_tree(content: bytes, *, oid_bytes: int) -> Iterator[TreeItem]:
    """The items of a tree object, whose ids have so many bytes; raises `BadArtifact` for what is none."""
    position = 0
    while position < len(content):
        try:
            name_end = content.index(b"\0", position)
            mode, name = content[position:name_end].split(b" ", 1)
            digits = int(mode, 8)
        except ValueError as exc:
            raise BadArtifact("A tree object of the commit cannot be parsed.") from exc
        position = name_end + 1 + oid_bytes
        oid = content[name_end + 1 : position].hex()
        if len(oid) != 2 * oid_bytes:
            raise BadArtifact("A tree object of the commit ends early.")
        yield TreeItem(_checked_name(name), f"{digits:06o}", oid)


def _checked_name(name: bytes) -> str:
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise BadArtifact(f"The file name {name!r} is not UTF-8.") from exc
    if text in ("", ".", "..") or "/" in text:
        raise BadArtifact(f"A folder of the commit has an entry named {text!r}.")
    return text
