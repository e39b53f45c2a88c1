"""`doctor` asks nobody to approve anything, but says whether anybody could."""

from collections.abc import Callable

import pytest

from gatewright.server.cli.command import Exit

from .conftest import PIPELINE, Desk, Ran

Call = Callable[..., Ran]


@pytest.mark.parametrize(
    ("gate", "signers", "status", "told"),
    [
        ("approval", None, Exit.OK, "people answer: 1 of the 0 who are registered"),
        ("{approval: {signers: people/signers}}", None, Exit.FAILED, "nobody can sign"),
        ("{approval: {signers: people/signers}}", "# nobody yet\n", Exit.FAILED, "1 of 0 lines in people/signers"),
        ("{approval: {signers: people/signers}}", "ann ssh-ed25519 AAAA\n", Exit.OK, "1 of 1 line in people/signers"),
    ],
)
def test_doctor_says_who_could_answer(
    ready: Desk, call: Call, *, gate: str, signers: str | None, status: Exit, told: str
) -> None:
    files = {} if signers is None else {"people/signers": signers}
    ready.commit({"gatewright.yaml": PIPELINE.replace("gates:\n", f"gates:\n      - {gate}\n", 1), **files})

    ran = call("doctor", "--no-gates")

    assert told in ran.out
    assert ran.status == status, ran.out
