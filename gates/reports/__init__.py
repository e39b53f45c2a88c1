"""What programs report, as plain values; one reader a format, all of them pure.

Reports are written by programs that run the artifact, so they are hostile input: bounded size, depth and number, clean
text, no expression that could take more than linear time, and whole or not at all.

    reported      what every reader gives: items and a count
    junit         JUnit XML (junit_xml: the document itself)
    lines         `path:line: message` (matched: lines that a pattern of the policy describes)
    hostile_json  JSON that nobody vouches for
    sarif         SARIF 2.1.0 (sarif_run: one run of it)
    ruff_json     what ruff prints with `--output-format json`
    eslint_json   what eslint prints with `--format json`
    own_json      the one page of docs/reports.md
    review_json   what a program that reviews answers
"""

from .junit import TestCase, parse_junit
from .reported import Reported, ReportUnreadable

__all__ = ["ReportUnreadable", "Reported", "TestCase", "parse_junit"]
