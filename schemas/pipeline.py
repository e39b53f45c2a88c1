"""`gatewright.yaml` as models: what should hold.

The models check shapes only; what needs the whole file (cycles, overlapping `writes`, options of a gate kind) is
checked in `gates/policy.py`, which also turns an error into file, line, key and nearest spelling.
"""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from .ids import STAGE_NAME

PIPELINE_FILE = "gatewright.yaml"

DURATION_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}
SIZE_UNITS_BYTES = {"": 1, "kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}

# How far a program that a gate runs is kept in, from the strongest to the weakest.
ISOLATION_LEVELS = ("full", "files", "process", "none")

DEFAULT_ATTEMPTS = 3
DEFAULT_REOPENS = 2


def parse_duration(value: object) -> object:
    """`15m`, `90s`, `1h` or a number of seconds as seconds; anything else is returned for pydantic to refuse."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)", value) if isinstance(value, str) else None
    if found is not None:
        return float(found[1]) * DURATION_UNITS_S[found[2]]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"{value!r} is not a duration; write 90s, 15m or 1h")


def parse_size(value: object) -> object:
    """`200kB`, `4GB` or a number of bytes as bytes."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(kB|MB|GB|)", value) if isinstance(value, str) else None
    if found is not None:
        return int(float(found[1]) * SIZE_UNITS_BYTES[found[2]])
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"{value!r} is not a size; write 200kB, 50MB or 4GB")


Duration = Annotated[float, BeforeValidator(parse_duration), Field(gt=0, le=86_400)]
Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=400)]
Shell = Annotated[str, StringConstraints(min_length=1, max_length=4_000, strip_whitespace=True)]
Name = Annotated[str, StringConstraints(pattern=f"^{STAGE_NAME.pattern}$")]
# What a worker has and a gate may need, such as `gpu`.
LABEL = re.compile(r"[a-z][a-z0-9_-]{0,15}")
# In a whole pipeline: a worker looks into one queue for each set of labels that it can serve.
LABELS_MAX = 6
Label = Annotated[str, StringConstraints(pattern=f"^{LABEL.pattern}$")]


class Model(BaseModel):
    """Unknown keys are errors: a misspelt option must not become a gate that checks less."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Setup(Model):
    """Makes what gates need; runs on the key files alone, is cached by their content, and may use the network.

    `changed_keys`: where there are secrets, whether key files that an artifact changed are a person's to allow first.
    """

    run: Shell
    key: tuple[Glob, ...] = Field(min_length=1)
    keep: tuple[Glob, ...] = ()
    network: bool = True
    secrets: tuple[str, ...] = ()
    changed_keys: Literal["ask", "allow"] = "ask"
    timeout: Duration = 900.0


class Install(Model):
    """Installs the artifact itself, into a private layer of its own."""

    run: Shell


class Limits(Model):
    """Bounds; durations in seconds, sizes in bytes."""

    lease: Duration = 900.0
    gate: Duration = 600.0
    output: Size = 200_000
    memory: Size = 4_000_000_000
    disk: Size = 10_000_000_000
    processes: int = Field(default=512, ge=1, strict=True)
    entries: int = Field(default=100_000, ge=1, strict=True)
    tree: Size = 2_000_000_000
    file: Size = 50_000_000


class GateSpec(Model):
    """One gate of a stage. `options` are the kind's own and are validated by the kind.

    `runs_on` are labels that a worker must have to run it. Without any it stays out of every digest.
    """

    kind: str
    name: Name
    options: dict[str, object] = Field(default_factory=dict)
    runs_on: tuple[Label, ...] = Field(default=(), exclude_if=lambda labels: not labels)


class Otherwise(Model):
    """What happens when a stage's budget is spent: reopen the named upstream stage instead of escalating."""

    reopen: Name


class Stage(Model):
    """One stage; `run` makes it one that the server does itself, with that command and `network` or none."""

    needs: tuple[Name, ...] = ()
    role: str | None = None
    goal: str = ""
    reads: tuple[Glob, ...] | None = None
    writes: tuple[Glob, ...] = ("**",)
    attempts: int = Field(default=DEFAULT_ATTEMPTS, ge=1, le=50, strict=True)
    otherwise: Otherwise | Literal["escalate"] = "escalate"
    reopens: int = Field(default=DEFAULT_REOPENS, ge=0, le=20, strict=True)
    run: Shell | None = None
    network: bool = False
    gates: tuple[GateSpec, ...] = Field(min_length=1)


class Land(Model):
    """How a finished change reaches the target; without `gates`, those of the needed stages judge the merged tree."""

    needs: tuple[Name, ...] = Field(min_length=1)
    strategy: Literal["merge", "squash", "rebase"] = "merge"
    gates: tuple[GateSpec, ...] | None = Field(default=None, min_length=1)


class Pipeline(Model):
    """The whole file.

    `workspace` says where agents work: each in a worktree of its own, or the only one in the person's own checkout.
    """

    version: Literal[1]
    target: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    protect: tuple[Glob, ...] = ()
    setup: Setup | None = None
    install: Install | None = None
    limits: Limits = Limits()
    require_isolation: Literal["full", "files", "process"] | None = None
    workspace: Literal["own", "here"] = "own"
    stages: dict[Name, Stage] = Field(min_length=1)
    land: Land
