"""The sample in a real repository, bad commits made on it with plumbing, and what comes of handing one in."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import anyio

from gatewright.gates.artifacts import ArtifactStore, BadArtifact, FetchBudget, TooLarge, TreeBudget
from gatewright.gates.contract import BaseResult, Done, Found, Job, Message, format_job, parse_message
from gatewright.gates.policy import Policy, load_policy
from gatewright.gates.runner import judge
from gatewright.schemas.records import Evidence

from .sample import SAMPLE, Content, Files, Link, Program, Submodule
from .suite import Case, Refusal

# Above what any gate of the sample may take: no case can hang the suite.
JUDGED_WITHIN_S = 90.0
FETCH_BUDGET = FetchBudget(objects_max=5_000, bytes_max=50_000_000)


class Workshop:
    """A repository below `root` whose first commit is the sample, with a store and a cache beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repository = root / "repository"
        self.common_dir = self.repository / ".git"
        self.baselines: dict[str, str] = {}
        self._policy: Policy | None = None
        if not self.repository.exists():
            self.repository.mkdir(parents=True)
            self.git("init", "--quiet", "--initial-branch=main")
            self.git("update-ref", "refs/heads/main", self.commit(SAMPLE, on=None))
            self.git("reset", "--quiet", "--hard")
        self.base = self.git("rev-parse", "main")
        self.store = ArtifactStore(root / "store", self.common_dir)
        self.store.ensure()
        self.store.fetch_base(self.base)

    def copy(self, root: Path) -> "Workshop":
        """Another repository with the same commits, to be attacked by itself."""
        shutil.copytree(self.repository, root / "repository", symlinks=True)
        made = Workshop(root)
        made.baselines = self.baselines
        return made

    # -- making commits -----------------------------------------------------------------------------------------------

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.repository, input=stdin, check=True, capture_output=True, timeout=60
        )
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def commit(self, files: Files, *, on: str | None = "main") -> str:
        """A commit of the files on top of `on`, in one process of git; None removes a path."""
        parts = [b"commit refs/bypass/made\nmark :1\ncommitter Eve <eve@example.org> 1700000000 +0000\ndata 4\nWork\n"]
        if on is not None:
            parts.append(f"from {on}^0\n".encode())
        parts += [_change(path, content) for path, content in files.items()]
        marks = self.root / "marks"
        self.git("fast-import", "--quiet", "--force", f"--export-marks={marks}", stdin=b"".join(parts))
        return marks.read_text().split()[1]

    def object(self, kind: str, content: bytes) -> str:
        """An object exactly as given, sound or not."""
        return self.git("hash-object", "-t", kind, "-w", "--literally", "--stdin", stdin=content)

    def tree(self, *items: tuple[str, bytes, str]) -> str:
        """A tree object of (mode, name, id), exactly as given."""
        return self.object("tree", b"".join(m.encode() + b" " + n + b"\0" + bytes.fromhex(o) for m, n, o in items))

    def commit_of(self, tree: str, *parents: str) -> str:
        return self.git("commit-tree", tree, "-m", "made", *(part for parent in parents for part in ("-p", parent)))

    def with_item(self, mode: str, name: bytes, oid: str) -> str:
        """A commit whose root folder has one entry more, which no git command would write."""
        items = [line.split(None, 3) for line in self.git("ls-tree", "main").splitlines()]
        known = [(mode.lstrip("0"), name.encode(), oid) for mode, _, oid, name in items]
        return self.commit_of(self.tree(*sorted([*known, (mode, name, oid)], key=_git_order)), self.base)

    def loose(self, oid: str) -> Path:
        """Where an object that is not packed lies."""
        return self.common_dir / "objects" / oid[:2] / oid[2:]

    # -- handing in ---------------------------------------------------------------------------------------------------

    def hand_in(self, commit: str, case: Case) -> Refusal | Mapping[str, Evidence]:
        """What the server would say: a refusal, or the evidence of the case's gates by name."""
        try:
            self.bring(commit)
        except TooLarge as exc:
            return Refusal("too_large", str(exc))
        except BadArtifact as exc:
            return Refusal("bad_artifact", str(exc))
        return self.judge(commit, case.gates, in_child=case.in_child)

    def bring(self, commit: str) -> str:
        """The commit, once the store has it. Raises `BadArtifact`."""
        limits = self.policy().pipeline.limits
        budget = TreeBudget(entries_max=limits.entries, bytes_max=limits.tree)
        self.store.fetch(commit, base=self.base, fetch_budget=FETCH_BUDGET, tree_budget=budget)
        return commit

    def judge(self, commit: str, gates: Iterable[str], *, in_child: bool = False) -> dict[str, Evidence]:
        """The evidence of these gates and of `scope`; what is found about the base is kept, as the server does."""
        wanted = set(gates)
        policy = self.policy()
        stage = policy.pipeline.stages["code"]
        job = Job(
            evaluation="c1.e1",
            change="c1",
            stage="code",
            commit=commit,
            base=self.base,
            scope_base=self.base,
            policy=policy,
            gates=tuple(gate for gate in stage.gates if gate.name in wanted),
            writes=stage.writes,
            store=self.store.path,
            shared=self.store.shared,
            cache=self.root / "cache",
            slots=2,
            baselines=self.baselines,
        )
        messages = _judge_in_child(job) if in_child else _judge(job)
        self.baselines |= {said.key: said.value for said in messages if isinstance(said, BaseResult)}
        found = {said.evidence.gate: said.evidence for said in messages if isinstance(said, Found)}
        if not messages or not isinstance(messages[-1], Done):
            # A lost runner: the server evaluates again, whatever was already said.
            return {gate: _lost(gate, found) for gate in ("scope", *wanted)}
        return found

    def policy(self) -> Policy:
        """The policy of the sample, read once."""
        if self._policy is None:
            self._policy = load_policy(_Source(self.store, self.base), commit=self.base, target_recorded="main")
        return self._policy

    @property
    def scratch(self) -> Path:
        """Where judgements keep what is theirs while they last."""
        return self.root / "cache" / "scratch"


