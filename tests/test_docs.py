"""What a reader can look up: every name that the program says is explained, and every link leads somewhere."""

import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from gatewright.gates.kinds import KINDS
from gatewright.schemas.arguments import TOOLS
from gatewright.schemas.refusals import RefusalCode
from gatewright.server.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
DECISIONS = DOCS / "decisions"

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^()\s]+)(?:\s+\"[^\"]*\")?\)|!\[[^\]]*\]\(([^()\s]+)\)")
OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
MAKE_COMMAND = re.compile(r"^\s*(?:\$ |step )?make ([a-z][a-z-]*)", re.MULTILINE)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
CITED_DECISION = re.compile(r"docs/(decisions/\d{4}[\w-]*)")


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("tools.md", TOOLS),
        ("gates.md", KINDS),
        ("refusals.md", [code.value for code in RefusalCode]),
        ("command-line.md", COMMANDS),
    ],
    ids=["tools", "gate-kinds", "refusals", "commands"],
)
def test_every_name_has_an_entry_of_its_own_on_its_page(page: str, names: Iterable[str]) -> None:
    """An entry is a heading or the first cell of a table's row: a name in passing explains nothing."""
    known = sorted(names)

    undocumented = [name for name in known if name not in _entries((DOCS / page).read_text("utf-8"))]

    assert known
    assert undocumented == [], f"docs/{page} has no heading or row that opens with `{undocumented[0]}`"


def test_a_name_in_passing_is_no_entry() -> None:
    page = "# Tools\nCall `in_passing` first.\n## `as_heading`\n```\n# `in_code`\n```\n| `in_row` | `in_cell` |\n"

    assert _entries(page) == {"as_heading", "in_row"}


def test_decision_records_are_numbered_without_gaps() -> None:
    numbers = [file.name[:5] for file in sorted(DECISIONS.glob("*.md"))]

    assert numbers == [f"{number:04}-" for number in range(1, len(numbers) + 1)]


def test_every_decision_record_is_linked_from_the_architecture_page() -> None:
    linked = set(_links((DOCS / "architecture.md").read_text("utf-8")))

    assert [file.name for file in sorted(DECISIONS.glob("*.md")) if f"decisions/{file.name}" not in linked] == []


def test_every_relative_link_points_at_a_file_of_the_repository() -> None:
    files = _tracked_files()
    pages = [file for file in files if file.endswith(".md")]

    broken = [
        f"{page}: {link}"
        for page in pages
        for link in _links((ROOT / page).read_text("utf-8"))
        if not _leads_somewhere(page, link, files)
    ]

    assert pages
    assert broken == []


def test_every_decision_that_the_source_cites_exists() -> None:
    cited = {
        (file, decision)
        for file in _tracked_files()
        if file.endswith((".py", ".toml"))
        for decision in CITED_DECISION.findall((ROOT / file).read_text("utf-8"))
    }

    assert cited
    assert [f"{file}: {decision}" for file, decision in sorted(cited) if not list(DOCS.glob(f"{decision}*"))] == []


def test_every_make_target_that_a_page_or_ci_names_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    code = {page: _code((ROOT / page).read_text("utf-8")) for page in _tracked_files() if page.endswith(".md")}
    code[".ci/run"] = (ROOT / ".ci" / "run").read_text("utf-8")

    named = {(page, target) for page, text in code.items() for target in MAKE_COMMAND.findall(text)}

    assert (".ci/run", "test") in named
    assert [f"{page}: make {target}" for page, target in sorted(named) if target not in targets] == []


def _entries(page: str) -> set[str]:
    """Return the names in backquotes that open a heading or a table's row; a heading may hold several."""
    lines = FENCE.sub("", page).splitlines()
    headings = [name for line in lines if line.startswith("#") for name in re.findall(r"`([^`]+)`", line)]
    rows = [match[1] for line in lines if (match := re.match(r"\|\s*`([^`]+)`", line))]
    # A command's entry may show how it is called: `gatewright why CHANGE`.
    return {name.removeprefix("gatewright ").split()[0] for name in (*headings, *rows) if name.strip()}


def _code(page: str) -> str:
    """Return what a page shows as code, each inline piece on a line of its own: "make sure" in a sentence is none."""
    blocks = [match[0] for match in FENCE.finditer(page)]
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", FENCE.sub("", page))])


def _links(page: str) -> Iterator[str]:
    """Yield the targets of Markdown links outside code blocks that stay in the repository, without their anchors."""
    for plain, image in LINK.findall(FENCE.sub("", page)):
        target = (plain or image).partition("#")[0]
        if target and not OUTSIDE.match(target):
            yield target


def _leads_somewhere(page: str, link: str, files: set[str]) -> bool:
    target = (ROOT / page).parent.joinpath(link).resolve()
    if not target.is_relative_to(ROOT):
        return False
    path = str(target.relative_to(ROOT))
    return path in files or any(file.startswith(f"{path}/") for file in files)


def _tracked_files() -> set[str]:
    listing = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split("\0")
    return {name for name in names if (ROOT / name).is_file()}
