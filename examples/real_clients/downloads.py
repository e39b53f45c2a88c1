"""What has to be fetched once, before everything runs without a network: the clients, and pytest for the project.

Each client has a folder of its own in the cache, so that whoever drives two of them fetches two.
"""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from processes import run

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache" / "real_clients"
WHEELS = CACHE / "wheels"
AIDER_CONSTRAINTS = HERE / "aider-constraints.txt"
DOWNLOAD_TIMEOUT_S = 600.0


class Package(Protocol):
    """One client as a registry has it."""

    @property
    def version(self) -> str:
        """The one that this example is about."""
        ...

    @property
    def programs(self) -> Path:
        """The folder with its program, once it is there."""
        ...

    def fetch(self) -> str | None:
        """Install it unless it is there; a sentence when that is not possible, else None."""
        ...


@dataclass(frozen=True)
class Npm:
    """A package of npm; `package.json` beside this file has the versions, and whose scripts may run."""

    name: str

    @property
    def version(self) -> str:
        return str(_manifest()["dependencies"][self.name])

    @property
    def programs(self) -> Path:
        return self._folder / "node_modules" / ".bin"

    def fetch(self) -> str | None:
        installed = self._folder / "node_modules" / self.name / "package.json"
        if installed.is_file() and json.loads(installed.read_text())["version"] == self.version:
            return None
        npm = shutil.which("npm")
        if npm is None:
            return "npm is not installed"
        self._folder.mkdir(parents=True, exist_ok=True)
        scripts = {name: True for name in _manifest()["allowScripts"] if name == self.name}
        manifest = {"private": True, "dependencies": {self.name: self.version}, "allowScripts": scripts}
        (self._folder / "package.json").write_text(json.dumps(manifest))
        options = ["--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
        return _download([npm, "install", *options], self._folder)

    @property
    def _folder(self) -> Path:
        return CACHE / self.name.rpartition("/")[2]


@dataclass(frozen=True)
class Pip:
    """aider, in an environment of its own: it pins more than a hundred packages."""

    name: str

    @property
    def version(self) -> str:
        pins = dict(line.split("==") for line in AIDER_CONSTRAINTS.read_text().splitlines() if "==" in line)
        return pins[self.name]

    @property
    def programs(self) -> Path:
        return self._folder / "bin"

    def fetch(self) -> str | None:
        done = self._folder / "constraints.txt"
        if done.is_file() and done.read_bytes() == AIDER_CONSTRAINTS.read_bytes():
            return None
        uv = shutil.which("uv")
        python = str(self.programs / "python")
        make = [uv, "venv", "--quiet", "--clear"] if uv else [sys.executable, "-m", "venv", "--clear"]
        install = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
        constraints = f"--constraint={AIDER_CONSTRAINTS}"
        CACHE.mkdir(parents=True, exist_ok=True)
        problem = _download([*make, str(self._folder)], CACHE)
        problem = problem or _download([*install, "--quiet", "--only-binary=:all:", constraints, self.name], CACHE)
        if problem is None:
            shutil.copy(AIDER_CONSTRAINTS, done)
        return problem

    @property
    def _folder(self) -> Path:
        return CACHE / "aider"


def fetch_wheels() -> str | None:
    """What the scratch project's set-up installs; a sentence when it cannot be had, else None."""
    if any(WHEELS.glob("pytest-*.whl")):
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--only-binary=:all:"]
    return _download([*pip, f"--constraint={ROOT / 'constraints.txt'}", f"--dest={WHEELS}", "pytest"], CACHE)


def _manifest() -> dict[str, dict[str, str]]:
    manifest: dict[str, dict[str, str]] = json.loads((HERE / "package.json").read_text())
    return manifest


def _download(argv: Sequence[str], folder: Path) -> str | None:
    # The person's own settings say where packages come from: here, and only here, theirs is the environment.
    finished = run(argv, cwd=folder, environment=os.environ, timeout_s=DOWNLOAD_TIMEOUT_S)
    return None if finished.returncode == 0 else f"`{' '.join(argv)}` failed: {finished.output.strip()[-500:]}"
