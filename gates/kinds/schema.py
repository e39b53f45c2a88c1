"""The `schema` kind: JSON, YAML or TOML documents keep to a JSON Schema of the policy.

Schema and what it refers to are read from the policy's commit, documents from the artifact's, and both meet in a
process of their own (`schema_child.py`), because patterns of a schema may run for ever on a hostile document. What the
base's documents get wrong in the same places is shown and tolerated.
"""

import json
import re
import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from ...schemas.pipeline import Duration, GateSpec, Glob, Model
from ...schemas.records import Evidence
from ..artifact_store.objects import EXECUTABLE, FILE, LINK
from ..artifact_store.walk import TreeEntry
from ..contract import CannotJudge, Specimen, Spoiled
from ..findings import Judged, Problem, conclude, split_by_base
from ..judging.data_documents import DATA_BYTES_MAX, FORMATS, Format, format_of
from ..judging.planting import path_in
from ..judging.schema_sample import refused_document, sample_document
from ..judging.submission import Submission
from ..paths import matches, substitute
from ..process import Finished, judge_exit
from ..text import clean_text, shorten

# Our own Python, which has jsonschema; isolated, with the folders that this process imports from.
CHILD = "import sys; sys.path += sys.argv[1:]; from gatewright.gates.judging.schema_child import main; main()"
FOLDERS = tuple(folder for folder in sys.path if folder and Path(folder).is_dir())
PACKAGE = Path(__file__).resolve().parents[2]
TIMEOUT_S = 60.0
REPORT_BYTES_MAX = 20_000_000
DOCUMENTS_MAX = 2_000
DOCUMENTS_BYTES_MAX = 20_000_000
A_PERSONS = "A person has to mend the policy: your change is not at fault."
SHOWN_CHARS_MAX = 60
MISSING = "missing"
# Rules of the child for documents that were not looked at as a whole.
NOT_READ = frozenset({"unreadable", "too-many"})


