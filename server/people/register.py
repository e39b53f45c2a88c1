"""The registered people in the store, and how wrong guesses of a secret are slowed down.

Every function works inside one transaction. A guess is counted as wrong *before* it is looked at, and forgiven when it
was right: however many processes guess at once, and whichever of them is killed, none gets a guess for nothing. Slowed
down, never locked out: after `DELAY_MAX_S` at the latest another guess is taken.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ...schemas import access, refusals
from ...schemas.refusals import Refusal, Refused
from .hashing import Hashed
from .known import Person, Proof

if TYPE_CHECKING:
    from ..store.tx import Tx

SETTING = "people"
PEOPLE_MAX = 100
NAME = re.compile(r"[a-z][a-z0-9._-]{0,31}")
DELAY_FIRST_S = 1.0
DELAY_MAX_S = 300.0


@dataclass(frozen=True, slots=True)
class Registered:
    """A registered person. `wrong` counts the guesses since the last right one; times are ISO texts."""

    name: str
    secret: Hashed
    added_at: str
    added_by: str
    wrong: int = 0
    not_before: str | None = None


def read_people(tx: "Tx") -> dict[str, Registered]:
    """The registered people by name, in the order of their names."""
    kept: dict[str, dict[str, object]] = json.loads(tx.meta_get(SETTING) or "{}")
    return {name: _read(values) for name, values in sorted(kept.items())}


def add_person(tx: "Tx", name: str, secret: Hashed, *, vouched: Person | None, now: datetime) -> None:
    """Register a person. `vouched` is the registered one who vouches; None only for the very first."""
    people = read_people(tx)
    if vouched is None and people:
        raise Refused(refusals.person_vouches())
    if vouched is not None:
        require_still_known(tx, vouched, now)
    if name in people:
        raise Refused(refusals.bad_argument(f"'{name}' is registered already"))
    if len(people) >= PEOPLE_MAX:
        raise Refused(refusals.bad_argument(f"{PEOPLE_MAX} people are registered, which is the most"))
    by = "nobody: the first person is trusted on first use" if vouched is None else vouched.principal
    _keep(tx, {**people, name: Registered(name, secret, now.isoformat(), by)})


def remove_person(tx: "Tx", name: str, *, by: Person, now: datetime) -> None:
    """Strike a person off; what they approved stands."""
    require_still_known(tx, by, now)
    people = read_people(tx)
    get_person(people, name)
    _keep(tx, {other: person for other, person in people.items() if other != name})


def begin_guess(tx: "Tx", name: str, now: datetime) -> Hashed | Refusal:
    """Take a guess, which counts as wrong until `end_guess`; a refusal says how long to wait. Never raises for that."""
    people = read_people(tx)
    person = people.get(name)
    if person is None:
        return refusals.person_unknown(name, [*people])
    wait_s = 0.0 if person.not_before is None else (datetime.fromisoformat(person.not_before) - now).total_seconds()
    if wait_s > 0:
        # A clock that was set back must not lock anybody out.
        wait_s = min(wait_s, DELAY_MAX_S)
        _keep(tx, {**people, name: replace(person, not_before=(now + timedelta(seconds=wait_s)).isoformat())})
        return refusals.secret_slowed(name, wait_s)
    after = now + timedelta(seconds=delay_s(person.wrong + 1))
    _keep(tx, {**people, name: replace(person, wrong=person.wrong + 1, not_before=after.isoformat())})
    return person.secret


def end_guess(tx: "Tx", name: str, secret: Hashed) -> None:
    """The guess was right: forget the wrong ones. Raises `Refused` when the person was struck off meanwhile."""
    people = read_people(tx)
    person = _require_same(people, name, secret)
    _keep(tx, {**people, name: replace(person, wrong=0, not_before=None)})


def require_still_known(tx: "Tx", person: Person, now: datetime) -> None:
    """Raise `Refused` when who was known by a secret is not registered with it any more, or somebody is by now.

    Or when the token by which they were known is good no more, or never was for this. Asked in the transaction that
    does what the person decided: a prompt may have waited for days. So a word that was typed while nobody was
    registered does not count when somebody is, nor does a secret under a name that somebody else has taken.
    """
    people = read_people(tx)
    if person.proof is Proof.SECRET:
        _require_same(people, person.name, person.secret)
    if person.proof is Proof.WORD and people:
        raise Refused(refusals.person_vouches())
    if person.proof is Proof.TOKEN and not _is_token_good(tx, person, now):
        raise Refused(access.token_ended(person.scope))


def get_person(people: Mapping[str, Registered], name: str) -> Registered:
    """The person of this name; raises `Refused`."""
    person = people.get(name)
    if person is None:
        raise Refused(refusals.person_unknown(name, [*people]))
    return person


def delay_s(wrong: int) -> float:
    """How long after the last of so many wrong guesses the next one is taken."""
    # Bounded before it is raised to a power: the count has no bound.
    return min(DELAY_FIRST_S * 2.0 ** min(wrong - 1, 32), DELAY_MAX_S)


def _is_token_good(tx: "Tx", person: Person, now: datetime) -> bool:
    if person.key is None:
        return person.until is not None and now < person.until
    row = tx.find_token_named(person.key)
    return row is not None and row.is_live(now) and row.subject == person.name and person.scope in row.scopes


def _require_same(people: Mapping[str, Registered], name: str, secret: Hashed | None) -> Registered:
    person = get_person(people, name)
    if person.secret != secret:
        raise Refused(refusals.person_replaced(name))
    return person


def _read(values: dict[str, object]) -> Registered:
    secret = values.pop("secret")
    assert isinstance(secret, dict), "a person has a secret"
    return Registered(**values, secret=Hashed(**secret))  # type: ignore[arg-type]  # of the types that `_keep` wrote


def _keep(tx: "Tx", people: Mapping[str, Registered]) -> None:
    tx.meta_set(SETTING, json.dumps({name: asdict(person) for name, person in people.items()}))
