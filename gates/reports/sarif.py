"""Read SARIF 2.1.0, the format of many analysers: results of one or several runs. Pure.

A run that says of itself that it went wrong judges nothing. Counted are the files that a run names, or the run itself
where it names none; a list of files that is empty counts nothing.
"""

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
        _check_whole(value, run)
        results = objects_of(value, "results")
        check_number(len(items) + len(results))
        found = [item for item in map(run.item, results) if item is not None]
        items += found
        counted += len(run.files | {item.path for item in found if item.path}) or ("artifacts" not in value)
    return Report(tuple(items), counted)


def _check_whole(value: JsonObject, run: SarifRun) -> None:
    """Refuse a run that failed, or that keeps its results elsewhere."""
    if "externalPropertyFileReferences" in value:
        raise ReportUnreadable("The report keeps parts of itself elsewhere.")
    # A run without `results` is one in which nothing was looked for.
    if not isinstance(value.get("results"), list):
        raise ReportUnreadable("A run of the report has no results, not even an empty list.")
    for invocation in objects_of(value, "invocations"):
        if invocation.get("executionSuccessful") is not True:
            raise ReportUnreadable("A run of the report was not successful.")
        for name in ("toolExecutionNotifications", "toolConfigurationNotifications"):
            for notification in objects_of(invocation, name):
                if notification.get("level") == "error":
                    said = plain_line(run.message(notification, {}), 200)
                    raise ReportUnreadable(f"A run of the report met an error of its own: {said}")
