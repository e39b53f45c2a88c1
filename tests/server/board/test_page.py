"""The page as it is: whole in itself, small, and such that what it shows cannot become markup."""

import base64
import hashlib
import re

import pytest

from gatewright.server.board.page import Via, headers, page

BYTES_MAX = 36_000
SCRIPT = re.compile(r'<script type="module">(.*)</script>', re.DOTALL)
STYLE = re.compile(r"<style>(.*)</style>", re.DOTALL)
# What makes markup, or code, of a text.
SINKS = (
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "eval(",
    "new Function",
    "DOMParser",
    "srcdoc",
)


@pytest.mark.parametrize("via", Via)
def test_it_asks_nobody_else_for_anything(via: Via) -> None:
    whole = page(via)

    assert f'data-via="{via}"' in whole
    assert not re.findall(r"(?:https?:|src=|href=|url\(|@import|import\()", whole)
    assert len(whole.encode()) < BYTES_MAX


@pytest.mark.parametrize("via", Via)
def test_nothing_in_it_makes_markup_of_a_text(via: Via) -> None:
    whole = page(via)

    assert [sink for sink in SINKS if sink in whole] == []
    assert not re.search(r"<[a-z][^>]*\son[a-z]+\s*=", whole), "handlers are added by the script"
    assert " style=" not in whole, "the policy allows no style but the page's own"


def test_what_may_run_is_named_by_its_hash_and_is_what_the_page_has() -> None:
    policy = dict(part.split(" ", 1) for part in headers()["content-security-policy"].split("; "))

    for via in Via:
        for name, pattern in (("script-src", SCRIPT), ("style-src", STYLE)):
            (text,) = pattern.findall(page(via))
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert policy[name] == f"'sha256-{digest}'", (via, name)
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["trusted-types"] == "'none'"
