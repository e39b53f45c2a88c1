"""`gatewright demo`: scripted agents take a change through its gates, over a real server, in a scratch repository.

Nothing of it is acted: agents are MCP clients with processes of their own, and each scene checks what was answered.
"""

import signal
from argparse import ArgumentParser, Namespace
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

from ..rendezvous import LOG_FILE
from .command import Exit
from .demo_agent import DemoFailed, Refusal
from .demo_sample import LEASE_S
from .demo_scratch import Scratch, make_project, scratch_folder
from .demo_story import Story
from .demo_summary import show_result
from .demo_timeline import Timeline
from .terminal import Terminal

THREADS = 2


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--keep", action="store_true", help="keep the scratch folder afterwards, and say where it is")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """0 when all of it happened, 1 when something did not; nothing is left behind either way."""
    terminal.say("Two agents, one person, one change, in a scratch repository.", "bold")
    terminal.say("The agents are scripts; the server, the gates and every answer are real.")
    timeline = Timeline(terminal)
    try:
        with _ends_as_by_ctrl_c(), scratch_folder(keep=options.keep) as scratch:
            if options.keep:
                terminal.say(f"It stays in {scratch.repository}; the server's log is {scratch.state / LOG_FILE}.")
            _play(scratch, timeline, terminal)
    except (DemoFailed, Refusal) as exc:
        terminal.warn(f"\nThe demo failed. {exc}", "red")
        if not options.keep:
            terminal.warn("`gatewright demo --keep` keeps the scratch folder to look at.")
        return Exit.FAILED
    except KeyboardInterrupt:
        terminal.warn("\nStopped.")
        raise
    return Exit.OK


def _play(scratch: Scratch, timeline: Timeline, terminal: Terminal) -> None:
    terminal.say()
    make_project(scratch)
    timeline.tell(
        "demo", f"made a small shop with two stages, plan and code; who is silent for {LEASE_S} s loses a stage"
    )
    pool = ThreadPoolExecutor(THREADS)
    try:
        # The connections end first: a thread that still waits for an answer then ends as well.
        with closing(Story(scratch, timeline, pool)) as story:
            story.play()
            show_result(story, scratch, timeline, terminal)
    finally:
        pool.shutdown()


@contextmanager
def _ends_as_by_ctrl_c() -> Generator[None]:
    """Let SIGTERM and SIGHUP end the demo as Ctrl-C does, cleaning up on the way."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
