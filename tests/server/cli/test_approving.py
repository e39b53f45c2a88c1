"""People approve one commit, by a secret at a terminal or by a signature: what counts, and what does not."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from gatewright.server.cli.command import Exit
from gatewright.server.cli.main import main
from gatewright.server.operations import approving
from gatewright.server.people.hashing import Hashed, hashed
from gatewright.server.people.known import Person, Proof
from gatewright.server.people.register import add_person, begin_guess, delay_s
from gatewright.server.people.signatures import verify
from gatewright.server.store import Store, open_store

from ..people.keys import make_key, public, sign
from .conftest import Desk, Ran

Call = Callable[..., Ran]

PIPELINE = """\
version: 1
target: main
stages:
  code:
    goal: Make the change.
    gates:
      - command: {name: answer, run: "grep -rqw 42 src"}
      - approval: {minimum: 2}
  docs:
    goal: Say so.
    gates:
      - command: {name: answer, run: "grep -rqw 42 src"}
      - approval: {name: signed, minimum: 2, signers: people/signers}
land: {needs: [code, docs], gates: [{command: {name: answer, run: "true && grep -rqw 42 src"}}]}
"""
SECRETS = {"ann": "correct horse battery", "bob": "staple of another kind", "ada": "a maker who is known"}
SIGNER = "ann@example.org"


def set_up(top: Path, keys: Path) -> Desk:
    """A repository in which c1/code and c1/docs wait for two approvals each, made by `ada`; no server runs."""
    desk = Desk(top)
    lines = [f"{name}@example.org {public(keys / name)}\n" for name in ("ann", "bob")]
    lines.append(f"twin@example.org {public(keys / 'ann')}\n")
    pipeline = PIPELINE.replace("  docs:\n", '  docs:\n    writes: ["docs/**"]\n')
    pipeline = pipeline.replace("  code:\n", '  code:\n    writes: ["src/**"]\n')
    desk.commit({"gatewright.yaml": pipeline, "src/a.txt": "42\n", "people/signers": "".join(lines)})
    assert main(["--repo", str(top), "init"]) == Exit.OK
    with_store(desk, _register)
    desk.do("start", "Say 42 twice")
    for stage, name in (("code", "src/b.txt"), ("docs", "docs/b.txt")):
        workspace = claim(desk, stage)
        desk.write({name: "42\n"}, workspace)
        pending = desk.do("submit", "--summary", "Said", cwd=workspace)
        assert pending.status == Exit.UNDECIDED, pending
    desk.stop_server()
    return desk


def _register(store: Store) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    first = None
    for name, secret in SECRETS.items():
        kept = hashed(secret)
        store.run(partial(add_person, name=name, secret=kept, vouched=first, now=now))
        first = first or Person(name, Proof.SECRET, secret=kept)


def with_store(desk: Desk, work: Callable[[Store], object]) -> None:
    store = open_store(desk.top / ".git" / "gatewright", create=False)
    try:
        work(store)
    finally:
        store.close()


def _guess_wrong(store: Store, name: str, *, times: int) -> None:
    """Each as soon as it is heard, so that the last wait is over now."""
    at = datetime.now(UTC) - timedelta(seconds=sum(delay_s(wrong) for wrong in range(1, times + 1)))
    for wrong in range(1, times + 1):
        found = store.run(partial(begin_guess, name=name, now=at))
        assert isinstance(found, Hashed)
        at += timedelta(seconds=delay_s(wrong))


def claim(desk: Desk, stage: str) -> Path:
    return Path(str(desk.do("claim", "--agent", "ada", "c1", stage, "--json").json["workspace"]))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ann", "bob"):
        make_key(folder, name)
    return folder


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Desk:
    return set_up(tmp_path_factory.mktemp("asked") / "repository", keys)


@pytest.fixture
def desk(asked: Desk, tmp_path: Path) -> Iterator[Desk]:
    """A copy of it."""
    shutil.copytree(asked.top, tmp_path / "copy", symlinks=True)
    desk = Desk(tmp_path / "copy")
    yield desk
    desk.stop_server()


def approve(desk: Desk, name: str, *more: str, secret: str | None = None, verb: str = "approve") -> Ran:
    return desk.at_terminal(verb, "c1", "code", *more, answers=[name, secret or SECRETS[name]])


def signed(desk: Desk, key: Path, identity: str, *more: str, text: str | None = None, verb: str = "approve") -> Ran:
    statement = desk.do(verb, "c1", "docs", "--statement", *more).out if text is None else text
    file = desk.top.parent / f"{identity}.sig"
    file.write_bytes(sign(key, statement))
    return desk.do(verb, "c1", "docs", "--signature", str(file), "--as", identity, *more)


def events(call: Call, kind: str) -> list[dict[str, object]]:
    lines = [json.loads(line)["event"] for line in call("log", "c1", "--json").out.splitlines()]
    return [event for event in lines if event["kind"] == kind]


def state(call: Call, stage: str) -> object:
    [change] = json.loads(call("status", "c1", "--json").out)["changes"]
    return next(item["state"] for item in change["stages"] if item["stage"] == stage)


def evidence(call: Call, stage: str, gate: str) -> dict[str, object]:
    reply = json.loads(call("evidence", "c1", stage, "--gate", gate, "--json").out)
    assert isinstance(reply, dict)
    return reply


@pytest.mark.slow
def test_two_people_approve_by_their_secrets_and_the_stage_passes_with_evidence_of_both(desk: Desk, call: Call) -> None:
    first = approve(desk, "ann", "--note", "fine")
    between = state(call, "code")
    second = approve(desk, "bob")

    assert (first.status, second.status) == (Exit.OK, Exit.OK), first.out + second.out
    assert (between, state(call, "code")) == ("in_review", "passed")
    commit = str(events(call, "approval_given")[0]["approval"]["commit"])  # type: ignore[index]  # JSON
    assert commit in first.out
    assert "added    src/b.txt" in first.out
    assert "answer: passed" in first.out
    assert "Approved so far by person:ann (secret at the terminal)" in second.out
    told = evidence(call, "code", "approval")
    gate = told["gates"][0]  # type: ignore[index]  # JSON
    assert (gate["outcome"], gate["count"], gate["unit"]) == ("passed", 2, "approvals")
    for part in ("person:ann", "person:bob", "secret at the terminal", commit, "'main'", "fine"):
        assert part in str(told["output"])


@pytest.mark.slow
def test_a_person_counts_once(desk: Desk, call: Call) -> None:
    approve(desk, "ann")

    again = approve(desk, "ann")

    assert again.status == Exit.REFUSED
    assert "has approved this commit" in again.out
    assert "counts once" in again.out
    assert len(events(call, "approval_given")) == 1


@pytest.mark.slow
def test_nobody_approves_what_was_made_under_their_own_name(desk: Desk, call: Call) -> None:
    refused = approve(desk, "ada")

    assert refused.status == Exit.REFUSED
    assert "your own work" in refused.out
    assert events(call, "approval_given") == []


@pytest.mark.slow
def test_a_no_fails_the_attempt_with_the_reason(desk: Desk, call: Call) -> None:
    approve(desk, "ann")

    rejected = approve(desk, "bob", "--note", "42 is wrong", verb="reject")

    assert rejected.status == Exit.OK, rejected.out
    assert state(call, "code") == "claimed"
    told = evidence(call, "code", "approval")
    assert told["gates"][0]["outcome"] == "failed"  # type: ignore[index]  # JSON
    assert "42 is wrong" in str(told["findings"])


@pytest.mark.slow
def test_a_wrong_secret_decides_nothing_and_makes_the_next_guess_wait(desk: Desk, call: Call) -> None:
    with_store(desk, lambda store: _guess_wrong(store, "ann", times=8))

    wrong = approve(desk, "ann", secret="correct horse battery?")
    soon = approve(desk, "ann")

    assert (wrong.status, soon.status) == (Exit.REFUSED, Exit.REFUSED)
    assert "not the secret" in wrong.out
    assert "is taken in" in soon.out
    assert events(call, "approval_given") == []


@pytest.mark.slow
def test_a_secret_is_neither_shown_nor_kept_in_clear(desk: Desk, call: Call) -> None:
    ran = approve(desk, "ann")

    kept = b"".join(path.read_bytes() for path in (desk.top / ".git" / "gatewright").iterdir() if path.is_file())
    assert SECRETS["ann"] not in ran.out
    assert SECRETS["ann"].encode() not in kept
    assert SECRETS["ann"] not in call("log", "c1", "--json").out


@pytest.mark.slow
def test_a_secret_comes_by_no_pipe_no_argument_and_no_variable(desk: Desk, call: Call) -> None:
    command = [sys.executable, "-m", "gatewright", "approve", "c1", "code"]
    piped = subprocess.run(
        command,
        cwd=desk.top,
        input=f"ann\n{SECRETS['ann']}\n",
        env={**os.environ, "GATEWRIGHT_SECRET": SECRETS["ann"], "SECRET": SECRETS["ann"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        start_new_session=True,
    )
    argued = call("approve", "c1", "code", "--secret", SECRETS["ann"])
    half = desk.at_terminal_output_only("approve", "c1", "code", given=f"ann\n{SECRETS['ann']}\n")

    assert (piped.returncode, argued.status, half.status) == (Exit.REFUSED, Exit.USAGE, Exit.REFUSED)
    assert "gatewright approve c1 code" in piped.stderr
    assert events(call, "approval_given") == []


@pytest.mark.slow
def test_what_was_shown_is_what_is_approved(tmp_path: Path, keys: Path) -> None:
    """An agent that swaps the artifact while the person types gets the other one approved by nobody."""
    desk = set_up(tmp_path / "swapped", keys)
    workspace = next((desk.top / ".gatewright" / "work").glob("c1-code-*"))

    def swap() -> None:
        assert desk.do("release", "withdraw", "Something better", cwd=workspace).status == Exit.OK
        desk.write({"src/b.txt": "42 or worse\n"}, workspace)
        assert desk.do("submit", "--summary", "Swapped", cwd=workspace).status == Exit.UNDECIDED

    try:
        answers = ["ann", SECRETS["ann"]]
        ran = desk.at_terminal("approve", "c1", "code", answers=answers, before_answer=swap)
        given = events(desk.do, "approval_given")
    finally:
        desk.stop_server()

    assert ran.status == Exit.REFUSED
    assert "was replaced or answered" in ran.out
    assert "Nothing was decided" in ran.out
    assert given == []


@pytest.mark.slow
def test_a_key_that_was_used_about_another_commit_says_so(tmp_path: Path, keys: Path) -> None:
    """Whoever is shown a commit and hears "Rejected." has rejected that commit."""
    desk = set_up(tmp_path / "again", keys)
    workspace = next((desk.top / ".gatewright" / "work").glob("c1-code-*"))

    try:
        first = approve(desk, "ann", "--note", "no", "--key", "k", verb="reject")
        told = approve(desk, "ann", "--note", "no", "--key", "k", verb="reject")
        desk.write({"src/b.txt": "42 or worse\n"}, workspace)
        assert desk.do("submit", "--summary", "Again", cwd=workspace).status == Exit.UNDECIDED
        other = approve(desk, "ann", "--note", "no", "--key", "k", verb="reject")
        given = approve(desk, "ann", "--key", "l")
        again = approve(desk, "ann", "--key", "l")
    finally:
        desk.stop_server()

    assert [ran.status for ran in (first, told, given, again)] == [Exit.OK] * 4, told.out + again.out
    assert other.status == Exit.REFUSED
    assert "already used" in other.out


@pytest.mark.slow
def test_two_people_approve_by_their_signatures(desk: Desk, call: Call, keys: Path) -> None:
    first = signed(desk, keys / "ann", SIGNER)
    second = signed(desk, keys / "bob", "bob@example.org", "--note", "read it")

    assert (first.status, second.status) == (Exit.OK, Exit.OK), first.err + second.err
    assert state(call, "docs") == "passed"
    hows = [str(event["approval"]["how"]) for event in events(call, "approval_given")]  # type: ignore[index]  # JSON
    assert all(how.startswith("ssh signature, key SHA256:") for how in hows)
    assert len({*hows}) == 2
    told = str(evidence(call, "docs", "signed")["output"])
    assert "signer:ann@example.org" in told
    kept = told.partition("was signed:\n")[2]
    statement, armour, rest = kept.partition("-----BEGIN SSH SIGNATURE-----")
    signature = (armour + rest).partition("-----END")[0] + "-----END SSH SIGNATURE-----\n"
    signers = (desk.top / "people" / "signers").read_bytes()
    assert verify(statement, signature=signature.encode(), signers=signers, identity=SIGNER), "by anybody, later"


@pytest.mark.slow
def test_the_whole_diff_can_be_read_before(desk: Desk, call: Call) -> None:
    told = call("approve", "c1", "docs", "--diff")

    assert told.status == Exit.OK
    assert "+42" in told.out
    assert events(call, "approval_given") == []


def test_one_key_counts_once_under_whatever_identity(desk: Desk, call: Call, keys: Path) -> None:
    signed(desk, keys / "ann", SIGNER)

    again = signed(desk, keys / "ann", "twin@example.org")

    assert again.status == Exit.REFUSED
    assert len(events(call, "approval_given")) == 1


@pytest.mark.slow
def test_one_key_counts_once_also_when_both_signatures_are_handed_in_at_once(
    desk: Desk, call: Call, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was approved so far is what it is when the approval is recorded, not when it was looked at."""

    def slowly(*given: object, **named: object) -> str:
        monkeypatch.setattr(approving, "verify", verify)
        assert signed(desk, keys / "ann", SIGNER).status == Exit.OK
        return verify(*given, **named)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(approving, "verify", slowly)

    again = signed(desk, keys / "ann", "twin@example.org")

    assert again.status == Exit.REFUSED
    assert (len(events(call, "approval_given")), state(call, "docs")) == (1, "in_review")


