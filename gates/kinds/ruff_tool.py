"""Run ruff on files of a commit, so that nothing of the commit decides what is checked.

The configuration is the policy commit's, by absolute path; files are named one by one; folders that ruff skips by habit
(`build`, `venv`, ...) are not skipped, only what the policy itself excludes is.
"""

import json
import posixpath
import re
import sysconfig
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ..contract import CannotJudge
from ..environment import PreparedEnvironment
from ..findings import Problem
from ..judging.submission import Submission
from ..process import Finished, find_tool, judge_exit

CONFIG_NAMES = (".ruff.toml", "ruff.toml", "pyproject.toml")
CONFIG_BYTES_MAX = 2_000_000
EXTENDED_FILES_MAX = 10
BATCH_BYTES_MAX = 100_000
REPORT_BYTES_MAX = 50_000_000
FOUND_SOMETHING = 1
SYNTAX = "syntax"
SYNTAX_RULES = (None, "invalid-syntax")
# A file that is not UTF-8 is left out with a warning, unless this rule is selected.
UNREADABLE_RULE = "E902"

_REFORMAT = re.compile(
    r"^(?:Would reformat: (?P<plain>.+)|unformatted: .*\n\s*--> (?P<framed>.+?)(?::\d+:\d+)?)$", re.MULTILINE
)
_VERSION = re.compile(r"ruff (\S+)")


@dataclass(frozen=True, slots=True)
class Ruff:
    """The program, its configuration, the gate's own rules, and whether the configuration leaves files out.

    `reads` is where the configuration lies.
    """

    program: Path
    version: str
    environment: PreparedEnvironment
    settings: tuple[str, ...]
    reads: tuple[Path, ...]
    rules: tuple[str, ...]
    has_excludes: bool
    timeout_s: float


async def find_ruff(
    submission: Submission, *, config: str | None, select: Sequence[str], ignore: Sequence[str], timeout_s: float
) -> Ruff:
    """The ruff that the policy's `setup` made, else gatewright's own, under the policy commit's configuration.

    A selection of the gate's own replaces the configuration's, whose other settings stay. Raises `CannotJudge`.
    """
    policy = submission.job.policy.commit
    environment = await submission.environment(policy)
    program = _program(environment)
    folder = submission.make_folder("ruff-settings")
    settings, has_excludes = await _settings(submission, config, folder)
    rules = [*(("--select", ",".join(select)) if select else ()), *(("--ignore", ",".join(ignore)) if ignore else ())]
    nowhere = submission.make_folder("ruff")
    said = await submission.run([str(program), "--version"], cwd=nowhere, environment=environment, timeout_s=timeout_s)
    problem = judge_exit(said)
    if problem is not None:
        raise CannotJudge(f"ruff could not be started. {problem}", output=said.output)
    found = _VERSION.search(said.output)
    version = found[1] if found else "unknown"
    return Ruff(program, version, environment, tuple(settings), (folder,), tuple(rules), has_excludes, timeout_s)


async def lint(
    submission: Submission, ruff: Ruff, commit: str, paths: Sequence[str], *extra: str
) -> tuple[list[Problem], list[Finished]]:
    """What `ruff check` objects to in these files of the commit."""
    problems: list[Problem] = []
    runs: list[Finished] = []
    for batch in _batches(paths):
        options = ["--extend-select", UNREADABLE_RULE, "--output-format", "json", *extra]
        async with submission.pristine(commit) as tree:
            finished = await _run(submission, ruff, tree, ("check", *ruff.settings, *ruff.rules, *options), batch)
            found = _parse(finished, tree)
        if bool(found) != (finished.returncode == FOUND_SOMETHING):
            raise CannotJudge("What ruff reported does not agree with its exit code.", output=finished.output)
        problems += found
        runs.append(finished)
    return problems, runs


async def unformatted(submission: Submission, ruff: Ruff, commit: str, paths: Sequence[str]) -> set[str]:
    """Those of the files, all of which must parse, that `ruff format` would change."""
    found: set[str] = set()
    for batch in _batches(paths):
        async with submission.pristine(commit) as tree:
            finished = await _run(submission, ruff, tree, ("format", *ruff.settings, "--check"), batch)
        text = (finished.stdout or b"").decode("utf-8", "replace")
        named = {match["plain"] or match["framed"] for match in _REFORMAT.finditer(text)}
        if bool(named) != (finished.returncode == FOUND_SOMETHING):
            raise CannotJudge("What ruff format reported does not agree with its exit code.", output=finished.output)
        found |= {str(Path(name)) for name in named}
    return found


async def checked(submission: Submission, ruff: Ruff, commit: str, paths: Sequence[str]) -> list[str]:
    """Those of the files that the policy's own configuration does not exclude."""
    if not ruff.has_excludes:
        return list(paths)
    kept: list[str] = []
    for batch in _batches(paths):
        async with submission.pristine(commit) as tree:
            finished = await _run(submission, ruff, tree, ("check", *ruff.settings, "--show-files"), batch)
        shown = set((finished.stdout or b"").decode("utf-8", "replace").splitlines())
        kept += [path for path in batch if str(tree / path) in shown]
    return kept


