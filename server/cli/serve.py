"""`gatewright serve`: over HTTP, for agents on other machines. See docs/team.md.

What is served: this repository, on the store that lies in it; or, as one of any number of replicas, a team's, on
PostgreSQL and a shared remote.
"""

import ipaddress
import logging
import resource
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..telemetry.logs import LogFormat, formatter_of
from ..telemetry.starting import EXTRA, TelemetryMissing, begin, begin_with_page
from .command import CannotGoOn, Exit, UsageError
from .opening import services_of
from .starting import Start
from .team import add_team, find_team, team_services_of
from .terminal import Terminal

if TYPE_CHECKING:
    from ..app import GatewrightApplication
    from ..http.listening import Settings
    from ..telemetry.page import Page

T = TypeVar("T")

LISTEN = "127.0.0.1:8765"
DRAIN_S = 30.0
DRAIN_S_MAX = 3_600.0
# For connections, the store and git; many systems give a process no more than a thousand unless it asks.
DESCRIPTORS = 4_096


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    add_team(parser)
    parser.add_argument("--listen", metavar="HOST:PORT", default=LISTEN, help=f"where (default: {LISTEN})")
    parser.add_argument("--public-url", metavar="URL", help="under which clients reach it: https://gates.example.org")
    text = "a further Host to answer to, such as that of a health probe (repeatable)"
    parser.add_argument("--allow-host", metavar="HOST[:PORT]", action="append", default=[], help=text)
    parser.add_argument("--tls-cert", metavar="FILE", type=Path, help="the certificate, with its chain")
    parser.add_argument("--tls-key", metavar="FILE", type=Path, help="its private key")
    text = "the address or network of the proxy that ends TLS: nobody else can connect (repeatable)"
    parser.add_argument("--behind-tls-proxy", metavar="ADDRESS", type=_network, action="append", default=[], help=text)
    parser.add_argument("--oauth-issuer", metavar="URL", help="take access tokens of this issuer as well")
    parser.add_argument("--oauth-audience", metavar="NAME", help="how it names this server (default: the URL of /mcp)")
    parser.add_argument("--oauth-keys", metavar="FILE|URL", help="where its keys are, a JWKS document")
    text = f"how long calls under way may go on after SIGTERM (default: {DRAIN_S:.0f})"
    parser.add_argument("--drain", metavar="SECONDS", type=seconds, default=DRAIN_S, dest="drain_s", help=text)
    text = "answer /metrics, as Prometheus reads it, to whoever has a token, of any scope"
    parser.add_argument("--metrics", action="store_true", dest="has_metrics", help=text)
    add_log_format(parser)


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Serve until told to end."""
    from ..app import GatewrightApplication

    settings = _settings(options)
    log_to_stderr(LogFormat(options.log_format))
    raise_descriptors()
    page = begin_with_metrics() if options.has_metrics else None
    begin()
    team = find_team(options)
    with ExitStack() as at_end:
        if team is not None:
            # Its database and its remote are elsewhere, and may come up after it.
            start = Start(lambda: at_end.enter_context(team_services_of(team)))
            _serve(GatewrightApplication(start.services), settings, options, terminal, start.wait_beside, page=page)
        else:
            services = at_end.enter_context(services_of(options))
            _serve(GatewrightApplication(lambda: services), settings, options, terminal, None, page=page)
    return Exit.OK


def _serve(
    application: "GatewrightApplication",
    settings: "Settings",
    options: Namespace,
    terminal: Terminal,
    opened: Callable[[], Awaitable[None]] | None,
    *,
    page: "Page | None",
) -> None:
    import anyio

    from ..http.listening import CannotListen
    from ..http.serving import serve

    def tell(url: str) -> None:
        terminal.say(f"Serving on {url}")
        terminal.flush()

    try:
        served = partial(serve, application, settings, on_ready=tell, opened=opened, drain_s=options.drain_s)
        anyio.run(partial(served, metrics_page=None if page is None else page.text))
    except CannotListen as exc:
        raise CannotGoOn(exc.message, exc.next, code="cannot_listen") from exc


def _settings(options: Namespace) -> "Settings":
    """What the options say; raises `UsageError` for what says nothing."""
    from ..http.listening import PATH, Issuer, Settings, parse_address, parse_url

    host, port = _parsed("--listen", parse_address, options.listen)
    url = None if options.public_url is None else _parsed("--public-url", parse_url, options.public_url)
    if (options.tls_cert is None) != (options.tls_key is None):
        raise UsageError("--tls-cert and --tls-key go together")
    for file in (options.tls_cert, options.tls_key):
        if file is not None and not file.is_file():
            raise UsageError(f"there is no file {file}")
    if (options.oauth_issuer is None) != (options.oauth_keys is None):
        raise UsageError("--oauth-issuer and --oauth-keys go together")
    issuer = None
    if options.oauth_issuer is not None:
        audience = options.oauth_audience or f"{url}{PATH}"
        issuer = Issuer(options.oauth_issuer, audience, _keys_place(options.oauth_keys))
    tls = None if options.tls_cert is None else (options.tls_cert, options.tls_key)
    hosts = tuple(options.allow_host)
    return Settings(host, port, url, hosts, tls, tuple(options.behind_tls_proxy), issuer)


def _keys_place(text: str) -> str:
    """A file that there is, or a URL by which nobody could slip in keys of their own."""
    if text.startswith("https://"):
        return text
    if "://" in text:
        raise UsageError("--oauth-keys is a file or an https URL: who could change the keys could be anybody")
    if not Path(text).is_file():
        raise UsageError(f"there is no file {text}")
    return str(Path(text).absolute())


def _parsed(option: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as exc:
        raise UsageError(f"{option} {text!r} {exc}") from exc


def _network(text: str) -> "ipaddress.IPv4Network | ipaddress.IPv6Network":
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no address and no network") from None


def seconds(text: str) -> float:
    """An option's value; no more than `DRAIN_S_MAX`."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= DRAIN_S_MAX:
        raise ArgumentTypeError(f"{text!r} is no number of seconds from 0 to {DRAIN_S_MAX:.0f}")
    return found


def add_log_format(parser: ArgumentParser) -> None:
    """Declare the option."""
    text = f"lines of text, or one JSON object a line (default: {LogFormat.TEXT})"
    parser.add_argument(
        "--log-format",
        metavar="text|json",
        choices=[str(kind) for kind in LogFormat],
        default=LogFormat.TEXT,
        help=text,
    )


def begin_with_metrics() -> "Page":
    """What `/metrics` shows; raises `CannotGoOn` where it cannot be made."""
    try:
        return begin_with_page()
    except TelemetryMissing as exc:
        raise CannotGoOn(str(exc), f"pip install '{EXTRA}', or leave --metrics out.", code="not_installed") from exc


def log_to_stderr(log_format: LogFormat) -> None:
    """What a process of a team has to say, with the time."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter_of(log_format))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # A line for each request is for a proxy, and these would write one for each session that there is not; and nobody
    # fills the disk by sending what is no HTTP.
    for name in ("mcp.server.streamable_http_manager", "mcp.server.lowlevel.server", "httpx2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)


def raise_descriptors() -> None:
    """As many as are allowed, up to `DESCRIPTORS`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
