"""A signature counts for one statement, one identity and one namespace: real keys, the real ssh-keygen."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from gatewright.gates.machine.approvals import OpenApproval
from gatewright.schemas.records import Maker
from gatewright.schemas.refusals import RefusalCode, Refused
from gatewright.server.people.signatures import statement, verify

from .keys import make_key, public, sign

ASKED = OpenApproval(
    change="c1",
    stage="code",
    gate="approval",
    commit="1" * 40,
    base="0" * 40,
    target="main",
    number=2,
    evaluation="c1.e2",
    given=(),
    minimum=1,
    is_signed=True,
    makers=(Maker("stdio:ada", "ada"),),
)
TEXT = statement(ASKED, is_given=True, note="")
ANN = "ann@example.org"


@pytest.fixture(scope="module")
def ann(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys"), "ann")


def check(text: str, signature: bytes, signers: str, identity: str = ANN) -> str:
    return verify(text, signature=signature, signers=signers.encode(), identity=identity)


def test_the_key_that_signed_is_told(ann: Path) -> None:
    found = check(TEXT, sign(ann, TEXT), f"{ANN} {public(ann)}\n")

    assert found.startswith("SHA256:")


def test_a_statement_is_the_same_text_for_everybody() -> None:
    """Signed on another machine, verified years later: every byte of it is part of the interface."""
    assert (
        "gatewright approval 1\nchange: c1\nstage: code\ngate: approval\nnumber: 2\n"
        f'commit: {"1" * 40}\ntarget: main\ndecision: approve\nnote: ""\n'
    ) == TEXT


def test_a_note_cannot_say_something_else_on_a_line_of_its_own() -> None:
    told = statement(ASKED, is_given=False, note="no\ndecision: approve")

    assert told.count("\ndecision: ") == 1
    assert "\ndecision: reject\n" in told


@pytest.mark.parametrize(
    "other",
    [
        statement(replace(ASKED, commit="2" * 40), is_given=True, note=""),
        statement(replace(ASKED, target="release"), is_given=True, note=""),
        statement(replace(ASKED, change="c2"), is_given=True, note=""),
        statement(replace(ASKED, stage="plan"), is_given=True, note=""),
        statement(replace(ASKED, gate="security"), is_given=True, note=""),
        statement(replace(ASKED, number=3), is_given=True, note=""),
        statement(ASKED, is_given=False, note=""),
        statement(ASKED, is_given=True, note="fine"),
        TEXT.rstrip("\n"),
    ],
    ids=["commit", "target", "change", "stage", "gate", "attempt", "decision", "note", "byte"],
)
def test_a_signature_over_anything_else_does_not_count(ann: Path, other: str) -> None:
    with pytest.raises(Refused, match="not one of 'ann") as refused:
        check(TEXT, sign(ann, other), f"{ANN} {public(ann)}\n")

    assert refused.value.refusal.code is RefusalCode.NOT_ALLOWED


def test_a_signature_for_another_purpose_does_not_count(ann: Path) -> None:
    """One that git made, or a mail program."""
    with pytest.raises(Refused, match="namespace"):
        check(TEXT, sign(ann, TEXT, namespace="git"), f"{ANN} {public(ann)}\n")


def test_a_signature_of_somebody_else_does_not_count(ann: Path, tmp_path: Path) -> None:
    eve = make_key(tmp_path, "eve")
    signers = f"{ANN} {public(ann)}\neve@example.org {public(eve)}\n"

    with pytest.raises(Refused):
        check(TEXT, sign(eve, TEXT), signers)
    with pytest.raises(Refused):
        check(TEXT, sign(ann, TEXT), signers, "eve@example.org")


@pytest.mark.parametrize("options", ['valid-before="20200101"', 'valid-after="20990101"', 'namespaces="git"'])
def test_the_file_says_until_when_and_what_for_a_key_counts(ann: Path, options: str) -> None:
    with pytest.raises(Refused):
        check(TEXT, sign(ann, TEXT), f"{ANN} {options} {public(ann)}\n")


@pytest.mark.parametrize("signature", [b"", b"approved\n", b"-----BEGIN SSH SIGNATURE-----\nAAAA\n"])
def test_what_is_no_signature_does_not_count(ann: Path, signature: bytes) -> None:
    with pytest.raises(Refused):
        check(TEXT, signature, f"{ANN} {public(ann)}\n")


@pytest.mark.parametrize("signers", ["", "# nobody yet\n", "*\n"])
def test_a_file_that_names_nobody_lets_nobody_sign(ann: Path, signers: str) -> None:
    with pytest.raises(Refused):
        check(TEXT, sign(ann, TEXT), signers)


@pytest.mark.parametrize("identity", ["-f", "*", "ann@example.org,*", "ann example", "", "a" * 129, "ann\n"])
def test_an_identity_is_a_name_and_no_pattern_and_no_option(ann: Path, identity: str) -> None:
    with pytest.raises(Refused, match="identity"):
        check(TEXT, sign(ann, TEXT), f"* {public(ann)}\n", identity)


def test_whoever_calls_cannot_put_a_program_of_their_own_before_the_systems(
    ann: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged = tmp_path / "ssh-keygen"
    forged.write_text("#!/bin/sh\necho 'Good \"gatewright\" signature for x with ED25519 key SHA256:forged'\n")
    forged.chmod(forged.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    with pytest.raises(Refused):
        check(TEXT, b"no signature", f"{ANN} {public(ann)}\n")
