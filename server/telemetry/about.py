"""What the log's lines of this task are about: a change, a stage, an evaluation. Standard library only."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_about: ContextVar[Mapping[str, str]] = ContextVar("about", default={})  # noqa: B039 - never written to, replaced


@contextmanager
def about(**ids: str | None) -> Generator[None]:
    """Until the block ends what is logged in it is about these besides; None says nothing."""
    token = _about.set({**_about.get(), **{name: value for name, value in ids.items() if value is not None}})
    try:
        yield
    finally:
        _about.reset(token)


def add_about(**ids: str) -> None:
    """What is logged from now on is about these besides, until the block around it or the task ends."""
    _about.set({**_about.get(), **ids})


def current_about() -> Mapping[str, str]:
    """What a line is about that is logged just now."""
    return _about.get()
