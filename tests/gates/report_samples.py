"""The least that is a report of each format in JSON."""

import json
from collections.abc import Callable, Mapping

from gatewright.gates.reports import Reported
from gatewright.gates.reports.eslint_json import parse_eslint
from gatewright.gates.reports.own_json import parse_own
from gatewright.gates.reports.reported import Report
from gatewright.gates.reports.ruff_json import parse_ruff
from gatewright.gates.reports.sarif import parse_sarif

PARSERS: Mapping[str, Callable[[bytes], Report]] = {
    "eslint": parse_eslint,
    "gatewright": parse_own,
    "ruff": parse_ruff,
    "sarif": parse_sarif,
}
ENTRY = {"filename": "/t/a.py", "code": "F401", "message": "unused", "location": {"row": 1, "column": 8}}
RESULT = {"ruleId": "R1", "level": "error", "message": {"text": "bad"}}
FILE = {"filePath": "/t/a.js", "messages": [], "errorCount": 0}
MESSAGE = {"ruleId": "no-undef", "severity": 2, "message": "'b' is not defined.", "line": 2, "column": 13}
PAGE = {"version": 1, "finished": True, "counted": 3, "unit": "files", "findings": []}


def dump(value: object) -> bytes:
    return json.dumps(value).encode()


def sarif(*results: object, **run: object) -> bytes:
    tool = {"driver": {"name": "tool"}}
    return dump({"version": "2.1.0", "runs": [{"tool": tool, "results": list(results), **run}]})


def item(*results: object, **run: object) -> Reported:
    (found,) = parse_sarif(sarif(*results, **run)).items
    return found


def located(uri: str, line: int | None = None, **location: object) -> dict[str, object]:
    region = {} if line is None else {"region": {"startLine": line}}
    return {"physicalLocation": {"artifactLocation": {"uri": uri, **location}, **region}}
