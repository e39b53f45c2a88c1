"""What has to be fetched once: the conformance suite, the inspector, and a Node that is new enough for both.

Versions are pinned in `package.json`; no install script is run. Where Node is not published as a package the machine's
own is taken, which must be 22.19 or newer.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent.parent / ".cache" / "conformance"
PACKAGES = CACHE / "node_modules"
DOWNLOAD_TIMEOUT_S = 300
TOLD_CHARS_MAX = 500


class NotFetched(Exception):
    """The programs are not there and cannot be fetched; says why."""


@dataclass(frozen=True, slots=True)
class Programs:
    """How the fetched programs are started, and the suite's own folder."""

    suite: tuple[str, ...]
    inspector: tuple[str, ...]
    suite_folder: Path


def fetch() -> Programs:
    """Fill the cache with what is not there yet; raises `NotFetched`."""
    if not _is_fetched():
        _install()
    suite = PACKAGES / "@modelcontextprotocol" / "conformance"
    inspector = PACKAGES / "@modelcontextprotocol" / "inspector"
    node = _node()
    return Programs(
        suite=(node, str(suite / "dist" / "index.js")),
        inspector=(node, str(inspector / "clients" / "launcher" / "build" / "index.js"), "--cli"),
        suite_folder=suite,
    )


def _is_fetched() -> bool:
    """Whether what is wanted now is what was fetched, to its end."""
    wanted, fetched = HERE / "package.json", CACHE / "package.json"
    if not fetched.is_file() or fetched.read_bytes() != wanted.read_bytes():
        return False
    versions = json.loads(wanted.read_text("utf-8"))["dependencies"]
    return all(_installed_version(package) == version for package, version in versions.items())


def _install() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NotFetched("npm is not installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "package.json", CACHE)
    argv = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    # The person's own settings say where packages come from: here, and only here, theirs is the environment.
    done = subprocess.run(
        argv, cwd=CACHE, env=os.environ, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise NotFetched(f"`{' '.join(argv)}` failed: {done.stderr.strip()[-TOLD_CHARS_MAX:]}")


def _installed_version(package: str) -> str | None:
    manifest = PACKAGES / package / "package.json"
    return str(json.loads(manifest.read_text("utf-8"))["version"]) if manifest.is_file() else None


def _node() -> str:
    for program in sorted(PACKAGES.glob("node-*/bin/node")):
        return str(program)
    node = shutil.which("node")
    if node is None:
        raise NotFetched("Node is not installed")
    return node
