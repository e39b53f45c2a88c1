"""Promises of gates/patterns.py: patterns that could run for ever are refused when the pipeline is loaded."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.gates.patterns import PATTERN_CHARS_MAX, read_pattern


@pytest.mark.parametrize(
    "pattern",
    [
        r"R\d+",
        r"(?:REQ|R)-\d+",
        r"(?P<path>[^:]+):(?P<line>\d+): (?P<message>.*)",
        r"\(a+\)+[(]a+[)]+",
        r"[]a]+[^]a]+",
        r"(?:\d{3}-)+",
        r"(?:REQ-\d+)?",
        r"(?i)(?i:error)+",
        r"a{,}b{}c{2}",
        r"(?=a+)(?<!b)c",
    ],
)
def test_an_ordinary_pattern_is_compiled_as_it_is(pattern: str) -> None:
    assert read_pattern(pattern, option="ids") == re.compile(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+",
        r"((a+))*",
        r"(a|a)*",
        r"(a?){30}",
        r"(a+){2,3}",
        r"(?:a*b)+?",
        r"(?i:a+)*",
        r"(?P<x>[)]+)*",
        r"([^\]]+)*",
        r"(?x: (a) +)",
        r"(?x)a # (",
        r"(a)\1",
        r"(?P<a>b)(?P=a)",
        r"(?#x)a",
        r"(a)(?(1)b)",
        r"(",
        r"a{1,99999999999}",
        "a" * (PATTERN_CHARS_MAX + 1),
    ],
)
def test_a_pattern_that_could_run_for_ever_or_that_we_cannot_read_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"^ids "):
        read_pattern(pattern, option="ids")


ATOMS = st.sampled_from(["a", "[ab]", r"\w", ".", "b"])


@given(
    st.recursive(
        ATOMS,
        lambda inner: st.one_of(
            st.builds(lambda a, q: f"(?:{a}){q}", inner, st.sampled_from(["*", "+", "?", "{2,}", "*?"])),
            st.builds(lambda a, b: a + b, inner, inner),
            st.builds(lambda a, b: f"(?:{a}|{b})", inner, inner),
        ),
        max_leaves=3,
    )
)
def test_what_is_accepted_fails_fast_on_a_line_that_almost_matches(pattern: str) -> None:
    try:
        found = read_pattern(f"{pattern}c", option="ids")
    except ValueError:
        return

    began = time.process_time()
    found.match("a" * 100)

    assert time.process_time() - began < 2
