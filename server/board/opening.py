"""Hand a link to the person's browser without telling it to others.

What a program was started with is seen by every user of a machine, so a browser is given a file that nobody else can
read, and the file leads to the link.
"""

import os
import sys
import webbrowser
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile


def has_browser() -> bool:
    """Whether a browser can be expected to open where the person sees it; one in the terminal is none."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@contextmanager
def opened(link: str) -> Generator[None]:
    """For the block: a file (0600) that leads to the link, which a browser was asked to open."""
    with NamedTemporaryFile("w", prefix="gatewright-board-", suffix=".html", encoding="utf-8") as file:
        file.write(
            f'<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
            f'<meta http-equiv="refresh" content="0;url={link}"><title>gatewright board</title>'
        )
        file.flush()
        webbrowser.open(Path(file.name).as_uri())
        yield