def test_a_signature_of_another_identity_purpose_or_decision_does_not_count(desk: Desk, call: Call, keys: Path) -> None:
    statement = desk.do("approve", "c1", "docs", "--statement").out
    eve = make_key(desk.top.parent, "eve")

    refused = [
        signed(desk, eve, SIGNER),
        signed(desk, keys / "bob", SIGNER),
        signed(desk, keys / "ann", SIGNER, text=statement.replace("decision: approve", "decision: reject")),
        signed(desk, keys / "ann", SIGNER, text=statement, verb="reject"),
        signed(desk, keys / "ann", SIGNER, "--note", "added later", text=statement),
    ]

    assert [ran.status for ran in refused] == [Exit.REFUSED] * 5
    assert events(call, "approval_given") == []


@pytest.mark.slow
def test_a_signature_is_void_with_the_attempt_also_when_the_same_commit_comes_back(tmp_path: Path, keys: Path) -> None:
    desk = set_up(tmp_path / "again", keys)
    workspace = next((desk.top / ".gatewright" / "work").glob("c1-docs-*"))
    statement = desk.do("approve", "c1", "docs", "--statement").out
    commit = statement.partition("commit: ")[2][:40]

    try:
        assert desk.do("release", "withdraw", "Wait", cwd=workspace).status == Exit.OK
        assert desk.do("submit", "--summary", "Again", "--commit", commit, cwd=workspace).status == Exit.UNDECIDED
        replayed = signed(desk, keys / "ann", SIGNER, text=statement)
        afresh = signed(desk, keys / "ann", SIGNER)
    finally:
        desk.stop_server()

    assert (replayed.status, afresh.status) == (Exit.REFUSED, Exit.OK), replayed.err + afresh.err


