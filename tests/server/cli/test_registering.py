"""People register at a terminal, each with a secret of their own, and vouch for each other."""

from collections.abc import Callable

import pytest

from gatewright.server.cli.command import Exit
from gatewright.server.people.register import read_people

from .conftest import Desk, Ran
from .test_approving import SECRETS, with_store

Call = Callable[..., Ran]


@pytest.mark.slow
def test_people_register_at_a_terminal_and_vouch_for_each_other(ready: Desk, call: Call) -> None:
    ann, bob = SECRETS["ann"], SECRETS["bob"]

    first = ready.at_terminal("people", "add", "ann", answers=["ann", ann, ann])
    alone = ready.at_terminal("people", "add", "bob", answers=["bob"])
    vouched = ready.at_terminal("people", "add", "bob", answers=["ann", ann, bob, bob])
    listed = call("people", "list")
    gone = ready.at_terminal("people", "remove", "ann", answers=["bob", bob, "ann"])

    assert [ran.status for ran in (first, vouched, listed, gone)] == [Exit.OK] * 4, first.out + vouched.out + gone.out
    assert "trusted on first use" in first.out
    assert "Type ann to register ann (nobody is there yet whose secret could vouch for it): " in first.out
    assert alone.status == Exit.REFUSED
    assert "person:ann" in listed.out
    assert not {ann, bob} & set(first.out.split("\n")), "a secret is not shown"
    found: list[str] = []
    with_store(ready, lambda store: found.extend(store.read(read_people)))
    assert found == ["bob"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        (["ann", "short"], "at least 12"),
        (["ann", SECRETS["ann"], SECRETS["bob"]], "not the same"),
        (["yes"], "Nothing"),
    ],
)
def test_a_bad_secret_registers_nobody(ready: Desk, call: Call, typed: list[str], complaint: str) -> None:
    ran = ready.at_terminal("people", "add", "ann", answers=typed)

    assert ran.status == Exit.REFUSED
    assert complaint in ran.out
    assert "Nobody is registered" in call("people", "list").out


def test_nobody_is_registered_through_a_pipe(ready: Desk, call: Call) -> None:
    piped = call("people", "add", "ann")
    half = ready.at_terminal_output_only("people", "add", "ann", given=f"ann\n{SECRETS['ann']}\n{SECRETS['ann']}\n")

    assert (piped.status, half.status) == (Exit.REFUSED, Exit.REFUSED)
    assert "Nobody is registered" in call("people", "list").out
