"""What `doctor` does with the gates of a policy: prove each, tell each as soon as it is known, remember, find mends."""

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from ...gates.contract import CannotJudge
from ...gates.kinds import KINDS
from ...gates.policies.pipeline_rules import RUN
from ...gates.sandbox import choose
from ...gates.text import number_of
from ...schemas.records import Evidence, Outcome
from ..proofs import SCOPE, Gate, Proof, gates_of, keep_proofs, read_proofs
from .mends import Mend, option_mend
from .project import look_at
from .proving import Proved, Prover
from .pytest_settings import plugin_of
from .reviewers import can_start
from .surroundings import Item
from .terminal import Terminal

if TYPE_CHECKING:
    from ...gates.environment import PreparedEnvironment
    from ...gates.policy import Policy
    from ..services import Services

OUTPUT_LINES_SHOWN = 15
FINDINGS_SHOWN = 5
NEVER_SEEN_RED = "never seen red"
CANARY_HINT = "give it a `canary:`, a patch with which it must fail; --fix looks for one"
CANARIES_FOLDER = "canaries"
KINDS_WITH_CANARY = frozenset({"command", "test"})
# The one level that keeps programs from the network.
ISOLATED_LEVEL = "full"

_REFUSED_OPTIONS = re.compile(r"unrecognized arguments: (.+)")
_REQUIRED_PLUGINS = re.compile(r"Missing required plugins: (.+)")
# What a gate that could not judge says, and what a person can do about it.
_ADVICE = (
    (re.compile(r"No module named '?([\w.]+)"), "Let `setup` install what has the module {0}, or let `install` do it."),
    (re.compile(r"plug-in '([\w.-]+)' is not installed"), "Let `setup` install {0}."),
    (re.compile(r"cannot be collected"), "Mend these files, or what they import."),
    (re.compile(r"exit code 127|is not on the PATH"), "Let `setup` install it, or put it on the server's PATH."),
    (re.compile(r"did not end within|timed? ?out|time-out"), "Raise `timeout` of the gate, or make it faster."),
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person asked for: to prove what is proved, to look for mends that take more runs.

    `has_labels`: this machine has all that gates ask for by `runs_on`; else those are left to machines that have.
    """

    is_anew: bool
    seeks_canaries: bool
    has_labels: bool = True


class Examination:
    """`items` are what was told, `mends` what could be changed about it."""

    def __init__(self, services: "Services", policy: "Policy", terminal: Terminal, wishes: Wishes, top: Path) -> None:
        self.items: list[Item] = []
        self.mends: list[Mend] = []
        self._services = services
        self._policy = policy
        self._terminal = terminal
        self._wishes = wishes
        self._top = top
        self._prover = Prover(services, policy, self._tell, slots=os.cpu_count() or 1)
        self._level = ""

    def examine(self) -> None:
        """An item for the environment, one or two for each gate, and one for each command that the server runs."""
        environment = self._prepare()
        if environment is None:
            return
        self._level = anyio.run(choose).level
        known = {} if self._wishes.is_anew else self._services.store.read(read_proofs)
        for gate in gates_of(self._policy):
            if gate.spec.runs_on and not self._wishes.has_labels:
                labels = ", ".join(gate.spec.runs_on)
                self._add(Item(gate.label, is_good=None, text=f"not tried: it wants a machine with {labels}"))
                continue
            proof = known.get(gate.key)
            if proof is not None and proof.holds(self._policy, environment=environment.key, isolation=self._level):
                self._say_known(gate, proof)
            else:
                self._prove(gate, environment)
        for item in can_start(self._prover, self._policy):
            self._add(item)
        for name, stage in self._policy.pipeline.stages.items():
            if stage.run is not None:
                self._say_run(f"{name}/{RUN}", self._prover.run(name))

    def _prepare(self) -> "PreparedEnvironment | None":
        has_setup = self._policy.pipeline.setup is not None
        if has_setup:
            self._tell("environment: made by `setup`, which may take minutes the first time")
        started = time.monotonic()
        try:
            environment = self._prover.prepare()
        except CannotJudge as exc:
            self._add(Item("environment", is_good=False, text=f"{exc} No gate was tried."))
            self._show_output(exc.output)
            return None
        if has_setup:
            took = f"ready after {time.monotonic() - started:.1f} s, which are not counted into the gates."
            self._add(Item("environment", is_good=True, text=took))
        return environment

    def _prove(self, gate: Gate, environment: "PreparedEnvironment") -> None:
        proved = self._prover.prove(gate)
        proof = None
        if proved.wrong is None:
            proof = Proof(
                policy=self._policy.digest,
                environment=environment.key,
                isolation=self._level,
                commit=self._policy.commit,
                at=self._services.clock().isoformat(),
                counted=proved.green.counted,
                unit=proved.green.unit,
                green_s=proved.green.duration_s,
                red=proved.spoiled.what if proved.spoiled is not None else None,
            )
        self._services.store.run(lambda tx: keep_proofs(tx, self._policy, {gate.key: proof}))
        self._say_proved(proved)
        if proved.green.outcome is not Outcome.PASSED or proved.green.tolerated:
            self._seek_options(proved)

    def _say_proved(self, proved: Proved) -> None:
        name, green = proved.gate.label, proved.green
        if proved.gate.spec.kind == SCOPE and proved.good == self._policy.commit:
            self._add(
                Item(name, is_good=None, text="all that the stage may write is protected: people decide about it.")
            )
            return
        if proved.wrong is not None:
            advice = _advice(proved.about) if proved.about is proved.green else ""
            self._add(Item(name, is_good=False, text=f"{stopped(proved.wrong)}{advice}"))
            self._show_why(proved.about)
            return
        already = f", {len(green.tolerated)} red already" if green.tolerated else ""
        red = f"; red with {proved.spoiled.what}" if proved.spoiled is not None else ""
        text = f"passed on {number_of(green.counted, green.unit)}{already} in {green.duration_s:.1f} s{red}."
        self._add(Item(name, is_good=True, text=text))
        if proved.lacks is not None:
            self._add(Item(name, is_good=None, text=f"{proved.lacks} It was tried on one that doctor made up."))
        self._say_whether_seen_red(proved.gate, is_seen=proved.spoiled is not None)

    def _say_run(self, name: str, evidence: Evidence) -> None:
        is_good = evidence.outcome is Outcome.PASSED
        took = f"ends well on the trusted branch in {evidence.duration_s:.1f} s. {evidence.summary}"
        self._add(Item(name, is_good, took if is_good else f"{evidence.outcome}: {evidence.summary}"))
        if not is_good:
            self._show_why(evidence)

    def _say_known(self, gate: Gate, proof: Proof) -> None:
        red = f"; red with {proof.red}" if proof.red is not None else ""
        ago = _ago(proof.age_s(self._services.clock()))
        counted = number_of(proof.counted, proof.unit)
        text = f"proved {ago} at {proof.commit[:10]}: passed on {counted} in {proof.green_s:.1f} s{red}."
        self._add(Item(gate.label, is_good=True, text=text))
        self._say_whether_seen_red(gate, is_seen=proof.red is not None)

    def _say_whether_seen_red(self, gate: Gate, *, is_seen: bool) -> None:
        if is_seen:
            return
        has_canary = gate.spec.kind in KINDS_WITH_CANARY
        self._add(Item(gate.label, is_good=None, text=f"{NEVER_SEEN_RED}{f': {CANARY_HINT}' if has_canary else ''}."))
        if has_canary and self._wishes.seeks_canaries:
            self._seek_canary(gate)

    def _seek_canary(self, gate: Gate) -> None:
        patch = self._prover.find_canary(gate)
        if patch is None:
            self._add(Item(gate.label, is_good=None, text="it passes with files that do not parse and a failing test."))
            return
        path = f"{CANARIES_FOLDER}/{gate.label.replace('/', '-')}.patch"
        self.mends.append(option_mend(f"give {gate.label} a canary", gate.label, "canary", path, {path: patch}))

    def _seek_options(self, proved: Proved) -> None:
        """Try what keeps many a gate from being green: that it has no network, or not its plug-ins."""
        label, given = proved.gate.label, proved.gate.spec.options
        options = KINDS[proved.gate.spec.kind].options.model_fields
        tries: list[tuple[str, str, object]] = []
        has_none = "network" in options and not given.get("network") and self._level == ISOLATED_LEVEL
        if has_none and not _is_explained(proved.green):
            tries.append((f"let {label} use the network", "network", True))
        if "plugins" in options and (plugins := self._missing_plugins(given, proved.green)):
            tries.append((f"load the plug-ins of pytest that {label} needs", "plugins", plugins))
        for what, option, value in tries:
            self._tell(f"{label}: trying it with {option}")
            if self._prover.helps(proved, {option: value}):
                shown = "true" if value is True else str(value)
                text = f"it comes closer to green with `{option}: {shown}`; `--fix` offers that."
                self._add(Item(label, is_good=None, text=text))
                self.mends.append(option_mend(what, label, option, value))

    def _missing_plugins(self, given: Mapping[str, object], green: Evidence) -> list[str]:
        """The gate's plug-ins with those that the project declares, and those that pytest misses."""
        listed = given.get("plugins")
        known = [str(name) for name in listed] if isinstance(listed, list) else []
        said = "\n".join((green.output, green.summary, *(f.message for f in (*green.findings, *green.tolerated))))
        missed = [
            plugin for found in _REFUSED_OPTIONS.findall(said) for word in found.split() if (plugin := plugin_of(word))
        ]
        missed += [
            name.split("==")[0] for found in _REQUIRED_PLUGINS.findall(said) for name in re.findall(r"[\w.=-]+", found)
        ]
        wanted = list(dict.fromkeys((*known, *look_at(self._top).plugins, *missed)))
        return wanted if wanted != known else []

    def _add(self, item: Item) -> None:
        say(item, self._terminal)
        self.items.append(item)

    def _tell(self, text: str) -> None:
        """What is going on: a line that the next one replaces, and where there is no terminal one that stays."""
        if self._terminal.is_terminal:
            self._terminal.progress(f"{text} ...")
        else:
            self._terminal.warn(f"{text} ...")

    def _show_why(self, evidence: Evidence | None) -> None:
        if evidence is None:
            return
        shown = {line.strip() for line in _end_of(evidence.output)}
        for finding in evidence.findings[:FINDINGS_SHOWN]:
            first, *more = finding.message.splitlines() or [""]
            self._terminal.say(f"       {finding.where or ''}  {finding.rule}: {first}")
            for line in more:
                # A finding may quote what the program said, which is shown below.
                if line.strip() not in shown:
                    self._terminal.say(f"         {line}")
        self._show_output(evidence.output)

    def _show_output(self, output: str) -> None:
        for line in _end_of(output):
            self._terminal.say(f"       | {line}", "dim")


def say(item: Item, terminal: Terminal) -> None:
    """One line for one thing that was looked at."""
    mark, style = {True: ("ok ", "green"), False: ("RED", "red"), None: (" - ", "dim")}[item.is_good]
    next_step = f" next: {item.mend}" if item.mend else ""
    terminal.say(f"{mark}  {item.name:<16}  {item.text}{next_step}", style)


def _end_of(output: str) -> list[str]:
    return output.splitlines()[-OUTPUT_LINES_SHOWN:]


def stopped(text: str) -> str:
    """The text with a full stop at its end, so that another sentence may follow."""
    return text if text.endswith(".") else f"{text}."


def _advice(evidence: Evidence | None) -> str:
    """What to do about a gate that could not judge the trusted branch; begins with a blank."""
    if evidence is None or evidence.outcome is not Outcome.ERRORED:
        return ""
    for pattern, advice in _ADVICE:
        if found := pattern.search(evidence.summary):
            return f" {advice.format(*found.groups())}"
    return ""


def _is_explained(evidence: Evidence) -> bool:
    """Whether it is something that is missing, which no network would bring."""
    return evidence.outcome is Outcome.ERRORED and any(p.search(evidence.summary) for p, _ in _ADVICE[:-1])


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= size:
            return f"{number_of(int(seconds // size), unit)} ago"
    return "just now"
