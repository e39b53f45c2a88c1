"""Who may know whom, read from the source: docs/architecture.md and docs/decisions/0001-the-root-is-the-package.md."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("schemas", "gates", "server")

# What loads before a client, or a person who calls a tool at a terminal, has an answer.
BRIDGE = (
    "__main__.py",
    "server/bridge.py",
    "server/client.py",
    "server/exchange.py",
    "server/lines.py",
    "server/reach.py",
    "server/rendezvous.py",
    "server/unserved.py",
)

# A library -> the only places that may import it; a path that ends in "/" means everything below.
HOMES = {
    "git": ("gates/repository.py",),
    "sqlalchemy": ("server/store/",),
    "mcp": ("server/",),
    "mcp_types": ("server/",),
    "starlette": ("server/",),
    "uvicorn": ("server/",),
    "opentelemetry": ("server/telemetry/",),
    "prometheus_client": ("server/telemetry/",),
}
# Inside `server/`, these know neither the protocol library nor who calls them.
WITHOUT_PROTOCOL = ("server/store/", "server/engine/", "server/cli/", "server/people/", *BRIDGE[1:])

# No input, output, clock or randomness: what they decide can be replayed.
PURE = (
    "schemas/",
    "gates/findings.py",
    "gates/graph.py",
    "gates/guarded/judged_words.py",
    "gates/guarded/links.py",
    "gates/guarded/shadows.py",
    "gates/guarded/tables.py",
    "gates/lifecycle.py",
    "gates/machine/",
    "gates/paths.py",
    "gates/patterns.py",
    "gates/policies/shell_text.py",
    "gates/reports/",
    "gates/text.py",
    "gates/verdict.py",
    "gates/worktrees/problems.py",
)
# Folders whose `__init__.py` is a map. That of the commands lies in their list.
MAPPED = (
    "schemas",
    "gates",
    "gates/kinds",
    "gates/artifact_store",
    "gates/checkouts",
    "gates/guarded",
    "gates/isolation",
    "gates/judging",
    "gates/machine",
    "gates/policies",
    "gates/preparation",
    "gates/programs",
    "gates/remote",
    "gates/worktrees",
    "gates/testing",
    "gates/reports",
    "server",
    "server/board",
    "server/operations",
    "server/people",
    "server/http",
    "server/identity",
    "server/engine",
    "server/store",
    "server/telemetry",
)
OUTSIDE_WORLD = {"os", "pathlib", "select", "shutil", "signal", "socket", "sqlite3", "subprocess", "tempfile", "urllib"}
IMPURE = OUTSIDE_WORLD | {"anyio", "asyncio", "io", "multiprocessing", "random", "secrets", "threading", "time", "uuid"}
CLOCK_READERS = ("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns")
CLOCK_HOMES = ("server/composition.py",)


def source_files() -> list[Path]:
    return [*sorted(ROOT.glob("*.py")), *(file for layer in LAYERS for file in sorted((ROOT / layer).rglob("*.py")))]


def problems_in(path: str, source: str) -> list[str]:
    """Return one `path:line: sentence` for each import or clock reading of a file that the architecture forbids."""
    return [f"{path}:{line}: {problem}" for line, problem in _problems(path, ast.parse(source))]


@pytest.mark.slow
def test_every_file_keeps_to_its_place() -> None:
    problems = [p for file in source_files() for p in problems_in(str(file.relative_to(ROOT)), file.read_text("utf-8"))]

    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("schemas/ids.py", "from ..gates import lifecycle"),
        ("schemas/ids.py", "from .. import server"),
        ("gates/kinds/ruff.py", "from ...server import app"),
        ("gates/kinds/ruff.py", "from gatewright.schemas import ids"),
        ("gates/runner.py", "import gatewright.schemas"),
        ("gates/checkout.py", "import git.repo"),
        ("gates/runner.py", "from mcp.types import Tool"),
        ("gates/verdict.py", "import os.path"),
        ("gates/verdict.py", "from pathlib import Path"),
        ("schemas/ids.py", "def f():\n    import uuid"),
        ("schemas/events.py", "now = datetime.now(UTC)"),
        ("gates/runner.py", "now = datetime.datetime.now(UTC)"),
        ("server/operations.py", "import sqlalchemy"),
        ("server/operations.py", "now = time.time()"),
        ("server/operations.py", "from time import time"),
        ("server/store/sql.py", "import mcp"),
        ("server/cli/main.py", "from mcp.client import Client"),
    ],
)
def test_a_file_out_of_place_is_named_with_its_line(path: str, line: str) -> None:
    source = f'"""A file."""\n\n{line}\n'

    problems = problems_in(path, source)

    assert len(problems) == 1, problems
    assert problems[0].startswith(f"{path}:{3 + line.count(chr(10))}: ")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("__main__.py", "from .server.cli.main import main"),
        ("schemas/pipeline.py", "from .ids import StageName"),
        ("gates/kinds/ruff.py", "from ...schemas import records"),
        ("gates/paths.py", "from pathlib import PurePosixPath"),
        ("gates/repository.py", "import git"),
        ("server/composition.py", "now = datetime.now(UTC)"),
        ("server/tools.py", "from mcp.server import MCPServer"),
        ("server/store/sql.py", "import sqlalchemy"),
    ],
)
def test_a_file_in_its_place_is_left_alone(path: str, line: str) -> None:
    assert problems_in(path, line) == []


def test_the_places_that_the_rules_name_exist() -> None:
    """A rule about a file that was renamed would hold for nothing."""
    named = {*BRIDGE, *PURE, *WITHOUT_PROTOCOL, *CLOCK_HOMES, *(home for homes in HOMES.values() for home in homes)}

    assert [place for place in sorted(named) if not (ROOT / place).exists()] == []


@pytest.mark.parametrize("folder", MAPPED)
def test_every_module_stands_in_the_map_of_its_folder(folder: str) -> None:
    told = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text("utf-8"))) or ""
    modules = {file.stem for file in (ROOT / folder).glob("*.py")} - {"__init__"}

    assert modules - set(re.findall(r"\w+", told)) == set()


def test_the_bridge_starts_with_the_standard_library_alone() -> None:
    """Without site-packages (-S) any other import ends in a traceback that names file and line."""
    modules = ", ".join(f"gatewright.{path.removesuffix('.py').replace('/', '.')}" for path in BRIDGE)
    program = f"import sys; sys.path.insert(0, {str(ROOT / '.src')!r}); import {modules}"

    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_the_packages_listed_for_the_wheel_are_those_in_the_tree() -> None:
    folders = {file.parent.relative_to(ROOT) for file in source_files()}
    in_tree = {".".join(("gatewright", *folder.parts)) for folder in folders}

    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]

    assert listed == sorted(in_tree)
    assert [str(folder) for folder in sorted(folders) if not (ROOT / folder / "__init__.py").is_file()] == []


def test_no_module_strays_into_the_root() -> None:
    """The root is the package: a file there would be shipped, whatever it was meant for."""
    assert sorted(file.name for file in ROOT.glob("*.py")) == ["__init__.py", "__main__.py"]


def _problems(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for name in names:
                    yield from ((node.lineno, problem) for problem in _library_problems(path, name.name))
            case ast.ImportFrom(module=str(module), level=0):
                imported = [f"{module}.{alias.name}" for alias in node.names]
                yield from ((node.lineno, problem) for problem in _library_problems(path, module, imported))
            case ast.ImportFrom():
                yield from ((node.lineno, problem) for problem in _layer_problems(path, node))
            case ast.Attribute() if path not in CLOCK_HOMES and ast.unparse(node).endswith(CLOCK_READERS):
                yield node.lineno, f"{ast.unparse(node)} reads the clock, which is passed in as `now`"
            case _:
                pass


def _library_problems(path: str, module: str, names: list[str] | None = None) -> Iterator[str]:
    library = module.partition(".")[0]
    if library == "gatewright":
        yield f"{module} is imported by its absolute name; the source imports relatively"
    elif library in IMPURE and path.startswith(PURE) and not _only_pure_paths(names):
        yield f"{library} does I/O or knows a clock, and this file is pure"
    elif path not in CLOCK_HOMES and set(names or ()) & set(CLOCK_READERS):
        yield f"{module} reads the clock, which is passed in as `now`"
    elif not path.startswith(HOMES.get(library, ("",))):
        yield f"{library} is imported in {' and '.join(HOMES[library])} alone"
    elif library in ("mcp", "mcp_types") and path.startswith(WITHOUT_PROTOCOL):
        yield f"{library} is known to the tools and the app, not here"


def _only_pure_paths(names: list[str] | None) -> bool:
    return bool(names) and all(name.startswith("pathlib.Pure") for name in names or ())


def _layer_problems(path: str, node: ast.ImportFrom) -> Iterator[str]:
    folder = Path(path).parent.parts
    base = [*folder[: len(folder) - (node.level - 1)], *(node.module or "").split(".")]
    own = _height(folder)
    for alias in node.names:
        target = [part for part in (*base, alias.name) if part]
        if _height(target) > own:
            yield f"{path.partition('/')[0]} imports {'.'.join(target)}; imports point down only"


def _height(parts: tuple[str, ...] | list[str]) -> int:
    """The layer's number from below; `__main__` stands above all, other things of the root below all."""
    if not parts:
        return len(LAYERS)
    return LAYERS.index(parts[0]) if parts[0] in LAYERS else -1
