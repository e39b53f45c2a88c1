"""An agent of a process of its own, that works, errs, dawdles, repeats itself, and may be killed at any moment.

    python -m tests.chaos.worker FOLDER NAME LIFE SEED chaotic|calm

All that it chooses comes from one generator, seeded by the run's seed, its name and its life. It ends when FOLDER has a
file `stop`, or `stop-chaos` for a chaotic one.
"""

import random
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from gatewright.server.cli.demo_agent import Agent, Data, DemoFailed, Refusal

from .connection import Connection, Gone, Keyed
from .journal import Journal
from .world import LEASE_S, SHARED, SUBTLE, WRONG, World

WRONG_OF_ALL = 0.2
SUBMISSIONS_A_CLAIM_MAX = 6
PAUSE_S = 0.3
ACTIVE_MAX = 12
SETTLED_ROUNDS_MAX = 12
CONNECT_PAUSE_S = 0.5
ERROR = "with an error"
# How often of a hundred claims; what is left works honestly.
HABITS: Mapping[str, int] = {"zombie": 7, "vanish": 5, "release": 6, "withdraw": 7, "check": 6, "linger": 5}
EXITS = ("done_for_now", "cannot", "needs_decision", "spec_conflict")


class Worker:
    """One life of one agent."""

    def __init__(self, world: World, name: str, life: str, seed: str, *, is_calm: bool) -> None:
        self._world = world
        self._name = name
        self._random = random.Random(f"{seed}/{name}/{life}")
        self._is_calm = is_calm
        self._life = life
        self._journal = Journal(world.journals / f"{name}-{life}.jsonl")
        self._log = (world.root / "bridges.log").open("ab")
        self._agent: Connection | None = None
        self._connections = 0
        self._keys = 0
        self._later: list[Keyed] = []

    def work(self) -> None:
        """Until told to stop. What the server refuses, and a connection that ends, is a reason to go on otherwise."""
        try:
            while not self.is_over():
                try:
                    self._take_something_up()
                except Refusal as exc:
                    time.sleep(PAUSE_S * (4 if exc.code == "store_unavailable" else 1))
                except Gone:
                    time.sleep(PAUSE_S)
        finally:
            self._hang_up()
            self._journal.close()
            self._log.close()

    def is_over(self) -> bool:
        """Whether the file is there that ends this life."""
        stops = ("stop",) if self._is_calm else ("stop", "stop-chaos")
        return any((self._world.root / name).exists() for name in stops)

    def _take_something_up(self) -> None:
        if not self._is_calm and self._chance(0.08):
            self._start()
        brief = self._call("claim_stage", agent=self._name, wait_s=self._random.choice((0, 1, 3)), keyed=True)
        match brief["kind"]:
            case "work":
                self._work_on(brief)
            case "review":
                self._review(brief)
            case _ if not self._is_calm and self._chance(0.7):
                self._start()
            case _:
                self._call("wait_for_update", wait_s=1)

    def _start(self) -> None:
        if self._count_active() < ACTIVE_MAX:
            title = f"{self._name}-{self._life}-{self._next_key()}"
            self._call("start_change", title=title, intent="Something useful.", keyed=True)

    def _count_active(self) -> int:
        return sum(state not in ("landed", "cancelled") for state in self._world.states().values())

    def _work_on(self, brief: Data) -> None:
        habit = "honest" if self._is_calm else self._habit()
        if habit == "vanish":
            return
        if habit == "linger":
            time.sleep(self._random.uniform(0, LEASE_S))
            self._call("renew_lease", lease=brief["lease"])
        if habit == "zombie":
            time.sleep(LEASE_S * self._random.uniform(1.1, 1.8))
        if habit == "release":
            self._release(brief)
            return
        verdict: Data = {}
        for _ in range(SUBMISSIONS_A_CLAIM_MAX):
            is_wrong = not self._is_calm and self._chance(WRONG_OF_ALL)
            mended = {**self._without_strays(brief, verdict), **self._as_in_the_target(brief)}
            files = {**mended, **self._content(brief, is_wrong=is_wrong)}
            if habit == "check":
                self._write(brief, files)
                self._call("check_gates", lease=brief["lease"], wait_s=2)
            answers = _answers(brief, verdict)
            verdict = self._submit(
                brief, files, answers, wait_s=0 if habit == "withdraw" else self._random.choice((0, 4, 20))
            )
            if habit == "withdraw":
                self._call("release_stage", lease=brief["lease"], because="withdraw", reason="Not yet.", keyed=True)
                habit = "honest"
                continue
            verdict = self._settled(verdict)
            if verdict.get("outcome") != "failed":
                return

    def _submit(
        self, brief: Data, files: Mapping[str, str | None], answers: list[dict[str, str]], *, wait_s: int
    ) -> Data:
        given: Data = {"lease": brief["lease"], "summary": f"Work on {brief['stage']}.", "wait_s": wait_s}
        if answers:
            given["answers"] = answers
        if brief.get("workspace") is None or self._chance(0.5) or not self._write(brief, files):
            given["files"] = files
        return self._call("submit_artifact", keyed=True, **given)

    def _settled(self, verdict: Data) -> Data:
        for _ in range(SETTLED_ROUNDS_MAX):
            if verdict.get("state") != "running" or self.is_over():
                break
            verdict = self._call("wait_for_update", evaluation=verdict["evaluation"], wait_s=2)
        return verdict

    def _release(self, brief: Data) -> None:
        given: Data = {"lease": brief["lease"], "because": self._random.choice(EXITS), "reason": "I would rather not."}
        if given["because"] == "spec_conflict":
            earlier = {"left": "plan", "right": "plan", "join": self._random.choice(("left", "right", "plan"))}
            if brief["stage"] not in earlier:
                return
            given["stage"] = earlier[str(brief["stage"])]
        self._call("release_stage", keyed=True, **given)

    def _review(self, brief: Data) -> None:
        """Object to what is wrong, as a reviewer who reads would; or forget about it."""
        if not self._is_calm and self._chance(0.1):
            return
        path = f"work/{brief['change']}/{brief['stage']}.txt"
        shown = self._call("read_artifact", change=brief["change"], stage=brief["stage"], path="diff")
        findings = []
        if any(word in str(shown.get("text")) for word in (WRONG, SUBTLE)):
            findings.append({"severity": "blocking", "path": path, "line": 1, "message": "This is wrong."})
        self._call("review_artifact", lease=brief["lease"], findings=findings, inspected=[path], keyed=True)

    def _without_strays(self, *told: Data) -> dict[str, str | None]:
        """What a gate has found where it must not be is taken away; the stage's own file is written anew anyway."""
        lists = (reply.get("findings") for reply in told)
        found = [str(finding["where"]) for items in lists if isinstance(items, list) for finding in items]
        return {where.partition(":")[0]: None for where in found if f"/{WRONG}-" in where}

    def _as_in_the_target(self, brief: Data) -> dict[str, str | None]:
        """What could not be merged with the target is taken from there."""
        notes = brief.get("notes")
        conflicts = isinstance(notes, list) and any("conflicts" in str(note) for note in notes)
        return {SHARED: self._shared_in_the_target()} if conflicts else {}

    def _shared_in_the_target(self) -> str:
        return self._world.git("show", f"main:{SHARED}") + "\n"

    def _content(self, brief: Data, *, is_wrong: bool) -> dict[str, str | None]:
        """What is handed in. The wrong has a word in it that the gate or a reviewer knows, or lies in another place."""
        change, stage = brief["change"], brief["stage"]
        text = f"{self._name} {self._life} {self._random.getrandbits(40)}\n"
        files: dict[str, str | None] = {f"work/{change}/{stage}.txt": f"{WRONG} {text}" if is_wrong else text}
        if is_wrong and stage == "left" and self._chance(0.5):
            files = {f"work/{change}/{stage}.txt": f"{SUBTLE} {text}"}
        elif is_wrong and self._chance(0.3):
            files = {f"work/{change}/{stage}.txt": text, f"work/{change}/{WRONG}-{stage}.txt": f"{WRONG} {text}"}
        elif stage == "join" and not self._is_calm and self._chance(0.1):
            files[SHARED] = f"Everybody writes here, and {text}"
        return files

    def _write(self, brief: Data, files: Mapping[str, str | None]) -> bool:
        """Into the workspace; False where that cannot be done."""
        try:
            for name, text in files.items():
                place = Path(str(brief["workspace"]), name)
                if text is None:
                    place.unlink(missing_ok=True)
                    continue
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text)
        except OSError:
            return False
        return True

    def _call(self, tool: str, *, keyed: bool = False, **arguments: object) -> Data:
        """Ask, and sometimes ask again with the same key: at once, or after some other calls."""
        if keyed:
            arguments["key"] = f"{self._life}/{self._next_key()}"
        try:
            return self._ask(tool, arguments)
        finally:
            if keyed and not self._is_calm and self._agent is not None:
                self._repeat(Keyed(tool, arguments))

    def _repeat(self, call: Keyed) -> None:
        due = [call] if self._chance(0.12) else []
        if self._chance(0.1):
            self._later.append(call)
        elif self._later and self._chance(0.3):
            due.append(self._later.pop(self._random.randrange(len(self._later))))
        for again in due:
            # What comes of it is noted in the journal.
            with suppress(Refusal, Gone):
                self._ask(again.tool, {**again.arguments, **({"wait_s": 0} if "wait_s" in again.arguments else {})})

    def _ask(self, tool: str, arguments: Data) -> Data:
        agent = self._connected()
        number = self._journal.ask(str(self._connections), tool, arguments)
        try:
            reply = agent.call(tool, **arguments)
        except Refusal as exc:
            self._journal.refused(number, exc.code, exc.message)
            raise
        except DemoFailed as exc:
            self._journal.unanswered(number, str(exc))
            if ERROR in str(exc):
                # The bridge is there and says that there is no server: the connection, and its keys, go on.
                time.sleep(PAUSE_S * 3)
            else:
                self._hang_up()
            raise Gone from exc
        self._journal.told(number, reply)
        return reply

    def _connected(self) -> Connection:
        """A connection is a principal of its own: keys of an earlier one mean nothing to it."""
        while self._agent is None:
            if self.is_over():
                raise Gone
            self._connections += 1
            agent = Agent(self._name, self._world.project, self._world.environment(), self._log)
            try:
                agent.greet()
                self._agent = agent
            except DemoFailed:
                agent.close()
                time.sleep(CONNECT_PAUSE_S)
        return self._agent

    def _hang_up(self) -> None:
        agent, self._agent = self._agent, None
        self._later.clear()
        if agent is not None:
            agent.close()

    def _habit(self) -> str:
        names = [*HABITS, "honest"]
        weights = [*HABITS.values(), 100 - sum(HABITS.values())]
        return self._random.choices(names, weights)[0]

    def _chance(self, of_one: float) -> bool:
        return self._random.random() < of_one

    def _next_key(self) -> int:
        self._keys += 1
        return self._keys


def _answers(*told: Data) -> list[dict[str, str]]:
    """What reviewers object to has to be answered with the next attempt."""
    lists = (reply.get("findings") for reply in told)
    found = {str(f["id"]) for items in lists if isinstance(items, list) for f in items if f["gate"] == "review"}
    return [{"finding": name, "disposition": "fixed", "note": "Written anew."} for name in sorted(found)]


def main(folder: str, name: str, life: str, seed: str, mood: str) -> None:
    """Live."""
    Worker(World(Path(folder)), name, life, seed, is_calm=mood == "calm").work()


if __name__ == "__main__":
    _main: Callable[..., None] = main
    _main(*sys.argv[1:])
