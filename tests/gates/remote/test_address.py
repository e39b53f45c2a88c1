"""An address is checked before git sees it, and what opens it is shown to nobody."""

import pytest

from gatewright.gates.remote.address import parse_address

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("/srv/git/shop.git", "/srv/git/shop.git"),
        ("file:///srv/git/shop.git", "file:///srv/git/shop.git"),
        ("git@git.example.org:team/shop.git", "git@git.example.org:team/shop.git"),
        ("git.example.org:shop.git", "git.example.org:shop.git"),
        ("ssh://git@git.example.org:2222/shop.git", "ssh://git@git.example.org:2222/shop.git"),
        ("https://git.example.org/shop.git", "https://git.example.org/shop.git"),
        (f"https://ada:{SECRET}@git.example.org/shop.git", "https://git.example.org/shop.git"),
        (f"https://{SECRET}@git.example.org:8443/shop.git", "https://git.example.org:8443/shop.git"),
        (f"https://git.example.org/shop.git?private_token={SECRET}", "https://git.example.org/shop.git"),
        (f"ssh://git:{SECRET}@git.example.org/shop.git", "ssh://git.example.org/shop.git"),
        ("git://127.0.0.1:9418/shop.git", "git://127.0.0.1:9418/shop.git"),
    ],
)
def test_an_address_is_shown_without_what_opens_it(url: str, shown: str) -> None:
    address = parse_address(url)

    assert (address.url, address.shown) == (url, shown)
    told = address.redact(f"fatal: cannot open {url}" + (f": {SECRET}" if SECRET in url else ""))
    assert SECRET not in told


@pytest.mark.parametrize(
    "url",
    [
        "",
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=x",
        "ext::sh -c touch% /tmp/x",
        "fd::17",
        "ftp://git.example.org/shop.git",
        "https:///shop.git",
        "ssh://-oProxyCommand=x/shop.git",
        "ssh://-x@git.example.org/shop.git",
        "git@-oProxyCommand=x:shop.git",
        "host:-option",
        "relative/path.git",
        "https://git.example.org/shop.git\nremote.x.url=y",
        "https://git.example.org/a b.git",
        "/srv/`touch x`.git",
        "/srv/$(touch x).git",
        f"https://ada:{SECRET} @git.example.org/shop.git",
        "https://git.example.org/" + "x" * 3000,
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="address of the remote") as caught:
        parse_address(url)

    assert SECRET not in str(caught.value)
    assert not url or url not in str(caught.value)


def test_an_encoded_password_is_redacted_as_written_and_as_meant() -> None:
    address = parse_address("https://ada:p%40ss%2Fword@git.example.org/shop.git")

    told = address.redact("p%40ss%2Fword p@ss/word https://eve:other@elsewhere.example.org/x")

    assert told == "*** *** https://elsewhere.example.org/x"
