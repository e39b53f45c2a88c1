"""What a Node project is, as far as its files tell: how it is installed, and which gates its own scripts amount to."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .node_scripts import find_arguments, find_test_run

PACKAGE = "package.json"
NODE_MODULES = "node_modules"
# The first that is there says what installs, exactly what it lists.
LOCKS = {
    "package-lock.json": "npm ci --no-audit --no-fund",
    "npm-shrinkwrap.json": "npm ci --no-audit --no-fund",
    "pnpm-lock.yaml": "pnpm install --frozen-lockfile",
    "yarn.lock": "yarn install --frozen-lockfile",
}
WITHOUT_LOCK = "npm install --no-audit --no-fund --no-package-lock"
YARN_SETTINGS = ".yarnrc.yml"
# Read while packages are installed.
SETTINGS = (".npmrc", "pnpm-workspace.yaml", ".pnpmfile.cjs", YARN_SETTINGS)
DEPENDENCIES = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
# They run the project's own files, which are not there while it is set up from its key files alone.
OWN_HOOKS = ("preinstall", "install", "postinstall", "prepublish", "prepare", "preprepare", "postprepare")
ESLINT_FILES = tuple(f"eslint.config.{ending}" for ending in ("js", "mjs", "cjs", "ts", "mts", "cts")) + tuple(
    f".eslintrc{ending}" for ending in ("", ".js", ".cjs", ".json", ".yml", ".yaml")
)
LINT_SCRIPTS = ("lint", "lint:js", "eslint")
TYPE_SCRIPTS = ("typecheck", "type-check", "types", "check-types", "check:types", "lint:types", "tsc")
SOURCE_SUFFIXES = frozenset({".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"})

_TEST_NAME = re.compile(r"(^|.*[._-])(test|spec)s?([._-].*)?")
_TEST_FOLDERS = frozenset({"test", "tests", "__tests__", "spec"})
_VARIABLE = re.compile(r"\$\{(\w+)\??\}")


@dataclass(frozen=True)
class NodeGate:
    """One gate as `init` writes it: its kind and options, in their order."""

    kind: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class NodeProject:
    """`install` makes `keep` from `key_files`; None when nothing is to be installed.

    `notes` are sentences for people.
    """

    gates: tuple[NodeGate, ...] = ()
    install: str | None = None
    key_files: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()


def read_node_project(folder: Path, files: Iterable[str]) -> NodeProject | None:
    """Read the project of which `files` are the paths; None without a package.json that says something."""
    package = _package(folder)
    if not package:
        return None
    scripts = {name: text for name, text in _table(package, "scripts").items() if isinstance(text, str)}
    needed = {name for kind in DEPENDENCIES for name in _table(package, kind)}
    has_tests = any(map(_is_test, files))
    notes: list[str] = []
    found = [_test_gate(scripts, needed, notes) if has_tests else None, _eslint_gate(folder, package, needed, scripts)]
    found.append(_types_gate(folder, needed, scripts))
    if not has_tests:
        notes.append("No tests of Node were found, so there is no gate for them.")
    install, lock = _installer(folder, package, needed, notes)
    members = _members(package)
    keys = (PACKAGE, *lock, *(f"{glob}/{PACKAGE}" for glob in members), *_there(folder, SETTINGS))
    return NodeProject(
        gates=tuple(gate for gate in found if gate is not None),
        install=install,
        key_files=keys if install else (),
        keep=(NODE_MODULES, *(f"{glob}/{NODE_MODULES}" for glob in members)) if install else (),
        notes=tuple(notes),
        scripts=tuple(scripts),
    )


def _package(folder: Path) -> Mapping[str, object]:
    try:
        package = json.loads((folder / PACKAGE).read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return package if isinstance(package, dict) else {}


def _table(owner: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = owner.get(name)
    return value if isinstance(value, dict) else {}


def _there(folder: Path, names: Iterable[str]) -> list[str]:
    return [name for name in names if (folder / name).is_file()]


def _members(package: Mapping[str, object]) -> list[str]:
    """The globs of the workspace's own packages, whose files say what is installed too."""
    given = package.get("workspaces")
    given = given.get("packages") if isinstance(given, dict) else given
    globs = [glob.strip("/") for glob in given if isinstance(glob, str)] if isinstance(given, list) else []
    return [glob.removeprefix("./") for glob in globs if not glob.startswith("!")]


def _is_test(file: str) -> bool:
    path = PurePosixPath(file)
    return path.suffix in SOURCE_SUFFIXES and bool(
        _TEST_NAME.fullmatch(path.stem.lower()) or _TEST_FOLDERS & set(path.parts[:-1])
    )


def _installer(
    folder: Path, package: Mapping[str, object], needed: set[str], notes: list[str]
) -> tuple[str | None, list[str]]:
    """The command, and the lock file that it honours; None where the project needs nothing."""
    locks = _there(folder, LOCKS)[:1]
    if not locks and not needed and "workspaces" not in package:
        return None, []
    command = LOCKS[locks[0]] if locks else WITHOUT_LOCK
    if not locks:
        notes.append("There is no lock file: what is installed is the newest that package.json allows.")
    if locks == ["yarn.lock"] and (folder / YARN_SETTINGS).is_file():
        command = "yarn install --immutable"
        if "nodeLinker: node-modules" not in (folder / YARN_SETTINGS).read_text("utf-8", "replace"):
            notes.append("Yarn keeps packages outside node_modules here: set nodeLinker: node-modules, or mend `keep`.")
    if any(name in _table(package, "scripts") for name in OWN_HOOKS):
        command += " --ignore-scripts"
        notes.append("Scripts that packages run when they are installed are left out, for the project has some too.")
    if (folder / ".npmrc").is_file():
        names = dict.fromkeys(_VARIABLE.findall((folder / ".npmrc").read_text("utf-8", "replace")))
        notes += [f".npmrc reads {name}: name it under `secrets` of `setup`." for name in names]
    return command, locks


def _test_gate(scripts: Mapping[str, str], needed: set[str], notes: list[str]) -> NodeGate | None:
    found = find_test_run(scripts, needed)
    notes += found.notes
    if found.run is None:
        return None
    if found.report is None:
        return NodeGate("command", {"name": "test", "run": found.run})
    return NodeGate("test", {"run": found.run, "report": found.report})


def _eslint_gate(
    folder: Path, package: Mapping[str, object], needed: set[str], scripts: Mapping[str, str]
) -> NodeGate | None:
    if "eslint" not in needed or not (_there(folder, ESLINT_FILES) or "eslintConfig" in package):
        return None
    arguments = find_arguments(scripts, LINT_SCRIPTS, "eslint") or ["."]
    options = {"name": "eslint", "run": " ".join(["eslint", "--format json", *arguments]), "report": "eslint"}
    # Where warnings fail the project's own script, they are findings here.
    if any("--max-warnings" in scripts.get(name, "") for name in LINT_SCRIPTS):
        options["level"] = "warning"
    return NodeGate("command", options)


def _types_gate(folder: Path, needed: set[str], scripts: Mapping[str, str]) -> NodeGate | None:
    if "typescript" not in needed or not (folder / "tsconfig.json").is_file():
        return None
    arguments = find_arguments(scripts, TYPE_SCRIPTS, "tsc") or []
    if not {"--noEmit", "-b", "--build"} & set(arguments):
        arguments.append("--noEmit")
    return NodeGate(
        "command", {"name": "types", "run": " ".join(["tsc", *arguments, "--pretty false"]), "report": "lines"}
    )
