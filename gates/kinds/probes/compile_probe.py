"""Compile Python files without running or writing anything.

Standard input: JSON `{"tree": folder, "paths": [relative paths]}`. Standard output: JSON `{"version", "compiled",
"problems": [{"path", "line", "message", "text"}]}`. Run with `-I -S`: nothing of the tree is ever importable here.
"""

from __future__ import annotations

import json
import os
import sys
import warnings

# Beyond this many the file list is told as it is; a tree with more broken files has one problem, not thousands.
PROBLEMS_MAX = 2_000


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
    return None


main()
