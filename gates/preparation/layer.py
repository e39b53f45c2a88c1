"""A private layer over a Python environment: what is installed goes into the layer, everything else comes from below.

The layer is a virtual environment made by hand, which takes a fraction of the time of `python -m venv`: a link to the
same interpreter, a site folder whose `.pth` file adds the shared one behind it (with the `.pth` files in there), and
copies of the shared console scripts that start the layer's interpreter. pip and uv then install into the layer, and pip
leaves alone what it finds outside.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from ..isolation.reach import Sandbox
from ..process import ProcessLimits, allowed_environment, find_tool, judge_exit, run_process
from ..text import shorten
from .stand_ins import SHARED_PTH

PYTHON_TIMEOUT_S = 30.0
SCRIPT_BYTES_MAX = 1_000_000
# Kernels before 5.1 cut the first line of a script here.
SHEBANG_BYTES_MAX = 127

# Asked of the interpreter itself, because distributions differ in where they keep packages.
_DESCRIBE = """
import json, os, sys, sysconfig
scheme = "venv" if "venv" in sysconfig.get_scheme_names() else "posix_prefix"
base = getattr(sys, "_base_executable", sys.executable)
print(json.dumps({
    "executable": os.path.realpath(base),
    "home": os.path.dirname(os.path.realpath(base)),
    "prefix": sys.prefix,
    "is_venv": sys.prefix != sys.base_prefix,
    "sees_system": any(p.startswith(sys.base_prefix) and p.endswith("-packages") for p in sys.path),
    "version": sys.version.split()[0],
    "shared": sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}),
    "own": sysconfig.get_path("purelib", scheme, {"base": ".", "platbase": "."}),
}))
"""


# What scripts of version managers answered; asking takes longer than many a gate.
_pythons: dict[tuple[str, tuple[float, ...]], Path] = {}


@dataclass(frozen=True)
class _Interpreter:
    executable: str
    home: str
    prefix: str
    is_venv: bool
    sees_system: bool
    version: str
    shared: Sequence[str]
    own: str


async def find_python(path: str, fallback: Path) -> Path:
    """Return the first `python3` on `path`; `fallback` when there is none.

    A version manager's script of that name is asked for the interpreter: it would choose anew in every folder, also by
    a file that the artifact brings along.
    """
    found = find_tool("python3", path)
    if found is None:
        return fallback
    with found.open("rb") as file:
        if file.read(2) != b"#!":
            return found
    key = (path, _state_of(found))
    if key not in _pythons:
        told = await _ask_for_python(found, path)
        if told is None:
            return fallback
        _pythons[key] = told
    return _pythons[key]


async def _ask_for_python(found: Path, path: str) -> Path | None:
    finished = await run_process(
        [str(found), "-I", "-c", "import sys; print(sys.executable)"],
        cwd=Path("/"),
        environment=allowed_environment(path=path, home=Path.home(), tmp=Path("/tmp"), extra={}),  # noqa: S108 - nothing is written
        limits=ProcessLimits(timeout_s=PYTHON_TIMEOUT_S, output_bytes_max=10_000),
        stdout_bytes_max=10_000,
    )
    told = os.fsdecode(finished.stdout or b"").strip()
    return Path(told) if finished.returncode == 0 and told.startswith("/") else None


def _state_of(script: Path) -> tuple[float, ...]:
    """When what a version manager's script goes by was last changed, as far as that is known."""
    places = (script, script.parent.parent / "version", Path.home() / ".tool-versions")
    return tuple(place.stat().st_mtime if place.exists() else 0.0 for place in places)


async def make_layer(
    python: Path, venv: Path, *, environment: Mapping[str, str], limits: ProcessLimits, sandbox: Sandbox
) -> str | None:
    """Make the folder `venv` a layer over the environment that `python` belongs to; why that failed, or None.

    `venv/bin/python` is the layer's interpreter. Nothing is written outside `venv`. The interpreter is asked in the
    `sandbox`: what was installed by `setup` can run whenever it starts.
    """
    finished = await run_process(
        [str(python), "-I", "-c", _DESCRIBE],
        cwd=Path("/"),
        environment=environment,
        limits=limits,
        stdout_bytes_max=100_000,
        sandbox=sandbox,
    )
    if finished.returncode != 0 or finished.stdout is None:
        reason = judge_exit(finished) or shorten(finished.output.strip().rpartition("\n")[2], 200)
        return f"The interpreter '{python}' does not work: {reason}"
    try:
        interpreter = _Interpreter(**json.loads(finished.stdout))
    except (ValueError, TypeError):
        return f"The interpreter '{python}' printed something else than its description."
    await to_thread.run_sync(_write_layer, interpreter, venv)
    return None


def _write_layer(interpreter: _Interpreter, venv: Path) -> None:
    programs, site = venv / "bin", venv / interpreter.own
    programs.mkdir(parents=True, exist_ok=True)
    site.mkdir(parents=True)
    if not (venv / "lib64").exists() and "64" not in interpreter.own:
        (venv / "lib64").symlink_to("lib")
    sees_system = interpreter.sees_system or not interpreter.is_venv
    (venv / "pyvenv.cfg").write_text(
        f"home = {interpreter.home}\n"
        f"include-system-site-packages = {str(sees_system).lower()}\n"
        f"version = {interpreter.version}\n"
    )
    major_minor = ".".join(interpreter.version.split(".")[:2])
    (programs / "python").symlink_to(interpreter.executable)
    for name in ("python3", f"python{major_minor}"):
        (programs / name).symlink_to("python")
    # Outside of a venv Python knows the shared folders already; then the file only tells where they are.
    prefix = "import site; " if interpreter.is_venv else "# "
    (site / SHARED_PTH).write_text("".join(f"{prefix}site.addsitedir({folder!r})\n" for folder in interpreter.shared))
    if interpreter.is_venv:
        _copy_scripts(Path(interpreter.prefix), venv)


def _copy_scripts(shared: Path, venv: Path) -> None:
    for program in (shared / "bin").iterdir():
        copy = venv / "bin" / program.name
        if os.path.lexists(copy) or program.name.startswith(("python", "pypy")) or not program.is_file():
            continue
        # What a link points to is not read: it could be anybody's file.
        script = None if program.is_symlink() else _read_script(program)
        if script is None:
            copy.symlink_to(program)
            continue
        copy.write_bytes(_rebase(script, shared, venv))
        copy.chmod(program.stat().st_mode & 0o777)


def _read_script(program: Path) -> bytes | None:
    """A script, or a file that a shell sources, whole; None for anything else."""
    if program.stat().st_size > SCRIPT_BYTES_MAX:
        return None
    content = program.read_bytes()
    return content if content.startswith(b"#!") or program.name.startswith("activate") else None


def _rebase(script: bytes, shared: Path, venv: Path) -> bytes:
    first, newline, rest = script.partition(b"\n")
    own_python = os.fsencode(venv / "bin" / "python")
    if first.startswith(b"#!" + os.fsencode(shared / "bin" / "python")) and (
        len(own_python) + len("#!") > SHEBANG_BYTES_MAX or b" " in own_python
    ):
        # A shell reads the second line as a command, Python reads it and the third as a string.
        return b"#!/bin/sh\n'''exec' \"" + own_python + b'" "$0" "$@"\n' + b"' '''\n" + rest
    return (first + newline + rest).replace(os.fsencode(shared), os.fsencode(venv))
