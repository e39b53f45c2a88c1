"""A commit of the remote in a repository that exists only for as long as it is looked at.

What is too large or not sound is gone when the look is over; nothing of it ever lay in a repository of ours.
"""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ..git import Git
from .remote import Remote

PREFIX = "fetch-"
HELD = "refs/gatewright-quarantine/held"


@contextmanager
def quarantined(remote: Remote, commit: str, *, near: Path, folder: Path, pack_bytes_max: int) -> Generator[Path]:
    """A bare repository in `folder` that has `commit`; what the repository at `near` has is not fetched again.

    The bytes are as the remote sent them: their ids are computed, and nothing else about them is believed.
    """
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=folder) as place:
        object_format = Git(near).text("rev-parse", "--show-object-format")
        Git(Path(place)).run("init", "--quiet", "--bare", "--template=", f"--object-format={object_format}")
        (Path(place) / "objects" / "info" / "alternates").write_text(f"{near / 'objects'}\n")
        remote.fetch(Path(place), [f"+{commit}:{HELD}"], pack_bytes_max=pack_bytes_max)
        yield Path(place)
