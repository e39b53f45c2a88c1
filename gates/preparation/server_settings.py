"""What of the server's environment a project's programs get: `setup` the settings for indexes, gates almost nothing.

Read-only: `server` is the server's environment as a mapping; files are only looked for.
"""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

# Settings of package tools and of the network. They may carry credentials: for `setup` only, never for gates.
PASSED_PREFIXES = ("PIP_", "UV_", "NPM_CONFIG_", "npm_config_")
PASSED_NAMES = frozenset(
    {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"}
    | {"CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", "GOPROXY", "GOPRIVATE", "GOSUMDB"}
)
# What publishes a package is no business of an environment, and a cache of the person's is not to be written by it.
HELD_BACK = ("PUBLISH", "CACHE")

# Where people keep the same settings in files: the variable that names one, and the places below their home.
SETTINGS_FILES: Mapping[str, tuple[str, ...]] = {
    "PIP_CONFIG_FILE": (".config/pip/pip.conf", ".pip/pip.conf"),
    "UV_CONFIG_FILE": (".config/uv/uv.toml",),
    "NPM_CONFIG_USERCONFIG": (".npmrc",),
}
# Toolchains that their start programs look for below the home, which is another one in gates.
TOOLCHAINS: Mapping[str, str] = {"RUSTUP_HOME": ".rustup"}

SECRET_PREFIX = "GATEWRIGHT_SECRET_"


def server_path(server: Mapping[str, str]) -> str:
    """The server's PATH, with the tools that gatewright itself depends on, such as ruff, as the last resort."""
    return os.pathsep.join([server.get("PATH", os.defpath), str(Path(sys.executable).parent)])


def index_settings(server: Mapping[str, str]) -> dict[str, str]:
    """Variables that tell package tools where packages come from and how to get there."""
    passed = {
        name: value
        for name, value in server.items()
        if (name.startswith(PASSED_PREFIXES) or name.upper() in PASSED_NAMES)
        and not any(word in name.upper() for word in HELD_BACK)
    }
    for variable, places in SETTINGS_FILES.items():
        for place in (Path(server.get("HOME", os.devnull)) / place for place in places):
            if place.is_file():
                passed.setdefault(variable, str(place))
    return passed


def toolchains(server: Mapping[str, str]) -> dict[str, str]:
    """Variables that say where toolchains lie; without anything secret in them, so for gates as well."""
    home = Path(server.get("HOME", os.devnull))
    places = {name: Path(server.get(name, home / below)) for name, below in TOOLCHAINS.items()}
    return {name: str(place) for name, place in places.items() if place.is_dir()}


def find_secrets(names: Iterable[str], server: Mapping[str, str]) -> dict[str, str | None]:
    """The value of each secret, None for one that the server does not have under its name or with the prefix."""
    return {name: server.get(f"{SECRET_PREFIX}{name}", server.get(name)) for name in names}
