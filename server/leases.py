"""Lease tokens.

Derived from the store's secret, so that the same claim can be answered again and nothing secret is stored.
"""

import base64
import hashlib
import hmac

from ..schemas import refusals
from ..schemas.ids import LeaseName, format_lease, parse_lease
from ..schemas.refusals import Refused

PROOF_BYTES = 16


class Leases:
    """Makes and checks the tokens of one store."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def token(self, change: str, stage: str, fence: int) -> str:
        """The one token of this fence. Whoever has it is the holder."""
        return format_lease(change, stage, fence, self._proof(change, stage, fence))

    def check(self, token: str) -> LeaseName:
        """What a genuine token names; raises `Refused` (unknown_lease) for anything else."""
        name = parse_lease(token)
        if name is None or not hmac.compare_digest(name.proof, self._proof(name.change, name.stage, name.fence)):
            raise Refused(refusals.unknown_lease())
        return name

    def _proof(self, change: str, stage: str, fence: int) -> str:
        message = f"lease\0{change}\0{stage}\0{fence}".encode()
        digest = hmac.new(self._secret, message, hashlib.sha256).digest()[:PROOF_BYTES]
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
