"""Any sequence of calls does what the model beside it says, and is refused by the code that stands first.

Two clients, one of each generation of the protocol, and a person at the command line, against one store.
"""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from .machine import Protocol
from .world import World, a_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with a_world(tmp_path_factory.mktemp("stateful")) as made:
        yield made


def search(world: World, *, examples: int, steps: int, deterministic: bool, seeded: str | None = None) -> None:
    machine = type("ProtocolInWorld", (Protocol,), {"world": world})
    if seeded is not None:
        machine = seed(seeded)(machine)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=deterministic,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            database=None,
        ),
    )


def test_a_few_sequences_of_calls_do_what_the_model_says(world: World) -> None:
    """The same ones every time; `make test-all` tries others."""
    search(world, examples=6, steps=20, deterministic=True)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(6))
def test_many_sequences_of_calls_do_what_the_model_says(world: World, part: int, pytestconfig: pytest.Config) -> None:
    """In parts, because no test may take as long as all of them do; with `--hypothesis-seed` each has its own."""
    given = pytestconfig.getoption("--hypothesis-seed")
    own = None if given is None else f"{given}-{part}"
    search(world, examples=20, steps=40, deterministic=False, seeded=own)
