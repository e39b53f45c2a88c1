"""One life of one agent on a host of its own, with a clone: it pushes what it made, or hands in files.

python -m tests.team_chaos.agent FOLDER NAME LIFE SEED chaotic|calm     (its token in GATEWRIGHT_TOKEN)
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from gatewright.server.cli.demo_agent import Data, DemoFailed, Refusal

from ..chaos.connection import Connection, Gone
from ..chaos.worker import PAUSE_S, Worker
from ..chaos.world import SHARED
from .caller import Caller
from .site import SERVERS, Site

GIT_WITHIN_S = 15.0
PUSHED_OF_ALL = 0.6
# A principal's other server is asked now and then although the first one answers.
TURNED_OF_ALL = 0.2
LATER_MAX = 5


class GitFailed(Exception):
    """The remote did not answer in time, or said no."""


class TeamWorker(Worker):
    """As on one machine; but every life is one principal's, so a key holds at any server and after any answer."""

    def __init__(self, site: Site, name: str, life: str, seed: str, *, is_calm: bool) -> None:
        super().__init__(site, name, life, seed, is_calm=is_calm)
        self._site = site
        self._clone = site.root / "clones" / name
        self._begun = ""

    def _connected(self) -> Connection:
        if self._agent is None:
            servers = self._random.sample(SERVERS, len(SERVERS))
            urls = [self._site.server_url(server) for server in servers]
            self._agent = Caller(os.environ["GATEWRIGHT_TOKEN"], urls, self._site.certificate)
        return self._agent

    def _ask(self, tool: str, arguments: Data) -> Data:
        agent = self._connected()
        assert isinstance(agent, Caller)
        if self._chance(TURNED_OF_ALL):
            agent.turn()
        number = self._journal.ask("1", tool, arguments)
        try:
            reply = agent.call(tool, **arguments)
        except Refusal as exc:
            self._journal.refused(number, exc.code, exc.message)
            raise
        except DemoFailed as exc:
            self._journal.unanswered(number, str(exc))
            del self._later[LATER_MAX:]
            time.sleep(PAUSE_S)
            raise Gone from exc
        self._journal.told(number, reply)
        return reply

    def _count_active(self) -> int:
        changes = self._call("get_status")["changes"]
        return len(changes) if isinstance(changes, list) else 0

    def _submit(
        self, brief: Data, files: Mapping[str, str | None], answers: list[dict[str, str]], *, wait_s: int
    ) -> Data:
        given: Data = {"lease": brief["lease"], "summary": f"Work on {brief['stage']}.", "wait_s": wait_s}
        if answers:
            given["answers"] = answers
        commit = self._push(brief, files) if self._chance(PUSHED_OF_ALL) else None
        given.update({"files": files} if commit is None else {"commit": commit})
        return self._call("submit_artifact", keyed=True, **given)

    def _write(self, brief: Data, files: Mapping[str, str | None]) -> bool:
        return self._push(brief, files) is not None

    def _shared_in_the_target(self) -> str:
        try:
            self._git("git fetch -q origin main")
            return self._git(f"git show origin/main:{SHARED}") + "\n"
        except GitFailed:
            return "Everybody writes here.\n"

    def _push(self, brief: Data, files: Mapping[str, str | None]) -> str | None:
        """Do what the brief's `next` says, with this work in between: the commit; None where that cannot be done."""
        commands = [found for found in re.findall(r"`([^`]+)`", str(brief["next"])) if found.startswith("git ")]
        if not commands:
            return None
        *begin, push = commands
        try:
            if self._begun != brief["lease"]:
                self._begin(begin)
                self._begun = str(brief["lease"])
            for name, text in files.items():
                place = self._clone / name
                place.unlink(missing_ok=True)
                if text is not None:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_text(text)
            self._git("git add -A && git commit -q -m Work")
            return self._git(push).splitlines()[-1]
        except (GitFailed, OSError):
            return None

    def _begin(self, commands: list[str]) -> None:
        if not (self._clone / ".git" / "HEAD").exists():
            self._clone.parent.mkdir(exist_ok=True)
            self._git(f"git clone -q {self._site.remote_url} {self._clone}", at=self._site.root)
        # What an earlier life left is nobody's any more.
        self._git("rm -f .git/*.lock; git checkout -q -f --detach; git clean -q -fd")
        self._git("git for-each-ref --format='delete %(refname)' refs/heads | git update-ref --stdin")
        for command in commands:
            self._git(command)

    def _git(self, command: str, *, at: Path | None = None) -> str:
        """What a command prints; raises `GitFailed`."""
        with subprocess.Popen(
            ["sh", "-c", command],
            cwd=at or self._clone,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                said, complained = process.communicate(timeout=GIT_WITHIN_S)
            except subprocess.TimeoutExpired as exc:
                raise GitFailed(command) from exc
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            sys.stderr.write(f"{self._name}: {command}: {complained[-500:]}\n")
            raise GitFailed(command)
        return said.strip()


def main(folder: str, name: str, life: str, seed: str, mood: str) -> None:
    """Live."""
    TeamWorker(Site(Path(folder)), name, life, seed, is_calm=mood == "calm").work()


if __name__ == "__main__":
    _main: Callable[..., None] = main
    _main(*sys.argv[1:])
