"""Where a shared repository lies: checked before git sees it, and shown to nobody with what opens it."""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

URL_CHARS_MAX = 2_000
SCHEMES = ("file", "git", "http", "https", "ssh")
HIDDEN = "***"

# git takes anything with a colon before the first slash for a host, and `::` for the name of a helper to run.
_SCP_LIKE = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!:)[^-\s][^\s]*")
_USER_INFO = re.compile(r"(?<=://)[^/@\s'\"]+@")


@dataclass(frozen=True, slots=True)
class Address:
    """`url` is what git is given; `shown` what people, agents and logs see; `secrets` what they must not."""

    url: str
    shown: str
    secrets: tuple[str, ...] = ()

    def redact(self, text: str) -> str:
        """The text without credentials: these, and whatever stands where a URL has them."""
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        return _USER_INFO.sub("", text)


def parse_address(url: str) -> Address:
    """The address of a remote; raises `ValueError` with a sentence that does not repeat it.

    A URL (file, git, http, https, ssh), `user@host:path`, or an absolute path. The user of ssh is no secret.
    """
    if not url or len(url) > URL_CHARS_MAX or not url.isprintable() or re.search(r"[\s'\"`$\\]", url):
        raise ValueError("The address of the remote is empty, too long, or has characters that none has.")
    if url.startswith("/"):
        return Address(url, url)
    if "://" not in url:
        if _SCP_LIKE.fullmatch(url):
            return Address(url, url)
        raise ValueError("The address of the remote is no URL, no user@host:path and no absolute path.")
    return _parse_url(url)


def _parse_url(url: str) -> Address:
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"The address of the remote is none of {', '.join(SCHEMES)}.")
    host = parts.hostname or ""
    if host.startswith("-") or (parts.username or "").startswith("-") or (not host and parts.scheme != "file"):
        raise ValueError("The address of the remote names no host.")
    if parts.scheme == "ssh" and parts.password is None:
        return Address(url, _without(parts, keep_user=True))
    return Address(url, _without(parts, keep_user=False), _secrets(parts))


def _without(parts: SplitResult, *, keep_user: bool) -> str:
    place = parts.netloc if keep_user else parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, parts.path, "", ""))


def _secrets(parts: SplitResult) -> tuple[str, ...]:
    """User, password, query and fragment, as written and as meant, the longest first: a part of one may be another."""
    found = [
        parts.username,
        parts.password,
        parts.query,
        parts.fragment,
        *(value for _, value in parse_qsl(parts.query)),
    ]
    spelled = [part for each in found if each for part in (each, unquote(each))]
    return tuple(sorted(dict.fromkeys(spelled), key=len, reverse=True))
