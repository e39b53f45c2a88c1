"""An OAuth issuer for tests: it has keys of its own and signs what it is told to."""

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import cast

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

NAME = "https://issuer.example"
RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
EC = ec.generate_private_key(ec.SECP256R1())
STRANGER = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


@dataclass
class TestIssuer:
    """`audience` is what its tokens are for; `now` when they are made."""

    __test__ = False

    audience: str
    now: datetime
    name: str = NAME
    keys: dict[str, PrivateKey] = field(default_factory=lambda: {"r1": RSA, "e1": EC})

    def document(self, **more: object) -> bytes:
        """Its keys as others read them."""
        listed = []
        for kid, key in self.keys.items():
            if isinstance(key, rsa.RSAPrivateKey):
                told = RSAAlgorithm.to_jwk(key.public_key())
            else:
                told = ECAlgorithm.to_jwk(key.public_key())
            listed.append({**json.loads(told), "kid": kid, "use": "sig", **more})
        return json.dumps({"keys": listed}).encode()

    def write(self, folder: Path) -> str:
        """The path of a file with its keys."""
        path = folder / "keys.json"
        path.write_bytes(self.document())
        return str(path)

    def token(
        self,
        *,
        key: object = None,
        kid: str | None = "r1",
        alg: str = "RS256",
        head: dict[str, object] | None = None,
        **claims: object,
    ) -> str:
        """A good token; `claims` replace its own, and None leaves one out."""
        seconds = self.now.timestamp()
        whole = {
            "iss": self.name,
            "aud": self.audience,
            "sub": "ada",
            "scope": "openid work review",
            "iat": seconds,
            "nbf": seconds,
            "exp": seconds + 600,
            **claims,
        }
        named = {} if kid is None else {"kid": kid}
        signer = self.keys.get(kid or "r1", RSA) if key is None else key
        told = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode(told, cast(PrivateKey, signer), algorithm=alg, headers={**named, **(head or {})})


def unsigned(token: str, **head: object) -> str:
    """The same claims under a head that was changed, without a signature."""
    _, claims, _ = token.split(".")
    return f"{_encoded(head)}.{claims}."


def tampered(token: str, **claims: object) -> str:
    """Claims that were changed under the signature of others."""
    head, body, signature = token.split(".")
    whole = json.loads(base64.urlsafe_b64decode(body + "=="))
    return f"{head}.{_encoded({**whole, **claims})}.{signature}"


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
