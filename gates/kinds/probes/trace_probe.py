"""Look for ids in texts, in a process that can be ended: a pattern may take for ever on a text.

Standard input: JSON `{"declaration": pattern, "name": pattern, "lines": [texts], "texts": [texts]}`; group 1 of each
pattern is an id. Standard output: JSON `{"declared": [id or null for each line], "named": [[[id, line], ...] for each
text]}`, each id of a text once, with the first line that names it. Run with `-I -S`.
"""

from __future__ import annotations

import json
import re
import sys

DECLARING_CHARS_MAX = 1000


def main() -> None:
    request = json.load(sys.stdin)
    declaration, name = re.compile(request["declaration"]), re.compile(request["name"])
    declared = []
    for line in request["lines"]:
        found = declaration.match(line[:DECLARING_CHARS_MAX])
        declared.append(found[1] if found else None)
    json.dump({"declared": declared, "named": [named_in(text, name) for text in request["texts"]]}, sys.stdout)


def named_in(text: str, name: re.Pattern[str]) -> list[tuple[str, int]]:
    first: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        for found in name.finditer(line):
            first.setdefault(found[1], number)
    return list(first.items())


main()
