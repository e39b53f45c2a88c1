"""Which files and tables of a repository an artifact may not change on its own, because gates are run by them.

Protected are the policy itself, what its gates and commands refer to, what the tools read without being told, and what
`protect` names. The tools' files are protected in every folder, because a tool that is started in a folder reads them
there. A mixed file, such as `pyproject.toml`, is protected by table: a new dependency is an ordinary change.

Not protected: `.gitattributes`, which the server's checkouts do not honour; and those key files of `setup` that are
data, which decide what is installed and not what is checked. Where `setup` has secrets they are: what an artifact adds
to them would be installed with the secrets at hand before anybody has looked at it.
"""

import configparser
import json
import posixpath
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from types import MappingProxyType

from ..schemas.pipeline import PIPELINE_FILE, GateSpec, Pipeline
from .guarded.judged_words import judged_words
from .guarded.links import followed
from .guarded.reached import reached_from, used_scripts
from .guarded.recipes import RUNNERS, Tables
from .guarded.shadows import Read, shadows_of
from .paths import escape, matches
from .policies.pipeline_gates import Kinds
from .policies.shell_text import modules, words

MIXED_FILE_BYTES_MAX = 1_000_000

# Some readers of INI files end a line here and others do not: what is a section for one is a comment for the other.
_DISPUTED_LINE_ENDS = re.compile("[\\x0b\\x0c\\x1c-\\x1e\\x85\\u2028\\u2029]|\\r(?!\\n)")

# What of `setup`'s key files says which packages there are. Any other may be what makes the environment.
DATA_SUFFIXES = frozenset({".txt", ".in", ".toml", ".lock", ".json", ".yaml", ".yml", ".cfg", ".ini"})

# Where `setup` puts programs: an artifact that has its own there would have them run in their place.
MADE = (".venv", ".venv/**", "**/node_modules/.bin/**")

# `[pytest] #]` is the section `pytest` for readers that allow a comment there.
_DISPUTED_IN_NAMES = frozenset("[]#;")

# Read by the tools of gates, or run before them, unasked. `.gitmodules` says what code a submodule is.
TOOL_FILES = (
    *(".gitmodules", "**/conftest.py", "**/sitecustomize.py", "**/usercustomize.py"),
    *("**/sitecustomize/__init__.py", "**/usercustomize/__init__.py"),
    *("**/ruff.toml", "**/.ruff.toml", "**/mypy.ini", "**/.mypy.ini", "**/pyrightconfig.json"),
    *("**/pytest.ini", "**/.pytest.ini", "**/pytest.toml", "**/.pytest.toml"),
    *("**/.coveragerc", "**/.coveragerc.toml", "**/.flake8", "**/.pylintrc", "**/pylintrc", "**/.isort.cfg"),
)
TOOL_TABLES: Tables = {
    "**/pyproject.toml": (
        *("tool.ruff", "tool.pytest", "tool.mypy", "tool.pyright", "tool.basedpyright", "tool.coverage", "tool.pylint"),
        *("tool.flake8", "tool.black", "tool.isort", "tool.bandit", "tool.pydocstyle"),
    ),
    "**/setup.cfg": (
        *("tool:pytest", "mypy", "mypy-*", "flake8", "flake8:*", "coverage:*", "isort", "pylint*"),
        *("pycodestyle", "pydocstyle"),
    ),
    "**/tox.ini": ("pytest", "flake8", "flake8:*", "coverage:*", "isort", "pylint*", "pycodestyle", "pydocstyle"),
}


@dataclass(frozen=True, slots=True)
class Protection:
    """Globs of wholly protected files, and for each glob of mixed files the names of their protected tables."""

    files: tuple[str, ...]
    tables: Tables
    # By folder, the modules for which no new file may stand in.
    shadows: Mapping[str, tuple[str, ...]]


class TablesUnreadable(ValueError):
    """A mixed file that does not parse, so that nobody can say whether its protected tables are the same."""