def test_who_may_sign_is_said_by_the_trusted_branch_and_not_by_a_working_tree(
    desk: Desk, call: Call, keys: Path
) -> None:
    eve = make_key(desk.top.parent, "eve")
    (desk.top / "people" / "signers").write_text(f"{SIGNER} {public(eve)}\n")
    workspace = next((desk.top / ".gatewright" / "work").glob("c1-docs-*"))
    (workspace / "people" / "signers").write_text(f"{SIGNER} {public(eve)}\n")

    refused = signed(desk, eve, SIGNER)

    assert refused.status == Exit.REFUSED
    assert events(call, "approval_given") == []


@pytest.mark.slow
def test_a_gate_that_names_signers_takes_no_secret_and_another_no_signature(desk: Desk, call: Call, keys: Path) -> None:
    """Else a person, or one who forges a terminal, would count twice."""
    by_secret = desk.at_terminal("approve", "c1", "docs", answers=["ann", SECRETS["ann"]])
    text = desk.do("approve", "c1", "code", "--statement").out
    file = desk.top.parent / "ann.sig"
    file.write_bytes(sign(keys / "ann", text))
    by_signature = desk.do("approve", "c1", "code", "--signature", str(file), "--as", SIGNER)

    assert (by_secret.status, by_signature.status) == (Exit.REFUSED, Exit.REFUSED)
    assert "signatures alone" in by_secret.out
    assert "no signatures" in by_signature.err
    assert events(call, "approval_given") == []


