"""The store survives races, kills and clean-ups."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gatewright.gates.artifact_store import transfer
from gatewright.gates.artifacts import ArtifactStore
from gatewright.gates.preparation.locks import LockTimeout, locked

from .project import WHEN, Project


def test_processes_that_make_the_store_at_once_all_succeed(tmp_path: Path, project: Project, base: str) -> None:
    code = (
        "import sys; from pathlib import Path; from gatewright.gates.artifacts import ArtifactStore\n"
        "s = ArtifactStore(Path(sys.argv[1]), Path(sys.argv[2])); s.ensure(); s.fetch_base(sys.argv[3])"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "new" / "store"), str(project.common_dir), base]

    racing = [subprocess.Popen(arguments, stderr=subprocess.PIPE) for _ in range(4)]

    assert [(process.communicate(timeout=60)[1], process.returncode) for process in racing] == [(b"", 0)] * 4
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["store"]


def test_threads_that_fetch_the_same_artifact_all_succeed(store: ArtifactStore, project: Project, base: str) -> None:
    artifact = project.commit({"b": "2"})

    with ThreadPoolExecutor(4) as threads:
        racing = [threads.submit(store.fetch, artifact, base=base) for _ in range(4)]

    assert [future.exception() for future in racing] == [None] * 4


def test_a_fetch_waits_for_another_ones_lock_no_longer_than_its_bound(
    store: ArtifactStore, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "LOCK_TIMEOUT_S", 0.05)

    with locked(store.path / "gatewright.lock", timeout_s=1), pytest.raises(LockTimeout):
        store.fetch_base(base)


def test_what_a_killed_git_left_is_cleaned_up_but_never_what_may_be_in_use(
    store: ArtifactStore, project: Project, base: str
) -> None:
    """A ref's lock that nobody holds would keep its commit out for ever."""
    store.fetch_base(base)
    artifact = project.commit({"b": "2"})
    refs = store.path / "refs" / "gatewright-store" / "artifacts"
    refs.mkdir(parents=True)
    old = [refs / f"{artifact}.lock", store.path / "packed-refs.lock", store.path / "write-old"]
    new = [store.path / "publish-new", store.path / "objects" / "pack" / "tmp_pack_new"]
    for path in [*old, *new]:
        path.mkdir() if "-" in path.name and path.suffix != ".lock" else path.write_bytes(b"")
    for path in old:
        os.utime(path, (0, 0))

    store.ensure()
    store.fetch(artifact, base=base)

    assert [path for path in old if path.exists()] == []
    assert [path for path in [*new, store.path / "gatewright.lock"] if not path.exists()] == []


def test_a_kept_commit_survives_a_clean_up_and_another_does_not(
    store: ArtifactStore, project: Project, base: str
) -> None:
    store.fetch_base(base)
    kept, other = (
        store.commit_files(base, {"f": text}, message="m", author="ada", when=WHEN) for text in ("kept", "other")
    )
    store.keep(kept, "changes/1/kept")

    store.git.run("gc", "-q", "--prune=now")

    assert (store.has(kept), store.has(other)) == (True, False)


@pytest.mark.parametrize(
    "name", ["", "-x", "a b", "a//b", "/a", "a/", "a..b", "a.lock", "a/.b", "a\nb", "a~1", "../heads/x"]
)
def test_a_ref_name_that_git_might_take_for_something_else_is_our_bug(store: ArtifactStore, name: str) -> None:
    with pytest.raises(ValueError, match="ref name"):
        store.keep("a" * 40, name)
