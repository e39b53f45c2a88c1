"""The `approval` kind: people say yes to this very commit, outside of every tool.

The gate itself never passes and never fails: it asks, on top of a passed floor, and what people answer is the server's
to record. So nothing that an artifact could hold has a part in it.
"""

from collections.abc import Mapping

from pydantic import Field, field_validator

from ...schemas.pipeline import GateSpec, Glob, Model
from ...schemas.records import Evidence, Outcome
from ..contract import Specimen, Spoiled
from ..judging.submission import Submission
from ..machine.approvals import question
from ..paths import escape
from ..text import number_of

MINIMUM_MAX = 9


class Options(Model):
    """`minimum` is how many people; `signers` a file of the trusted branch in OpenSSH's `allowed_signers` format.

    With `signers` only a signature of somebody whom that file names counts; without, the secret of a person who is
    registered in the store.
    """

    minimum: int = Field(default=1, ge=1, le=MINIMUM_MAX, strict=True)
    signers: Glob | None = None

    @field_validator("signers")
    @classmethod
    def _is_a_file(cls, value: str | None) -> str | None:
        if value is not None and escape(value) != value:
            raise ValueError(f"`signers` is one file, by its path; {value!r} may be several")
        return value


class ApprovalKind:
    """See the module."""

    name = "approval"
    unit = "approvals"
    is_soft = True
    options = Options

    def about(self, options: Options) -> str:
        """Who may approve, and how many it takes."""
        who = "people" if options.signers is None else f"people whose key is in {options.signers}"
        number = number_of(options.minimum, "approvals")
        return f"{number} of this commit by {who}; no tool gives one. Counted: approvals."

    def references(self, options: Options) -> tuple[str, ...]:
        """Who may sign is said by the policy commit."""
        return () if options.signers is None else (options.signers,)

    async def check(self, submission: Submission, gate: GateSpec, options: Options) -> Evidence:
        """Ask, always: nothing in the tree answers it."""
        job = submission.job
        return Evidence(
            gate=gate.name,
            kind=self.name,
            outcome=Outcome.PENDING,
            counted=0,
            unit=self.unit,
            summary=f"0 of {number_of(options.minimum, 'approvals')}; people answer.",
            question=question(job.commit, job.policy.pipeline.target, options.minimum),
        )

    def specimen(self, options: Options, tree: Specimen) -> Mapping[str, bytes]:
        """Nothing: people are not asked in order to try a gate."""
        return {}

    def spoil(self, options: Options, tree: Specimen) -> Spoiled | None:
        """Nothing in a tree makes people say no."""
        return None


KIND = ApprovalKind()
