"""`gatewright doctor`: look at the surroundings, then prove every gate both ways on the trusted branch."""

import os
import time
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from .command import Exit
from .failures import failure_of
from .opening import open_git, recorded_target, services_of, store_of
from .surroundings import Item, look_around, look_at_store
from .terminal import Terminal

if TYPE_CHECKING:
    from ...gates.environment import PreparedEnvironment
    from ...gates.policy import Policy
    from ...schemas.records import Evidence
    from ..proofs import Gate, Proof
    from ..services import Services
    from .proving import Proved, Prover

OUTPUT_LINES_SHOWN = 15
FINDINGS_SHOWN = 5
# A repository this young may well have nothing yet that a gate could count.
COMMITS_OF_THE_YOUNG_MAX = 5
NEVER_SEEN_RED = "never seen red"
CANARY_HINT = "give it a `canary:`, a patch with which it must fail"


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--no-gates", action="store_true", help="only the surroundings and the pipeline")
    parser.add_argument("--again", action="store_true", help="prove gates anew that were proved before")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """0 when nothing is red, 1 when anything is."""
    repository = open_git(options)
    items = [_say(item, terminal) for item in look_around(repository)]
    try:
        with store_of(repository) as store:
            items += [_say(item, terminal) for item in look_at_store(repository, store)]
            items.append(_say(Item("trusted branch", True, recorded_target(store)), terminal))
        with services_of(options) as services:
            tip = services.policies.tip()
            policy = services.policies.at(tip)
            items.append(_say(Item("pipeline", True, f"loads from {tip[:10]}, digest {policy.digest[:12]}"), terminal))
            if not options.no_gates:
                items += _Examination(services, policy, terminal, is_anew=options.again).examine()
    except Exception as exc:  # told in a line when it is an expected problem, else it surfaces
        failure = failure_of(exc)
        if failure is None:
            raise
        items.append(_say(Item(failure.code.replace("_", " "), False, f"{failure.message} {failure.next}"), terminal))
    return _conclude(items, terminal)


def _say(item: Item, terminal: Terminal) -> Item:
    mark, style = {True: ("ok ", "green"), False: ("RED", "red"), None: (" - ", "dim")}[item.is_good]
    terminal.say(f"{mark}  {item.name:<16}  {item.text}", style)
    return item


def _conclude(items: list[Item], terminal: Terminal) -> int:
    red = sum(item.is_good is False for item in items)
    doubtful = sum(NEVER_SEEN_RED in item.text for item in items)
    doubt = f" {_gates(doubtful)} never seen red." if doubtful else ""
    terminal.say(f"\n{red} red.{doubt}" if red else f"\nAll green.{doubt}", "red" if red else "green")
    return Exit.FAILED if red else Exit.OK


