"""The `document` kind: a Markdown file has its sections, none of them empty, and its requirements have distinct ids.

A document is what its stage makes, so it is judged as it stands and not against the base. A heading inside a code block
is none, and a section that only says TODO is empty.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic import Field, field_validator

from ...schemas.pipeline import GateSpec, Glob, Model
from ...schemas.records import Evidence
from ..contract import Specimen, Spoiled
from ..findings import Judged, Problem, conclude
from ..judging.submission import Submission
from ..paths import substitute
from ..patterns import example_of, read_pattern

DOCUMENT_BYTES_MAX = 2_000_000
REQUIREMENTS = "requirements"

PLACEHOLDER = re.compile(r"\W*(todo|tbd|tba|fixme|xxx|placeholder|lorem ipsum.*|\.{3}|…)?\W*", re.IGNORECASE)


class Options(Model):
    """`path` and `sections`; `ids` is a pattern that must be found in the Requirements section, each id once."""

    path: Glob
    sections: tuple[str, ...] = Field(min_length=1)
    ids: str | None = None

    @field_validator("ids")
    @classmethod
    def _is_a_safe_pattern(cls, value: str | None) -> str | None:
        return None if value is None else checked_ids(value)


@dataclass(slots=True)
class Section:
    """One heading with the text below it, up to the next heading of its level or above."""

    title: str
    line: int
    level: int
    text: list[str] = field(default_factory=list)
    # Where requirements may stand, with the number of each line: the text, and the headings below this one.
    lines: list[tuple[int, str]] = field(default_factory=list)
    has_more: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing stands below the heading, or only a word that says so."""
        return not self.has_more and all(PLACEHOLDER.fullmatch(line) for line in self.text)


class Document:
    """See the module."""

    name = "document"
    unit = "sections"
    is_soft = False
    options = Options

    def about(self, options: Options) -> str:
        """The sections are counted; a wanted id is told with them."""
        wanted = ", ".join(options.sections)
        ids = f"; every requirement has a unique id like {options.ids}" if options.ids else ""
        return f"{options.path} has the sections {wanted}, none of them empty{ids}. Counted: sections."

    def references(self, options: Options) -> tuple[str, ...]:
        """The document is the artifact's own."""
        return ()

    async def check(self, submission: Submission, gate: GateSpec, options: Options) -> Evidence:
        """Read the document from the commit, never from a checkout."""
        job = submission.job
        path = substitute(options.path, change=job.change, stage=job.stage)
        entry = (await submission.entries(job.commit)).get(path)
        if entry is None or entry.mode not in ("100644", "100755"):
            missing = Problem("missing", f"{path} does not exist as a file.", path, satisfy=f"Write {path}.")
            return conclude(gate, Judged(0, self.unit, new=(missing,)))
        data = await submission.read(job.commit, path, DOCUMENT_BYTES_MAX)
        if data is None:
            raise AssertionError(f"{path} is in the tree but cannot be read")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            broken = Problem("encoding", f"{path} is not UTF-8 text.", path, satisfy="Save it as UTF-8.")
            return conclude(gate, Judged(0, self.unit, new=(broken,)))
        return conclude(gate, judge_document(text, path, options))

    def specimen(self, options: Options, tree: Specimen) -> Mapping[str, bytes]:
        """A document with every section; none where the pattern of its ids is too rich to be met by example."""
        text = _sample(options)
        return {} if text is None else {_path(options, tree): text.encode()}

    def spoil(self, options: Options, tree: Specimen) -> Spoiled | None:
        """The same without its first section."""
        first, path = options.sections[0], _path(options, tree)
        text = _sample(options.model_copy(update={"sections": options.sections[1:]}))
        files = {path: text.encode() if text is not None else b"Planted by gatewright doctor.\n"}
        return Spoiled(files, f"{path} without the section '{first}'", mark=first)


KIND = Document()


def checked_ids(pattern: str) -> str:
    """A pattern for ids. Raises ValueError for one that could run for ever or say nothing."""
    if read_pattern(pattern, option="ids").fullmatch(""):
        raise ValueError("ids matches the empty text; write for example R\\d+")
    try:
        declaration(pattern)
    except re.error as exc:
        raise ValueError(f"ids cannot stand in a larger pattern: {exc}") from exc
    return pattern


def declaration(pattern: str) -> re.Pattern[str]:
    """What a line begins with that declares a requirement; group 1 is its id."""
    return re.compile(rf"[\s>*+\-#|(\[`_]*(?:\d+[.)]\s+)?[*_`\[(]*({pattern})(?![\w])")


