"""The demo's story: one change from intent to the target branch, past everything that usually goes wrong.

Every scene ends with what must have happened, asked of what the server answered; `DemoFailed` says what did not.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import TypeVar

from . import demo_sample as sample
from .demo_agent import Agent, Data, DemoFailed, Refusal
from .demo_killer import open_killing
from .demo_person import answer
from .demo_scratch import Scratch, write
from .demo_timeline import Timeline

STEP_TIMEOUT_S = 55.0
CLAIM_WAIT_S = 20
LANDING_WAIT_S = 10
LANDING_ROUNDS_MAX = 20
NOTE = "Orders of 50.00 ship free; that is no mistake of the test. Mend the code."

WORDS = {"pending": "asks a person"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Held:
    """A stage that an agent holds: the lease, the folder to work in, and the rest of the brief."""

    lease: str
    workspace: Path
    brief: Data


class Story:
    """The scenes in order, each building on the last. `agents` are all connections that were ever opened."""

    def __init__(self, scratch: Scratch, timeline: Timeline, pool: ThreadPoolExecutor) -> None:
        self.change = ""
        self.kills = 0
        self.agents: list[Agent] = []
        self._scratch = scratch
        self._timeline = timeline
        self._pool = pool

    def play(self) -> None:
        """Everything; ends when the change has landed, or raises `DemoFailed` at the first thing that is not so."""
        ada, bob = self._connect("ada", "bob", told="connect over MCP, as any client does")
        self._start(ada)
        self._race(ada, bob)
        left = self._say_that_tests_pass(ada)
        taken = self._take_over(ada, left, bob)
        self._come_back_late(left)
        self._edit_the_expectation(bob, taken)
        self._mend_while_the_server_is_killed(bob, taken)
        self._land(bob)

    def close(self) -> None:
        """End every connection."""
        for agent in self.agents:
            agent.close()

    def _connect(self, *names: str, told: str) -> list[Agent]:
        """Connections that are opened at the same moment, each a process of its own."""
        since_s = self._timeline.elapsed_s()
        with self._scratch.log.open("ab") as log:
            environment = self._scratch.environment()
            opened = [Agent(name, self._scratch.repository, environment, log) for name in names]
        self.agents += opened
        for greeting in [self._pool.submit(agent.greet) for agent in opened]:
            _result(greeting)
        self._tell(", ".join(names), told, since_s=since_s)
        return opened

    def _start(self, ada: Agent) -> None:
        self.change = str(ada.call("start_change", title=sample.TITLE, intent=sample.INTENT)["change"])
        self._tell("ada", f"opens change {self.change}: {sample.TITLE}")

    def _race(self, *agents: Agent) -> None:
        """Both ask for the plan stage with both requests under way; the winner does it."""
        self._timeline.heading("Two agents want the same stage")
        since_s = self._timeline.elapsed_s()
        line_up = Barrier(len(agents), timeout=STEP_TIMEOUT_S)
        asked = [self._pool.submit(self._claim_at_once, agent, line_up) for agent in agents]
        told = [_result(each) for each in asked]
        won = [(agent, held) for agent, (held, _) in zip(agents, told, strict=True) if isinstance(held, Held)]
        lost = [(agent, no) for agent, (no, _) in zip(agents, told, strict=True) if isinstance(no, Refusal)]
        times = [span for _, span in told]
        _expect(
            max(begun for begun, _ in times) < min(ended for _, ended in times), "both claims were under way at once"
        )
        _expect(len(won) == 1, "exactly one agent got the stage")
        (winner, held), (loser, refusal) = won[0], lost[0]
        _expect(refusal.code == "lease_held" and winner.name in refusal.message, "the other was told who has it")
        self._tell("ada, bob", "claim 'plan' at the same moment")
        self._tell(winner.name, "has it", "green", since_s=since_s)
        self._tell(loser.name, "is told who has it:", "yellow")
        self._timeline.quote([refusal.message])
        write(held.workspace, sample.PLAN_PATH.format(change=self.change), sample.PLAN)
        self._submit(winner, held, "Say what a voucher does, in two requirements.", expected="passed")

    def _claim_at_once(self, agent: Agent, line_up: Barrier) -> tuple[Held | Refusal, tuple[float, float]]:
        line_up.wait()
        begun = self._timeline.elapsed_s()
        try:
            found: Held | Refusal = self._claim(agent, "plan")
        except Refusal as refusal:
            found = refusal
        return found, (begun, self._timeline.elapsed_s())

    def _say_that_tests_pass(self, ada: Agent) -> Held:
        """She hands in code that breaks a known test, and is shown where."""
        self._timeline.heading("An agent says that all tests pass")
        held = self._claim(ada, "code")
        self._tell("ada", "claims 'code' and writes the voucher into shop/prices.py")
        write(held.workspace, sample.CODE_PATH, sample.WRONG_CODE)
        verdict = self._submit(ada, held, "All tests pass.", expected="failed")
        line = sample.TESTS[: sample.TESTS.index(sample.EXPECTED)].count("\n") + 1
        places = [finding.get("where") for finding in _list(verdict, "findings")]
        _expect(
            places == [f"{sample.TESTS_PATH}:{line}"], f"the refusal names {sample.TESTS_PATH}:{line}, not {places}"
        )
        return held

    def _take_over(self, ada: Agent, left: Held, bob: Agent) -> Held:
        """She ends in the middle of her work; he gets the stage, her unsaved work, and what the gates told her."""
        self._timeline.heading("An agent stops answering")
        write(left.workspace, sample.VOUCHER_TESTS_PATH, sample.VOUCHER_TESTS)
        ada.close()
        self._tell("ada", f"has written {sample.VOUCHER_TESTS_PATH}, not handed it in, and is gone", "red")
        since_s = self._timeline.elapsed_s()
        held = self._claim(bob, "code", wait_s=CLAIM_WAIT_S)
        orphans = _list(held.brief, "orphans")
        _expect(len(orphans) == 1 and orphans[0].get("holder") == "ada", "the unsaved work of ada was offered to bob")
        kept = str(orphans[0]["commit"])
        for path, text in ((sample.CODE_PATH, sample.WRONG_CODE), (sample.VOUCHER_TESTS_PATH, sample.VOUCHER_TESTS)):
            found = self._scratch.run("git", "show", f"{kept}:{path}")
            _expect(found == text, f"{path} of ada was kept as she left it")
            write(held.workspace, path, found)
        findings = _list(held.brief, "findings")
        _expect(findings != [], "bob was told what the gates had found")
        self._tell("bob", "waits until ada's time is up, and takes over 'code'", "green", since_s=since_s)
        self._tell("bob", f"is offered her unsaved work ({kept[:10]}), adopts it, and reads what the gates told her:")
        self._timeline.quote([f"{finding['where']}  {finding['message']}" for finding in findings])
        return held

    def _come_back_late(self, left: Held) -> None:
        """She is back with the lease that she had, which is worth nothing any more."""
        (ada,) = self._connect("ada", told="is back, on a new connection")
        write(left.workspace, sample.CODE_PATH, sample.RIGHT_CODE)
        refusal = _refusal_of(lambda: ada.call("submit_artifact", lease=left.lease, summary="Here it is."))
        _expect(refusal is not None, "the late submit of ada was refused")
        assert refusal is not None
        _expect(refusal.code == "lease_lost" and "bob" in refusal.message, "ada was told that bob has the stage now")
        self._tell("ada", "hands in what she was about to, too late:", "yellow")
        self._timeline.quote([refusal.message])

    def _edit_the_expectation(self, bob: Agent, held: Held) -> None:
        """He makes the test agree with the code; a person sees the old and the new text, and refuses."""
        self._timeline.heading("An agent edits the test instead of the code")
        self._tell("bob", f"changes what {sample.TESTS_PATH} expects: 5490 instead of 5000")
        write(held.workspace, sample.TESTS_PATH, sample.CHANGED_TESTS)
        verdict = self._submit(bob, held, "Correct an outdated test.", expected="pending")
        since_s = self._timeline.elapsed_s()
        read = answer(self._scratch, self.change, "code", decision="refuse", note=NOTE)
        shown = [line for line in read.splitlines() if sample.EXPECTED in line or sample.EXPECTED_INSTEAD in line]
        _expect([line.strip()[:1] for line in shown] == ["-", "+"], "the person saw the old and the new text")
        self._tell("person", "reads at a terminal (gatewright answer):", "yellow")
        self._timeline.quote(line.strip() for line in shown)
        self._tell("person", f"refuses: {NOTE}", "yellow", since_s=since_s)
        settled = bob.call("wait_for_update", evaluation=verdict["evaluation"], wait_s=CLAIM_WAIT_S)
        _expect(settled.get("outcome") == "failed", "the refusal of the person failed the attempt")
        _expect(settled.get("stage_state") == "claimed", "bob still has the stage")
        self._tell("bob", "is told, and still has the stage:")
        _expect(NOTE in str(settled.get("summary")), "bob was told why")
        self._timeline.quote([str(settled.get("summary"))])

    def _mend_while_the_server_is_killed(self, bob: Agent, held: Held) -> None:
        """The server dies under a running gate; the call that waits gets its verdict all the same."""
        self._timeline.heading("The server is killed in the middle of a gate")
        write(held.workspace, sample.CODE_PATH, sample.RIGHT_CODE)
        write(held.workspace, sample.TESTS_PATH, sample.TESTS)
        self._tell("bob", "puts the test back, mends the code, and hands in")
        with open_killing(self._scratch, self.change, "code") as killing:
            waiting = self._pool.submit(
                self._submit, bob, held, "Redeem vouchers; what ships free is as before.", expected="passed"
            )
            killed = killing.kill()
            self._tell("demo", f"kills the server (kill -9 {killed}) while gate 'test' runs", "red")
            _result(waiting)
            _expect(killing.was_judged_again(), "another server judged the same attempt again")
        self.kills += 1
        self._tell("bob", "has noticed nothing: the same call has brought the verdict", "green")

    def _land(self, bob: Agent) -> None:
        """The server merges, judges the merge, and moves the target branch."""
        self._timeline.heading("It lands")
        since_s = self._timeline.elapsed_s()
        change = self._await_landing(bob)
        merged = {path: (self._scratch.repository / path).read_text() for path in (sample.CODE_PATH, sample.TESTS_PATH)}
        _expect(merged[sample.CODE_PATH] == sample.RIGHT_CODE, "the mended code is on main")
        _expect(merged[sample.TESTS_PATH] == sample.TESTS, "the test expects what it always did")
        landed = self._scratch.git("rev-parse", "main")
        _expect(landed in str(change.get("landing")), "main is at the commit that the server says has landed")
        self._tell("server", f"{self.change} has landed on main as {landed[:10]}", "green", since_s=since_s)

    def _await_landing(self, agent: Agent) -> Data:
        """The change as `get_status` tells it, once it has landed."""
        position: object = 0
        for _ in range(LANDING_ROUNDS_MAX):
            (change,) = _list(agent.call("get_status", change=self.change), "changes")
            if change.get("state") == "landed":
                return change
            update = agent.call("wait_for_update", change=self.change, after=position, wait_s=LANDING_WAIT_S)
            position = update["position"]
        raise DemoFailed(f"{self.change} has not landed.")

    def _claim(self, agent: Agent, stage: str, *, wait_s: int = 0) -> Held:
        brief = agent.call("claim_stage", agent=agent.name, change=self.change, stage=stage, wait_s=wait_s)
        _expect(brief.get("kind") == "work", f"{agent.name} got '{stage}'")
        return Held(str(brief["lease"]), Path(str(brief["workspace"])), brief)

    def _submit(self, agent: Agent, held: Held, summary: str, *, expected: str) -> Data:
        """Hand in and wait for the verdict, which must be the expected one."""
        since_s = self._timeline.elapsed_s()
        self._tell(agent.name, f'hands in: "{summary}"')
        verdict = agent.call("submit_artifact", lease=held.lease, summary=summary)
        gates = ", ".join(
            f"{gate['gate']} {WORDS.get(str(gate['outcome']), gate['outcome'])}" for gate in _list(verdict, "gates")
        )
        style = {"passed": "green", "failed": "red"}.get(expected, "yellow")
        outcome = verdict.get("outcome")
        _expect(outcome == expected, f"'{summary}' is {expected}, not {outcome} ({verdict.get('summary')})")
        self._tell("server", f"{WORDS.get(expected, expected)}: {gates}", style, since_s=since_s)
        found = [f"{finding['where']}  {finding['message']}" for finding in _list(verdict, "findings")]
        self._timeline.quote(found, style)
        return verdict

    def _tell(self, who: str, what: str, *styles: str, since_s: float | None = None) -> None:
        self._timeline.tell(who, what, *styles, since_s=since_s)


def _expect(is_so: bool, what: str) -> None:  # noqa: FBT001 - a condition and its sentence
    if not is_so:
        raise DemoFailed(f"This should be so and is not: {what}")


def _refusal_of(call: Callable[[], object]) -> Refusal | None:
    try:
        call()
    except Refusal as refusal:
        return refusal
    return None


def _result(future: "Future[T]") -> T:
    try:
        return future.result(STEP_TIMEOUT_S)
    except TimeoutError as exc:
        raise DemoFailed(f"A step did not end within {STEP_TIMEOUT_S:.0f} s.") from exc


def _list(data: Data, name: str) -> list[Data]:
    found = data.get(name)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
