"""Any sequence of calls does what the model beside it says, and is refused by the code that stands first.

Two clients, one of each generation of the protocol, and a person at the command line, against one store.
"""

from collections.abc import Iterator

import pytest

from .machine import search
from .world import World, a_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with a_world(tmp_path_factory.mktemp("stateful")) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("part", range(6))
def test_many_sequences_of_calls_do_what_the_model_says(world: World, part: int, pytestconfig: pytest.Config) -> None:
    """In parts, because no test may take as long as all of them do; with `--hypothesis-seed` each has its own."""
    given = pytestconfig.getoption("--hypothesis-seed")
    own = None if given is None else f"{given}-{part}"
    search(world, examples=20, steps=40, seeded=own)
