"""How the server knows the person who acts, as it is recorded with what they did."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from .hashing import Hashed

BY_SECRET = "secret at the terminal"
BY_WORD = "at the terminal, not authenticated"
BY_SIGNATURE = "ssh signature, key "
BY_TOKEN = "token over HTTP, "
BY_OAUTH = "the organisation's sign-on"
# What most of what people decide needs of a token.
APPROVE = "approve"


class Proof(StrEnum):
    """WORD: somebody typed a word at a terminal, and nobody knows who. TOKEN: one that may approve, over HTTP."""

    SECRET = "secret"
    SIGNATURE = "signature"
    TOKEN = "token"
    WORD = "word"


@dataclass(frozen=True, slots=True)
class Person:
    """A person who acts.

    `name` is the registered one, the identity of a key, the subject of a token, or that of the operating system's user.
    `key` is the fingerprint of the key that signed, `signature` what it made; of an issued token `key` is the id.
    `secret` is what was registered when the secret was typed, so that somebody who takes the name later is somebody
    else. `scope` is what a token must be good for, by which somebody decides; `until` how long one is that is not ours.
    """

    name: str
    proof: Proof
    key: str | None = None
    signature: str = ""
    secret: Hashed | None = field(default=None, repr=False)
    scope: str = APPROVE
    until: datetime | None = None

    @property
    def principal(self) -> str:
        """As whom the person acts."""
        return f"{_PREFIXES.get(self.proof, 'person')}:{self.name}"

    @property
    def how(self) -> str:
        """By what the server knows the person."""
        match self.proof:
            case Proof.SECRET:
                return BY_SECRET
            case Proof.SIGNATURE:
                return f"{BY_SIGNATURE}{self.key}"
            case Proof.TOKEN:
                return BY_OAUTH if self.key is None else f"{BY_TOKEN}{self.key}"
            case Proof.WORD:
                return BY_WORD

    @property
    def by(self) -> str:
        """Who did it and how they are known, for what keeps both in one text."""
        return f"{self.principal} ({self.how})"

    @property
    def names(self) -> frozenset[str]:
        """The names under which agents may have declared themselves to be this person."""
        return frozenset({self.name, self.name.partition("@")[0]})


# Whoever works under a token is the same principal when it approves: nobody approves what their own token made.
_PREFIXES = {Proof.SIGNATURE: "signer", Proof.TOKEN: "token"}