def protection_of(
    pipeline: Pipeline,
    *,
    kinds: Kinds,
    paths: Collection[str],
    links: Mapping[str, str] = MappingProxyType({}),
    read: Read = lambda _: None,
) -> Protection:
    """What the pipeline protects in a tree with the given paths, of which `links` gives the targets of links."""
    named = _words_of(pipeline)
    runners = [runner for runner in RUNNERS if any(PurePosixPath(word).name in runner.programs for word in named)]
    tables = dict(TOOL_TABLES)
    for glob, names in (entry for runner in runners for entry in runner.tables):
        tables[glob] = tuple(dict.fromkeys((*tables.get(glob, ()), *names)))
    referred = (posixpath.normpath(path) for path in _references(pipeline, kinds))
    meant = {path for word in {*named, *referred} for path in followed(word, links)}
    # What setup installs from and what is protected by table stay open to ordinary changes, though they are named.
    exact = sorted(
        path for path in meant if path in paths and not matches(path, tables) and not _is_installed_from(pipeline, path)
    )
    recipes = [glob for runner in runners for glob in runner.files]
    scripts = (*exact, *(path for path in sorted(paths) if matches(path, recipes)))
    mixed = [glob for runner in runners for glob, _ in runner.tables]
    starters = {path: _commands_in(path, read, named) for path in paths if matches(path, mixed)}
    reached = sorted(
        path
        for path in reached_from(scripts, starters=starters, paths=paths, read=read)
        if not matches(path, tables) and not _is_installed_from(pipeline, path)
    )
    made = (*MADE, *_kept_globs(pipeline))
    files = (PIPELINE_FILE, *TOOL_FILES, *recipes, *made, *map(escape, (*exact, *reached)))
    files = (*files, *_module_globs(pipeline, paths))
    files = (*files, *pipeline.protect, *_keys_with_secrets(pipeline))
    behind = _behind_links(links, paths, (*files, *tables))
    shadows = shadows_of(_commands(pipeline), scripts=(*exact, *reached), paths=paths, read=read)
    return Protection(tuple(dict.fromkeys((*files, *behind))), tables, shadows)


def tables_of(path: str, data: bytes, names: Iterable[str]) -> dict[str, str]:
    """Those of the named tables that a mixed file has, each as canonical JSON: equal texts mean equal tables.

    In TOML and JSON a name is a dotted path, in an INI file the pattern of a section. Raises `TablesUnreadable`.
    """
    if len(data) > MIXED_FILE_BYTES_MAX:
        raise TablesUnreadable(f"{path} has more than {MIXED_FILE_BYTES_MAX} bytes")
    try:
        text = data.decode("utf-8-sig")
        found = _sections(text, names) if path.endswith((".cfg", ".ini")) else _nested(path, text, names)
        return {name: json.dumps(value, sort_keys=True, default=str) for name, value in found.items()}
    except (ValueError, RecursionError, configparser.Error) as exc:
        raise TablesUnreadable(f"{path} cannot be read: {exc}") from exc


def changed_tables(path: str, before: bytes | None, after: bytes | None, names: Iterable[str]) -> tuple[str, ...]:
    """Which of the named tables differ between two versions of a mixed file, None standing for no file.

    Where a version cannot be read, all of them do: a file that only its own tool can read must not slip through.
    """
    names = tuple(names)
    if before == after:
        return ()
    try:
        old, new = (tables_of(path, data, names) if data is not None else {} for data in (before, after))
    except TablesUnreadable:
        return names
    return tuple(sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)))


def _keys_with_secrets(pipeline: Pipeline) -> tuple[str, ...]:
    setup = pipeline.setup
    return setup.key if setup is not None and setup.secrets and setup.changed_keys == "ask" else ()


def _commands_in(path: str, read: Read, named: Collection[str]) -> str:
    """What a mixed file may start; of a `package.json` only the scripts that commands name."""
    data = read(path) or b""
    if len(data) > MIXED_FILE_BYTES_MAX:
        return ""
    is_package = PurePosixPath(path).name == "package.json"
    return used_scripts(data, named) if is_package else data.decode("utf-8", "replace")


def _words_of(pipeline: Pipeline) -> frozenset[str]:
    """Every word of every command of the policy that may name what it judges by."""
    return frozenset(word for run in _commands(pipeline) for word in set(words(run)) - judged_words(run))


