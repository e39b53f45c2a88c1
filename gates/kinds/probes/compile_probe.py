"""Compile Python files without running or writing anything.

Standard input: JSON `{"tree": folder, "paths": [relative paths]}`. Standard output: JSON `{"version", "compiled",
"problems": [{"path", "line", "message", "text"}]}`. Run with `-I -S`: nothing of the tree is ever importable here.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tokenize
import warnings

# Beyond this many the file list is told as it is; a tree with more broken files has one problem, not thousands.
PROBLEMS_MAX = 2_000
PLAIN_ENCODINGS = ("utf-8", "utf-8-sig", "iso-8859-1")


def main() -> None:
    request = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    problems: list[dict[str, str | int | None]] = []
    compiled = 0
    for path in request["paths"]:
        compiled += 1
        problem = compile_file(request["tree"], path)
        if problem is not None and len(problems) < PROBLEMS_MAX:
            problems.append(problem)
    version = ".".join(map(str, sys.version_info[:3]))
    json.dump({"version": version, "compiled": compiled, "problems": problems}, sys.stdout)


def compile_file(tree: str, path: str) -> dict[str, str | int | None] | None:
    with open(os.path.join(tree, path), "rb") as file:
        source = file.read()
    try:
        compile(source, path, "exec", dont_inherit=True)
    except SyntaxError as exc:
        return {"path": path, "line": exc.lineno, "message": f"{type(exc).__name__}: {exc.msg}", "text": exc.text or ""}
    except (ValueError, RecursionError, MemoryError, OverflowError) as exc:
        return {"path": path, "line": None, "message": f"{type(exc).__name__}: {exc}", "text": ""}
    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    if hides_text(source, encoding):
        message = f"Its encoding {encoding} makes Python run other text than everybody else reads. Save it as UTF-8."
        return {"path": path, "line": 1, "message": message, "text": ""}
    return None


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
