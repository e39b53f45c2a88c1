"""What a Python project declares to need: read from its files, never by running them.

`pyproject.toml` (standard metadata, dependency groups, setuptools' files of requirements, Poetry's own tables),
`setup.cfg`, and those arguments of `setup()` in `setup.py` that are written out as values.
"""

import ast
import configparser
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .command import CannotGoOn
from .poetry import poetry_requirements

PYPROJECT, SETUP_CFG, SETUP_PY = "pyproject.toml", "setup.cfg", "setup.py"
METADATA_FILES = (PYPROJECT, SETUP_CFG, SETUP_PY)
# What builds a project that says nothing about it.
DEFAULT_BUILD = ("setuptools", "wheel")
NESTING_MAX = 20

_REQUIREMENT = re.compile(
    r"\s*(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[(?P<extras>[^]]*)\])?(?P<rest>[^;]*)(?:;(?P<marker>.*))?"
)

Lists = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Declared:
    """Requirements as pip takes them. `files` are those that were read, `unread` sentences about what could not be."""

    name: str = ""
    dependencies: tuple[str, ...] = ()
    extras: Lists = field(default_factory=dict)
    groups: Lists = field(default_factory=dict)
    build: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    is_installable: bool = False

    def lines(self, *, extras: Iterable[str] = (), groups: Iterable[str] = (), build: bool = True) -> tuple[str, ...]:
        """Every requirement once, the project's own extras resolved; raises `CannotGoOn` for an unknown name."""
        found = [*self.dependencies]
        found += [line for extra in extras for line in _get(self.extras, extra, "extra")]
        found += [line for group in groups for line in _get(self.groups, group, "dependency group")]
        expanded = [*self._expanded(found, NESTING_MAX), *(self.build if build else ())]
        return tuple(dict.fromkeys(expanded))

    def _expanded(self, lines: Iterable[str], depth: int) -> Iterator[str]:
        """The lines with `project[extra]` replaced by what the extra holds."""
        for line in lines:
            found = _REQUIREMENT.fullmatch(line)
            if found is None or not self.name or canonical(found["name"]) != canonical(self.name):
                yield line
            elif depth:
                names = [name for name in (found["extras"] or "").split(",") if name.strip()]
                inner = [inner for name in names for inner in _get(self.extras, name, "extra")]
                yield from (_with_marker(text, found["marker"]) for text in self._expanded(inner, depth - 1))


