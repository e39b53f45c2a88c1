"""What has to be fetched once, before everything runs without a network: the clients, and pytest for the project."""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from processes import run

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache" / "real_clients"
PROGRAMS = CACHE / "node_modules" / ".bin"
WHEELS = CACHE / "wheels"
DOWNLOAD_TIMEOUT_S = 300.0


def fetch_all(packages: Iterable[str]) -> str | None:
    """Fill the cache with what is not there yet; a sentence when that is not possible, else None."""
    CACHE.mkdir(parents=True, exist_ok=True)
    return _fetch_clients(packages) or _fetch_wheels()


def pinned_version(package: str) -> str:
    return str(json.loads((HERE / "package.json").read_text())["dependencies"][package])


def _fetch_clients(packages: Iterable[str]) -> str | None:
    if all(_installed_version(package) == pinned_version(package) for package in packages):
        return None
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed"
    shutil.copy(HERE / "package.json", CACHE)
    return _download([npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"])


def _fetch_wheels() -> str | None:
    if any(WHEELS.glob("pytest-*.whl")):
        return None
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--only-binary=:all:"]
    return _download([*pip, f"--constraint={ROOT / 'constraints.txt'}", f"--dest={WHEELS}", "pytest"])


def _installed_version(package: str) -> str | None:
    manifest = CACHE / "node_modules" / package / "package.json"
    return str(json.loads(manifest.read_text())["version"]) if manifest.is_file() else None


def _download(argv: Sequence[str]) -> str | None:
    # The person's own settings say where packages come from: here, and only here, theirs is the environment.
    finished = run(argv, cwd=CACHE, environment=os.environ, timeout_s=DOWNLOAD_TIMEOUT_S)
    return None if finished.returncode == 0 else f"`{' '.join(argv)}` failed: {finished.output.strip()[-500:]}"
