"""Access tokens of an issuer: signed by its keys, for this server, in time; every other is nobody's."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gatewright.server.identity import jwks
from gatewright.server.identity.caller import Caller
from gatewright.server.identity.jwks import Keys, keys_from
from gatewright.server.identity.oauth import LEEWAY_S, OAuth
from gatewright.server.identity.problems import Unavailable
from gatewright.server.identity.scopes import Scope

from .issuer import EC, NAME, RSA, STRANGER, TestIssuer, tampered, unsigned

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AUDIENCE = "https://gates.example/mcp"
WORK = frozenset({Scope.WORK, Scope.REVIEW})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def issuer() -> TestIssuer:
    return TestIssuer(AUDIENCE, NOW)


@pytest.fixture
def oauth(issuer: TestIssuer, tmp_path: Path) -> OAuth:
    return OAuth(issuer=NAME, audience=AUDIENCE, keys=keys_from(issuer.write(tmp_path)), clock=lambda: NOW)


async def test_a_token_of_the_issuer_for_this_server_brings_its_subject_and_our_scopes(
    oauth: OAuth, issuer: TestIssuer
) -> None:
    good = (
        issuer.token(),
        issuer.token(kid="e1", alg="ES256"),
        issuer.token(kid=None),
        issuer.token(scope=None, scp=["work", "review", "email"]),
        issuer.token(aud=["https://other.example", AUDIENCE]),
        issuer.token(head={"typ": "at+jwt"}),
        issuer.token(nbf=None, iat=None),
    )

    # As long as it says, and a little longer for clocks that differ.
    until = NOW + timedelta(seconds=600 + LEEWAY_S)
    assert [await oauth.find_caller(token) for token in good] == [Caller("ada", WORK, until=until)] * len(good)
    assert await oauth.find_caller(issuer.token(scope="openid")) == Caller("ada", frozenset(), until=until)


BAD: dict[str, dict[str, Any]] = {
    "no audience": {"aud": None},
    "another audience": {"aud": "https://other.example/mcp"},
    "an audience that begins alike": {"aud": f"{AUDIENCE}.evil.example"},
    "no issuer": {"iss": None},
    "another issuer": {"iss": "https://evil.example"},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "a subject with a control sequence": {"sub": "ada\x1b[2J"},
    "a subject of lines": {"sub": "ada\nroot"},
    "a subject that is an option": {"sub": "--admin"},
    "a subject that is too long": {"sub": "a" * 129},
    "no end": {"exp": None},
    "an end that is no time": {"exp": "soon"},
    "expired": {"exp": (NOW - timedelta(seconds=31)).timestamp()},
    "not yet good": {"nbf": (NOW + timedelta(seconds=31)).timestamp()},
    "signed by a stranger": {"key": STRANGER},
    "a key that nobody knows": {"kid": "r9"},
    "the key of another algorithm": {"kid": "e1", "key": RSA},
    "an algorithm that is not taken": {"alg": "RS512"},
    "an identity token": {"head": {"typ": "id+jwt"}},
    "an extension that must be understood": {"head": {"crit": ["exp"]}},
}


@pytest.mark.parametrize("how", BAD.values(), ids=BAD)
async def test_a_token_that_is_not_for_here_or_not_of_the_issuer_is_nobody_s(
    oauth: OAuth, issuer: TestIssuer, how: dict[str, Any]
) -> None:
    assert await oauth.find_caller(issuer.token(**how)) is None


async def test_a_clock_that_is_a_little_off_does_no_harm(oauth: OAuth, issuer: TestIssuer) -> None:
    late, early = (NOW - timedelta(seconds=29)).timestamp(), (NOW + timedelta(seconds=29)).timestamp()

    assert await oauth.find_caller(issuer.token(exp=late)) is not None
    assert await oauth.find_caller(issuer.token(nbf=early, iat=early)) is not None


async def test_a_token_that_was_changed_or_never_signed_is_nobody_s(oauth: OAuth, issuer: TestIssuer) -> None:
    good = issuer.token()
    public = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head = unsigned(good, alg="HS256", kid="r1", typ="JWT").removesuffix(".")
    confused = f"{head}.{_hs256(public, head)}"
    bad = (
        unsigned(good, alg="none"),
        unsigned(good, alg="None", kid="r1"),
        unsigned(good, alg="RS256", kid="r1"),
        confused,
        tampered(good, scope="work review approve admin"),
        tampered(good, sub="eve"),
        good[:-2],
        good.rpartition(".")[0],
        "..",
        "",
        "a.b.c",
        "é.é.é",
        "{}." * 3,
        f"{'eyJh' * 1_900}.a.b",
    )

    assert [await oauth.find_caller(token) for token in bad] == [None] * len(bad)


def _hs256(secret: bytes, text: str) -> str:
    """The public key taken for a secret, which it is not: the oldest trick there is."""
    import base64

    return base64.urlsafe_b64encode(hmac.new(secret, text.encode(), hashlib.sha256).digest()).rstrip(b"=").decode()


async def test_keys_that_are_too_weak_or_for_another_use_sign_nothing(tmp_path: Path) -> None:
    weak = TestIssuer(AUDIENCE, NOW, keys={"r1": rsa.generate_private_key(public_exponent=65_537, key_size=1_024)})
    other = TestIssuer(AUDIENCE, NOW, keys={"e1": ec.generate_private_key(ec.SECP384R1())})
    path = tmp_path / "keys.json"

    path.write_bytes(weak.document())
    assert await keys_from(str(path)).find("r1", "RS256") is None
    path.write_bytes(other.document())
    assert await keys_from(str(path)).find("e1", "ES256") is None
    path.write_bytes(TestIssuer(AUDIENCE, NOW).document(use="enc"))
    assert await keys_from(str(path)).find("r1", "RS256") is None


class Document:
    """The issuer's document at its place; counts how often it was asked for."""

    def __init__(self, data: bytes) -> None:
        self.data: bytes | OSError = data
        self.asked = 0
        self.now = 0.0

    async def load(self) -> bytes:
        self.asked += 1
        if isinstance(self.data, OSError):
            raise self.data
        return self.data

    def keys(self) -> Keys:
        return Keys(self.load, lambda: self.now)


