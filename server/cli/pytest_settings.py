"""What a project's pytest configuration tells: how test files are called, and plug-ins that its options belong to."""

import configparser
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILES_DEFAULT = ("test_*.py", "*_test.py")
# Without the plug-in pytest refuses the option, or passes over the setting.
OPTIONS: Mapping[str, str] = {
    "--asyncio-mode": "pytest-asyncio",
    "asyncio_mode": "pytest-asyncio",
    "asyncio_default_fixture_loop_scope": "pytest-asyncio",
    "--benchmark-": "pytest-benchmark",
    "--cov": "pytest-cov",
    "DJANGO_SETTINGS_MODULE": "pytest-django",
    "--ds": "pytest-django",
    "env": "pytest-env",
    "--timeout": "pytest-timeout",
    "timeout": "pytest-timeout",
    "--numprocesses": "pytest-xdist",
    "-n": "pytest-xdist",
    "--dist": "pytest-xdist",
}


@dataclass(frozen=True)
class PytestSettings:
    """`files` are patterns of names; `plugins` are distributions, in the order in which they were found."""

    files: tuple[str, ...] = FILES_DEFAULT
    plugins: tuple[str, ...] = ()


def read_pytest_settings(folder: Path) -> PytestSettings:
    """The settings of the first file that pytest would take; what does not parse says nothing."""
    settings = next((found for found in _candidates(folder) if found is not None), {})
    files = tuple(_words(settings.get("python_files"))) or FILES_DEFAULT
    given = [name for name in settings if not name.startswith("-")]
    given += [word for word in _words(settings.get("addopts")) if word.startswith("-")]
    return PytestSettings(files, tuple(dict.fromkeys(plugin for word in given if (plugin := plugin_of(word)))))


def plugin_of(word: str) -> str | None:
    """The distribution that an option of pytest, or a setting, belongs to; None for pytest's own."""
    name = word.partition("=")[0]
    if name.startswith("-n") and name[2:].isalnum():
        name = "-n"
    prefixes = (prefix for prefix in ("--benchmark-", "--cov") if name.startswith(prefix))
    return OPTIONS.get(next(prefixes, name))


def _candidates(folder: Path) -> "list[Mapping[str, object] | None]":
    """In pytest's own order, None for a file that it would pass over."""
    toml = _toml(folder / "pyproject.toml")
    tool = toml.get("tool")
    table = tool.get("pytest") if isinstance(tool, dict) else None
    older = table.get("ini_options") if isinstance(table, dict) else None
    return [
        _section(folder / "pytest.ini", "pytest"),
        _section(folder / ".pytest.ini", "pytest"),
        older if isinstance(older, dict) else table if isinstance(table, dict) else None,
        _section(folder / "tox.ini", "pytest"),
        _section(folder / "setup.cfg", "tool:pytest"),
    ]


def _section(file: Path, name: str) -> Mapping[str, object] | None:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    # Names of variables count as they are written.
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as the standard library documents it
    try:
        parser.read_string(file.read_text("utf-8", "replace"))
    except (OSError, configparser.Error):
        return None
    return dict(parser[name]) if parser.has_section(name) else None


def _toml(file: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(file.read_text("utf-8", "replace"))
    except (OSError, tomllib.TOMLDecodeError):
        return {}


def _words(value: object) -> list[str]:
    """The items of a list, or the words of a text."""
    if isinstance(value, list):
        return [item for item in value if isinstance(item, str)]
    try:
        return shlex.split(value) if isinstance(value, str) else []
    except ValueError:
        return []
