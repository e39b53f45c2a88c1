"""Which cases run when: the quick ones always, the others in `make test-all`."""

import pytest
from _pytest.mark import ParameterSet

from .cases import CASES, Layer


def cases_of(*layers: Layer) -> list[ParameterSet]:
    """The cases of these layers as parameters of a test."""
    return [
        pytest.param(case, id=case.name, marks=() if case.quick else pytest.mark.slow)
        for case in CASES.values()
        if case.layer in layers
    ]
