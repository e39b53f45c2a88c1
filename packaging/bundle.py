"""Build the bundle for Claude Desktop, and start from it what Claude Desktop would start.

Needs npm, once: `@anthropic-ai/mcpb` is fetched into `.cache/mcpb`. Everything else is on this machine.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "packaging" / "mcpb"
CACHE = ROOT / ".cache" / "mcpb"
BUNDLE = ROOT / "dist" / "gatewright.mcpb"
DOWNLOAD_TIMEOUT_S = 300.0
STEP_TIMEOUT_S = 60.0
# The function by which a client fills in a manifest, from the package that defines the format.
FILL_IN = """
import { readFileSync } from "node:fs";
import { getMcpConfigForManifest } from "@anthropic-ai/mcpb";
const [folder, repository, program] = process.argv.slice(-3);
const config = await getMcpConfigForManifest({
  manifest: JSON.parse(readFileSync(`${folder}/manifest.json`, "utf8")),
  extensionPath: folder,
  systemDirs: {},
  userConfig: { repository, program },
  pathSeparator: "/",
});
console.log(JSON.stringify(config));
"""


def main() -> int:
    """Print a line for each step; 0 when the bundle is there and works."""
    mcpb = _fetch()
    _run([mcpb, "validate", SOURCE / "manifest.json"])
    print("manifest: valid")
    BUNDLE.parent.mkdir(exist_ok=True)
    _run([mcpb, "pack", SOURCE, BUNDLE])
    print(f"bundle: {BUNDLE.relative_to(ROOT)}, {BUNDLE.stat().st_size} bytes")
    with tempfile.TemporaryDirectory(prefix="gatewright-bundle-") as scratch:
        unpacked, repository = Path(scratch) / "unpacked", Path(scratch) / "my repository"
        _run([mcpb, "unpack", BUNDLE, unpacked])
        _run(["git", "init", "--quiet", repository])
        command = _filled_in(unpacked, repository)
        tools = _tools_of(command)
    declared = [tool["name"] for tool in json.loads((SOURCE / "manifest.json").read_text("utf-8"))["tools"]]
    if sorted(tools) != sorted(declared):
        print(f"the server has other tools than the manifest: {sorted(set(tools) ^ set(declared))}", file=sys.stderr)
        return 1
    print(f"started from /, as Claude Desktop starts it: {len(tools)} tools")
    return 0


def _fetch() -> Path:
    """The program that defines the format, of the version in `package.json`."""
    program = CACHE / "node_modules" / ".bin" / "mcpb"
    wanted = (ROOT / "packaging" / "package.json").read_text("utf-8")
    if program.exists() and (CACHE / "package.json").read_text("utf-8") == wanted:
        return program
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is needed once, to fetch @anthropic-ai/mcpb.")
    CACHE.mkdir(parents=True, exist_ok=True)
    (CACHE / "package.json").write_text(wanted, "utf-8")
    quiet = ["--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    _run([npm, "install", *quiet], cwd=CACHE, timeout_s=DOWNLOAD_TIMEOUT_S)
    return program


def _filled_in(unpacked: Path, repository: Path) -> Mapping[str, object]:
    """What a client would start, with a person's settings in the manifest's places."""
    script = CACHE / "fill_in.mjs"
    script.write_text(FILL_IN, "utf-8")
    program = Path(sys.executable).with_name("gatewright")
    printed = _run(["node", script, unpacked, repository, program], cwd=CACHE)
    filled = json.loads(printed)
    assert isinstance(filled, dict)
    return filled


def _tools_of(config: Mapping[str, object]) -> list[str]:
    """The tools that the server lists, started with little of an environment, in `/`."""
    given = config.get("env")
    environment = {
        "HOME": os.environ["HOME"],
        "PATH": "/usr/bin:/bin",
        **(given if isinstance(given, dict) else {}),
    }
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "claude-ai", "version": "1"}}
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}},
    ]
    arguments = config["args"]
    assert isinstance(arguments, list)
    with subprocess.Popen(
        [str(config["command"]), *map(str, arguments)],
        cwd="/",
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write("".join(f"{json.dumps(message)}\n" for message in messages))
        server.stdin.flush()
        answers = (json.loads(line) for line in server.stdout)
        listed: dict[str, Any] = next((answer for answer in answers if answer.get("id") == 2), {})
        server.stdin.close()
        server.wait(STEP_TIMEOUT_S)
    return [str(tool["name"]) for tool in listed.get("result", {}).get("tools", [])]


def _run(command: Sequence[str | Path], *, cwd: Path = ROOT, timeout_s: float = STEP_TIMEOUT_S) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise SystemExit(f"`{' '.join(map(str, command))}` failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