def test_the_same_approval_under_one_key_has_one_effect(desk: Desk, call: Call, keys: Path) -> None:
    first = signed(desk, keys / "ann", SIGNER, "--key", "k1")
    again = signed(desk, keys / "ann", SIGNER, "--key", "k1")
    other = signed(desk, keys / "ann", SIGNER, "--key", "k1", "--note", "more")

    assert (first.status, again.status, other.status) == (Exit.OK, Exit.OK, Exit.REFUSED)
    assert "already used" in other.err
    assert len(events(call, "approval_given")) == 1


def test_where_nobody_is_registered_nobody_can_approve_by_a_secret(desk: Desk) -> None:
    with_store(desk, lambda store: store.run(lambda tx: tx.meta_set("people", "{}")))

    refused = desk.at_terminal("approve", "c1", "code")

    assert refused.status == Exit.REFUSED
    assert "gatewright people add NAME" in refused.out


@pytest.mark.slow
def test_where_people_are_registered_every_decision_is_by_one_who_is_known(desk: Desk, call: Call) -> None:
    word = desk.at_terminal("cancel", "c1", "--reason", "no longer", answers=["y"])
    known = desk.at_terminal("cancel", "c1", "--reason", "no longer", answers=["ann", SECRETS["ann"]])

    assert (word.status, known.status) == (Exit.REFUSED, Exit.OK), known.out
    [event] = events(call, "change_cancelled")
    assert event["by"] == "person:ann (secret at the terminal)"


