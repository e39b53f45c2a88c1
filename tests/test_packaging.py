"""What is packed for others to plug in: it agrees with the program, and says nothing that is not so."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # it has none

from gatewright.schemas.arguments import TOOLS

ROOT = Path(__file__).resolve().parent.parent
PACKAGING = ROOT / "packaging"
LAUNCHER = PACKAGING / "mcpb" / "server" / "gatewright"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def _json(name: str) -> Any:  # noqa: ANN401  # what is in these files is what the tests look at
    return json.loads((PACKAGING / name).read_text("utf-8"))


def test_the_registry_s_entry_has_its_form() -> None:
    validator = Draft7Validator(_json("server.schema.json"), format_checker=Draft7Validator.FORMAT_CHECKER)

    assert [error.message for error in validator.iter_errors(_json("server.json"))] == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "gatewright"),
        ("description", "x" * 101),
        ("version", "^0.1.0"),
        ("packages", []),
        (
            "packages",
            [{"registryType": "pypi", "identifier": "x", "version": "latest", "transport": {"type": "stdio"}}],
        ),
        ("packages", [{"registryType": "mcpb", "identifier": "x", "version": "1.0.0", "transport": {"type": "stdio"}}]),
        ("status", "active"),
    ],
)
def test_an_entry_of_another_form_is_found_out(key: str, value: Any) -> None:  # noqa: ANN401  # JSON
    """The schema is in our own words, so what it must reject is held here."""
    validator = Draft7Validator(_json("server.schema.json"))

    assert not validator.is_valid({**_json("server.json"), key: value})


def test_versions_and_licence_are_said_once_more_and_are_the_same() -> None:
    entry, manifest = _json("server.json"), _json("mcpb/manifest.json")

    versions = {entry["version"], manifest["version"], *(package["version"] for package in entry["packages"])}
    assert versions == {PROJECT["version"]}
    assert [package["identifier"] for package in entry["packages"]] == [PROJECT["name"]]
    assert manifest["license"] == PROJECT["license"]


def test_the_bundle_names_the_tools_that_there_are() -> None:
    assert [tool["name"] for tool in _json("mcpb/manifest.json")["tools"]] == list(TOOLS)


def test_every_place_in_the_manifest_is_filled_by_a_setting_or_by_a_file_of_the_bundle() -> None:
    manifest = _json("mcpb/manifest.json")
    config = json.dumps(manifest["server"]["mcp_config"])

    places = set(re.findall(r"\$\{([^}]*)\}", config))

    assert places == {"__dirname", *(f"user_config.{name}" for name in manifest["user_config"])}
    assert (PACKAGING / "mcpb" / manifest["server"]["entry_point"]).is_file()
    assert f"${{__dirname}}/{manifest['server']['entry_point']}" in config


def test_nothing_that_is_packed_names_a_registry_s_host() -> None:
    """The one address is the schema's, which the format itself requires."""
    texts = [file.read_text("utf-8") for file in PACKAGING.rglob("*") if file.is_file() and file.suffix != ".pyc"]

    addresses = {address for text in texts for address in re.findall(r"https?://[^\s\"')]+", text)}

    assert {address.split("/")[2] for address in addresses} == {"static.modelcontextprotocol.io", "json-schema.org"}


def _launch(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(LAUNCHER), "--repo", "/a b"],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("setting", ["named", "empty", "its own name", "none"])
def test_the_bundle_starts_the_program_that_is_named_or_found(tmp_path: Path, setting: str) -> None:
    program = tmp_path / ".local" / "bin" / "gatewright"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nprintf "%s|" "$0" "$@"\n')
    program.chmod(0o755)
    settings = {"named": str(program), "empty": "", "its own name": "${user_config.program}"}
    given = {"GATEWRIGHT_PROGRAM": settings[setting]} if setting in settings else {}
    home = os.devnull if setting == "named" else str(tmp_path)

    done = _launch({"HOME": home, **given})

    assert done.stdout == f"{program}|--repo|/a b|", done.stderr


def test_a_program_that_is_not_there_is_told_where_the_client_keeps_its_log(tmp_path: Path) -> None:
    done = _launch({"HOME": str(tmp_path), "GATEWRIGHT_PROGRAM": "/no/such/gatewright"})

    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no program /no/such/gatewright here" in done.stderr
