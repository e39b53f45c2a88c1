"""A client whose settings are a JSON file with an object of servers in it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..command import CannotGoOn
from .client import NAME, Done, JsonObject, Traces
from .json_text import WrongJson, find, put, read, take
from .settings_file import delete_made, read_settings, write_settings


def _same_name(_servers: Mapping[str, object], _top: Path) -> str:
    return NAME


def _no_links(_entry: JsonObject) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class JsonClient:
    """`place` finds the file for a checkout, `holder` names the object of servers, `entry` is what starts ours.

    `choices` are settings with a default of ours, which a person's own value outweighs; `about` says what each is for.
    `name` picks the entry's name among those that are there, where one file serves several repositories.
    """

    file: str
    place: Callable[[Path], Path]
    holder: str
    entry: Callable[[Path], JsonObject]
    choices: JsonObject = field(default_factory=dict)
    about: tuple[str, ...] = ()
    takes_comments: bool = True
    name: Callable[[Mapping[str, object], Path], str] = _same_name
    links: Callable[[JsonObject], tuple[str, ...]] = _no_links
    is_shared: bool = False

    def text(self, top: Path) -> str:
        """What the file holds when nothing else does."""
        return json.dumps({self.holder: {NAME: self._whole(top, None)}}, indent=2, ensure_ascii=False) + "\n"

    def install(self, top: Path) -> Done:
        """Put the entry in, or bring it up to date; raises `CannotGoOn`, and the file is as it was."""
        file = self.place(top)
        before = read_settings(file)
        servers = self._servers(file, before)
        path = (self.holder, self.name(servers, top))
        entry = self._whole(top, servers.get(path[1]))
        try:
            after = put(before, path, entry)
        except WrongJson as exc:
            raise unsafe(file, exc, self.text(top)) from exc
        wanted = {**_settings(before), self.holder: {**servers, path[1]: entry}}
        if _settings(after) != wanted:
            raise unsafe(file, WrongJson("it cannot be changed without touching something else", 1), self.text(top))
        made = Traces() if after == before else self._write(file, before, after)
        what = f"{file} has gatewright already." if after == before else f"Wrote {path[1]} into {file}."
        return Done(what, self.about, self.links(entry), made)

    def uninstall(self, top: Path, traces: Traces) -> bool:
        """Take the entry out, and the object and the file that were made for it."""
        file = self.place(top)
        before = read_settings(file)
        servers = self._servers(file, before)
        name = self.name(servers, top)
        if name not in servers:
            return False
        after = take(before, (self.holder, name))
        if find(after, (self.holder,)) == {} and f"{file}#{self.holder}" in traces.holders:
            after = take(after, (self.holder,))
        if _settings(after) == {} and (str(file) in traces.paths or not after.strip()):
            delete_made(file, traces.paths)
        else:
            write_settings(file, after, mode=0o644)
        return True

    def _write(self, file: Path, before: str, after: str) -> Traces:
        has_holder = find(before, (self.holder,)) is not None
        made = write_settings(file, after, mode=0o644)
        return Traces(made, () if has_holder else (f"{file}#{self.holder}",))

    def _servers(self, file: Path, text: str) -> Mapping[str, object]:
        """The entries that are there; raises `CannotGoOn` for a file that the client could not read either."""
        try:
            settings = read(text).data
            if text.strip() and not self.takes_comments:
                json.loads(text)
        except WrongJson as exc:
            raise unsafe(file, exc) from exc
        except ValueError as exc:
            wrong = WrongJson("it has comments, a trailing comma or a byte order mark, which this client rejects", 1)
            raise unsafe(file, wrong) from exc
        servers = settings.get(self.holder, {}) if isinstance(settings, dict) else None
        if not isinstance(servers, dict):
            where = f"`{self.holder}`" if isinstance(settings, dict) else "the whole of it"
            raise unsafe(file, WrongJson(f"{where} is not an object", 1))
        return servers

    def _whole(self, top: Path, present: object) -> JsonObject:
        """The entry with the person's own settings in it kept."""
        own = present if isinstance(present, dict) else {}
        return {**self.entry(top), **self.choices, **own, **self.entry(top)}


def _settings(text: str) -> JsonObject:
    data = read(text).data
    return data if isinstance(data, dict) else {}


def unsafe(file: Path, problem: WrongJson, text: str | None = None) -> CannotGoOn:
    message = f"{file}:{problem.line}: {problem}; the file is as it was."
    by_hand = "Mend it first; `--print` shows what belongs there."
    return CannotGoOn(message, by_hand if text is None else f"Add this by hand:\n{text}", code="wrong_settings")
