"""Which ids texts declare and name: the texts of a commit, and a search in processes that can be ended."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio import to_thread

from ..contract import CannotJudge
from ..judging.submission import Submission
from ..paths import matches
from ..process import Finished, judge_exit
from .document import declaration, requirement_lines

PROBE = Path(__file__).parent / "probes" / "trace_probe.py"
FILE_BYTES_MAX = 2_000_000
TEXT_BYTES_MAX = 60_000_000
REPORT_BYTES_MAX = 50_000_000
MARKDOWN = (".md", ".markdown")


@dataclass(frozen=True, slots=True)
class Place:
    """A file and the line in it, None when that is its name."""

    path: str
    line: int | None


Ids = Mapping[str, Place]


class Search:
    """Looks for ids like `ids`; `runs` are the processes that did. Raises `CannotJudge` when one does not end."""

    def __init__(self, submission: Submission, ids: str, *, timeout_s: float) -> None:
        self.runs: list[Finished] = []
        self._submission = submission
        self._ids = ids
        self._timeout_s = timeout_s

    async def declared(self, commit: str, globs: Sequence[str]) -> Ids:
        """The requirements that the documents of a commit declare, each with its first place.

        In Markdown a requirement begins a line, below the heading Requirements if there is one; elsewhere every id is
        one.
        """
        texts = await texts_of(self._submission, commit, globs)
        if not texts:
            return {}
        plain = {path: text for path, text in texts.items() if not path.lower().endswith(MARKDOWN)}
        lines = [
            (path, number, line)
            for path, text in texts.items()
            if path not in plain
            for number, line in await to_thread.run_sync(requirement_lines, text)
        ]
        said = await self._ask([line for _, _, line in lines], list(plain.values()))
        found: dict[str, Place] = {}
        for (path, number, _), name in zip(lines, said["declared"], strict=True):
            if name is not None:
                found.setdefault(name, Place(path, number))
        return {**_first(plain, said["named"]), **found}

    async def named(self, texts: Mapping[str, str]) -> Ids:
        """The ids that the texts name, in their names or their lines, each with its first place."""
        if not texts:
            return {}
        said = await self._ask([], [f"{path}\n{text}" for path, text in texts.items()])
        # The first line is the name.
        return _first(texts, [[(name, line - 1) for name, line in names] for names in said["named"]])

    # What the probe answers: `declared` and `named`, as its docstring says.
    async def _ask(self, lines: list[str], texts: list[str]) -> dict[str, Any]:
        # Letters and digits would make another id of it; an underscore does not: `test_R1_is_fast`.
        name = rf"(?<![^\W_])({self._ids})(?![^\W_])"
        request = {"declaration": declaration(self._ids).pattern, "name": name, "lines": lines, "texts": texts}
        environment = await self._submission.own_environment()
        finished = await self._submission.run(
            [str(environment.python), "-I", "-S", str(PROBE)],
            cwd=self._submission.make_folder("trace"),
            environment=environment,
            timeout_s=self._timeout_s,
            stdin=json.dumps(request).encode(),
            stdout_bytes_max=REPORT_BYTES_MAX,
            reads=(PROBE,),
        )
        self.runs.append(finished)
        said = judge_exit(finished)
        if said is not None or finished.returncode != 0 or finished.stdout is None:
            raise CannotJudge(said or "The search for ids ended early.", output=finished.output)
        return dict(json.loads(finished.stdout))


async def texts_of(submission: Submission, commit: str, globs: Sequence[str]) -> Mapping[str, str]:
    """The files of a commit that match, as text."""
    return await _read(submission, commit, [path for path in await submission.entries(commit) if matches(path, globs)])


async def fresh_texts(submission: Submission, globs: Sequence[str]) -> Mapping[str, str]:
    """What the artifact adds to the files that match: their text with the lines left blank that the base has too."""
    job = submission.job
    changed = {change.path for change in await submission.changes(job.base, job.commit)}
    moved = await submission.moved() if changed else {}
    before, after = await submission.entries(job.base), await submission.entries(job.commit)
    was = [path for path in changed if path in before and (matches(path, globs) or path in moved.values())]
    now = [path for path in sorted(changed) if path in after and matches(path, globs)]
    left = Counter(
        _plain(line)
        for text in (await _read(submission, job.base, was)).values()
        for line in text.split("\n")
        if line.strip()
    )
    texts = {}
    for path, text in (await _read(submission, job.commit, now)).items():
        texts[path] = "\n".join(line if _is_fresh(line, left) else "" for line in text.split("\n"))
    # The name of a file that the base has says as little as its lines.
    return {path: text for path, text in texts.items() if text.strip() or path not in before}


def _is_fresh(line: str, left: Counter[str]) -> bool:
    left[_plain(line)] -= 1
    return left[_plain(line)] < 0


def _plain(line: str) -> str:
    return " ".join(line.split())


async def _read(submission: Submission, commit: str, paths: Sequence[str]) -> Mapping[str, str]:
    """Regular files as text. What is larger than a text of people is passed over: it names nothing."""
    sizes = await submission.sizes(commit, paths)
    files = [path for path, size in sizes.items() if size <= FILE_BYTES_MAX]
    size = sum(sizes[path] for path in files)
    if size > TEXT_BYTES_MAX:
        sentence = f"{len(files)} files of {size} bytes would have to be read; {TEXT_BYTES_MAX} bytes are."
        raise CannotJudge(sentence, advice="A person has to narrow `into` of the gate.")
    found = await submission.contents(commit, files, FILE_BYTES_MAX)
    return {path: data.decode("utf-8", "replace") for path, data in found.items()}


def _first(texts: Mapping[str, str], named: Sequence[Sequence[tuple[str, int]]]) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for path, names in zip(texts, named, strict=True):
        for name, line in names:
            found.setdefault(name, Place(path, line or None))
    return found
