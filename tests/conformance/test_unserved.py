"""What the bridge answers without a repository, and so without the SDK: held against the SDK's own types."""

from typing import Any

import mcp_types as types
import pytest
from mcp_types.methods import validate_server_result
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION, MODERN_PROTOCOL_VERSIONS

from gatewright import __version__
from gatewright.server.unserved import answer

SENTENCE = "There is no git repository here."
HANDSHAKE, STATELESS = LATEST_HANDSHAKE_VERSION, MODERN_PROTOCOL_VERSIONS[-1]


def answered(method: str, **params: object) -> dict[str, Any]:
    result = answer({"method": method, "params": params}, SENTENCE)
    assert result is not None
    return result


@pytest.mark.parametrize(
    ("version", "method"),
    [
        (HANDSHAKE, "initialize"),
        (HANDSHAKE, "tools/list"),
        (HANDSHAKE, "ping"),
        (STATELESS, "server/discover"),
        (STATELESS, "tools/list"),
    ],
)
def test_every_answer_fits_its_generation(version: str, method: str) -> None:
    validate_server_result(method, version, answered(method, protocolVersion=HANDSHAKE))


@pytest.mark.parametrize("version", HANDSHAKE_PROTOCOL_VERSIONS)
def test_a_version_that_the_server_speaks_is_kept(version: str) -> None:
    """Also when the SDK learns a new one: then this names the list that has to learn it too."""
    assert answered("initialize", protocolVersion=version)["protocolVersion"] == version


@pytest.mark.parametrize("version", ["1999-01-01", "2025-03-27", "", "draft", STATELESS])
def test_every_other_version_is_answered_with_one_that_the_server_speaks(version: str) -> None:
    """The protocol: never with the client's own, when it is unknown."""
    assert answered("initialize", protocolVersion=version)["protocolVersion"] == HANDSHAKE


def test_the_stateless_answer_says_who_answers() -> None:
    discovered = answered("server/discover")

    assert discovered["supportedVersions"] == list(MODERN_PROTOCOL_VERSIONS)
    assert discovered["_meta"][types.SERVER_INFO_META_KEY] == {"name": "gatewright", "version": __version__}