def _behind_links(links: Mapping[str, str], paths: Collection[str], globs: Collection[str]) -> Iterable[str]:
    """What protected links lead to: their readers read that."""
    for link in sorted(link for link in links if matches(link, globs)):
        for path in followed(link, links)[1:]:
            if path in paths:
                yield escape(path)
            elif any(other.startswith(f"{path}/") for other in paths):
                yield f"{escape(path)}/**"


def _is_installed_from(pipeline: Pipeline, path: str) -> bool:
    is_key = pipeline.setup is not None and matches(path, pipeline.setup.key)
    return is_key and PurePosixPath(path).suffix in DATA_SUFFIXES


def _kept_globs(pipeline: Pipeline) -> Iterable[str]:
    for glob in pipeline.setup.keep if pipeline.setup is not None else ():
        yield from (glob,) if glob.endswith("**") else (glob, f"{glob}/**")


def _module_globs(pipeline: Pipeline, paths: Collection[str]) -> Iterable[str]:
    """The file of a module of the project's own that a command starts; or what would stand in for an installed one.

    Of the packages around the own one what is there is the project's; what is new there would run before it.
    `python -m mypy` would rather run a `mypy.py` beside it than the mypy that setup installed.
    """
    for folder, module in dict.fromkeys(found for command in _commands(pipeline) for found in modules(command)):
        package = folder + module.partition(".")[0]
        file = folder + module.replace(".", "/")
        if f"{package}.py" in paths or any(path.startswith(f"{package}/") for path in paths):
            yield from (escape(path) for path in (f"{file}.py", f"{file}/__main__.py") if path in paths)
            yield from (escape(path) for path in _run_before(folder, module) if path not in paths)
        else:
            yield from (escape(f"{package}.py"), f"{escape(package)}/**")


def _run_before(folder: str, module: str) -> Iterable[str]:
    """What Python runs before `-m MODULE`, or in its place: a package on the way, or a module of its name."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        package = folder + "/".join(parts[:count])
        yield from (f"{package}.py", f"{package}/__init__.py")
    yield f"{folder}{'/'.join(parts)}/__main__.py"


def _commands(pipeline: Pipeline) -> Iterable[str]:
    commands: list[object] = [stage.run for stage in pipeline.stages.values()]
    commands += [made.run for made in (pipeline.setup, pipeline.install) if made is not None]
    commands += [gate.options.get("run") for gate in _gates(pipeline)]
    return (command for command in commands if isinstance(command, str))


def _references(pipeline: Pipeline, kinds: Kinds) -> Iterable[str]:
    for gate in _gates(pipeline):
        kind = kinds[gate.kind]
        yield from kind.references(kind.options.model_validate(gate.options))


def _gates(pipeline: Pipeline) -> Iterable[GateSpec]:
    for gates in (*(stage.gates for stage in pipeline.stages.values()), pipeline.land.gates or ()):
        yield from gates


def _sections(text: str, names: Iterable[str]) -> dict[str, object]:
    if _DISPUTED_LINE_ENDS.search(text):
        raise ValueError("it ends lines in a way that its readers do not agree on")
    # Only some readers inherit from DEFAULT: here it is a section like any other, told with every one.
    parser = configparser.RawConfigParser(strict=True, default_section="")
    # Some readers fold the case of keys and some do not; kept apart, any change of one is a change.
    parser.optionxform = str  # type: ignore[method-assign, assignment]  # as its documentation does it
    parser.read_string(text)
    disputed = next((name for name in parser.sections() if _DISPUTED_IN_NAMES & set(name)), None)
    if disputed is not None:
        raise ValueError(f"its readers do not agree on the name of the section {disputed!r}")
    patterns = [name.lower() for name in names]
    wanted = [name for name in parser.sections() if any(fnmatchcase(name.strip().lower(), each) for each in patterns)]
    inherited = dict(parser.items(configparser.DEFAULTSECT)) if parser.has_section(configparser.DEFAULTSECT) else {}
    return {name: [dict(parser.items(name)), inherited] for name in wanted}


def _nested(path: str, text: str, names: Iterable[str]) -> dict[str, object]:
    whole = json.loads(text) if path.endswith(".json") else tomllib.loads(text)
    found: dict[str, object] = {}
    for name in names:
        value: object = whole
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            found[name] = value
    return found
