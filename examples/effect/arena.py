"""One arm: a repository under its policy, a real server, and so many agents at once that take every task through."""

import queue
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from draws import kind_of
from journey import Journey, Pair, Told
from project import Arm, files
from tasks import Task

from gatewright.server.cli.demo_agent import Agent
from gatewright.server.cli.demo_scratch import Scratch, write


class Arena:
    """Runs the tasks of one arm."""

    def __init__(self, arm: Arm, seed: int, scratch: Scratch) -> None:
        self._arm, self._seed, self._scratch = arm, seed, scratch

    def prepare(self, tasks: Sequence[Task]) -> None:
        """The repository as it is before the first change."""
        for path, text in files(self._arm, tasks):
            write(self._scratch.repository, path, text)
        self._scratch.git("init", "--quiet", "--initial-branch", "main")
        self._scratch.git("add", "--all")
        self._scratch.git("commit", "--quiet", "-m", "A small shop")
        self._scratch.gatewright("init")

    def work(self, tasks: Sequence[Task], agents: int) -> list[Told]:
        """Take every task through, `agents` of them at a time; in the order of the tasks."""
        waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
        for task in tasks:
            waiting.put(task)
        told: list[Told] = []
        with self._pairs(agents) as pairs, ThreadPoolExecutor(agents) as pool:
            self._start(tasks, pairs[0].author)
            for done in [pool.submit(self._work_off, waiting, pair, told) for pair in pairs]:
                done.result()
        return sorted(told, key=lambda each: each.task.number)

    def _start(self, tasks: Sequence[Task], agent: Agent) -> None:
        """Open every change, all on the same commit, so that landings have to merge."""
        for task in tasks:
            started = agent.call("start_change", title=f"Price rule {task.number}", intent=task.intent)
            assert started["change"] == task.change, "changes are numbered as they are started"

    def _work_off(self, waiting: "queue.SimpleQueue[Task]", pair: Pair, told: list[Told]) -> None:
        while True:
            try:
                task = waiting.get_nowait()
            except queue.Empty:
                return
            each = Told(task, kind_of(task.number))
            Journey(self._arm, self._seed, each, pair).run()
            told.append(each)

    @contextmanager
    def _pairs(self, number: int) -> Generator[list[Pair]]:
        with ExitStack() as stack, self._scratch.log.open("ab") as log:
            environment = self._scratch.environment()

            def connect(name: str) -> Agent:
                agent = Agent(name, self._scratch.repository, environment, log)
                stack.callback(agent.close)
                agent.greet()
                return agent

            yield [Pair(connect(f"agent-{n}"), connect(f"colleague-{n}")) for n in range(1, number + 1)]
