"""A client's name comes back to it as a session's id, and from there to any replica."""

import json

import pytest

from gatewright.server.http.label import NAME_CHARS_MAX, name_from, session_id_for, shows_apps

N = b"." + b"n" * 16


def hello(name: object) -> bytes:
    return json.dumps({"id": 1, "method": "initialize", "params": {"clientInfo": {"name": name}}}).encode()


def test_two_clients_of_one_name_are_two() -> None:
    assert session_id_for(hello("codex")) != session_id_for(hello("codex"))


@pytest.mark.parametrize("name", ["codex-mcp-client", "claude-code", "", "ä client", "a.b c", "\U0001f600"])
def test_a_name_survives_the_way_there_and_back(name: str) -> None:
    session_id = session_id_for(hello(name))

    assert session_id is not None
    assert session_id.isascii()
    assert name_from(session_id) == name


def test_a_name_is_cut_and_an_odd_one_is_none() -> None:
    long = session_id_for(hello("x" * 10_000))
    assert long is not None
    assert name_from(long) == "x" * NAME_CHARS_MAX
    strange: tuple[object, ...] = (5, None, {}, "\ud800")
    for odd in strange:
        session_id = session_id_for(hello(odd))
        assert session_id is not None
        assert name_from(session_id) in ("", "?")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'"initialize"',
        b'{"method": "tools/list"}',
        b'{"method": "x", "a": "initialize"}',
        b'["initialize"]',
        b"{" + b'"initialize"' * 9,
    ],
)
def test_only_a_greeting_gets_one(body: bytes) -> None:
    assert session_id_for(body) is None


@pytest.mark.parametrize(
    "session_id",
    [
        None,
        b"",
        b"x",
        b"gw1",
        b"gw1.QQ",
        b"gw1.!" + N,
        b"gw1.A" + N,
        b"gw1." + b"A" * 401 + N,
        b"gw1._w" + N,
        b"gw2.QQ" + N,
        b"gw1.QQ" + N + b"A",
    ],
)
def test_what_is_none_of_ours_is_nobody_s_name(session_id: bytes | None) -> None:
    assert name_from(session_id) == ""


def test_whether_a_client_shows_apps_survives_as_well() -> None:
    ui, kind = "io.modelcontextprotocol/ui", "text/html;profile=mcp-app"

    def greeted(capabilities: object) -> bool:
        params = {"clientInfo": {"name": "host"}, "capabilities": capabilities}
        session_id = session_id_for(json.dumps({"id": 1, "method": "initialize", "params": params}).encode())
        assert session_id is not None
        assert name_from(session_id) == "host"
        return shows_apps(session_id)

    assert greeted({"extensions": {ui: {"mimeTypes": [kind, "text/other"]}}})
    others: tuple[object, ...] = (None, [], {}, {"extensions": None}, {"extensions": {ui: None}})
    assert not any(map(greeted, (*others, {"extensions": {ui: {}}}, {"extensions": {ui: {"mimeTypes": [5, []]}}})))
    assert not any(map(shows_apps, (None, b"", b"gw1a", b"gw1a.x")))