class _Examination:
    """Every gate of the policy, each told as soon as it is known, and what was proved put down in the store."""

    def __init__(self, services: "Services", policy: "Policy", terminal: Terminal, *, is_anew: bool) -> None:
        self._services = services
        self._policy = policy
        self._terminal = terminal
        self._is_anew = is_anew
        self._items: list[Item] = []

    def examine(self) -> list[Item]:
        """An item for the environment and one or two for each gate."""
        from ..proofs import gates_of, read_proofs
        from .proving import Prover

        prover = Prover(self._services, self._policy, self._tell, slots=os.cpu_count() or 1)
        environment = self._prepare(prover)
        if environment is None:
            return self._items
        gates = list(gates_of(self._policy))
        known = {} if self._is_anew else self._services.store.read(read_proofs)
        for gate in gates:
            proof = known.get(gate.key)
            if proof is not None and proof.holds(self._policy, environment=environment.key, isolation=_isolation()):
                self._say_known(gate, proof)
            else:
                self._prove(gate, prover, environment)
        return self._items

    def _prepare(self, prover: "Prover") -> "PreparedEnvironment | None":
        from ...gates.contract import CannotJudge

        if self._policy.pipeline.setup is None:
            return prover.prepare()
        self._tell("environment: made by `setup`, which may take minutes the first time")
        started = time.monotonic()
        try:
            environment = prover.prepare()
        except CannotJudge as exc:
            self._add(
                Item("environment", is_good=False, text=f"{exc} Mend `setup`, or what it reads; no gate was tried.")
            )
            self._show_output(exc.output)
            return None
        self._add(
            Item(
                "environment",
                is_good=True,
                text=f"ready after {time.monotonic() - started:.1f} s, which no gate is charged",
            )
        )
        return environment

    def _prove(self, gate: "Gate", prover: "Prover", environment: "PreparedEnvironment") -> None:
        from ..proofs import Proof, keep_proofs

        proved = prover.prove(gate)
        proof = None
        if proved.wrong is None and proved.green is not None:
            proof = Proof(
                policy=self._policy.digest,
                environment=environment.key,
                isolation=_isolation(),
                commit=self._policy.commit,
                at=self._services.clock().isoformat(),
                counted=proved.green.counted,
                unit=proved.green.unit,
                green_s=proved.green.duration_s,
                red=proved.spoiled.what if proved.spoiled is not None else None,
            )
        self._services.store.run(lambda tx: keep_proofs(tx, self._policy, {gate.key: proof}))
        self._say_proved(proved)

    def _say_proved(self, proved: "Proved") -> None:
        name, green = proved.gate.label, proved.green
        assert green is not None, "every gate is tried"
        if proved.wrong is not None:
            if self._is_excused(proved):
                self._add(
                    Item(name, is_good=None, text=f"{_stopped(proved.wrong)} That is usual in a young repository.")
                )
                return
            self._add(Item(name, is_good=False, text=_stopped(proved.wrong)))
            self._show_why(proved.about)
            return
        already = f", {len(green.tolerated)} red already" if green.tolerated else ""
        red = f"; red with {proved.spoiled.what}" if proved.spoiled is not None else ""
        counted = _counted(green.counted, green.unit)
        self._add(Item(name, is_good=True, text=f"passed on {counted}{already} in {green.duration_s:.1f} s{red}."))
        if proved.lacks is not None:
            self._add(Item(name, is_good=None, text=f"{proved.lacks} It was tried on what doctor made up."))
        self._say_whether_seen_red(name, proved.gate.spec.kind, is_seen=proved.is_seen_red)

    def _say_known(self, gate: "Gate", proof: "Proof") -> None:
        red = f"; red with {proof.red}" if proof.red is not None else ""
        ago = _ago(proof.age_s(self._services.clock()))
        counted = _counted(proof.counted, proof.unit)
        self._add(
            Item(gate.label, is_good=True, text=f"proved {ago} at {proof.commit[:10]}: passed on {counted}{red}.")
        )
        self._say_whether_seen_red(gate.label, gate.spec.kind, is_seen=proof.red is not None)

    def _say_whether_seen_red(self, name: str, kind: str, *, is_seen: bool) -> None:
        if not is_seen:
            hint = f": {CANARY_HINT}" if kind in ("command", "test") else ""
            self._add(Item(name, is_good=None, text=f"{NEVER_SEEN_RED}{hint}."))

    def _is_excused(self, proved: "Proved") -> bool:
        """A gate that counted nothing on a branch that has hardly begun."""
        from ...schemas.records import Outcome

        evidence = proved.about
        has_nothing = evidence is not None and evidence.outcome is Outcome.ERRORED and evidence.counted == 0
        git = self._services.artifacts.git
        commits = git.text("rev-list", "--count", f"--max-count={COMMITS_OF_THE_YOUNG_MAX + 1}", self._policy.commit)
        return has_nothing and evidence.kind == "test" and int(commits) <= COMMITS_OF_THE_YOUNG_MAX

    def _add(self, item: Item) -> None:
        self._items.append(_say(item, self._terminal))

    def _tell(self, text: str) -> None:
        """What is going on: a line that the next one replaces, and on a pipe a line of its own."""
        if self._terminal.is_terminal:
            self._terminal.progress(f"{text} ...")
        else:
            self._terminal.warn(f"{text} ...")

    def _show_why(self, evidence: "Evidence | None") -> None:
        if evidence is None:
            return
        for finding in evidence.findings[:FINDINGS_SHOWN]:
            self._terminal.say(f"       {finding.where or ''}  {finding.rule}: {finding.message}")
        self._show_output(evidence.output)

    def _show_output(self, output: str) -> None:
        for line in output.splitlines()[-OUTPUT_LINES_SHOWN:]:
            self._terminal.say(f"       | {line}", "dim")


def _isolation() -> str:
    """The level that programs reach here."""
    from ...gates.descendants import can_adopt

    return "process" if can_adopt() else "none"


def _stopped(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _counted(number: int, unit: str) -> str:
    return (
        f"{number} {unit}" if number != 1 else f"1 {unit.removesuffix('s') if unit != 'tree entries' else 'tree entry'}"
    )


def _gates(number: int) -> str:
    return f"{number} gate was" if number == 1 else f"{number} gates were"


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return "just now"
