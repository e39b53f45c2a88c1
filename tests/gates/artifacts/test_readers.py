"""Readers of objects are kept from one question to the next, and nothing of one block gets into another."""

import gc
import os
import signal
from pathlib import Path

import pytest

from gatewright.gates.artifact_store.objects import BadArtifact
from gatewright.gates.artifact_store.readers import ObjectReader, ReaderPool
from gatewright.gates.artifacts import ArtifactStore, TooLarge

from .project import Project

ID = "a" * 40


@pytest.fixture
def pool(store: ArtifactStore) -> ReaderPool:
    return ReaderPool(store.git)


def test_a_reader_is_kept_and_knows_what_has_come_since(
    store: ArtifactStore, project: Project, base: str, pool: ReaderPool
) -> None:
    artifact = project.commit({"b.txt": "two\n"})
    with pool.reader() as first:
        assert first.look_up(artifact) is None
    store.fetch(artifact, base=base)

    with pool.reader() as second:
        found = second.look_up(artifact)

    assert second is first
    assert found == (artifact, "commit")


def test_two_blocks_at_once_have_two_readers(pool: ReaderPool) -> None:
    with pool.reader() as first, pool.reader() as second:
        assert process_of(first) != process_of(second)


def test_a_reader_that_somebody_killed_is_replaced(store: ArtifactStore, base: str, pool: ReaderPool) -> None:
    store.fetch_base(base)
    with pool.reader() as killed:
        pass
    os.kill(process_of(killed), signal.SIGKILL)
    os.waitid(os.P_PID, process_of(killed), os.WEXITED | os.WNOWAIT)

    with pool.reader() as reader:
        assert reader.look_up(base) == (base, "commit")


def test_half_an_answer_is_never_read_by_the_next(store: ArtifactStore, base: str, pool: ReaderPool) -> None:
    store.fetch_base(base)
    blob = store.entries(base)[0].oid
    with pytest.raises(TooLarge), pool.reader() as first:
        first.blob(blob, bytes_max=1)

    with pool.reader() as second:
        assert second.blob(blob, bytes_max=100) == b"one\n"


@pytest.mark.parametrize(
    "name", ["HEAD", "refs/heads/main", f"{ID}\ncontents {ID}", f"{ID}^{{tree}}\ncontents {ID}", f"{ID}^", "-a", ""]
)
def test_a_reader_looks_up_full_ids_only(pool: ReaderPool, name: str) -> None:
    with pytest.raises(BadArtifact, match="not a full commit id"), pool.reader() as reader:
        reader.look_up(name)


def test_no_reader_outlives_its_pool(store: ArtifactStore, pool: ReaderPool) -> None:
    other = ReaderPool(store.git)
    with other.reader() as reader:
        process = process_of(reader)
    del other, reader
    gc.collect()

    assert not Path(f"/proc/{process}").exists()


def process_of(reader: ObjectReader) -> int:
    return reader._process.pid
