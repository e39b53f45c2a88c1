"""The `trace` kind: every requirement that an earlier stage declared is named in the given files, and no other is.

Declared is what stands in the documents of the stage `from`, where this stage found them and as it leaves them, so that
nobody drops a requirement on the way. Naming counts on lines that the base does not have: ids start anew with every
plan, and what the tests of an older change name says nothing about this one. Only a requirement that the base has
already may be named on an old line.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread
from pydantic import Field, field_validator

from ...schemas.pipeline import PIPELINE_FILE, Duration, GateSpec, Glob, Model, Name, Pipeline
from ...schemas.records import Evidence
from ..contract import CannotJudge, Specimen, Spoiled
from ..findings import Judged, Problem, conclude
from ..objects import EXECUTABLE, FILE
from ..paths import matches, substitute
from ..patterns import example_of
from ..pipeline_file import parse_pipeline
from ..planting import path_in
from ..process import judge_exit
from ..submission import Submission
from ..walk import TreeEntry
from .document import Document, checked_ids, declaration, requirement_lines

PROBE = Path(__file__).parent / "probes" / "trace_probe.py"
TIMEOUT_S = 60.0
FILE_BYTES_MAX = 2_000_000
TEXT_BYTES_MAX = 60_000_000
REPORT_BYTES_MAX = 50_000_000
MARKDOWN = (".md", ".markdown")
PLANTED = "planted by gatewright doctor"


class Options(Model):
    """`from` is the stage that declares, `into` where its ids must be named; `path` says where they are declared."""

    from_stage: Name = Field(alias="from")
    ids: str
    into: tuple[Glob, ...] = Field(min_length=1)
    path: Glob | None = None
    timeout: Duration = TIMEOUT_S

    @field_validator("ids")
    @classmethod
    def _is_a_safe_pattern(cls, value: str) -> str:
        return checked_ids(value)


@dataclass(frozen=True, slots=True)
class Place:
    """A file and the line in it, None when that is its name."""

    path: str
    line: int | None


Ids = Mapping[str, Place]


class Trace:
    """See the module."""

    name = "trace"
    unit = "ids"
    is_soft = False
    options = Options

    def about(self, options: Options) -> str:
        """Where the ids come from, and where they go."""
        into = ", ".join(options.into)
        return (
            f"Every requirement of the stage '{options.from_stage}' (an id like {options.ids}) is named in {into}, and"
            " no other id is. Counted: ids."
        )

    def references(self, options: Options) -> tuple[str, ...]:
        """The documents are those of a stage, and artifacts themselves."""
        return ()

    async def check(self, submission: Submission, gate: GateSpec, options: Options) -> Evidence:
        """Compare what is declared with what is named; the base is read only where that decides."""
        job = submission.job
        globs = declaring_globs(job.policy.pipeline, options, change=job.change)
        declared = dict(await _declared(submission, job.commit, globs, options))
        # Later, so that a finding tells the line on which the requirement was handed over.
        declared |= await _declared(submission, job.scope_base, globs, options)
        if not declared:
            sentence = f"No requirement with an id like {options.ids} is declared in {', '.join(globs)}."
            advice = f"There is nothing to trace: the stage '{options.from_stage}' has to be done again."
            raise CannotJudge(sentence, advice=advice)
        into = [substitute(glob, change=job.change, stage=job.stage) for glob in options.into]
        named = await _ids_in(submission, options, await _fresh_texts(submission, into))
        untraced = {name: place for name, place in declared.items() if name not in named}
        unknown = {name: place for name, place in named.items() if name not in declared}
        on_base = await _texts(submission, job.base, into) if untraced or unknown else {}
        known = await _ids_in(submission, options, on_base)
        new: list[Problem] = []
        tolerated: list[Problem] = []
        if untraced:
            older = await _declared(submission, job.base, globs, options)
            anywhere = await _ids_in(submission, options, await _texts(submission, job.commit, into))
            for name, place in untraced.items():
                if name in older and name in anywhere:
                    continue
                # What the base requires and does not name was lost before this change.
                is_lost = name in older and name not in known
                (tolerated if is_lost else new).append(_untraced(name, place, anywhere.get(name), into))
        new += [_unknown(name, place, globs) for name, place in unknown.items() if name not in known]
        return conclude(gate, Judged(len(declared), self.unit, tuple(new), tuple(tolerated)))

    def specimen(self, options: Options, tree: Specimen) -> Mapping[str, bytes]:
        """A requirement, and a line that names it."""
        planned, named = _planted(options, tree)
        name = example_of(options.ids)
        if planned is None or named is None or name is None:
            return {}
        return {
            planned: (tree.read(planned) or b"") + f"\n## Requirements\n\n- {name} {PLANTED}\n".encode(),
            named: (tree.read(named) or b"") + f"\n{name} {PLANTED}\n".encode(),
        }

    def spoil(self, options: Options, tree: Specimen) -> Spoiled | None:
        """One requirement more, which nothing names; else none of them named."""
        planned, named = _planted(options, tree)
        name = example_of(options.ids)
        if planned is None or named is None or name is None:
            return None
        others = (re.sub(r"\d+", number, name) for number in ("7919", "79", "7"))
        other = next((text for text in others if text != name and re.fullmatch(options.ids, text)), None)
        if other is None:
            return Spoiled({named: f"{PLANTED}\n".encode()}, f"{named} without {name}", mark=name)
        text = (tree.read(planned) or b"") + f"- {other} {PLANTED}\n".encode()
        return Spoiled({planned: text}, f"the requirement {other}, which nothing names", mark=other)


KIND = Trace()


def declaring_globs(pipeline: Pipeline, options: Options, *, change: str) -> tuple[str, ...]:
    """Where the stage `from` declares: the gate's `path`, else what its documents are, else what it writes."""
    stage = pipeline.stages[options.from_stage]
    documents = [gate.options for gate in stage.gates if gate.kind == Document.name]
    with_ids = [document for document in documents if document.get("ids") is not None]
    paths = [str(document["path"]) for document in with_ids or documents]
    globs = (options.path,) if options.path is not None else tuple(paths) or stage.writes
    return tuple(dict.fromkeys(substitute(glob, change=change, stage=options.from_stage) for glob in globs))