class Options(Model):
    """`path` is a glob; `refs` are the further files that `$ref`s of the schema lead to."""

    path: Glob
    schema_path: Glob = Field(alias="schema")
    refs: tuple[Glob, ...] = ()
    format: Format | None = None
    timeout: Duration = TIMEOUT_S
    absolute: bool = False

    @field_validator("schema_path", "refs")
    @classmethod
    def _are_files(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        paths = (value,) if isinstance(value, str) else value
        if patterns := [path for path in paths if is_pattern(path)]:
            raise ValueError(f"a schema is one file, by its path; {patterns[0]!r} may be several")
        return value

    @model_validator(mode="after")
    def _says_its_format(self) -> Self:
        if self.format is None and format_of(self.path) is None:
            known = ", ".join(FORMATS)
            raise ValueError(f"the name of `path` ends in none of {known}; add `format: json`, yaml or toml")
        return self


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found in the documents of one commit."""

    problems: tuple[Problem, ...]
    counted: int
    unchecked: tuple[str, ...] = ()
    run: Finished | None = None


class Schema:
    """See the module."""

    name = "schema"
    unit = "documents"
    is_soft = False
    options = Options

    def about(self, options: Options) -> str:
        """The schema is a file that the agent can read."""
        return f"{options.path} keeps to the JSON Schema {options.schema_path}. Counted: documents."

    def references(self, options: Options) -> tuple[str, ...]:
        """The schema and what it refers to."""
        return (options.schema_path, *options.refs)

    async def check(self, submission: Submission, gate: GateSpec, options: Options) -> Evidence:
        """Judge the artifact's documents; the base's only when something is wrong with them."""
        job = submission.job
        glob = substitute(options.path, change=job.change, stage=job.stage)
        schemas = await _schemas(submission, options)
        looked = await _look(submission, job.commit, glob, options, schemas)
        if not looked.counted and not looked.problems and not is_pattern(glob):
            missing = Problem(MISSING, f"{glob} does not exist as a file.", glob, satisfy=f"Write {glob}.")
            return conclude(gate, Judged(0, self.unit, new=(missing,)))
        new = looked.problems
        tolerated: tuple[Problem, ...] = ()
        moved: Mapping[str, str] = {}
        if looked.problems and not options.absolute:
            moved = await submission.moved()
            base = await _look(submission, job.base, glob, options, schemas)
            new, tolerated = split_by_base([_as_on_base(problem, moved) for problem in new], base.problems, moved)
        summary = f"Not checked, as nobody can: format {', '.join(looked.unchecked)}." if looked.unchecked else ""
        if not looked.counted:
            summary = f"Checked nothing: no document matches {glob}."
        runs = (looked.run,) if looked.run is not None else ()
        version = (("jsonschema", metadata.version("jsonschema")),)
        return conclude(
            gate,
            Judged(
                looked.counted, self.unit, new, tolerated, summary=summary, runs=runs, environment=version, moved=moved
            ),
        )

    def specimen(self, options: Options, tree: Specimen) -> Mapping[str, bytes]:
        """A small document, where the branch has none and the schema is plain enough to make one up."""
        glob = substitute(options.path, change=tree.change, stage=tree.stage)
        path = _new_path(glob, options, tree)
        if path is None or any(matches(there, (glob,)) for there in tree.paths):
            return {}
        schema = tree.read(options.schema_path) or b""
        text = sample_document(schema, format_of(options.schema_path) or "json", _format(path, options))
        return {} if text is None else {path: text.encode()}

    def spoil(self, options: Options, tree: Specimen) -> Spoiled | None:
        """A document that the schema refuses; else one that is none."""
        path = _new_path(substitute(options.path, change=tree.change, stage=tree.stage), options, tree)
        if path is None:
            return None
        schema = tree.read(options.schema_path) or b""
        text = refused_document(schema, format_of(options.schema_path) or "json", _format(path, options))
        if text is not None:
            return Spoiled({path: text.encode()}, f"a {path} that says {shorten(text.strip(), SHOWN_CHARS_MAX)}")
        return Spoiled({path: b"{ planted by: [gatewright doctor\n"}, f"a {path} that cannot be read")


KIND = Schema()


def is_pattern(glob: str) -> bool:
    """Whether the glob may match more than the one path that it spells."""
    return bool(re.search(r"[*?[]", glob))


def _format(path: str, options: Options) -> Format:
    """What the gate says, else the name of the document, else that of the glob: a document may have been renamed."""
    found = options.format or format_of(path) or format_of(options.path)
    assert found is not None, "the options were held to that"
    return found


def _new_path(glob: str, options: Options, tree: Specimen) -> str | None:
    return path_in([glob], tree, suffix=f".{_format(options.path, options)}")


async def _schemas(submission: Submission, options: Options) -> Mapping[str, str]:
    """The bytes of the schema and what it refers to, in base64. Raises `CannotJudge` when the policy lacks one."""
    commit = submission.job.policy.commit
    found = {}
    for path in (options.schema_path, *options.refs):
        data = await submission.read(commit, path, DATA_BYTES_MAX)
        if data is None:
            sentence = f"The policy's commit {commit[:10]} has no schema {path}, and no other is believed."
            raise CannotJudge(sentence, advice=A_PERSONS)
        found[path] = b64encode(data).decode()
    return found


async def _look(
    submission: Submission,
    commit: str,
    glob: str,
    options: Options,
    schemas: Mapping[str, str],
) -> Looked:
    """What is wrong with the documents that match."""
    found = [entry for path, entry in (await submission.entries(commit)).items() if matches(path, (glob,))]
    links = [
        _about_entry("link", f"{entry.path} is a link, not a document.", entry, f"Make {entry.path} a file.")
        for entry in found
        if entry.mode == LINK
    ]
    files = [entry for entry in found if entry.mode in (FILE, EXECUTABLE)]
    large = [_too_large(entry) for entry in files if entry.size > DATA_BYTES_MAX]
    read = [entry for entry in files if entry.size <= DATA_BYTES_MAX]
    if len(read) > DOCUMENTS_MAX or sum(entry.size for entry in read) > DOCUMENTS_BYTES_MAX:
        sentence = f"{glob} matches {len(read)} documents; {DOCUMENTS_MAX} of {DOCUMENTS_BYTES_MAX} bytes are judged."
        raise CannotJudge(sentence, advice="Add fewer, or have a person narrow `path` of the gate.")
    # Without a document the schema is looked at all the same: nobody should have to write one to hear that it is none.
    problems, unchecked, run = await _validate(submission, commit, read, options, schemas)
    return Looked((*links, *large, *problems), len(files), unchecked, run)


def _too_large(entry: TreeEntry) -> Problem:
    message = f"{entry.path} has {entry.size} bytes; at most {DATA_BYTES_MAX} are read."
    return _about_entry("size", message, entry, "Make it smaller, or split it.")


def _about_entry(rule: str, message: str, entry: TreeEntry, satisfy: str) -> Problem:
    return Problem(rule, message, entry.path, satisfy=satisfy, mark=f"{entry.path}\0{entry.oid}")


async def _validate(
    submission: Submission,
    commit: str,
    entries: Sequence[TreeEntry],
    options: Options,
    schemas: Mapping[str, str],
) -> tuple[list[Problem], tuple[str, ...], Finished]:
    """Hold the documents against the schema in a process of its own. Raises `CannotJudge`."""
    documents = [
        {
            "path": entry.path,
            "format": _format(entry.path, options),
            "data": b64encode(await submission.read(commit, entry.path, DATA_BYTES_MAX) or b"").decode(),
        }
        for entry in entries
    ]
    request = {"schema": options.schema_path, "files": dict(schemas), "documents": documents}
    environment = await submission.own_environment()
    finished = await submission.run(
        [str(environment.python), "-I", "-c", CHILD, *FOLDERS],
        cwd=submission.make_folder("schema"),
        environment=environment,
        timeout_s=options.timeout,
        stdin=json.dumps(request).encode(),
        stdout_bytes_max=REPORT_BYTES_MAX,
        reads=(PACKAGE / "__init__.py", PACKAGE / "gates", *map(Path, FOLDERS)),
    )
    said = _lines(finished)
    for line in said:
        if "bad_schema" in line:
            raise CannotJudge(str(line["bad_schema"]), advice=A_PERSONS)
    reports = {line["done"]: line["problems"] for line in said if "done" in line}
    if finished.timed_out:
        stuck = next((entry.path for entry in entries if entry.path not in reports), "a document")
        sentence = f"Validating {stuck} was not done after {options.timeout:.0f} s."
        advice = f"Make {stuck} simpler, or have a person look at the patterns of {options.schema_path}."
        raise CannotJudge(sentence, output=finished.output, advice=advice)
    if (trouble := judge_exit(finished)) is not None or {"finished": len(entries)} not in said:
        raise CannotJudge(trouble or "The validation ended early.", output=finished.output)
    ready = next(line["ready"] for line in said if "ready" in line)
    oids = {entry.path: entry.oid for entry in entries}
    problems = [_problem(path, oids[path], item, options) for path, items in reports.items() for item in items]
    return problems, tuple(ready["unchecked"]), finished


# JSON of our own child: its docstring says what it holds.
def _lines(finished: Finished) -> list[dict[str, Any]]:
    """What the child said so far; its last line may be cut off where it was ended."""
    found = []
    for line in (finished.stdout or b"").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def _problem(path: str, oid: str, item: Mapping[str, object], options: Options) -> Problem:
    place = clean_text(str(item["pointer"]))
    message, wanted = clean_text(str(item["message"])), item["wanted"]
    rule, line = str(item["rule"]), item["line"]
    satisfy = (
        f"Make {place or 'it'} agree with {options.schema_path}: {clean_text(str(wanted))}."
        if wanted
        else f"Make {path} a document that every reader understands alike."
    )
    said = f"{place}: {message}" if place else message
    # Where in a list it stands is not what makes it this problem. What nobody could read to its end is tolerated on
    # the base only with the very bytes that the base has.
    mark = f"{path}\0{oid if rule in NOT_READ else clean_text(str(item['place']))}\0{message}"
    return Problem(rule, said, path, line if isinstance(line, int) else None, satisfy=satisfy, mark=mark)


def _as_on_base(problem: Problem, moved: Mapping[str, str]) -> Problem:
    """The problem as the base would have it, where its document has another name."""
    path = problem.path or ""
    if problem.mark is None or path not in moved:
        return problem
    return replace(problem, mark=moved[path] + problem.mark.removeprefix(path))