@pytest.mark.slow
def test_the_same_command_of_a_person_under_one_key_has_one_effect(desk: Desk, call: Call) -> None:
    arguments = ["cancel", "c1", "--key", "once", "--reason"]

    first = desk.at_terminal(*arguments, "enough", answers=["ann", SECRETS["ann"]])
    again = desk.at_terminal(*arguments, "enough", answers=["ann", SECRETS["ann"]])
    other = desk.at_terminal(*arguments, "more than enough", answers=["ann", SECRETS["ann"]])
    somebody = desk.at_terminal(*arguments, "enough", answers=["bob", SECRETS["bob"]])

    assert [ran.status for ran in (first, again, other, somebody)] == [Exit.OK, Exit.OK, Exit.REFUSED, Exit.REFUSED]
    assert "already used" in other.out
    assert "is cancelled" in somebody.out
    assert len(events(call, "change_cancelled")) == 1


@pytest.mark.slow
def test_where_nobody_is_registered_every_way_to_an_approval_by_secret_begins_with_that(desk: Desk, call: Call) -> None:
    """What is told can be done, in this order; signatures need nobody who is registered."""
    registered = call("why", "c1").out + call("status").out
    with_store(desk, lambda store: store.run(lambda tx: tx.meta_set("people", "{}")))

    by_secret, by_signature = call("why", "c1", "code").out, call("why", "c1", "docs").out
    told = json.loads(call("status", "c1", "--json").out)

    first = "`gatewright people add NAME` first, because nobody is registered, then `gatewright approve c1 code"
    assert "people add" not in registered
    assert f"unlock, a person: {first}" in by_secret
    assert "`gatewright approve c1 docs" in by_signature
    assert "people add" not in by_signature
    assert [first in text for text in told["waiting_for_people"]] == [True, False]
    assert [first in stage["unlock"] for stage in told["changes"][0]["stages"]] == [True, False]