def _program(environment: PreparedEnvironment) -> Path:
    made = [
        part for part in environment.path.split(":") if environment.root and Path(part).is_relative_to(environment.root)
    ]
    program = find_tool("ruff", ":".join(made)) or find_tool("ruff", sysconfig.get_path("scripts"))
    if program is None:
        raise CannotJudge("ruff is neither in what setup made nor beside gatewright.")
    return program


async def _settings(submission: Submission, config: str | None, folder: Path) -> tuple[list[str], bool]:
    policy = submission.job.policy.commit
    for name in (config,) if config else CONFIG_NAMES:
        data = await submission.read(policy, name, CONFIG_BYTES_MAX)
        settings = None if data is None else _own_settings(name, data)
        if settings is not None:
            return await _with_excludes(submission, name, settings, folder)
    if config:
        raise CannotJudge(f"The policy commit has no {config} with a configuration of ruff.")
    return ["--isolated", "--config", "exclude=[]"], False


async def _with_excludes(submission: Submission, name: str, settings: object, folder: Path) -> tuple[list[str], bool]:
    own = _table(settings, "exclude")
    # ruff's default for `exclude` names folders that an artifact could hide in; the policy's own list stays.
    excludes = json.dumps(own if isinstance(own, list) else [])
    written = await _write_settings(submission, folder, name)
    options = ["--config", str(folder / name), "--config", f"exclude={excludes}", "--force-exclude"]
    return options, b"exclude" in written


async def _write_settings(submission: Submission, folder: Path, name: str) -> bytes:
    """Write the policy's file and those that it extends, each at its place below `folder`; return all they say."""
    said = b""
    for _ in range(EXTENDED_FILES_MAX):
        data = await submission.read(submission.job.policy.commit, name, CONFIG_BYTES_MAX)
        if data is None or name.startswith(".."):
            raise CannotJudge(f"The policy's configuration of ruff extends {name}, which its commit does not have.")
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        said += data
        extended = _table(_own_settings(name, data), "extend")
        if not isinstance(extended, str):
            return said
        name = posixpath.normpath(posixpath.join(posixpath.dirname(name), extended))
    raise CannotJudge(f"The policy's configuration of ruff extends more than {EXTENDED_FILES_MAX} files.")


def _own_settings(name: str, data: bytes) -> object:
    """What a configuration file says to ruff; None when it says nothing to it."""
    try:
        settings: object = tomllib.loads(data.decode("utf-8"))
    except ValueError as exc:
        raise CannotJudge(f"The policy's {name} cannot be read: {exc}.") from exc
    return _table(_table(settings, "tool"), "ruff") if Path(name).name == "pyproject.toml" else settings


def _table(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, Mapping) else None


def _batches(paths: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for path in paths:
        if batch and size + len(path) > BATCH_BYTES_MAX:
            yield batch
            batch, size = [], 0
        batch.append(path)
        size += len(path.encode()) + 1
    if batch:
        yield batch


async def _run(
    submission: Submission,
    ruff: Ruff,
    tree: Path,
    arguments: Sequence[str],
    paths: Sequence[str],
) -> Finished:
    finished = await submission.run(
        [str(ruff.program), *arguments, "--no-respect-gitignore", "--no-cache", "--", *paths],
        cwd=tree,
        environment=ruff.environment,
        timeout_s=ruff.timeout_s,
        stdout_bytes_max=REPORT_BYTES_MAX,
        reads=ruff.reads,
    )
    said = judge_exit(finished)
    if said is not None or finished.returncode not in (0, FOUND_SOMETHING) or finished.stdout is None:
        raise CannotJudge(f"ruff could not judge. {said or ''}".strip(), output=finished.output)
    return finished


def _parse(finished: Finished, tree: Path) -> list[Problem]:
    try:
        items = json.loads(finished.stdout or b"")
    except ValueError as exc:
        raise CannotJudge("ruff's report cannot be read.", output=finished.output) from exc
    lines: dict[Path, list[str]] = {}
    return [_problem(item, tree, lines) for item in items]


def _problem(item: Mapping[str, object], tree: Path, lines: dict[Path, list[str]]) -> Problem:
    file = Path(str(item["filename"]))
    row = _table(item["location"], "row")
    line = row if isinstance(row, int) else 1
    column = _table(item["location"], "column")
    if file not in lines:
        lines[file] = file.read_text("utf-8", "replace").split("\n")
    text = lines[file][line - 1] if 0 < line <= len(lines[file]) else ""
    rule = SYNTAX if item["code"] in SYNTAX_RULES else str(item["code"])
    if rule == UNREADABLE_RULE:
        # Nothing else is known of such a file, so it is the same only with the same bytes.
        text = sha256(file.read_bytes()).hexdigest()
    path = str(file.relative_to(tree))
    return Problem(
        rule,
        str(item["message"]),
        path,
        line,
        text,
        satisfy=f"Make ruff rule {rule} content with {path}.",
        column=column if isinstance(column, int) else None,
    )
