"""What a project is, as far as its files tell: language, tests, how pytest gets what it needs, lint configuration."""

import configparser
import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from .declared import PYPROJECT, Declared, canonical, name_of, read_declared, requirement_lines
from .node_project import NodeProject, read_node_project
from .pytest_settings import PytestSettings, read_pytest_settings

PRE_COMMIT = ".pre-commit-config.yaml"
FILES_MAX = 20_000
TEST_FILE_BYTES_MAX = 1_000_000
SKIPPED_FOLDERS = frozenset({"node_modules", "build", "dist", "venv", "env", "__pycache__", "site-packages"})
TEST_NAMES = ("tests", "test", "testing", "dev", "develop", "development")
REQUIREMENTS_NAMES = tuple(
    form.format(name=name)
    for name in ("tests", "test", "testing", "dev", "develop")
    for form in (
        "requirements-{name}.txt",
        "{name}-requirements.txt",
        "requirements_{name}.txt",
        "requirements/{name}.txt",
    )
)
# Distributions with a pytest plug-in whose names do not begin with `pytest`.
PLUGINS = frozenset(
    "anyio hypothesis syrupy faker requests-mock respx pyfakefs nbval xdoctest inline-snapshot time-machine".split()
)
NODE = "JavaScript"
OTHER_LANGUAGES = {
    "package.json": NODE,
    "Cargo.toml": "Rust",
    "go.mod": "Go",
    "pom.xml": "Java",
    "build.gradle": "Java",
    "build.gradle.kts": "Kotlin",
    "Gemfile": "Ruby",
    "composer.json": "PHP",
    "CMakeLists.txt": "C or C++",
}

_TEST = re.compile(r"^\s*(?:async\s+)?def test|^\s*class \w*Test|\bTestCase\b", re.MULTILINE)
_RUFF_PIN = re.compile(
    r"repo:\s*[\"']?https://github\.com/(?:astral-sh|charliermarsh)/ruff-pre-commit(?:\.git)?/?[\"']?\s*\n"
    r"(?:\s*#.*\n)*\s*rev:\s*[\"']?v?(\d+\.\d+\.\d+)\b"
)
_TOX_OPTION = re.compile(r"[-./{]|[\w.,!-]+\s*:")
_INCLUDED = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)[ =]*(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Project:
    """`test_files` are relative paths.

    What the tests require comes from `extras`, `groups`, `requirements_files` and the `loose` lines together;
    `key_files` are all files that say so. `ruff_pin` is the version of ruff that its commits are checked with; `inner`
    are folders below with projects of their own, which were not read.
    """

    languages: tuple[str, ...]
    test_files: tuple[str, ...]
    declared: Declared
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    requirements_files: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()
    key_files: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    has_ruff_configuration: bool = False
    ruff_pin: str | None = None
    node: NodeProject | None = None
    inner: tuple[str, ...] = ()

    @property
    def is_python(self) -> bool:
        return "Python" in self.languages


def look_at(folder: Path) -> Project:
    """Read the project in the folder; raises `CannotGoOn` for metadata that do not parse."""
    files = tuple(_files(folder))
    declared = read_declared(folder)
    languages = [language for name, language in OTHER_LANGUAGES.items() if (folder / name).is_file()]
    settings = read_pytest_settings(folder)
    tests = tuple(file for file in files if _is_test_file(file, settings) and _has_tests(folder / file))
    # A helper script does not make a project of another language a Python project.
    if declared.files or tests or (not languages and any(file.endswith(".py") for file in files)):
        languages.insert(0, "Python")
    extras, groups = _test_lists(declared)
    listed = declared.lines(extras=extras, groups=groups, build=False)
    requirements_files = _requirements_files(folder, declared, listed)
    from_files = [line for file in requirements_files for line in _lines_of(folder, file)]
    loose = () if _has_pytest([*listed, *from_files]) else _tox_lines(folder)
    if not _has_pytest([*listed, *from_files, *loose]):
        loose = (*loose, "pytest")
    known = {name_of(line) for line in (*listed, *from_files, *loose)}
    loose = (*loose, *(plugin for plugin in settings.plugins if plugin not in known))
    names = dict.fromkeys(name_of(line) for line in (*listed, *from_files, *loose))
    keys = (*declared.files, *(key for file in requirements_files for key in _with_included(folder, file)))
    return Project(
        languages=tuple(dict.fromkeys(languages)),
        test_files=tests,
        declared=declared,
        extras=extras,
        groups=groups,
        requirements_files=requirements_files,
        loose=loose,
        key_files=tuple(dict.fromkeys(keys)),
        plugins=tuple(name for name in names if name in PLUGINS or name.startswith("pytest-")),
        has_ruff_configuration=_has_ruff_configuration(folder),
        ruff_pin=_ruff_pin(folder) if "ruff" not in names else None,
        node=read_node_project(folder, files),
        inner=_inner_projects(folder, files),
    )


def _files(folder: Path) -> Iterator[str]:
    """Paths of files, the first `FILES_MAX` of them; no hidden folders, no environments, no other repositories."""
    count = 0
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in SKIPPED_FOLDERS
            and not os.path.lexists(Path(root, name, "pyvenv.cfg"))
            and not os.path.lexists(Path(root, name, ".git"))
        )
        for name in sorted(names):
            count += 1
            if count > FILES_MAX:
                return
            yield Path(root, name).relative_to(folder).as_posix()


