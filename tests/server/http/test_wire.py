"""How the bytes come: encrypted, or through a proxy that ended that and says who is behind it."""

import ipaddress
import socket
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gatewright.server.http.limits import Limits, Rate

from ...acceptance.house import Repository
from .house import HEADERS, LIST_TOOLS, bearer, serving_site

pytestmark = pytest.mark.anyio

ME = (ipaddress.ip_network("127.0.0.1"),)
SOMEBODY_ELSE = (ipaddress.ip_network("10.0.0.2"),)


def certificate(folder: Path) -> tuple[Path, Path]:
    """One that vouches for this machine's loopback address, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gates.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "cert.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, private


async def test_with_a_certificate_it_speaks_tls_and_nothing_else(repository: Repository, tmp_path: Path) -> None:
    public, private = certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=str(public))
    old = ssl.create_default_context(cafile=str(public))
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving_site(repository, tls=(public, private), has_engine=False) as site:
        token = await site.issue("ada")
        assert site.url.startswith("https://")
        for context in (trusting, old):
            async with httpx2.AsyncClient(verify=context) as http:
                answer = await http.post(site.url, headers={**HEADERS, **bearer(token)}, json=LIST_TOOLS)
            assert answer.status_code == 200
        async with httpx2.AsyncClient() as plain:
            with pytest.raises(httpx2.TransportError):
                await plain.post(site.url.replace("https", "http"), headers=HEADERS, json=LIST_TOOLS)
            with pytest.raises(httpx2.ConnectError):
                await plain.post(site.url, headers=HEADERS, json=LIST_TOOLS)


async def test_a_proxy_is_believed_about_who_is_behind_it(repository: Repository) -> None:
    """Each of those behind it has a share of its own, and cannot write itself another address."""
    limits = Limits(requests_of_address=Rate(0.001, 2), connections_of_address=1)
    async with serving_site(
        repository, limits=limits, settings=lambda settings: replace(settings, proxies=ME), has_engine=False
    ) as site:
        token = await site.issue("ada")

        async def ask(*forwarded: str) -> int:
            answer = await site.post(token, headers={"x-forwarded-for": ", ".join(forwarded)})
            return answer.status_code

        assert [await ask("192.0.2.1") for _ in range(3)] == [200, 200, 429]
        assert await ask("192.0.2.9", "192.0.2.1") == 429, "what stands before the proxy's own word is the client's"
        assert await ask("192.0.2.2") == 200


async def test_where_no_proxy_was_named_nobody_writes_itself_an_address(repository: Repository) -> None:
    limits = Limits(requests_of_address=Rate(0.001, 2))
    async with serving_site(repository, limits=limits, has_engine=False) as site:
        token = await site.issue("ada")
        told = [(await site.post(token, headers={"x-forwarded-for": f"192.0.2.{n}"})).status_code for n in range(3)]

    assert told == [200, 200, 429]


async def test_behind_a_proxy_nobody_who_is_not_it_is_talked_to(repository: Repository) -> None:
    async with serving_site(
        repository, settings=lambda settings: replace(settings, proxies=SOMEBODY_ELSE), has_engine=False
    ) as site:
        token = await site.issue("ada")

        with pytest.raises(httpx2.TransportError):
            await site.post(token)


async def test_what_is_answered_is_sent_at_once(repository: Repository) -> None:
    """Waiting for a receipt of the head cost each call 40 ms."""
    async with serving_site(repository, has_engine=False) as site:
        await site.http.get(f"{site.base}/healthz")
        (connection,) = site.web_server.server_state.connections
        wire = connection.transport.get_extra_info("socket")

        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_connections_that_never_begin_to_encrypt_are_counted_too(repository: Repository, tmp_path: Path) -> None:
    """They are seen by no protocol yet, and each takes a descriptor."""
    limits = Limits(connections_of_address=2)
    async with serving_site(repository, tls=certificate(tmp_path), limits=limits, has_engine=False) as site:
        silent = [await anyio.connect_tcp(*site.address) for _ in range(2)]
        async with await anyio.connect_tcp(*site.address) as third:
            with anyio.fail_after(10), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await third.receive()
        for stream in silent:
            await stream.aclose()
