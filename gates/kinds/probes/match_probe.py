"""Look in each line of a text for a pattern; a process of its own, so that a pattern that takes too long can be ended.

Standard input: a line of JSON `{"pattern", "line_chars_max", "found_max"}`, then the text. Standard output: JSON, a
list with the named groups of the first match of every line that has one; one more than `found_max` where there are
more.
"""

from __future__ import annotations

import json
import re
import sys


def main() -> None:
    request = json.loads(sys.stdin.buffer.readline())
    pattern = re.compile(request["pattern"])
    found: list[dict[str, str | None]] = []
    for line in sys.stdin.buffer:
        match = pattern.search(line.decode("utf-8", "replace").rstrip("\n")[: request["line_chars_max"]])
        if match is not None:
            found.append({"": match[0], **match.groupdict()})
        if len(found) > request["found_max"]:
            break
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
