"""The `document` gate: sections that say something, and requirements with ids of their own."""

from pathlib import Path

import pytest

from gatewright.gates.kinds.document import Options, judge_document
from gatewright.schemas.records import Outcome

from .workbench import Project

GOOD = "# Plan\n\n## Goal\n\nA thing.\n\n## Requirements\n\n- R1: it works\n- R2: it is fast, unlike R1\n"


def judge(text: str, sections: tuple[str, ...] = ("Goal", "Requirements"), ids: str | None = "R\\d+") -> list[str]:
    options = Options(path="plan.md", sections=sections, ids=ids)
    return [f"{p.rule} {p.line or ''}".strip() for p in judge_document(text, "plan.md", options).new]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (GOOD, []),
        ("Goal\n====\n\nA.\n\nRequirements\n------------\n\nR1 works\n", []),
        ("# 1. Goal:\nA.\n# 2) **Requirements**\n* **R1** works\n", []),
        ("## Goal\n\n### Why\n\nBecause.\n\n## Requirements\n\n1. R1\n", []),
        ("## Goal\n\n```\ncode\n```\n\n## Requirements\n\n| R1 | x |\n", []),
        (GOOD.replace("A thing.", ""), ["section-empty 3"]),
        (GOOD.replace("A thing.", "TODO"), ["section-empty 3"]),
        (GOOD.replace("A thing.", "- [ ] TBD\n- ..."), ["section-empty 3"]),
        (GOOD.replace("A thing.", "<!-- say something -->"), ["section-empty 3"]),
        (GOOD.replace("A thing.", "### Why"), ["section-empty 3"]),
        (GOOD.replace("## Goal", "```\n## Goal\n```"), ["section-missing"]),
        (GOOD.replace("## Goal", "> ## Goal"), ["section-missing"]),
        (GOOD.replace("## Goal", "<div>\n## Goal\n</div>\n"), ["section-missing"]),
        (GOOD.replace("R2:", "R1:"), ["id-repeated"]),
        (GOOD.replace("- R1: it works\n- R2: it is fast, unlike R1", "### R1: it works\n\nNow."), []),
        (GOOD.replace("- R1: it works\n- R2: it is fast, unlike R1", "It works."), ["ids-missing 7"]),
        ("", ["section-missing", "section-missing", "ids-missing"]),
    ],
)
def test_sections_and_ids(text: str, problems: list[str]) -> None:
    assert judge(text) == problems


@pytest.mark.parametrize("pattern", ["(", "R\\d*|", "(a+)+b", "(?i)R\\d+"])
def test_a_pattern_that_is_broken_or_could_run_for_ever_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="ids"):
        Options(path="plan.md", sections=("Goal",), ids=pattern)


def test_the_document_of_this_change_is_read_from_the_commit(tmp_path: Path) -> None:
    gate = {"document": {"path": "docs/{change}.md", "sections": ["Goal"]}}
    project = Project(tmp_path, [gate])

    good = project.judge(project.commit({"docs/c1.md": GOOD}))["document"]
    other = project.judge(project.commit({"docs/c2.md": GOOD, "docs/c1.md": None}))["document"]
    binary = project.judge(project.commit({"docs/c1.md": b"# Goal\n\xff\n"}))["document"]

    assert (good.outcome, good.counted, good.unit) == (Outcome.PASSED, 1, "sections")
    assert [(f.path, f.rule) for f in other.findings] == [("docs/c1.md", "missing")]
    assert [f.rule for f in binary.findings] == ["encoding"]