def canonical(name: str) -> str:
    """Names of projects, extras and groups are equal when these are."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def name_of(requirement: str) -> str:
    """The project that a requirement names; empty for a line that is an option or a path."""
    found = _REQUIREMENT.fullmatch(requirement)
    return canonical(found["name"]) if found else ""


def read_declared(folder: Path) -> Declared:
    """What the metadata files in the folder declare; raises `CannotGoOn` for a file that cannot be read."""
    toml = _read_toml(folder / PYPROJECT)
    config = _read_config(folder / SETUP_CFG)
    arguments, unread = _read_setup_py(folder / SETUP_PY)
    project = _table(toml, "project")
    poetry = poetry_requirements(_table(toml, "tool", "poetry")) if not project else None
    dynamic_unread = list(_unread_dynamic(toml, has_setup=bool(config.sections() or arguments)))
    extras = {**_config_extras(config), **_lists(arguments.get("extras_require"))}
    extras |= {**_dynamic_extras(folder, toml), **_lists(project.get("optional-dependencies"))}
    has_build = "build-system" in toml
    has_setup_py = (folder / SETUP_PY).is_file()
    build = tuple(_texts(_table(toml, "build-system").get("requires"))) if has_build else DEFAULT_BUILD
    return Declared(
        name=str(project.get("name") or _table(toml, "tool", "poetry").get("name") or _config_name(config, arguments)),
        dependencies=(
            *_texts(project.get("dependencies")),
            *_dynamic_lines(folder, toml, "dependencies"),
            *(poetry.dependencies if poetry else ()),
            *_config_lines(config.get("options", "install_requires", fallback="")),
            *_texts(arguments.get("install_requires")),
        ),
        extras={**extras, **(poetry.extras if poetry else {})},
        groups={**_groups(_table(toml, "dependency-groups")), **(poetry.groups if poetry else {})},
        build=_with_wheel(build) if has_build or has_setup_py else (),
        files=tuple(name for name in METADATA_FILES if (folder / name).is_file() and _counts(name, config)),
        unread=(*unread, *dynamic_unread, *(poetry.unread if poetry else ())),
        is_installable=has_build or has_setup_py,
    )


def requirement_lines(text: str) -> tuple[str, ...]:
    """The requirements in the text of a requirements file: no comments, no options, no editable installs."""
    joined = text.replace("\\\n", " ")
    lines = (" ".join(re.sub(r"(^|\s)#.*$", "", line).split(" --")[0].split()) for line in joined.splitlines())
    return tuple(line for line in lines if line and not line.startswith(("-", ".", "/")))


def _get(lists: Lists, name: str, what: str) -> tuple[str, ...]:
    found = {canonical(other): lines for other, lines in lists.items()}.get(canonical(name))
    if found is None:
        known = ", ".join(sorted(lists)) or "none"
        raise CannotGoOn(f"The project has no {what} '{name.strip()}'.", f"It declares: {known}.", code="bad_argument")
    return found


def _with_marker(line: str, marker: str | None) -> str:
    if not marker:
        return line
    text, _, own = line.partition(";")
    return f"{text.strip()}; ({own.strip()}) and ({marker.strip()})" if own else f"{text.strip()}; {marker.strip()}"


def _with_wheel(build: tuple[str, ...]) -> tuple[str, ...]:
    """Older versions of setuptools ask for wheel only when they build, which without isolation is too late."""
    names = {name_of(line) for line in build}
    return (*build, "wheel") if "setuptools" in names and "wheel" not in names else build


def _groups(table: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    names = {canonical(name): name for name in table}

    def lines(name: str, depth: int) -> Iterator[str]:
        items = table.get(names.get(canonical(name), name))
        for item in items if isinstance(items, list) and depth else ():
            if isinstance(item, str):
                yield item
            elif isinstance(item, dict) and isinstance(item.get("include-group"), str):
                yield from lines(item["include-group"], depth - 1)

    return {name: tuple(lines(name, NESTING_MAX)) for name in table}


def _dynamic_lines(folder: Path, toml: Mapping[str, object], *keys: str) -> tuple[str, ...]:
    """setuptools may take requirements from files that it is told of."""
    files = _table(toml, "tool", "setuptools", "dynamic", *keys).get("file")
    paths = [files] if isinstance(files, str) else _texts(files)
    return tuple(line for path in paths for line in requirement_lines(_read_text(folder / path)))


def _dynamic_extras(folder: Path, toml: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    names = _table(toml, "tool", "setuptools", "dynamic", "optional-dependencies")
    return {name: _dynamic_lines(folder, toml, "optional-dependencies", name) for name in names}


def _unread_dynamic(toml: Mapping[str, object], *, has_setup: bool) -> Iterator[str]:
    dynamic = _texts(_table(toml, "project").get("dynamic"))
    known = _table(toml, "tool", "setuptools", "dynamic")
    for what in ("dependencies", "optional-dependencies"):
        if what in dynamic and what not in known and not has_setup:
            yield f"{PYPROJECT} leaves {what} to a build plug-in, which is not run."


def _counts(name: str, config: configparser.ConfigParser) -> bool:
    """Whether a file says anything about the project: many a setup.cfg only holds settings of tools."""
    return name != SETUP_CFG or any(section.startswith(("metadata", "options")) for section in config.sections())


def _config_extras(config: configparser.ConfigParser) -> dict[str, tuple[str, ...]]:
    section = "options.extras_require"
    names = config.options(section) if config.has_section(section) else []
    return {name: _config_lines(config.get(section, name)) for name in names}


def _config_lines(text: str) -> tuple[str, ...]:
    return requirement_lines(text)


def _config_name(config: configparser.ConfigParser, arguments: Mapping[str, object]) -> str:
    name = arguments.get("name")
    return name if isinstance(name, str) else config.get("metadata", "name", fallback="")


def _read_setup_py(file: Path) -> tuple[dict[str, object], tuple[str, ...]]:
    """The arguments of `setup()` that are plain values, and a sentence for each requirement that is computed."""
    text = _read_text(file)
    if not text:
        return {}, ()
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as exc:
        return {}, (f"{SETUP_PY} does not parse ({exc}).",)
    named = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("setup")]
    keywords = {word.arg: word.value for call in calls for word in call.keywords if word.arg is not None}
    values: dict[str, object] = {}
    unread = []
    for name in ("name", "install_requires", "extras_require"):
        node = keywords.get(name)
        node = named.get(node.id, node) if isinstance(node, ast.Name) else node
        try:
            values |= {name: ast.literal_eval(node)} if node is not None else {}
        except ValueError:
            unread += [f"{SETUP_PY} computes {name}, and it is not run."] if name != "name" else []
    return values, tuple(unread)


def _read_config(file: Path) -> configparser.ConfigParser:
    config = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        config.read_string(_read_text(file))
    except configparser.Error as exc:
        raise CannotGoOn(f"{file.name} does not parse: {exc}.", "Mend it first.") from exc
    return config


def _read_toml(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(_read_text(file))
    except tomllib.TOMLDecodeError as exc:
        raise CannotGoOn(f"{file.name} does not parse: {exc}.", "Mend it first.") from exc


def _read_text(file: Path) -> str:
    """The file's text; empty when there is none."""
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as exc:
        raise CannotGoOn(f"{file.name} is not UTF-8 text.", "Save it as UTF-8 first.") from exc


def _table(toml: Mapping[str, object], *keys: str) -> Mapping[str, object]:
    found: object = toml
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _texts(value: object) -> list[str]:
    return (
        [item for item in value if isinstance(item, str)]
        if isinstance(value, Sequence) and not isinstance(value, str)
        else []
    )


def _lists(value: object) -> dict[str, tuple[str, ...]]:
    return {str(name): tuple(_texts(items)) for name, items in value.items()} if isinstance(value, dict) else {}
