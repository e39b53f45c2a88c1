"""As whom somebody acts who was authenticated by a token."""

PREFIX = "token:"


def principal_of(subject: str) -> str:
    """The same for every token of one subject, however many there are."""
    return f"{PREFIX}{subject}"


def subject_of(principal: str) -> str | None:
    """The subject of a principal that was authenticated by a token; None for any other."""
    return principal.removeprefix(PREFIX) if principal.startswith(PREFIX) else None
