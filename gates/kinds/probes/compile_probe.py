"""Compile Python files without running or writing anything.

Standard input: JSON `{"tree": folder, "paths": [relative paths]}`. Standard output: JSON `{"version", "compiled",
"problems": [{"path", "line", "message", "text"}]}`. Run with `-I -S`: nothing of the tree is ever importable here.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import tokenize
import warnings

# Beyond this many the file list is told as it is; a tree with more broken files has one problem, not thousands.
PROBLEMS_MAX = 2_000
PLAIN_ENCODINGS = ("utf-8", "utf-8-sig", "iso-8859-1")
# Embeddings, overrides and isolates of the bidirectional algorithm, as bytes of UTF-8: the rest of their line is shown
# in another order than it runs in, so that a statement is taken for a comment.
TURNING = re.compile(b"\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]")


def main() -> None:
    request = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    problems: list[dict[str, str | int | None]] = []
    compiled = 0
    for path in request["paths"]:
        compiled += 1
        problems += compile_file(request["tree"], path)[: PROBLEMS_MAX - len(problems)]
    version = ".".join(map(str, sys.version_info[:3]))
    json.dump({"version": version, "compiled": compiled, "problems": problems}, sys.stdout)


def compile_file(tree: str, path: str) -> list[dict[str, str | int | None]]:
    with open(os.path.join(tree, path), "rb") as file:
        source = file.read()
    try:
        compile(source, path, "exec", dont_inherit=True)
    except SyntaxError as exc:
        message = f"{type(exc).__name__}: {exc.msg}"
        return [{"path": path, "line": exc.lineno, "message": message, "text": exc.text or ""}]
    except (ValueError, RecursionError, MemoryError, OverflowError) as exc:
        return [{"path": path, "line": None, "message": f"{type(exc).__name__}: {exc}", "text": ""}]
    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    if hides_text(source, encoding):
        message = f"Its encoding {encoding} makes Python run other text than everybody else reads. Save it as UTF-8."
        return [{"path": path, "line": 1, "message": message, "text": ""}]
    return turned_lines(path, source) if TURNING.search(source) else []


def turned_lines(path: str, source: bytes) -> list[dict[str, str | int | None]]:
    """The lines that read otherwise than they run."""
    message = "A bidirectional character makes the line read otherwise than it runs. Write it as an escape (\\u202e)."
    return [
        {"path": path, "line": number, "message": message, "text": line.decode("utf-8", "replace")}
        for number, line in enumerate(source.split(b"\n"), 1)
        if TURNING.search(line)
    ]


def hides_text(source: bytes, encoding: str) -> bool:
    """Whether the encoding makes other ASCII of the bytes than they are, as utf-7 does of `+AAo-`."""
    if encoding in PLAIN_ENCODINGS:
        return False
    try:
        return ascii_of(source.decode(encoding)) != ascii_of(source.decode("latin-1"))
    except ValueError:
        return True


def ascii_of(text: str) -> str:
    return "".join(character for character in text if character < "\x80")


main()
