"""Where and how to listen, and why not: settings that would let anybody in are refused before anything is opened."""

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .guards import Places
from .limits import Limits
from .listener import Doors, Listener, Network

PATH = "/mcp"
BACKLOG = 512
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
DEFAULT_PORTS = {"http": 80, "https": 443}


class CannotListen(Exception):
    """These settings are refused. `message` is one sentence, `next` what to do instead."""

    def __init__(self, message: str, next_action: str) -> None:
        self.message = message
        self.next = next_action
        super().__init__(f"{message} {next_action}")


@dataclass(frozen=True, slots=True)
class Issuer:
    """An OAuth issuer: its name, how it names this server, and where its keys are, a path or a URL."""

    name: str
    audience: str
    keys: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator said. `proxies` are those that end TLS before this server; `public_url` has no path."""

    host: str
    port: int
    public_url: str | None = None
    more_hosts: tuple[str, ...] = ()
    tls: tuple[Path, Path] | None = None
    """Certificate, with its chain, and key."""
    proxies: tuple[Network, ...] = ()
    issuer: Issuer | None = None


def parse_address(text: str) -> tuple[str, int]:
    """`HOST:PORT`, an IPv6 host in brackets; raises `ValueError` with a few words."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ValueError("is not HOST:PORT")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("needs brackets around its host: [::1]:8765")
    if not host:
        raise ValueError("names no host; 0.0.0.0 is every address of this machine")
    return host, int(port)


def parse_url(text: str) -> str:
    """A URL without a path, as `https://gates.example.org`; raises `ValueError` with a few words."""
    parts = urlsplit(text)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.username is not None:
        raise ValueError("is no http(s) URL, as https://gates.example.org is one")
    if parts.path not in ("", "/", PATH) or parts.query or parts.fragment:
        raise ValueError(f"has a path; {PATH} is added to it")
    _ = parts.port  # raises for one that is no number
    return f"{parts.scheme}://{parts.netloc.lower()}"


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches the host; of a name every address has to be such."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found)


def require_safe(settings: Settings) -> None:
    """Raise `CannotListen` for what would let anybody in, or let anybody read along."""
    url = settings.public_url
    if settings.issuer is not None and url is None:
        raise CannotListen(
            "OAuth names this server by its URL.", "Say under which one clients reach it: --public-url https://..."
        )
    if _is_local(settings):
        return
    where = _told(settings)
    if settings.tls is None and not settings.proxies:
        raise CannotListen(
            f"{where}, and nothing would be encrypted.",
            "Give --tls-cert and --tls-key, or name the proxy that ends TLS: --behind-tls-proxy ADDRESS.",
        )
    if url is None or not url.startswith("https://"):
        raise CannotListen(
            f"{where}: only requests to its own name are answered, and none was given.",
            "Say under which URL clients reach it: --public-url https://gates.example.org",
        )


def require_callers(settings: Settings, *, live_tokens: int) -> None:
    """Raise `CannotListen` where nobody could call, which is looked at once the store is open."""
    if settings.issuer is None and live_tokens == 0 and not _is_local(settings):
        raise CannotListen(
            f"{_told(settings)}, and no token is good.",
            "A person issues one first: gatewright token issue SUBJECT --scope work. Or name an OAuth issuer.",
        )


def places_of(settings: Settings, port: int) -> Places:
    """The hosts and origins that are its own; `port` is the one that it listens on in the end."""
    hosts = {name.lower() for name in settings.more_hosts}
    origins: set[str] = set()
    if settings.public_url is not None:
        origins.add(settings.public_url)
        hosts |= _hosts_of(settings.public_url)
    if is_loopback(settings.host):
        scheme = "http" if settings.tls is None else "https"
        for name in LOOPBACK_NAMES:
            hosts |= _hosts_of(f"{scheme}://{name}:{port}")
            origins.add(f"{scheme}://{name}:{port}")
    return Places(frozenset(hosts), frozenset(origins))


def open_listener(settings: Settings, limits: Limits) -> Listener:
    """The socket, which takes connections from now on, as many as it may; raises `CannotListen`."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        made = socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as exc:
        problem = f"{settings.host}:{settings.port} cannot be listened on: {exc.strerror or exc}."
        raise CannotListen(problem, "Give another one: --listen HOST:PORT.") from exc
    return Listener(made, Doors(limits, settings.proxies))


def url_of(settings: Settings, port: int) -> str:
    """The URL that clients are given, with its path."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    own = f"{'http' if settings.tls is None else 'https'}://{host}:{port}"
    return f"{settings.public_url or own}{PATH}"


def _is_local(settings: Settings) -> bool:
    return is_loopback(settings.host) and not settings.proxies


def _told(settings: Settings) -> str:
    return f"{settings.host}:{settings.port} is reached from other machines"


def _hosts_of(url: str) -> set[str]:
    """What a client may write as `Host` for this URL: with and without the port that goes without saying."""
    parts = urlsplit(url)
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    if parts.port in (None, DEFAULT_PORTS[parts.scheme]):
        return {name, f"{name}:{DEFAULT_PORTS[parts.scheme]}"}
    return {f"{name}:{parts.port}"}
