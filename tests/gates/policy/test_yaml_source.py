"""YAML as people write it: bounded, without guesses, every value with its line."""

import time

import pytest

from gatewright.gates.policies.yaml_source import Bounds, PolicyInvalid, format_key, read_yaml

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [{','.join([f'*{chr(97 + level)}'] * 9)}]\n" for level in range(12)
)


def complaint(text: str | bytes) -> str:
    with pytest.raises(PolicyInvalid) as caught:
        read_yaml(text if isinstance(text, bytes) else text.encode(), file="f.yaml")
    return str(caught.value)


def told(text: str) -> list[str]:
    return [str(problem) for problem in read_yaml(text.encode(), file="f.yaml").problems]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "f.yaml:1: the file is empty"),
        ("# nothing\n", "f.yaml:1: the file is empty"),
        (
            "a:\n\t- b",
            r"f.yaml:2: found character '\t' that cannot start any token; indent with spaces, not with tabs",
        ),
        (
            "goal: Say: what\n",
            (
                "f.yaml:1: mapping values are not allowed here; "
                "put a value that holds ': ' in quotes, and check the indentation"
            ),
        ),
        ('a: "x\nb: c\n', "f.yaml:3: found unexpected end of stream; a quote or bracket is not closed"),
        ("a: 1\n---\nb: 2", "f.yaml:2: a second document begins here; only one is read"),
        ("a: 1\nb: &x [*x]", "f.yaml:2: the alias *x stands for nothing before it"),
        ("? [a]\n: b", "f.yaml:1: a key must be a word; quote a key that starts with * { or ["),
        ("a: \x01", "f.yaml:1: the character U+0001 is not allowed in YAML"),
        (b"a: 1\nb: \xff", "f.yaml:2: the file is not UTF-8; save it as UTF-8"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence_with_its_line(text: str | bytes, sentence: str) -> None:
    assert complaint(text) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: 2\na: 3", "f.yaml:3: a: the key stands here and on line 1; keep one of them"),
        ("s:\n  a: 1\n  a: 1", "f.yaml:3: s.a: the key stands here and on line 2; keep one of them"),
        ("on: 1", "f.yaml:1: on: some readers of YAML take the key 'on' for a boolean; write \"on\""),
        ("a: [no]", "f.yaml:1: a[0]: 'no' is a boolean or a word; write false, or \"no\" for the word"),
        ("a: Yes", "f.yaml:1: a: 'Yes' is a boolean or a word; write true, or \"Yes\" for the word"),
        ("a: &a {x: 1}\nb:\n  <<: *a", "f.yaml:3: b.<<: merge keys are not read; write the keys out"),
        ("a: !!str 1", "f.yaml:1: a: the tag '!!str' is not read; write the value without it"),
    ],
)
def test_what_two_readers_would_read_differently_is_refused_and_the_rest_still_read(text: str, sentence: str) -> None:
    assert told(text) == [sentence]


def test_a_tag_runs_nothing() -> None:
    source = read_yaml(b"a: !!python/object/apply:os.system ['exit 1']", file="f.yaml")

    assert source.value == {"a": ["exit 1"]}
    assert len(source.problems) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "f.yaml:4: the file holds more than 5000 values"),
        ("[" + "a," * 100_000 + "]", "f.yaml:1: the file holds more than 5000 values"),
        ("[" * 100_000, "f.yaml:1: values are nested deeper than 20 levels"),
        ("\n".join(" " * depth + "a:" for depth in range(100)), "f.yaml:22: values are nested deeper than 20 levels"),
        ("x" * 256_001, "f.yaml:1: the file has 256001 bytes; at most 256000 are read"),
    ],
)
def test_a_file_that_would_unfold_without_end_is_refused_at_once(text: str, reason: str) -> None:
    began = time.monotonic()

    assert complaint(text) == reason

    assert time.monotonic() - began < 5


def test_an_alias_within_bounds_stands_for_its_value() -> None:
    assert read_yaml(b"a: &x [1, 2]\nb: *x\n", file="f.yaml").value == {"a": [1, 2], "b": [1, 2]}


def test_plain_scalars_are_read_as_yaml_1_2_reads_them() -> None:
    text = b"[true, False, null, ~, 12, -3, 1.5, 010, 1:30, 2026-01-01, 0x1f, 1_000, 15m, '12', \"true\", y]"

    assert read_yaml(text, file="f.yaml").value == [
        *(True, False, None, None, 12, -3, 1.5),
        *("010", "1:30", "2026-01-01", "0x1f", "1_000", "15m", "12", "true", "y"),
    ]


def test_every_key_and_item_knows_its_line_and_what_is_missing_that_of_its_parent() -> None:
    source = read_yaml(b"a:\n  b:\n    - x\n    - y: 1\nc: 1\n", file="f.yaml")

    assert source.line(("a", "b", 1, "y")) == 4
    assert source.line(("a", "b", 1, "z")) == 4
    assert source.line(("c",)) == 5
    assert source.line(("absent",)) == 1


def test_a_key_path_is_written_as_people_would() -> None:
    assert format_key(("stages", "code", "gates", 1, "run")) == "stages.code.gates[1].run"
    assert format_key(()) == ""


def test_other_files_than_policies_are_read_within_bounds_of_their_own() -> None:
    bounds = Bounds(bytes_max=100, depth_max=2, nodes_max=4, keys_are_words=True)

    assert read_yaml(b"on: 1e3\n", file="f.yaml", bounds=bounds).value == {"on": 1000.0}
    for text in ("x" * 101, "[[[1]]]", "[1, 2, 3, 4]"):
        with pytest.raises(PolicyInvalid):
            read_yaml(text.encode(), file="f.yaml", bounds=bounds)
