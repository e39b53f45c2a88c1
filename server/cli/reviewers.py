"""What `doctor` says of `review` gates: whether there is a reviewer, whether it is the policy's, whether it can start.

No reviewer is asked to review: what it must object to nobody knows, and to ask may cost money.
"""

import shlex
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ...gates.kinds.review import Options
from ...gates.machine.independence import WORDS
from ...gates.policies.shell_text import program, words
from ...gates.policy import REVIEW, land_gates_of
from ...gates.text import number_of
from ...schemas.ids import LAND
from ...schemas.pipeline import GateSpec
from ...schemas.records import Outcome
from ..proofs import Gate
from .surroundings import Item

if TYPE_CHECKING:
    from ...gates.policy import Policy
    from ..services import Services
    from .proving import Prover

# What a command names by such a name it means to run.
SCRIPTS = frozenset({".py", ".sh", ".bash", ".js", ".mjs", ".cjs", ".ts", ".rb", ".pl"})
NO_PATH = frozenset("*?[$`")


def look_at_reviewer(services: "Services", policy: "Policy", label: str, gate: GateSpec) -> Item:
    """Who reviews; of a program whether it is on the trusted branch, where no artifact changes it unasked. Blocking."""
    options = Options.model_validate(gate.options)
    if options.run is None:
        who = f"{number_of(options.quorum, 'reviews')} by {WORDS[options.independence].others} other than the author"
        return Item(label, None, f"agents answer: {who}. One caller alone never passes it.")
    named = words(options.run)
    paths = {entry.path for entry in services.artifacts.entries(policy.commit)}
    missing = [word for word in named if _is_script(word) and word not in paths]
    if missing:
        text = f"a program answers, which needs {missing[0]}: the trusted branch has no such file"
        return Item(label, False, text)
    files = [word for word in named if word in paths]
    if open_to_all := [path for path in files if not policy.is_protected(path)]:
        text = f"a program answers, which names {open_to_all[0]}: `protect` it, or an artifact may change its reviewer"
        return Item(label, None, text)
    what = f" by {', '.join(files)} of the trusted branch, which no artifact changes unasked" if files else ""
    return Item(label, True, f"a program answers{what}: `{options.run}`")


def can_start(prover: "Prover", policy: "Policy") -> Iterator[Item]:
    """One item for each program that reviews: whether the sandbox finds what its command starts first. Blocking."""
    stages = [(name, stage.gates) for name, stage in policy.pipeline.stages.items()]
    for stage, gates in (*stages, (LAND, land_gates_of(policy.pipeline))):
        for spec in gates:
            first = program(str(spec.options.get("run") or "")) if spec.kind == REVIEW else None
            if first is None:
                continue
            looks = GateSpec(kind="command", name=spec.name, options={"run": _looking_for(first)})
            found = prover.judge(Gate(stage, looks, ()), policy.commit)
            is_good = found.outcome is Outcome.PASSED
            text = f"its program '{first}' can be started; what it says is not tried"
            if not is_good:
                text = f"its program '{first}' is not to be found, or no program, where gates run"
            yield Item(f"{stage}/{spec.name}", is_good, text)


def _looking_for(first: str) -> str:
    # A path is found by `command -v` whether it is a program or not.
    name = shlex.quote(first)
    return f"command -v {name} && test -x {name}" if "/" in first else f"command -v {name}"


def _is_script(word: str) -> bool:
    path = PurePosixPath(word)
    return path.suffix in SCRIPTS and not path.is_absolute() and not NO_PATH & set(word) and " " not in word
