"""One member goes into a person's JSON and out again, and every other byte stays."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.server.cli.clients.json_text import WrongJson, find, put, read, take

PATH = ("servers", "ours")
ENTRY = {"command": "/bin/x", "args": ["--repo", "/a b"]}

COMMENTED = """\
{
    // which ones
    "servers": {
        "other": {"command": "o"}, // mine, with "quotes" and a brace }
        /* off: {"x": 1} */
    },
    "more": [1, 2,],
}
"""
TEXTS = {
    "empty object": "{}",
    "empty object with a line end": "{}\n",
    "no servers": '{\n  "more": 1\n}\n',
    "empty servers": '{\n\t"servers": {}\n}\n',
    "another server": '{\n  "servers": {\n    "other": {}\n  }\n}',
    "on one line": '{"servers": {"other": {"command": "o"}}, "more": 1}',
    "on one line with a comma at the end": '{"servers": {"other": 1,},}',
    "comments and trailing commas": COMMENTED,
    "a comment after the last": '{\n  "servers": {\n    "other": 1 // mine\n  }\n}\n',
    "a comment alone": '{\n  "servers": {\n    // none yet\n  }\n}\n',
    "carriage returns": '{\r\n  "servers": {\r\n    "other": 1\r\n  }\r\n}\r\n',
    "a byte order mark": '\ufeff{\n  "servers": {\n    "other": "ü"\n  }\n}\n',
    "a slash in a string": '{\n  "a": "http://x/*", "servers": {"b": "*/"}\n}',
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_goes_in_is_there_and_comes_out_without_a_trace(text: str) -> None:
    had_servers = find(text, PATH[:1]) is not None

    inside = put(text, PATH, ENTRY)

    assert find(inside, PATH) == ENTRY
    assert put(inside, PATH, ENTRY) == inside
    outside = take(inside, PATH)
    assert (outside if had_servers else take(outside, PATH[:1])) == text


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_line_of_the_person_stays(text: str) -> None:
    inside = put(text, PATH, ENTRY)

    for word in ("// mine", "/* off", "// none yet", "\ufeff", "http://x/*"):
        assert inside.count(word) == text.count(word)
    assert inside.count("\r\n") == inside.count("\n") or "\r" not in text


def test_it_looks_like_what_is_around_it() -> None:
    assert put('{\n    "servers": {\n        "other": 1\n    }\n}\n', PATH, {"command": "x"}) == (
        '{\n    "servers": {\n        "other": 1,\n        "ours": {\n            "command": "x"\n        }\n    }\n}\n'
    )


def test_blank_text_becomes_a_file_of_its_own() -> None:
    assert json.loads(put(" \n", PATH, ENTRY)) == {"servers": {"ours": ENTRY}}


def test_a_changed_entry_is_replaced_in_its_place() -> None:
    text = '{\n  "servers": {\n    "ours": {"command": "/old"}, // moved here\n    "other": 1\n  }\n}\n'

    after = put(text, PATH, {"command": "/new"})

    assert find(after, ("servers",)) == {"ours": {"command": "/new"}, "other": 1}
    assert "// moved here" in after


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ('{\n"a": 1\n"b": 2}', 3, "`,` is missing"),
        ('{"a" 1}', 1, "`:` is missing"),
        ("{a: 1}", 1, "a name in double quotes"),
        ('{\n\n"a": nope}', 3, "a value is wrong"),
        ('{"a": "\\x"}', 1, "a value is wrong"),
        ('{"a": 1', 1, "`,` is missing"),
        ("{} {}", 1, "something follows"),
        ('{"a": 1, "a": 2}', 1, "`a` stands there twice"),
        ("[" * 200, 1, "nested too deeply"),
        ("", 1, ""),
    ],
)
def test_what_is_no_json_is_told_with_its_line(text: str, line: int, sentence: str) -> None:
    if not text:
        assert read(text).data == {}
        return
    with pytest.raises(WrongJson, match=sentence) as told:
        read(text)
    assert told.value.line == line


@pytest.mark.parametrize("text", ["[]", '{"servers": []}', '{"servers": "x"}', "1"])
def test_what_cannot_hold_an_entry_is_not_changed(text: str) -> None:
    with pytest.raises(WrongJson, match="is not an object"):
        put(text, PATH, ENTRY)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(
    settings=st.dictionaries(st.text(max_size=4), JSON, max_size=3),
    servers=st.none() | st.dictionaries(st.text(max_size=4), JSON, max_size=3),
    indent=st.sampled_from([None, 2, 4, "\t"]),
)
def test_whatever_a_program_wrote_stays_byte_for_byte(
    settings: dict[str, object], servers: dict[str, object] | None, indent: int | str | None
) -> None:
    if servers is not None:
        settings = {**settings, "servers": servers}
    text = json.dumps(settings, indent=indent)

    inside = put(text, PATH, ENTRY)

    assert json.loads(inside) == {**settings, "servers": {**(servers or {}), "ours": ENTRY}}
    outside = take(inside, PATH)
    assert (outside if servers is not None else take(outside, PATH[:1])) == text
