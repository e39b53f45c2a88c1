"""Who works in the person's own checkout, and what was there before: one small file in gatewright's own folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath

from ..files import replace_text
from .untouched import Kind, Seen

FILE = "here.json"


@dataclass(frozen=True, slots=True)
class Occupation:
    """A lease that works in the checkout.

    `head` is the commit that the checkout stood at, `base` what the stage starts from, `content` what its files are
    those of. `person` is what was uncommitted when the stage first came here and is no part of that, `others` the
    paths that earlier stages of the change had worked on when the next one came; `ignored` is what git ignored when the
    change came (a folder ends in a slash), `laid` the paths of what the stage builds on that `head` has otherwise.
    """

    change: str
    stage: str
    fence: int
    lease: str
    head: str
    base: str
    content: str
    person: Mapping[str, Seen]
    others: Mapping[str, frozenset[str]]
    ignored: frozenset[str]
    laid: frozenset[str]

    def is_of(self, change: str, stage: str, fence: int) -> bool:
        return (self.change, self.stage, self.fence) == (change, stage, fence)

    def was_ignored(self, path: str) -> bool:
        """Whether git ignored the path, or a folder that it lies in, when the change came here."""
        folders = (f"{folder}/" for folder in PurePosixPath(path).parents)
        return path in self.ignored or any(folder in self.ignored for folder in folders)


def read_occupation(state_dir: Path) -> Occupation | None:
    """The last lease that was given the checkout; None without one, or when its file cannot be read."""
    try:
        told = json.loads((state_dir / FILE).read_text("utf-8", "surrogateescape"))
        person = {path: Seen(Kind(kind), *rest) for path, (kind, *rest) in told.pop("person").items()}
        others = {stage: frozenset(paths) for stage, paths in told.pop("others").items()}
        ignored, laid = frozenset(told.pop("ignored")), frozenset(told.pop("laid"))
        return Occupation(**told, person=person, others=others, ignored=ignored, laid=laid)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write_occupation(state_dir: Path, occupation: Occupation) -> None:
    """Durable as a whole, mode 0600: it holds the lease."""
    told = {
        **{field.name: getattr(occupation, field.name) for field in fields(occupation)},
        "person": {path: [s.kind, s.mode, s.size, s.mtime_ns, s.digest] for path, s in occupation.person.items()},
        "others": {stage: sorted(paths) for stage, paths in occupation.others.items()},
        "ignored": sorted(occupation.ignored),
        "laid": sorted(occupation.laid),
    }
    replace_text(state_dir / FILE, json.dumps(told, ensure_ascii=False), mode=0o600)


def forget_occupation(state_dir: Path) -> None:
    (state_dir / FILE).unlink(missing_ok=True)
