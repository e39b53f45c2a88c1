"""Where to listen, under which names, and what is refused before anything is opened."""

import ipaddress
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from gatewright.server.http.limits import Limits, Rate
from gatewright.server.http.listener import Doors
from gatewright.server.http.listening import (
    CannotListen,
    Issuer,
    Settings,
    is_loopback,
    open_listener,
    parse_address,
    parse_url,
    places_of,
    require_callers,
    require_safe,
    url_of,
)
from gatewright.server.http.rates import KEYS_MAX, Buckets

TLS = (Path("cert.pem"), Path("key.pem"))
PROXY = (ipaddress.ip_network("10.0.0.0/24"),)
ISSUER = Issuer("https://issuer.example", "https://gates.example/mcp", "keys.json")
URL = "https://gates.example"
OPEN = Settings("0.0.0.0", 8765, URL, tls=TLS)
LOCAL = Settings("127.0.0.1", 8765)


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:8765", ("::1", 8765)), ("gates:80", ("gates", 80))],
)
def test_an_address_is_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "8765", ":8765", "::1:8765", "host:", "host:x", "host:70000", "host:-1", "host:٣"]
)
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_address(text)


@pytest.mark.parametrize(
    "text", ["gates.example", "ftp://x", "https://", "https://a:b@x", "https://x/y", "https://x?y", "https://x:y"]
)
def test_what_is_no_url_of_ours_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_url(text)


def test_a_url_is_taken_with_the_path_of_the_protocol_or_without() -> None:
    assert {parse_url(f"https://Gates.Example:8443{path}") for path in ("", "/", "/mcp")} == {
        "https://gates.example:8443"
    }


def test_only_what_nobody_else_reaches_is_loopback() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "no-such-host.invalid", ""))


@pytest.mark.parametrize(
    ("settings", "live_tokens"),
    [
        (LOCAL, 0),
        (replace(LOCAL, host="::1"), 0),
        (OPEN, 1),
        (replace(OPEN, issuer=ISSUER), 0),
        (replace(OPEN, tls=None, proxies=PROXY), 1),
    ],
)
def test_what_is_safe_is_let_be(settings: Settings, live_tokens: int) -> None:
    require_safe(settings)
    require_callers(settings, live_tokens=live_tokens)


@pytest.mark.parametrize(
    ("settings", "live_tokens", "said"),
    [
        (replace(OPEN, tls=None), 1, "encrypted"),
        (OPEN, 0, "no token is good"),
        (replace(OPEN, tls=None, proxies=PROXY), 0, "no token is good"),
        (replace(LOCAL, proxies=PROXY), 1, "own name"),
        (replace(OPEN, public_url=None), 1, "own name"),
        (replace(OPEN, public_url="http://gates.example"), 1, "own name"),
        (replace(LOCAL, issuer=ISSUER), 1, "by its URL"),
    ],
)
def test_what_would_let_anybody_in_or_read_along_is_refused_with_what_to_do(
    settings: Settings, live_tokens: int, said: str
) -> None:
    def require() -> None:
        require_safe(settings)
        require_callers(settings, live_tokens=live_tokens)

    with pytest.raises(CannotListen) as refused:
        require()

    assert said in refused.value.message
    assert "--" in refused.value.next or "gatewright token issue" in refused.value.next


def test_its_names_are_those_of_its_url_and_on_loopback_those_of_the_machine() -> None:
    out, own = places_of(replace(OPEN, more_hosts=("Probe:8765",)), 8765), places_of(LOCAL, 4711)

    assert out.hosts == {"gates.example", "gates.example:443", "probe:8765"}
    assert out.origins == {URL}
    assert own.hosts == {"127.0.0.1:4711", "localhost:4711", "[::1]:4711"}
    assert own.origins == {"http://127.0.0.1:4711", "http://localhost:4711", "http://[::1]:4711"}
    assert (url_of(OPEN, 8765), url_of(LOCAL, 4711)) == (f"{URL}/mcp", "http://127.0.0.1:4711/mcp")
    assert url_of(replace(LOCAL, host="::1"), 1) == "http://[::1]:1/mcp"


def test_a_port_that_is_taken_is_told_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=f"127.0.0.1:{port} cannot be listened on"):
            open_listener(replace(LOCAL, port=port), Limits())


def test_behind_a_proxy_nobody_else_connects_and_the_proxy_as_often_as_it_likes() -> None:
    doors = Doors(Limits(connections=3, connections_of_address=1), PROXY)

    assert not any(doors.enter(address) for address in ("10.0.1.1", "127.0.0.1", "::1", "", "nonsense"))
    assert [doors.enter("10.0.0.7") for _ in range(4)] == [True, True, True, False]
    doors.leave("10.0.0.7")
    assert doors.enter("10.0.0.8")


def test_what_was_counted_in_is_counted_out() -> None:
    doors = Doors(Limits(connections=2, connections_of_address=1))

    for _ in range(5):
        assert doors.enter("192.0.2.1")
        assert not doors.enter("192.0.2.1")
        assert doors.enter("192.0.2.2")
        assert not doors.enter("192.0.2.3"), "there are two in all"
        doors.leave("192.0.2.1")
        doors.leave("192.0.2.2")


def test_a_host_with_more_addresses_than_it_can_count_has_one_share() -> None:
    doors = Doors(Limits(connections=9, connections_of_address=1))

    assert doors.enter("2001:db8::1")
    assert not doors.enter("2001:db8::ffff:2")
    assert not doors.enter("2001:db8::3%eth0")
    assert doors.enter("2001:db8:0:1::1"), "another network"
    assert doors.enter("192.0.2.1")
    assert not doors.enter("::ffff:192.0.2.1"), "the same by another writing"
    doors.leave("2001:db8::1")
    assert doors.enter("2001:db8::4")


def test_a_bucket_fills_with_time_and_never_above_its_brim() -> None:
    now = [0.0]
    buckets = Buckets(Rate(2.0, 3), lambda: now[0])

    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    now[0] = 0.5
    assert [buckets.take("a"), buckets.take("a")] == [0, 0.5]
    assert buckets.take("b") == 0, "each has its own"
    now[0] = 1_000.0
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_addresses_without_end_cost_no_memory_without_end() -> None:
    buckets = Buckets(Rate(1.0, 1), lambda: 0.0)
    for number in range(KEYS_MAX + 100):
        buckets.take(str(number))

    assert len(buckets._buckets) == KEYS_MAX
