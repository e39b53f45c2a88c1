"""Tokens: shown once, kept as digests, good until they expire or are revoked, and for their scopes alone."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from gatewright.schemas.refusals import RefusalCode, Refused
from gatewright.server.identity import tokens
from gatewright.server.identity.caller import Caller, person_of
from gatewright.server.identity.scopes import Scope, known_scopes
from gatewright.server.people.hashing import Hashed
from gatewright.server.people.known import Person, Proof
from gatewright.server.people.register import add_person, require_still_known
from gatewright.server.store import Store, TokenRow, open_store

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WORD = Person("ann", Proof.WORD)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(tmp_path, create=True)) as opened:
        yield opened


def issue(
    store: Store, *scopes: Scope, subject: str = "ada", days: float = 1, by: Person = WORD
) -> tuple[str, TokenRow]:
    token, lifetime = tokens.new_token(), timedelta(days=days)
    return token, store.run(
        lambda tx: tokens.issue(tx, token, subject=subject, scopes=scopes, lifetime=lifetime, by=by, now=NOW)
    )


def find(store: Store, token: str, at: datetime = NOW) -> Caller | None:
    return store.read(lambda tx: tokens.find_caller(tx, token, at))


def test_a_token_brings_its_subject_and_scopes_and_nothing_else(store: Store) -> None:
    token, row = issue(store, Scope.REVIEW, Scope.WORK)

    assert find(store, token) == Caller("ada", frozenset({Scope.WORK, Scope.REVIEW}), row.id)
    assert Caller("ada", frozenset()).principal == "token:ada"


def test_what_is_kept_of_a_token_is_of_no_use_to_whoever_steals_the_store(store: Store, tmp_path: Path) -> None:
    token, row = issue(store, Scope.WORK)
    with closing(sqlite3.connect(tmp_path / "state.db")) as stolen:
        kept = [str(value) for line in stolen.execute("SELECT * FROM token") for value in line]

    assert all(token not in value and token[4:] not in value for value in kept)
    assert [find(store, value) for value in (*kept, f"gwt_{row.digest}", row.digest, row.id)] == [None] * (
        len(kept) + 3
    )


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "gwt_",
        "gwt_" + "A" * 43,
        "gwt_" + "A" * 44,
        "Bearer x",
        "gwt_" + "é" * 43,
        "' OR 1=1 --",
        "gwt_" + "A" * 9999,
    ],
)
def test_what_was_never_issued_is_nobody(store: Store, wrong: str) -> None:
    token, _ = issue(store, Scope.WORK)

    assert find(store, wrong) is None
    assert [find(store, near) for near in (token[:-1], token + "A", f" {token}", f"{token}\n", token.swapcase())] == [
        None
    ] * 5


def test_a_token_is_good_until_it_expires(store: Store) -> None:
    token, _ = issue(store, Scope.WORK, days=1)

    assert find(store, token, NOW + DAY - timedelta(microseconds=1)) is not None
    assert find(store, token, NOW + DAY) is None


def test_a_revoked_token_is_nobody_at_once_and_another_of_the_same_subject_goes_on(store: Store) -> None:
    first, row = issue(store, Scope.WORK)
    second, _ = issue(store, Scope.WORK)

    store.run(lambda tx: tokens.revoke(tx, row.id, by=WORD, now=NOW))

    assert find(store, first) is None
    assert find(store, second) is not None
    with pytest.raises(Refused, match="no token"):
        store.run(lambda tx: tokens.revoke(tx, row.id, by=WORD, now=NOW))


@pytest.mark.parametrize("subject", ["", "Ada", "a" * 65, "-rf", "a b", "a\n", "a:b", "../a", "a/b", "ä", "\u0430da"])
def test_a_subject_is_a_plain_name(store: Store, subject: str) -> None:
    """It is shown to agents and people, and one that looks like another would be taken for it."""
    with pytest.raises(Refused, match="subject"):
        issue(store, Scope.WORK, subject=subject)


def test_a_token_has_a_scope_and_an_end(store: Store) -> None:
    wrong: tuple[tuple[tuple[Scope, ...], float], ...] = (
        ((), 1.0),
        ((Scope.WORK,), 0.0),
        ((Scope.WORK,), -1.0),
        ((Scope.WORK,), 367.0),
    )
    for scopes, days in wrong:
        with pytest.raises(Refused):
            issue(store, *scopes, days=days)

    assert store.read(lambda tx: tx.tokens(limit=9)) == ()


def test_how_many_tokens_there_are_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "LIVE_TOKENS_MAX", 1)
    _, row = issue(store, Scope.WORK)
    with pytest.raises(Refused, match="most"):
        issue(store, Scope.WORK)

    store.run(lambda tx: tokens.revoke(tx, row.id, by=WORD, now=NOW))

    issue(store, Scope.WORK)


def test_where_people_are_registered_one_of_them_issues_and_revokes(store: Store) -> None:
    _, row = issue(store, Scope.WORK)
    store.run(lambda tx: add_person(tx, "ann", Hashed("00", "00"), vouched=None, now=NOW))

    with pytest.raises(Refused):
        issue(store, Scope.WORK, by=WORD)
    with pytest.raises(Refused):
        store.run(lambda tx: tokens.revoke(tx, row.id, by=WORD, now=NOW))


def test_only_a_token_that_may_approve_decides_as_a_person(store: Store) -> None:
    for scope in (Scope.WORK, Scope.REVIEW, Scope.ADMIN):
        with pytest.raises(Refused) as refused:
            person_of(Caller("ann", frozenset({scope})))
        assert refused.value.refusal.code is RefusalCode.NOT_ALLOWED

    person = person_of(Caller("ann", frozenset({Scope.APPROVE}), "tk-1"))

    assert (person.principal, person.how) == ("token:ann", "token over HTTP, tk-1")


def test_a_token_that_was_revoked_while_a_person_read_decides_nothing(store: Store) -> None:
    token, row = issue(store, Scope.APPROVE, subject="ann")
    caller = find(store, token)
    assert caller is not None
    person = person_of(caller)
    store.read(lambda tx: require_still_known(tx, person, NOW))

    store.run(lambda tx: tokens.revoke(tx, row.id, by=WORD, now=NOW))

    with pytest.raises(Refused, match="revoked"):
        store.read(lambda tx: require_still_known(tx, person, NOW))


def test_a_token_that_expired_while_a_person_read_decides_nothing(store: Store) -> None:
    token, row = issue(store, Scope.APPROVE, subject="ann")
    caller = find(store, token)
    assert caller is not None
    of_an_issuer = person_of(Caller("ann", caller.scopes, until=row.expires_at))

    for person in (person_of(caller), of_an_issuer):
        store.read(partial(require_still_known, person=person, now=row.expires_at - timedelta(seconds=1)))
        with pytest.raises(Refused, match="expired"):
            store.read(partial(require_still_known, person=person, now=row.expires_at))


def test_the_token_of_another_subject_makes_nobody_a_person(store: Store) -> None:
    _, row = issue(store, Scope.APPROVE, subject="ann")
    forged = person_of(Caller("bob", frozenset({Scope.APPROVE}), row.id))

    with pytest.raises(Refused):
        store.read(lambda tx: require_still_known(tx, forged, NOW))


def test_a_token_that_may_approve_may_not_operate_and_the_other_way_round(store: Store) -> None:
    for given, wanted in ((Scope.APPROVE, Scope.ADMIN), (Scope.ADMIN, Scope.APPROVE)):
        token, _ = issue(store, given, subject="ann")
        caller = find(store, token)
        assert caller is not None
        with pytest.raises(Refused, match=wanted.value):
            person_of(caller, wanted)
        forged = person_of(Caller("ann", frozenset({wanted}), caller.token_id), wanted)
        with pytest.raises(Refused, match=wanted.value):
            store.read(partial(require_still_known, person=forged, now=NOW))


def test_a_scope_that_was_claimed_and_never_given_decides_nothing(store: Store) -> None:
    """Whoever makes a caller by a mistake of ours still does not decide."""
    _, row = issue(store, Scope.WORK, subject="ann")
    forged = person_of(Caller("ann", frozenset({Scope.APPROVE}), row.id))

    with pytest.raises(Refused):
        store.read(lambda tx: require_still_known(tx, forged, NOW))


def test_scopes_of_other_services_are_none_of_ours() -> None:
    assert known_scopes(["openid", "work", "WORK", "approve:all", "work review"]) == {Scope.WORK}
