"""Wrong guesses are slowed down, for everybody who guesses together, and never lock a person out for ever."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from gatewright.schemas.refusals import Refusal, RefusalCode, Refused
from gatewright.server.people.hashing import Hashed
from gatewright.server.people.known import Person, Proof
from gatewright.server.people.register import (
    DELAY_FIRST_S,
    DELAY_MAX_S,
    PEOPLE_MAX,
    add_person,
    begin_guess,
    delay_s,
    end_guess,
    read_people,
    remove_person,
    require_still_known,
)
from gatewright.server.store import Store, open_store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = Hashed("00", "11")
ANN = Person("ann", Proof.SECRET, secret=SECRET)
GUESSERS = 8


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path / "state", create=True)
    store.run(lambda tx: add_person(tx, "ann", SECRET, vouched=None, now=NOW))
    yield store
    store.close()


def guess(store: Store, at: datetime, name: str = "ann") -> Hashed | Refusal:
    return store.run(lambda tx: begin_guess(tx, name, at))


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_guess_is_wrong_until_it_is_right_so_that_a_killed_process_has_no_guess_for_nothing(store: Store) -> None:
    assert guess(store, NOW) == SECRET

    again = guess(store, later(DELAY_FIRST_S / 2))

    assert isinstance(again, Refusal)
    assert again.code is RefusalCode.NOT_ALLOWED
    assert "Wait" in again.next


def test_of_many_processes_that_guess_at_once_one_is_heard(tmp_path: Path, store: Store) -> None:
    """Each with a connection of its own, as processes have."""
    stores = [open_store(tmp_path / "state", create=False) for _ in range(GUESSERS)]
    with ThreadPoolExecutor(GUESSERS) as pool:
        found = list(pool.map(lambda one: guess(one, NOW), stores))
    for one in stores:
        one.close()

    assert [item for item in found if isinstance(item, Hashed)] == [SECRET]
    assert store.read(read_people)["ann"].wrong == 1


def test_each_wrong_guess_doubles_the_wait_up_to_a_bound(store: Store) -> None:
    at, waits = NOW, []
    for wrong in range(1, 15):
        assert guess(store, at) == SECRET
        assert isinstance(guess(store, at + timedelta(seconds=delay_s(wrong) - 0.1)), Refusal)
        waits.append(delay_s(wrong))
        at += timedelta(seconds=delay_s(wrong))

    assert waits[:4] == [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == DELAY_MAX_S == delay_s(10**9)


def test_the_count_survives_a_restart(tmp_path: Path, store: Store) -> None:
    guess(store, NOW)
    store.close()
    anew = open_store(tmp_path / "state", create=False)

    found = guess(anew, later(0.1))
    anew.close()

    assert isinstance(found, Refusal)


def test_a_right_guess_forgets_the_wrong_ones(store: Store) -> None:
    guess(store, NOW)
    guess(store, later(10))
    store.run(lambda tx: end_guess(tx, "ann", SECRET))

    assert store.read(read_people)["ann"].wrong == 0
    assert guess(store, later(10)) == SECRET


def test_a_clock_that_was_set_back_makes_nobody_wait_longer_than_the_bound(store: Store) -> None:
    guess(store, later(10**8))

    refused = guess(store, NOW)
    heard = guess(store, later(DELAY_MAX_S))

    assert isinstance(refused, Refusal)
    assert heard == SECRET


def test_one_who_asks_again_while_waiting_waits_no_longer_for_it(store: Store) -> None:
    guess(store, NOW)
    for tenth in range(1, 10):
        assert isinstance(guess(store, later(tenth / 10)), Refusal)

    assert guess(store, later(DELAY_FIRST_S)) == SECRET


def test_another_person_does_not_wait(store: Store) -> None:
    store.run(lambda tx: add_person(tx, "bob", SECRET, vouched=ANN, now=NOW))
    guess(store, NOW)

    assert guess(store, NOW, "bob") == SECRET


def test_only_the_first_person_needs_nobody_to_vouch(store: Store) -> None:
    """Two who are both the first: the second is told to be vouched for."""
    with pytest.raises(Refused, match="registered by now"):
        store.run(lambda tx: add_person(tx, "bob", SECRET, vouched=None, now=NOW))

    assert [*store.read(read_people)] == ["ann"]


def test_one_who_was_struck_off_vouches_and_decides_no_more(store: Store) -> None:
    store.run(lambda tx: add_person(tx, "bob", SECRET, vouched=ANN, now=NOW))
    store.run(lambda tx: remove_person(tx, "ann", by=Person("bob", Proof.SECRET, secret=SECRET), now=NOW))

    for act in (
        lambda tx: add_person(tx, "eve", SECRET, vouched=ANN, now=NOW),
        lambda tx: require_still_known(tx, ANN, NOW),
        lambda tx: end_guess(tx, "ann", SECRET),
    ):
        with pytest.raises(Refused, match="Nobody is registered as 'ann'"):
            store.run(act)


def test_a_secret_that_was_replaced_while_it_was_looked_at_is_no_more(store: Store) -> None:
    bob = Person("bob", Proof.SECRET, secret=SECRET)
    store.run(lambda tx: add_person(tx, "bob", SECRET, vouched=ANN, now=NOW))
    kept = guess(store, NOW)
    store.run(lambda tx: remove_person(tx, "ann", by=bob, now=NOW))
    store.run(lambda tx: add_person(tx, "ann", Hashed("22", "33"), vouched=bob, now=NOW))

    assert isinstance(kept, Hashed)
    with pytest.raises(Refused):
        store.run(lambda tx: end_guess(tx, "ann", kept))


def test_whoever_takes_a_name_later_is_not_who_decided_under_it(store: Store) -> None:
    """Regression: the name alone was compared, so that what one decided was recorded as the word of another."""
    bob = Person("bob", Proof.SECRET, secret=SECRET)
    store.run(lambda tx: add_person(tx, "bob", SECRET, vouched=ANN, now=NOW))
    store.run(lambda tx: remove_person(tx, "ann", by=bob, now=NOW))
    store.run(lambda tx: add_person(tx, "ann", Hashed("22", "33"), vouched=bob, now=NOW))

    for act in (
        lambda tx: require_still_known(tx, ANN, NOW),
        lambda tx: add_person(tx, "eve", SECRET, vouched=ANN, now=NOW),
        lambda tx: remove_person(tx, "bob", by=ANN, now=NOW),
    ):
        with pytest.raises(Refused, match="'ann' was registered with another secret"):
            store.run(act)


def test_a_word_that_was_typed_while_nobody_was_registered_counts_no_more(store: Store) -> None:
    with pytest.raises(Refused):
        store.run(lambda tx: require_still_known(tx, Person("ann", Proof.WORD), NOW))


def test_how_many_people_there_are_is_bounded(store: Store) -> None:
    def fill() -> None:
        for number in range(PEOPLE_MAX):
            store.run(partial(add_person, name=f"p{number}", secret=SECRET, vouched=ANN, now=NOW))

    with pytest.raises(Refused, match="the most"):
        fill()
