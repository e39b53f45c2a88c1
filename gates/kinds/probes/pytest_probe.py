"""Run pytest and write down what it does, one JSON object a line, into a file that nobody else names.

Standard input: JSON `{"tree", "report", "sys_path", "plugins", "arguments"}`. Lines of the report:
`{"pytest": version}`, `{"missing": sentence}`, `{"collected": [ids], "doctests": [files]}`,
`{"broken": file, "path", "line", "message"}`, `{"started": id}`,
`{"id", "when", "outcome", "is_expected", "path", "line", "message"}`, and at the end `{"finished": exit status}`.
Started with `-I`: pytest and its plug-ins are imported before the tree becomes importable.
"""

from __future__ import annotations

import json
import os
import re
import sys
from importlib import import_module

# The objects of whichever pytest the project has: nothing of them is known here.
from typing import Any

MESSAGE_CHARS_MAX = 2_000
PRINTED_CHARS_MAX = 500
# An assertion in a module that pytest does not rewrite.
SAYS_NOTHING = ("AssertionError", "AssertionError:", "assert False")
PLACE = re.compile(r"^(\S.*?):(\d+): |^E\s+File \"(.+?)\", line (\d+)", re.MULTILINE)


class Report:
    """Lines are written at once and by this process alone: a test that forks does not write them twice."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._process = os.getpid()

    def write(self, **line: object) -> None:
        if os.getpid() == self._process:
            os.write(self._file, json.dumps(line).encode() + b"\n")


class Recorder:
    """A pytest plug-in: what is collected, what fails where, what ends how."""

    def __init__(self, tree: str, report: Report, importable: list[str]) -> None:
        self._importable = importable
        self._tree = os.path.realpath(tree) + os.sep
        self._report = report

    def pytest_load_initial_conftests(self) -> None:
        # Not earlier: a file of the tree that is named like a plug-in would be loaded in its place.
        sys.path[:0] = self._importable

    def pytest_runtest_makereport(self, item: Any, call: Any) -> Any:
        made = yield
        if call.excinfo is not None:
            made.get_result().gatewright_place = self._place_of(call.excinfo, str(getattr(item, "path", "")))

    def pytest_collection_finish(self, session: Any) -> None:
        doctests = {item.nodeid.split("::")[0] for item in session.items if type(item).__name__ == "DoctestItem"}
        self._report.write(collected=[item.nodeid for item in session.items], doctests=sorted(doctests))

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            text = str(report.longrepr)
            path, line = self._place_in_text(text)
            said = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
            message = said[-1] if said else text.strip()[-MESSAGE_CHARS_MAX:]
            self._report.write(broken=report.nodeid, path=path, line=line, message=message[:MESSAGE_CHARS_MAX])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._report.write(started=nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when != "call" and report.passed:
            return
        path, line = getattr(report, "gatewright_place", (None, None))
        if path is None and report.failed:
            path, line = report.location[0], (report.location[1] or 0) + 1
        self._report.write(
            id=report.nodeid,
            when=report.when,
            outcome=report.outcome,
            is_expected=hasattr(report, "wasxfail"),
            path=path,
            line=line,
            message=_message(report) if report.failed else "",
        )

    def _place_of(self, excinfo: Any, test_file: str) -> tuple[str | None, int | None]:
        """The innermost line of the traceback that lies in the project.

        For a broken assertion that of the test's own file: tests share helpers that compare, whose line tells nothing.
        """
        entries = [(os.path.realpath(str(entry.path)), entry.lineno + 1) for entry in reversed(excinfo.traceback)]
        inside = [(path, line) for path, line in entries if self._is_inside(path)]
        if excinfo.errisinstance(AssertionError):
            inside = [entry for entry in inside if entry[0] == os.path.realpath(test_file)] or inside
        return (inside[0][0][len(self._tree) :], inside[0][1]) if inside else (None, None)

    def _place_in_text(self, text: str) -> tuple[str | None, int | None]:
        for found in reversed(list(PLACE.finditer(text))):
            path = os.path.realpath(os.path.join(self._tree, found[1] or found[3]))
            if self._is_inside(path):
                return path[len(self._tree) :], int(found[2] or found[4])
        return None, None

    def _is_inside(self, path: str) -> bool:
        return path.startswith(self._tree) and "site-packages" not in path


def _message(report: Any) -> str:
    """What the exception says; what the test printed where it says nothing."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    if text.strip() in SAYS_NOTHING:
        printed = "\n".join(content.strip() for title, content in report.sections if "stdout" in title)
        text = f"{text.strip()}: it printed {printed[-PRINTED_CHARS_MAX:]}" if printed else text
    return text[:MESSAGE_CHARS_MAX]


def main() -> int:
    request = json.load(sys.stdin)
    report = Report(request["report"])
    try:
        pytest: Any = import_module("pytest")
    except ImportError as exc:
        report.write(missing=f"pytest cannot be imported by {sys.executable}: {exc}.")
        return 4
    report.write(pytest=pytest.__version__)
    arguments = []
    for name in request["plugins"]:
        plugin = find_plugin(name)
        if plugin is None:
            report.write(missing=f"The pytest plug-in '{name}' is not installed for {sys.executable}.")
            return 4
        arguments += ["-p", plugin]
    pytest.hookimpl(tryfirst=True)(Recorder.pytest_load_initial_conftests)
    pytest.hookimpl(hookwrapper=True)(Recorder.pytest_runtest_makereport)
    recorder = Recorder(request["tree"], report, request["sys_path"])
    sys.argv = ["pytest"]
    status = int(pytest.main([*arguments, *request["arguments"]], plugins=[recorder]))
    report.write(finished=status)
    return status


def find_plugin(name: str) -> str | None:
    """What `-p` calls the plug-in of this distribution, entry point or module; None if there is none."""
    from importlib import metadata, util

    def plain(text: str) -> str:
        return re.sub(r"[-_.]+", "-", text).lower()

    for distribution in metadata.distributions():
        for entry in distribution.entry_points:
            own = (plain(distribution.metadata["Name"] or ""), plain(entry.name), plain(entry.value.split(":")[0]))
            if entry.group == "pytest11" and plain(name) in own:
                return entry.name
    try:
        return name if util.find_spec(name) else None
    except (ImportError, ValueError):
        return None


if __name__ == "__main__":
    sys.exit(main())
