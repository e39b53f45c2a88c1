"""What a user gets: the wheel, and what it does in an environment that has never seen this repository."""

import ast
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
START_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def checked_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what git knows or would add, so that no leftover of an earlier build is packed."""
    copy = tmp_path_factory.mktemp("source")
    listing = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split("\0"):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def wheel(checked_out: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder), str(checked_out)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the programs' folder of an environment that holds the wheel; its dependencies are lent, not downloaded."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True)
    # A .pth lends the folder alone: what is installed there as editable, this repository above all, stays out of reach.
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return environment / "bin"


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path, checked_out: Path) -> None:
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    package = [file for layer in ("schemas", "gates", "server") for file in (checked_out / layer).rglob("*")]
    root = [*checked_out.glob("*.py"), checked_out / "py.typed"]
    files = {f"gatewright/{file.relative_to(checked_out)}" for file in (*root, *package) if file.is_file()}
    assert shipped == files


def test_the_wheel_says_its_version_its_licence_and_its_one_command(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
    (commands,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("/entry_points.txt"))

    assert f"\nVersion: {PROJECT['version']}\n" in metadata
    assert "\nLicense-Expression: MIT\n" in metadata
    assert commands == "[console_scripts]\ngatewright = gatewright.__main__:main\n"


@pytest.mark.slow
def test_the_version_is_said_once(installed: Path, tmp_path: Path) -> None:
    printed = _run(tmp_path, installed / "python", "-I", "-c", "import gatewright; print(gatewright.__version__)")

    assert printed.strip() == PROJECT["version"]


@pytest.mark.parametrize("program", [("gatewright",), ("python", "-m", "gatewright")], ids=["script", "module"])
def test_the_installed_program_starts(installed: Path, tmp_path: Path, program: tuple[str, ...]) -> None:
    printed = _run(tmp_path, installed / program[0], *program[1:], "--version")

    assert printed == f"gatewright {PROJECT['version']}\n"


@pytest.mark.slow
def test_the_installed_program_is_an_mcp_server_on_a_pipe(installed: Path, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    subprocess.run(["git", "init", "--quiet", str(repository)], check=True)
    subprocess.run(["git", "-C", str(repository), "commit", "--quiet", "--allow-empty", "-m", "Start"], check=True)

    with subprocess.Popen(
        [installed / "gatewright", "--in-process"],
        cwd=repository,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        hello = _ask(server, "initialize", client)
        listed = _ask(server, "tools/list", {})
        _, _ = server.communicate(timeout=START_TIMEOUT_S)

    assert hello["serverInfo"]["name"] == "gatewright"
    assert len(listed["tools"]) == 11
    assert server.returncode == 0


def test_every_library_that_the_package_imports_is_a_declared_dependency() -> None:
    """What merely comes along with another library may leave with its next version."""
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *extras["team"], *extras["telemetry"]]
    declared = {_canonical(re.split(r"[^\w.-]", line)[0]) for line in lines}
    providers = packages_distributions()

    imported = {library for layer in ("schemas", "gates", "server") for library in _imported_libraries(ROOT / layer)}

    undeclared = [name for name in sorted(imported) if not {_canonical(p) for p in providers.get(name, [])} & declared]
    assert undeclared == []


def _run(folder: Path, program: Path, *arguments: str) -> str:
    command = [str(program), *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=START_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# Any: JSON of the wire, whose keys each test names itself.
def _ask(server: subprocess.Popen[str], method: str, params: dict[str, Any]) -> dict[str, Any]:
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps({"jsonrpc": "2.0", "id": method, "method": method, "params": params}) + "\n")
    server.stdin.flush()
    for line in server.stdout:
        answer: dict[str, Any] = json.loads(line)
        if answer.get("id") == method:
            result: dict[str, Any] = answer["result"]
            return result
    raise AssertionError(f"the server ended without an answer to {method}")


def _imported_libraries(folder: Path) -> Iterator[str]:
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            yield from ({name.partition(".")[0] for name in names} - sys.stdlib_module_names)


def _canonical(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
