"""Tell in which statements lines of Python files stand, whatever their layout, without running anything.

Standard input: JSON `{"tree": folder, "lines": {relative path: [line, ...]}}`. Standard output: JSON `{"statements":
{path: {line: digest}}}`. Lines outside statements, and files that cannot be taken apart, are left out. Run with `-I
-S`.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import io
import json
import os
import sys
import tokenize
import warnings
from typing import Any

# Taking a file apart costs a hundred times its size in memory.
FILE_BYTES_MAX = 4_000_000
# What stands below a header.
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")

# A node of a tree: what it has depends on its class, and which classes there are on the Python.
Node = Any


def main() -> None:
    request = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    places: dict[str, set[tuple[int, int]]] = {}
    for path, line, column in request["places"]:
        places.setdefault(path, set()).add((line, column))
    found = {path: statements(os.path.join(request["tree"], path), of_file) for path, of_file in places.items()}
    digests = [found[path].get((line, column), "") for path, line, column in request["places"]]
    json.dump({"statements": digests}, sys.stdout)


def statements(path: str, places: set[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """The digest of what each place stands in; empty for a file that cannot be taken apart."""
    with open(path, "rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        return {}
    try:
        # As ruff reads it: a declared encoding must not make other statements of the text.
        source = io.StringIO(data.decode("utf-8-sig"), newline=None).read()
        nodes = covering(ast.parse(source), {line for line, _ in places})
        lines = source.split("\n")
        found = {
            (line, column): meant(nodes[line], line, len(lines[line - 1][: column - 1].encode()))
            for line, column in places
            if line in nodes
        }
        return digests(found, comments_of(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError, AttributeError, tokenize.TokenError):
        return {}


def covering(module: ast.Module, lines: set[int]) -> dict[int, list[Node]]:
    """All statements that a line is a part of, in order."""
    found: dict[int, list[Node]] = {}
    for node in ast.walk(module):
        if isinstance(node, (ast.stmt, ast.ExceptHandler)) or is_case(node):
            for line in lines.intersection(extent(node)):
                found.setdefault(line, []).append(node)
    return found


def meant(nodes: list[Node], line: int, offset: int) -> list[Node]:
    """The one of them, or the header, that has this byte of the line; all where none has it, as beyond the last one."""
    inside = [node for node in nodes if start(node) <= (line, offset) < end(node)]
    return inside if len(inside) == 1 else nodes


def digests(found: dict[tuple[int, int], list[Node]], comments: dict[int, str]) -> dict[tuple[int, int], str]:
    """Digests of the statements at each place and of the comments on their lines, which are no layout."""
    made: dict[int, str] = {}
    for node in {id(node): node for nodes in found.values() for node in nodes}.values():
        said = [comments[line] for line in extent(node) if line in comments]
        text = repr([type(node).__name__, ast.unparse(header_of(node)), said])
        made[id(node)] = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return {place: " ".join(made[id(node)] for node in nodes) for place, nodes in found.items()}


def extent(node: Node) -> range:
    """The lines of a statement; of a compound one those above what stands below its header."""
    first, blocks = start(node)[0], blocks_of(node)
    if not blocks:
        return range(first, node.end_lineno + 1)
    below = min(map(start, blocks))[0]
    # Its body may begin on the line on which the header ends.
    header = header_of(node)
    ends = [getattr(part, "end_lineno", 0) for part in ast.walk(header) if part is not header]
    return range(first, max(first, below - 1, *ends) + 1)


def start(node: Node) -> tuple[int, int]:
    own = node.pattern if is_case(node) else node
    return min((part.lineno, part.col_offset) for part in (own, *getattr(node, "decorator_list", ())))


def end(node: Node) -> tuple[int, int]:
    """Just after the statement, or where what stands below its header begins."""
    return min(
        map(start, blocks_of(node)), default=(getattr(node, "end_lineno", 0), getattr(node, "end_col_offset", 0))
    )


def blocks_of(node: Node) -> list[Node]:
    return [part for name in BLOCKS for part in getattr(node, name, ())]


def is_case(node: Node) -> bool:
    """A case of `match` has no place of its own, only its pattern has."""
    return hasattr(node, "pattern") and hasattr(node, "body")


def header_of(node: Node) -> Node:
    """The node without its blocks; a statement that has none as it is."""
    header = copy.copy(node)
    for name in BLOCKS:
        if isinstance(getattr(header, name, None), list):
            setattr(header, name, [])
    return header


def comments_of(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: " ".join(token.string.lstrip("#").split()) for token in tokens if token.type == tokenize.COMMENT
    }


main()
