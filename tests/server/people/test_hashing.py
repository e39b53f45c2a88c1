"""A secret is kept so that the store does not tell it."""

import json
import unicodedata

import pytest

from gatewright.server.people.hashing import complaint_about, hashed, is_secret

SECRET = "four Wörter that nobody knows"


def test_the_right_secret_is_known_and_no_other_is() -> None:
    kept = hashed(SECRET)

    assert is_secret(SECRET, kept)
    assert not is_secret(SECRET + " ", kept)
    assert not is_secret("", kept)


def test_the_same_secret_is_kept_differently_for_two_people_and_never_in_clear() -> None:
    one, other = hashed(SECRET), hashed(SECRET)

    assert one.hash != other.hash
    assert "nobody" not in json.dumps([one.salt, one.hash])


def test_a_letter_may_be_typed_in_two_ways() -> None:
    """As keyboards of different systems do."""
    assert is_secret(unicodedata.normalize("NFD", SECRET), hashed(unicodedata.normalize("NFC", SECRET)))


@pytest.mark.parametrize(
    ("secret", "complaint"),
    [("", "12"), ("elevenchars", "12"), ("aaaaaaaaaaaaaaaa", "repeats"), ("x" * 513, "512"), (SECRET, None)],
)
def test_what_is_no_secret_is_complained_about(secret: str, complaint: str | None) -> None:
    found = complaint_about(secret)

    assert (found is None) if complaint is None else (found is not None and complaint in found)
