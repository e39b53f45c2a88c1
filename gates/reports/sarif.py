"""Read SARIF 2.1.0, the format of many analysers: results of one or several runs. Pure.

A run that says of itself that it went wrong judges nothing, unless it names the file that it stumbled over. Counted
are the files that a run names, or the run itself where it names none; a list of files that is empty counts nothing.
"""

from collections.abc import Sequence

from .hostile_json import JsonObject, as_object, objects_of, read_json
from .reported import Report, Reported, ReportUnreadable, check_number, plain_line
from .sarif_run import SarifRun

VERSION = "2.1.0"


def parse_sarif(data: bytes) -> Report:
    """The results of all runs. Raises `ReportUnreadable`, also when a run was not successful."""
    log = as_object(read_json(data), "The report")
    if log.get("version") != VERSION:
        raise ReportUnreadable(f"The report is no SARIF {VERSION}.")
    runs = objects_of(log, "runs")
    if any("inlineExternalProperties" in owner for owner in (log, *runs)):
        raise ReportUnreadable("The report keeps parts of itself elsewhere.")
    items: list[Reported] = []
    counted = 0
    for value in runs:
        run = SarifRun(value)
        results = _results(value)
        check_number(len(items) + len(results))
        found = [item for item in map(run.item, results) if item is not None]
        found += _errors_of_its_own(value, run)
        items += found
        counted += len(run.files | {item.path for item in found if item.path}) or ("artifacts" not in value)
    return Report(tuple(items), counted)


def _results(run: JsonObject) -> Sequence[JsonObject]:
    if "externalPropertyFileReferences" in run:
        raise ReportUnreadable("The report keeps parts of itself elsewhere.")
    # A run without `results` is one in which nothing was looked for.
    if not isinstance(run.get("results"), list):
        raise ReportUnreadable("A run of the report has no results, not even an empty list.")
    return objects_of(run, "results")


def _errors_of_its_own(value: JsonObject, run: SarifRun) -> list[Reported]:
    """What the tool stumbled over in files of the tree, such as one that does not parse.

    An error that is about no file, or a run that failed without saying over what, is the tool's: `ReportUnreadable`.
    """
    found: list[Reported] = []
    for invocation in objects_of(value, "invocations"):
        errors = [
            notification
            for name in ("toolExecutionNotifications", "toolConfigurationNotifications")
            for notification in objects_of(invocation, name)
            if notification.get("level") == "error"
        ]
        items = [run.notification(error) for error in errors]
        for item in items:
            if item.path is None:
                raise ReportUnreadable(f"A run of the report met an error of its own: {plain_line(item.message, 200)}")
        if invocation.get("executionSuccessful") is not True and not items:
            raise ReportUnreadable("A run of the report was not successful.")
        found += items
    return found