def _planted(options: Options, tree: Specimen) -> tuple[str | None, str | None]:
    """Where a requirement is declared, and where it is named, so that a gate can be proved."""
    pipeline = parse_pipeline(tree.read(PIPELINE_FILE) or b"")
    globs = declaring_globs(pipeline, options, change=tree.change)
    into = [substitute(glob, change=tree.change, stage=tree.stage) for glob in options.into]
    return path_in(globs, tree, suffix=MARKDOWN[0]), path_in(into, tree, suffix=".txt")


async def _declared(submission: Submission, commit: str, globs: Sequence[str], options: Options) -> Ids:
    """The requirements that the documents of a commit declare, each with its first place.

    In Markdown a requirement begins a line, below the heading Requirements if there is one; elsewhere every id is one.
    """

    async def read() -> Ids:
        texts = await _texts(submission, commit, globs)
        plain = {path: text for path, text in texts.items() if not path.lower().endswith(MARKDOWN)}
        lines = [
            (path, number, line)
            for path, text in texts.items()
            if path not in plain
            for number, line in await to_thread.run_sync(requirement_lines, text)
        ]
        said = await _search(submission, options, [line for _, _, line in lines], list(plain.values()))
        found: dict[str, Place] = {}
        for (path, number, _), name in zip(lines, said["declared"], strict=True):
            if name is not None:
                found.setdefault(name, Place(path, number))
        return {**_first(plain, said["named"]), **found}

    return await submission.once(("declared", commit, tuple(globs), options.ids), read)


async def _ids_in(submission: Submission, options: Options, texts: Mapping[str, str]) -> Ids:
    """The ids that the texts name, in their names or their lines, each with its first place."""
    if not texts:
        return {}
    said = await _search(submission, options, [], [f"{path}\n{text}" for path, text in texts.items()])
    # The first line is the name.
    found = [[(name, line - 1) for name, line in names] for names in said["named"]]
    return _first(texts, found)


def _first(texts: Mapping[str, str], named: Sequence[Sequence[tuple[str, int]]]) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for path, names in zip(texts, named, strict=True):
        for name, line in names:
            found.setdefault(name, Place(path, line or None))
    return found


