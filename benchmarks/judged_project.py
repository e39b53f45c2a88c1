"""A repository with gates, judged by runners as the server has them: for the benchmarks beside this module."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from gatewright.gates.artifacts import ArtifactStore
from gatewright.gates.contract import BaseResult, Found, Job, Message
from gatewright.gates.policies.policy_source import StoredCommit
from gatewright.gates.policy import load_policy
from gatewright.schemas.records import Evidence
from gatewright.server.engine.runners import Runners


class Project:
    """A repository below `folder` with these files and gates; base results are kept, as the server keeps them."""

    def __init__(self, folder: Path, files: Mapping[str, str], gates: Sequence[object]) -> None:
        self.tree = folder / "project"
        self.tree.mkdir()
        self._folder = folder
        self._git("init", "-q", "-b", "main")
        for setting, value in (("user.name", "bench"), ("user.email", "bench@localhost")):
            self._git("config", setting, value)
        stages = {"code": {"gates": list(gates)}}
        pipeline = {"version": 1, "target": "main", "stages": stages, "land": {"needs": ["code"]}}
        # JSON is YAML.
        self.base = self.commit({**files, "gatewright.yaml": json.dumps(pipeline)})
        self._store = ArtifactStore(folder / "store", self.tree / ".git")
        self._store.ensure()
        self._store.fetch_base(self.base)
        self.baselines: dict[str, str] = {}

    def commit(self, files: Mapping[str, str]) -> str:
        """Add a commit with these files to the branch; its id."""
        for path, text in files.items():
            (self.tree / path).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / path).write_text(text)
        self._git("add", "-A")
        self._git("commit", "-q", "-m", "bench")
        return self._git("rev-parse", "HEAD")

    def job(self, commit: str, slots: int) -> Job:
        """The evaluation of a commit against the base, with what is known of the base by now."""
        self._store.fetch(commit, base=self.base)
        policy = load_policy(StoredCommit(self._store, self.base), commit=self.base, target_recorded="main")
        return Job(
            evaluation="c1.e1",
            change="c1",
            stage="code",
            commit=commit,
            base=self.base,
            scope_base=self.base,
            policy=policy,
            gates=policy.pipeline.stages["code"].gates,
            writes=("**",),
            store=self._store.path,
            shared=self.tree / ".git",
            cache=self._folder / "cache",
            slots=slots,
            baselines=dict(self.baselines),
        )

    async def judge(self, runners: Runners, job: Job) -> dict[str, Evidence]:
        """The evidence of every gate by name, all of them passed."""
        said: list[Message] = []
        await runners.judge(job, said.append)
        self.baselines |= {message.key: message.value for message in said if isinstance(message, BaseResult)}
        evidence = {message.evidence.gate: message.evidence for message in said if isinstance(message, Found)}
        assert all(item.outcome == "passed" for item in evidence.values()), evidence
        return evidence

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.tree, check=True, capture_output=True, text=True)
        return done.stdout.strip()
