"""The shared repository gets our commits, and nothing that it names is run or believed."""

import os
import zlib
from pathlib import Path

import pytest

from gatewright.gates.artifacts import ArtifactStore, BadArtifact

from .project import WHEN, Project


def test_no_program_that_the_shared_repository_names_is_run(
    tmp_path: Path, store: ArtifactStore, project: Project, base: str
) -> None:
    ran = tmp_path / "ran"
    script = tmp_path / "evil.sh"
    script.write_text(f'#!/bin/sh\necho "$0 $*" >> {ran}\ncat\n')
    script.chmod(0o755)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("reference-transaction", "post-checkout", "update", "pre-receive", "post-update", "pre-auto-gc"):
        (hooks / name).symlink_to(script)
    artifact = project.commit({".gitattributes": "* filter=evil diff=evil merge=evil\n", "f": "one\n"})
    theirs = project.commit_of(project.git("rev-parse", f"{base}^{{tree}}"), artifact)
    for key, value in {
        "core.hooksPath": str(hooks),
        "core.fsmonitor": str(script),
        "core.alternateRefsCommand": str(script),
        "core.sshCommand": str(script),
        "uploadpack.packObjectsHook": str(script),
        "filter.evil.clean": str(script),
        "filter.evil.smudge": str(script),
        "diff.evil.textconv": str(script),
        "diff.evil.command": str(script),
        "diff.external": str(script),
        "merge.evil.driver": str(script),
        f"remote.{store.path}.uploadpack": str(script),
        f"url.ext::{script}.insteadOf": str(store.path),
        "gc.auto": "1",
    }.items():
        project.git("config", key, value)

    store.fetch(artifact, base=base)
    store.fetch(theirs, base=base)
    ours = store.commit_files(artifact, {"f": "two\n"}, message="m", author="ada", when=WHEN)
    merged = store.merge(ours, theirs, message="m", when=WHEN)
    store.diff(base, merged.commit)
    store.publish(merged.commit, "refs/gatewright/landing")

    assert not ran.exists()


@pytest.mark.parametrize("planted", [zlib.compress(b"blob 6\0poison"), zlib.compress(b"blob 4\0evil"), b"garbage", b""])
def test_a_planted_object_cannot_stand_in_for_a_published_one(
    store: ArtifactStore, project: Project, base: str, planted: bytes
) -> None:
    """Whoever can write loose objects could wait for a judged commit with other bytes under its ids."""
    store.fetch_base(base)
    ours = store.commit_files(base, {"f": "judged"}, message="m", author="ada", when=WHEN)
    loose = project.loose(store.entries(ours)[1].oid)
    assert store.entries(ours)[1].path == "f"
    loose.parent.mkdir(exist_ok=True)
    loose.write_bytes(planted)

    with pytest.raises(BadArtifact, match="Run `git fsck`"):
        store.publish(ours, "refs/gatewright/landing")

    assert project.git("for-each-ref", "refs/gatewright") == ""


def test_publish_brings_a_commit_with_its_history_and_only_below_our_refs(
    store: ArtifactStore, project: Project, base: str
) -> None:
    store.fetch_base(base)
    first = store.commit_files(base, {"f": "1"}, message="one", author="ada", when=WHEN)
    second = store.commit_files(first, {"f": "2"}, message="two", author="ada", when=WHEN)

    store.publish(second, "refs/gatewright/changes/7/2")
    store.publish(second, "refs/gatewright/changes/7/2")

    assert project.git("log", "--format=%s", "refs/gatewright/changes/7/2").split() == ["two", "one", "work", "work"]
    assert project.git("fsck", "--strict", "--connectivity-only") == ""
    for ref in ("refs/heads/main", "refs/gatewright/../heads/main", "refs/gatewright/a.lock", "refs/gatewright/-x y"):
        with pytest.raises(ValueError, match=r"ref name|not below"):
            store.publish(second, ref)


def test_the_environment_of_the_caller_does_not_reach_the_store(
    store: ArtifactStore, project: Project, base: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("GIT_DIR", "GIT_OBJECT_DIRECTORY", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_NAMESPACE"):
        monkeypatch.setenv(name, os.fspath(elsewhere))

    store.fetch_base(base)

    assert store.has(base)
    assert list(elsewhere.iterdir()) == []