def use_own_python(environment: Mapping[str, str]) -> str:
    """A PATH on which the Python of this run, which has pytest, is the first."""
    return f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"


def _judge(job: Job) -> list[Message]:
    said: list[Message] = []

    async def run() -> None:
        with anyio.fail_after(JUDGED_WITHIN_S):
            await judge(job, said.append)

    anyio.run(run)
    return said


def _judge_in_child(job: Job) -> list[Message]:
    """The same in a process of its own, as the server does it: for attacks on whoever judges."""
    command = [sys.executable, "-I", "-m", "gatewright.gates.runner_child"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as runner:
        assert runner.stdin is not None, "it was asked for"
        assert runner.stdout is not None, "it was asked for"
        runner.stdin.write(format_job(job).encode() + b"\n")
        runner.stdin.flush()
        # Its input stays open: its end would end the judgement.
        return [parse_message(line) for line in runner.stdout]


def _lost(gate: str, found: Mapping[str, Evidence]) -> Evidence:
    from gatewright.schemas.records import Outcome

    known = found.get(gate)
    if known is not None:
        return replace(known, outcome=Outcome.ERRORED, question=None, summary="The runner was lost.")
    return Evidence(gate, gate, Outcome.ERRORED, 0, "things", "The runner was lost.")


def _change(path: str, content: Content) -> bytes:
    place = _quoted(path)
    match content:
        case None:
            return b"D " + place + b"\n"
        case Submodule(commit):
            return b"M 160000 " + commit.encode() + b" " + place + b"\n"
        case Link(target):
            return _file("120000", place, target.encode())
        case Program(text):
            return _file("100755", place, text.encode())
        case bytes():
            return _file("100644", place, content)
        case str():
            return _file("100644", place, content.encode("utf-8", "surrogateescape"))


def _file(mode: str, place: bytes, data: bytes) -> bytes:
    return f"M {mode} inline ".encode() + place + f"\ndata {len(data)}\n".encode() + data + b"\n"


def _quoted(path: str) -> bytes:
    text = "".join(f"\\{byte:03o}" if byte < 32 or byte in b'"\\' else chr(byte) for byte in path.encode())
    return b'"' + text.encode("latin-1") + b'"'


def _git_order(item: tuple[str, bytes, str]) -> bytes:
    mode, name, _ = item
    return name + b"/" if mode == "40000" else name


class _Source:
    def __init__(self, store: ArtifactStore, commit: str) -> None:
        self._store, self._commit = store, commit

    def read(self, path: str) -> bytes | None:
        return self._store.read(self._commit, path, 10_000_000)

    def paths(self) -> Iterable[tuple[str, str]]:
        return [(entry.path, entry.oid) for entry in self._store.entries(self._commit)]

    def links(self) -> Mapping[str, str]:
        return {}