async def test_keys_are_read_again_for_one_that_nobody_knows_but_not_at_every_such_token() -> None:
    """An issuer that rolls its keys is followed; whoever invents names of keys makes nobody ask for each."""
    document = Document(TestIssuer(AUDIENCE, NOW, keys={"r1": RSA}).document())
    keys = document.keys()
    assert await keys.find("r1", "RS256") is not None
    document.data = TestIssuer(AUDIENCE, NOW, keys={"r2": RSA, "e2": EC}).document()

    for number in range(100):
        assert await keys.find(f"invented{number}", "RS256") is None
    assert document.asked == 1
    document.now += jwks.LOOK_AGAIN_AFTER_S
    assert await keys.find("r2", "RS256") is not None

    assert document.asked == 2
    assert await keys.find("r1", "RS256") is None, "what was taken back is good no more"


async def test_an_issuer_that_is_down_for_a_while_keeps_nobody_out_and_for_long_everybody() -> None:
    document = Document(TestIssuer(AUDIENCE, NOW).document())
    keys = document.keys()
    await keys.find("r1", "RS256")
    document.data = OSError("no route to host")

    document.now += jwks.STALE_S
    assert await keys.find("r1", "RS256") is not None
    document.now += 1
    with pytest.raises(Unavailable):
        await keys.find("r1", "RS256")


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"keys": 5}', b"[" * 100_000, b"\xff"])
async def test_what_is_no_document_of_keys_is_none(data: bytes) -> None:
    with pytest.raises(Unavailable):
        await Document(data).keys().find("r1", "RS256")


async def test_a_document_may_hold_keys_that_nobody_can_use() -> None:
    good = TestIssuer(AUDIENCE, NOW).document().decode()
    odd = (
        '{"keys": [5, {}, {"kty": "oct", "k": "AAAA"}, {"kty": "RSA", "n": "!", "e": "AQAB"}, {"kid": 7, "kty": "EC"}, '
    )

    assert await Document((odd + good.removeprefix('{"keys": [')).encode()).keys().find("e1", "ES256") is not None