def requirement_lines(text: str) -> list[tuple[int, str]]:
    """The lines of a Markdown text that may declare requirements: of its sections Requirements, else all of them."""
    required = _requirements(read_sections(text))
    if required:
        return [line for section in required for line in section.lines]
    return list(enumerate(text.splitlines(), 1))


def judge_document(text: str, path: str, options: Options) -> Judged:
    """Look for each wanted section; titles are compared without case, numbering and surrounding signs."""
    sections = read_sections(text)
    problems: list[Problem] = []
    for wanted in options.sections:
        found = [section for section in sections if _plain(section.title) == _plain(wanted)]
        if not found:
            satisfy = f"Add a heading '## {wanted}' with text below it."
            problems.append(Problem("section-missing", f"There is no section '{wanted}'.", path, satisfy=satisfy))
        elif all(section.is_empty for section in found):
            satisfy = f"Write what '{wanted}' should say."
            message = f"The section '{wanted}' is empty."
            problems.append(Problem("section-empty", message, path, found[0].line, satisfy=satisfy))
    problems += _judge_ids(sections, text, path, options.ids) if options.ids else []
    return Judged(len(options.sections), Document.unit, new=tuple(problems))


def read_sections(text: str) -> list[Section]:
    """Every heading of the document in order; `#` and underlined ones, none inside code, quotes or HTML."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    sections: list[Section] = []
    open_sections: list[Section] = []
    for index, token in enumerate(tokens):
        if token.type == "heading_open" and token.level == 0:
            level = int(token.tag[1:])
            section = Section(tokens[index + 1].content, _line(token), level)
            open_sections = [above for above in open_sections if above.level < level]
            for above in open_sections:
                above.lines.append((section.line, section.title))
            open_sections.append(section)
            sections.append(section)
        elif token.type in ("inline", "fence", "code_block") and not _is_heading_text(tokens, index):
            _add_text(open_sections, token)
    return sections


def _path(options: Options, tree: Specimen) -> str:
    return substitute(options.path, change=tree.change, stage=tree.stage)


def _sample(options: Options) -> str | None:
    """A document that this gate must pass; None when no example of an id is known."""
    sections = dict.fromkeys(options.sections, "Planted by gatewright doctor.")
    if options.ids is not None:
        example = example_of(options.ids)
        if example is None:
            return None
        required = next((title for title in sections if _plain(title) == REQUIREMENTS), None)
        sections[required or next(iter(sections), "Other")] = f"- {example} planted by gatewright doctor"
    text = "\n".join(f"## {title}\n\n{body}\n" for title, body in sections.items())
    return text if not judge_document(text, options.path, options).new else None


def _add_text(sections: list[Section], token: Token) -> None:
    # A picture says something too, though it has no text of its own.
    is_picture = any(child.type == "image" for child in token.children or ())
    first = _line(token) + (token.type == "fence")
    lines = [(number, line) for number, line in enumerate(token.content.splitlines(), first) if line.strip()]
    for section in sections:
        section.text.extend(line for _, line in lines)
        section.lines.extend(lines)
        section.has_more = section.has_more or is_picture


def _is_heading_text(tokens: list[Token], index: int) -> bool:
    return index > 0 and tokens[index - 1].type == "heading_open" and tokens[index - 1].level == 0


def _line(token: Token) -> int:
    return token.map[0] + 1 if token.map else 1


def _plain(title: str) -> str:
    return re.sub(r"^[\d.)\s*_`]+|[\s:*_`#.]+$", "", title).casefold()


def _requirements(sections: list[Section]) -> list[Section]:
    return [section for section in sections if _plain(section.title) == REQUIREMENTS]


def _judge_ids(sections: list[Section], text: str, path: str, pattern: str) -> list[Problem]:
    required = _requirements(sections)
    # An id is declared where a line begins with it; elsewhere it may be named as often as one likes.
    declared = declaration(pattern)
    found = Counter(match[1] for _, line in requirement_lines(text) if (match := declared.match(line[:1000])))
    if not found:
        satisfy = f"Begin each requirement with an id that matches {pattern}."
        line = required[0].line if required else None
        return [
            Problem("ids-missing", f"No requirement begins with an id like {pattern}.", path, line, satisfy=satisfy)
        ]
    return [
        Problem("id-repeated", f"The id {name} is given to {count} requirements.", path, satisfy="Number them apart.")
        for name, count in found.items()
        if count > 1
    ]