def _inner_projects(folder: Path, files: Iterable[str]) -> tuple[str, ...]:
    """Folders below that declare a project, the outermost of each; not those of tests and examples."""
    names = {PYPROJECT, *OTHER_LANGUAGES}
    if (folder / "package.json").is_file():
        # Its workspaces are part of it.
        names.remove("package.json")
    found: list[str] = []
    for place in (Path(file).parent for file in files if "/" in file and Path(file).name in names):
        is_inside = any(place.is_relative_to(known) for known in found)
        if not is_inside and not {*TEST_NAMES, "fixtures", "examples", "docs"}.intersection(place.parts):
            found.append(place.as_posix())
    return tuple(found)


def _is_test_file(file: str, settings: PytestSettings) -> bool:
    return file.endswith(".py") and any(
        fnmatch(file if "/" in pattern else Path(file).name, pattern) for pattern in settings.files
    )


def _has_tests(file: Path) -> bool:
    try:
        return file.stat().st_size <= TEST_FILE_BYTES_MAX and bool(_TEST.search(file.read_text("utf-8", "replace")))
    except OSError:
        return False


def _test_lists(declared: Declared) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The extra or the group that brings pytest, or is at least named for tests."""
    kinds = (declared.extras, declared.groups)
    found = [
        (kind, name) for wanted in TEST_NAMES for kind in (0, 1) for name in kinds[kind] if canonical(name) == wanted
    ]
    found += [(kind, name) for kind in (0, 1) for name in kinds[kind] if (kind, name) not in found]

    def lines(kind: int, name: str) -> tuple[str, ...]:
        return declared.lines(**{("extras", "groups")[kind]: (name,)}, build=False)

    # The metadata of the project itself may need pytest, as that of a plug-in does.
    chosen = [(kind, name) for kind, name in found if _has_pytest(set(lines(kind, name)) - set(declared.dependencies))][
        :1
    ]
    chosen = chosen or [(kind, name) for kind, name in found if canonical(name) in TEST_NAMES[:3]][:1]
    return tuple(name for kind, name in chosen if kind == 0), tuple(name for kind, name in chosen if kind == 1)


def _requirements_files(folder: Path, declared: Declared, listed: Iterable[str]) -> tuple[str, ...]:
    """Files of requirements where the metadata do not say it all: the project's own and those of its tests."""
    own = ["requirements.txt"] if not declared.dependencies else []
    for_tests: list[str] = []
    if not _has_pytest(listed):
        there = [name for name in REQUIREMENTS_NAMES if (folder / name).is_file()]
        for_tests = [name for name in there if _has_pytest(_lines_of(folder, name))][:1] or there[:1]
    return tuple(name for name in (*own, *for_tests) if (folder / name).is_file())


def _lines_of(folder: Path, file: str) -> list[str]:
    return [line for name in _with_included(folder, file) for line in requirement_lines(_read(folder / name))]


def _with_included(folder: Path, file: str) -> tuple[str, ...]:
    """A file of requirements and those that it includes, in the folder."""
    found = dict.fromkeys([file])
    queue = [file]
    while queue:
        name = queue.pop()
        for included in _INCLUDED.findall(_read(folder / name)):
            path = os.path.normpath(Path(name).parent / included)
            if path not in found and not path.startswith("..") and (folder / path).is_file():
                found[path] = None
                queue.append(path)
    return tuple(found)


def _tox_lines(folder: Path) -> tuple[str, ...]:
    """What tox installs for every environment: plain requirements, nothing that depends on tox's factors."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        config.read_string(_read(folder / "tox.ini"))
    except configparser.Error:
        return ()
    lines = (line.strip() for line in config.get("testenv", "deps", fallback="").splitlines())
    return tuple(line for line in lines if name_of(line) and not _TOX_OPTION.match(line))


def _has_pytest(lines: Iterable[str]) -> bool:
    # Its plug-ins depend on it.
    return any(name == "pytest" or name.startswith("pytest-") for name in map(name_of, lines))


def _has_ruff_configuration(folder: Path) -> bool:
    if any((folder / name).is_file() for name in ("ruff.toml", ".ruff.toml")):
        return True
    try:
        tool = tomllib.loads(_read(folder / PYPROJECT)).get("tool", {})
    except tomllib.TOMLDecodeError:
        return False
    return isinstance(tool, dict) and "ruff" in tool


def _ruff_pin(folder: Path) -> str | None:
    """The version that pre-commit runs: another one has other rules, and finds what nobody here was ever told."""
    found = _RUFF_PIN.search(_read(folder / PRE_COMMIT))
    return found[1] if found else None


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""