# What the probe answers: `declared` and `named`, as its docstring says.
async def _search(submission: Submission, options: Options, lines: list[str], texts: list[str]) -> dict[str, list]:  # type: ignore[type-arg]
    environment = await submission.own_environment()
    # Letters and digits would make another id of it; an underscore does not: `test_R1_is_fast`.
    name = rf"(?<![^\W_])({options.ids})(?![^\W_])"
    request = {"declaration": declaration(options.ids).pattern, "name": name, "lines": lines, "texts": texts}
    finished = await submission.run(
        [str(environment.python), "-I", "-S", str(PROBE)],
        cwd=submission.make_folder("trace"),
        environment=environment,
        timeout_s=options.timeout,
        stdin=json.dumps(request).encode(),
        stdout_bytes_max=REPORT_BYTES_MAX,
        reads=(PROBE,),
    )
    said = judge_exit(finished)
    if said is not None or finished.returncode != 0 or finished.stdout is None:
        raise CannotJudge(said or "The search for ids ended early.", output=finished.output)
    return dict(json.loads(finished.stdout))


async def _texts(submission: Submission, commit: str, globs: Sequence[str]) -> Mapping[str, str]:
    """The files of a commit that match, as text."""
    entries = await submission.entries(commit)
    return await _read(submission, [entry for path, entry in entries.items() if matches(path, globs)])


async def _fresh_texts(submission: Submission, globs: Sequence[str]) -> Mapping[str, str]:
    """What the artifact adds to the files that match: their text with the lines left blank that the base has too."""
    job = submission.job
    changed = {change.path for change in await submission.changes(job.base, job.commit)}
    moved = await submission.moved() if changed else {}
    before, after = await submission.entries(job.base), await submission.entries(job.commit)
    was = [before[path] for path in changed if path in before and (matches(path, globs) or path in moved.values())]
    now = [after[path] for path in sorted(changed) if path in after and matches(path, globs)]
    left = Counter(
        _plain(line) for text in (await _read(submission, was)).values() for line in text.split("\n") if line.strip()
    )
    texts = {}
    for path, text in (await _read(submission, now)).items():
        texts[path] = "\n".join(line if _is_fresh(line, left) else "" for line in text.split("\n"))
    # The name of a file that the base has says as little as its lines.
    return {path: text for path, text in texts.items() if text.strip() or path not in before}


def _is_fresh(line: str, left: Counter[str]) -> bool:
    left[_plain(line)] -= 1
    return left[_plain(line)] < 0


def _plain(line: str) -> str:
    return " ".join(line.split())


async def _read(submission: Submission, entries: Iterable[TreeEntry]) -> Mapping[str, str]:
    """Regular files as text. What is larger than a text of people is passed over: it names nothing."""
    files = [entry for entry in entries if entry.mode in (FILE, EXECUTABLE) and entry.size <= FILE_BYTES_MAX]
    size = sum(entry.size for entry in files)
    if size > TEXT_BYTES_MAX:
        sentence = f"{len(files)} files of {size} bytes would have to be read; {TEXT_BYTES_MAX} bytes are."
        raise CannotJudge(sentence, advice="A person has to narrow `into` of the gate.")
    oids = [entry.oid for entry in files]
    found = await to_thread.run_sync(lambda: submission.store.blobs(oids, bytes_max=FILE_BYTES_MAX))
    return {entry.path: found[entry.oid].decode("utf-8", "replace") for entry in files}


def _untraced(name: str, place: Place, old: Place | None, into: Sequence[str]) -> Problem:
    where = ", ".join(into)
    message = f"{name} is not named in {where}."
    if old is not None:
        at = old.path if old.line is None else f"{old.path}:{old.line}"
        message = f"{name} is named in {where} only where the base names it too ({at}), which was about another plan."
    satisfy = f"Name {name} in {where}, on a line that this change writes, where it is met."
    return Problem("untraced", message, place.path, place.line, satisfy=satisfy, mark=name)


def _unknown(name: str, place: Place, globs: Sequence[str]) -> Problem:
    message = f"{name} is named here, and {', '.join(globs)} declares no such requirement."
    satisfy = f"Name an id that {', '.join(globs)} declares, or none."
    return Problem("unknown-id", message, place.path, place.line, satisfy=satisfy, mark=f"{place.path}\0{name}")
