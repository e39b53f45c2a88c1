"""A small real project in a real repository, and what the gates say of its commits."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import anyio

from gatewright.gates.artifacts import ArtifactStore
from gatewright.gates.contract import BaseResult, Done, Found, Job, Message
from gatewright.gates.policies.policy_source import StoredCommit
from gatewright.gates.policy import load_policy
from gatewright.gates.runner import judge
from gatewright.schemas.records import Evidence

JUDGED_WITHIN_S = 60.0

SAMPLE: Mapping[str, str] = {
    "calc.py": "def add(a, b):\n    return a + b\n\n\ndef half(a):\n    return a / 2\n",
    "tests/test_calc.py": (
        "from calc import add, half\n\n\n"
        "def test_add():\n    assert add(2, 3) == 5\n\n\n"
        "def test_half():\n    assert half(4) == 2\n"
    ),
}

Files = Mapping[str, "str | bytes | Link | Program | None"]


@dataclass(frozen=True)
class Link:
    target: str


@dataclass(frozen=True)
class Program:
    text: str


class Project:
    """A repository below `root`; its first commit has `files` and a pipeline with the given gates."""

    def __init__(self, root: Path, gates: Iterable[object], files: Files = SAMPLE, **pipeline: object) -> None:
        self.root = root
        self.repository = root / "repository"
        self.repository.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        stages = {"code": {"goal": "Do it.", "gates": list(gates)}}
        policy = {"version": 1, "target": "main", "stages": stages, "land": {"needs": ["code"]}, **pipeline}
        # JSON is YAML.
        self.base = self.commit({**files, "gatewright.yaml": json.dumps(policy)})
        self.baselines: dict[str, str] = {}

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.repository, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, files: Files, *, on: str | None = None) -> str:
        """A commit of the files on top of `on` (by default the last one); None removes a file."""
        if on is not None:
            self.git("checkout", "--quiet", "--detach", on)
        for path, content in files.items():
            self._write(self.repository / path, content)
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message", "Work")
        return self.git("rev-parse", "HEAD")

    def job(self, commit: str, **changed: object) -> Job:
        store = ArtifactStore(self.root / "store", self.repository / ".git")
        store.ensure()
        store.fetch_base(self.base)
        if commit != self.base:
            store.fetch(commit, base=self.base)
        policy = load_policy(StoredCommit(store, self.base), commit=self.base, target_recorded="main")
        job = Job(
            evaluation="c1.e1",
            change="c1",
            stage="code",
            commit=commit,
            base=self.base,
            scope_base=self.base,
            policy=policy,
            gates=policy.pipeline.stages["code"].gates,
            writes=("**",),
            store=store.path,
            shared=store.shared,
            cache=self.root / "cache",
            slots=2,
            baselines=self.baselines,
        )
        return replace(job, **changed)  # type: ignore[arg-type]  # the caller names fields of the job

    def judge(self, commit: str, **changed: object) -> dict[str, Evidence]:
        """The evidence of every gate by name; base results are kept for the next judgement, as the server does."""
        messages = self.messages(self.job(commit, **changed))
        self.baselines |= {said.key: said.value for said in messages if isinstance(said, BaseResult)}
        assert isinstance(messages[-1], Done)
        return {said.evidence.gate: said.evidence for said in messages if isinstance(said, Found)}

    def messages(self, job: Job) -> list[Message]:
        said: list[Message] = []

        async def run() -> None:
            with anyio.fail_after(JUDGED_WITHIN_S):
                await judge(job, said.append)

        anyio.run(run)
        return said

    def _write(self, place: Path, content: "str | bytes | Link | Program | None") -> None:
        if place.is_symlink() or place.is_file():
            place.unlink()
        elif place.is_dir():
            shutil.rmtree(place)
        if content is None:
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        match content:
            case Link():
                place.symlink_to(content.target)
            case Program():
                place.write_text(content.text)
                place.chmod(0o755)
            case bytes():
                place.write_bytes(content)
            case str():
                place.write_text(content)


def use_own_python(environment: Mapping[str, str] = os.environ) -> str:
    """A PATH on which the Python of this test run, which has pytest, is the first."""
    return f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
