"""Lease tokens.

Derived from the store's secret, so that the same claim can be answered again and nothing secret is stored. What a token
is derived from begins with what it is a lease of: no lease of a review can pass for one of a stage.
"""

import base64
import hashlib
import hmac

from ..schemas import refusals
from ..schemas.ids import LeaseName, ReviewLeaseName, format_lease, format_review_lease, parse_lease
from ..schemas.refusals import Refused

PROOF_BYTES = 16
STAGE, REVIEW = "lease", "review"


class Leases:
    """Makes and checks the tokens of one store."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def token(self, change: str, stage: str, fence: int) -> str:
        """The one token of this fence. Whoever has it is the holder."""
        return format_lease(change, stage, fence, self._proof(STAGE, change, stage, fence))

    def review_token(self, change: str, stage: str, number: int) -> str:
        """The one token of this review lease. Whoever has it is the reviewer."""
        return format_review_lease(change, stage, number, self._proof(REVIEW, change, stage, number))

    def check_any(self, token: str) -> LeaseName | ReviewLeaseName:
        """What a genuine token names; raises `Refused` (unknown_lease) for anything else."""
        name = parse_lease(token)
        if name is None:
            raise Refused(refusals.unknown_lease())
        if isinstance(name, ReviewLeaseName):
            proof = self._proof(REVIEW, name.change, name.stage, name.number)
        else:
            proof = self._proof(STAGE, name.change, name.stage, name.fence)
        if not hmac.compare_digest(name.proof, proof):
            raise Refused(refusals.unknown_lease())
        return name

    def check(self, token: str) -> LeaseName:
        """`check_any` for a stage's lease; also raises `Refused` (not_allowed) for that of a review."""
        name = self.check_any(token)
        if isinstance(name, ReviewLeaseName):
            raise Refused(refusals.lease_of_review(name.change, name.stage))
        return name

    def check_review(self, token: str) -> ReviewLeaseName:
        """`check_any` for the lease of a review; also raises `Refused` (not_allowed) for that of a stage."""
        name = self.check_any(token)
        if isinstance(name, LeaseName):
            raise Refused(refusals.lease_of_stage(name.change, name.stage))
        return name

    def _proof(self, what: str, change: str, stage: str, number: int) -> str:
        message = f"{what}\0{change}\0{stage}\0{number}".encode()
        digest = hmac.new(self._secret, message, hashlib.sha256).digest()[:PROOF_BYTES]
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
