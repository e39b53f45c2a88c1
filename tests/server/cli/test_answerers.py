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


@pytest.mark.parametrize(
    ("gate", "is_good", "told"),
    [
        ("review: {}", None, "agents answer: 1 review by principals other than the author. One caller alone never"),
        ("review: {quorum: 2, independence: family}", None, "2 reviews by model families as they are declared other"),
        (
            "review: {run: python3 look.py}",
            True,
            "a program answers by look.py of the trusted branch, which no artifact",
        ),
        ("review: {run: python3 ci/look.py}", False, "which needs ci/look.py: the trusted branch has no such file"),
        ("review: {run: reviewer --deep}", True, "a program answers: `reviewer --deep`"),
    ],
)
def test_doctor_says_who_reviews_and_whether_it_is_the_policys(
    ready: Desk, call: Call, *, gate: str, is_good: bool | None, told: str
) -> None:
    policy = PIPELINE.replace("sections: [Goal]}\n", f"sections: [Goal]}}\n      - {gate}\n")
    ready.commit({"gatewright.yaml": policy, "look.py": "print('{}')\n"})

    ran = call("doctor", "--no-gates")

    [line] = [line for line in ran.out.splitlines() if "plan/review" in line]
    assert line.startswith({True: "ok ", False: "RED", None: " - "}[is_good])
    assert told in line
    assert ran.status == (Exit.FAILED if is_good is False else Exit.OK), ran.out


@pytest.mark.slow
@pytest.mark.parametrize(("program", "is_there"), [("sh", True), ("no-such-reviewer", False), ("./look.py", False)])
def test_doctor_says_whether_a_reviewer_can_be_started_and_has_none_review(
    ready: Desk, call: Call, program: str, *, is_there: bool
) -> None:
    """The file that is no program is not executable; what a reviewer would say costs money, and is not asked for."""
    gates = f"gates:\n      - review: {{run: '{program} -c \"exit 9\"'}}\n"
    policy = PIPELINE.replace("gates:\n", gates, 1)
    ready.commit({"gatewright.yaml": policy, "look.py": "print('{}')\n"})

    ran = call("doctor")

    lines = [line for line in ran.out.splitlines() if f"its program '{program}'" in line]
    assert [line[:3] for line in lines] == ["ok " if is_there else "RED"], ran.out
