"""docs/real-repositories.md: a file in LFS is judged with its content or not at all, and git-lfs is not needed."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.gates.checkouts.filling import Filling
from gatewright.gates.checkouts.lfs import ContentMissing, LfsCache, Pointer, Unreadable, parse_pointer
from gatewright.schemas.records import Evidence, Outcome

from ..kinds.workbench import SAMPLE, Project
from .conftest import LFS_ATTRIBUTES, git, keep_content, pointer_to, shell, with_lfs
from .test_submodules import Trees

CONTENT = b"large\n"
HAS_ITS_CONTENT = 'test "$(cat data.bin)" = large && test -z "$(git status --porcelain --ignored)"'


def look(project: Project, commit: str) -> Evidence:
    return project.judge(commit)["look"]


def test_programs_find_the_content_in_a_tree_that_git_calls_clean(tmp_path: Path) -> None:
    project = with_lfs(tmp_path, [shell(HAS_ITS_CONTENT)], CONTENT)

    found = look(project, project.commit({"more.py": "x = 1\n"}))

    assert found.outcome is Outcome.PASSED, found.output


def test_git_still_sees_what_a_program_changes_in_it(tmp_path: Path) -> None:
    seen = "echo other > data.bin; test \"$(git status --porcelain)\" = ' M data.bin'"
    project = with_lfs(tmp_path, [shell(seen)], CONTENT)

    assert look(project, project.commit({"more.py": "x = 1\n"})).outcome is Outcome.PASSED


def test_an_executable_in_lfs_stays_one(tmp_path: Path) -> None:
    script = b"#!/bin/sh\necho ran\n"
    project = with_lfs(tmp_path, [shell('test "$(./data.bin)" = ran')], script)
    (project.repository / "data.bin").chmod(0o755)

    found = look(project, project.commit({}))

    assert found.outcome is Outcome.PASSED, found.output


def test_missing_content_is_told_with_what_mends_it_and_never_judged_as_a_pointer(tmp_path: Path) -> None:
    gates = [shell("test -f calc.py"), "compile", {"document": {"path": "guide.bin", "sections": ["Goal"]}}]
    project = with_lfs(tmp_path, gates, CONTENT)
    commit = project.commit({"guide.bin": pointer_to(b"# Goal\n\nSaid.\n")})

    found = project.judge(commit)

    assert [found[gate].outcome for gate in ("look", "document")] == [Outcome.ERRORED] * 2
    assert "guide.bin is in LFS" in found["look"].summary
    assert "git lfs fetch" in found["look"].summary
    assert "do not change the code" in found["look"].summary
    assert found["compile"].outcome is Outcome.PASSED, "it reads no such file"


def test_requirements_are_traced_into_the_content(tmp_path: Path) -> None:
    document = {"path": "plan.md", "sections": ["Requirements"], "ids": "R\\d+"}
    trace = {"from": "plan", "ids": "R\\d+", "into": ["*.bin"]}
    stages = {
        "plan": {"goal": "Plan.", "writes": ["plan.md"], "gates": [{"document": document}]},
        "code": {"goal": "Do it.", "needs": ["plan"], "gates": [{"trace": trace}]},
    }
    project = with_lfs(tmp_path, [], CONTENT, stages=stages)
    project.base = project.commit({"plan.md": "# Requirements\n\n- R1: It adds.\n"})
    keep_content(project, b"R1 is here\n")

    told = project.judge(project.commit({"data.bin": pointer_to(b"R1 is here\n")}))["trace"]

    assert told.outcome is Outcome.PASSED, told


@pytest.mark.slow
def test_what_a_command_makes_is_compared_with_the_content(tmp_path: Path) -> None:
    gate = {"transform": {"run": "python make.py", "paths": ["*.bin"]}}
    project = with_lfs(tmp_path, [gate], CONTENT)
    # What the command names itself would be protected, and so not made.
    project.base = project.commit(
        {"make.py": f"import pathlib; pathlib.Path('data' '.bin').write_bytes({CONTENT!r})\n"}
    )
    keep_content(project, b"other\n")

    right = project.judge(project.commit({"more.txt": "more\n"}))["transform"]
    wrong = project.judge(project.commit({"data.bin": pointer_to(b"other\n")}))["transform"]

    assert (right.outcome, right.counted) == (Outcome.PASSED, 1), right
    assert [(finding.path, finding.line) for finding in wrong.findings] == [("data.bin", 1)]
    assert "- other" in wrong.findings[0].message


def test_gates_that_read_files_read_their_content(tmp_path: Path) -> None:
    gates = ["compile", {"document": {"path": "guide.bin", "sections": ["Goal"]}}]
    files = {**SAMPLE, ".gitattributes": "*.bin filter=lfs\nbig.py filter=lfs\n", "big.py": pointer_to(b"x = 1\n")}
    project = Project(tmp_path / "project", gates, files)
    keep_content(project, b"x = 1\n")
    keep_content(project, b"def broken(:\n")
    keep_content(project, b"# Goal\n\nSaid.\n")
    good = project.commit({"guide.bin": pointer_to(b"# Goal\n\nSaid.\n")})
    bad = project.commit({"big.py": pointer_to(b"def broken(:\n")})

    assert {gate: found.outcome for gate, found in project.judge(good).items() if gate != "scope"} == {
        "compile": Outcome.PASSED,
        "document": Outcome.PASSED,
    }
    assert [finding.path for finding in project.judge(bad)["compile"].findings] == ["big.py"]


def test_source_in_lfs_that_is_missing_is_not_compiled_as_a_pointer(tmp_path: Path) -> None:
    files = {**SAMPLE, ".gitattributes": "big.py filter=lfs\n", "big.py": pointer_to(b"x = 1\n")}
    project = Project(tmp_path / "project", ["compile"], files)

    found = project.judge(project.commit({"more.py": "x = 1\n"}))["compile"]

    assert found.outcome is Outcome.ERRORED
    assert "big.py is in LFS" in found.summary


def test_a_pointer_outside_of_lfs_is_text_like_any_other(tmp_path: Path) -> None:
    project = with_lfs(tmp_path, [shell("grep -q git-lfs example.txt")], CONTENT)

    found = look(project, project.commit({"example.txt": pointer_to(b"nowhere")}))

    assert found.outcome is Outcome.PASSED, found.summary


def test_a_file_under_lfs_that_is_no_pointer_is_what_it_is(tmp_path: Path) -> None:
    project = with_lfs(tmp_path, [shell('test "$(cat small.bin)" = plain')], CONTENT)

    assert look(project, project.commit({"small.bin": "plain\n"})).outcome is Outcome.PASSED


def test_the_attributes_are_the_commits_own(tmp_path: Path) -> None:
    """And a commit that changes them asks a person: other checkouts have other bytes then."""
    project = with_lfs(tmp_path, [shell('test "$(cat new.dat)" = large')], CONTENT)
    pointed = {"new.dat": pointer_to(CONTENT), ".gitattributes": f"{LFS_ATTRIBUTES}[attr]big filter=lfs\n*.dat big\n"}

    found = project.judge(project.commit(pointed))

    assert found["look"].outcome is Outcome.PASSED, found["look"].output
    assert found["scope"].outcome is Outcome.PENDING


def test_nothing_of_the_machine_decides_what_a_pointer_is(tmp_path: Path) -> None:
    project = with_lfs(tmp_path, [shell("grep -q git-lfs example.txt")], CONTENT)
    (project.repository / ".git" / "info").mkdir(exist_ok=True)
    (project.repository / ".git" / "info" / "attributes").write_text("*.txt filter=lfs\n*.bin -filter\n")

    assert look(project, project.commit({"example.txt": pointer_to(CONTENT)})).outcome is Outcome.PASSED


def test_content_is_taken_from_another_folder_that_the_settings_name(tmp_path: Path) -> None:
    project = with_lfs(tmp_path, [shell(HAS_ITS_CONTENT)], CONTENT)
    (project.repository / ".git" / "lfs").rename(tmp_path / "storage")
    git(project.repository, "config", "lfs.storage", str(tmp_path / "storage"))

    assert look(project, project.commit({"more.py": "x = 1\n"})).outcome is Outcome.PASSED


def test_once_taken_over_it_stays_when_the_user_prunes(tmp_path: Path) -> None:
    project = with_lfs(tmp_path, [shell(HAS_ITS_CONTENT)], CONTENT)
    look(project, project.commit({"more.py": "x = 1\n"}))
    keep_content(project, CONTENT).unlink()

    assert look(project, project.commit({"more.py": "x = 2\n"}, on=project.base)).outcome is Outcome.PASSED


class TestAttacked:
    def test_content_that_is_not_what_the_pointer_says_is_never_written_out(self, tmp_path: Path) -> None:
        project = with_lfs(tmp_path, [shell("test -f calc.py")], CONTENT)
        keep_content(project, b"LARGE\n", name=hashlib.sha256(CONTENT).hexdigest())

        found = look(project, project.commit({"more.py": "x = 1\n"}))

        assert found.outcome is Outcome.ERRORED
        assert "data.bin has" in found.summary

    @pytest.mark.parametrize(
        "text",
        [
            pointer_to(CONTENT, digest="/etc/passwd"),
            pointer_to(CONTENT, digest="AB" * 32),
            pointer_to(CONTENT).replace("size 6", "size -6"),
            pointer_to(CONTENT).replace("size 6", "size 06"),
            pointer_to(CONTENT).replace("size 6", "size 6e3"),
            pointer_to(CONTENT).replace("oid", f"ext-0-evil sha256:{'0' * 64}\noid"),
            pointer_to(CONTENT) + "more\n",
        ],
    )
    def test_what_only_begins_as_a_pointer_is_neither_one_nor_text(self, text: str) -> None:
        with pytest.raises(Unreadable):
            parse_pointer(text.encode())

    def test_a_digest_that_leads_to_another_file_is_not_judged(self, tmp_path: Path) -> None:
        project = with_lfs(tmp_path, [shell("test -f calc.py")], CONTENT)

        found = look(project, project.commit({"forged.bin": pointer_to(CONTENT, digest="../../../../../etc/passwd")}))

        assert found.outcome is Outcome.ERRORED
        assert "forged.bin begins as an LFS pointer and cannot be read as one" in found.summary

    def test_a_few_bytes_do_not_stand_for_more_than_the_tree_may_have(self, tmp_path: Path) -> None:
        project = with_lfs(tmp_path, [shell("test -f calc.py")], CONTENT, limits={"tree": 1_000_000})
        bombs = {f"{number}.bin": pointer_to(CONTENT, size=400_000, digest=f"{number}" * 64) for number in range(3)}

        found = look(project, project.commit(bombs))

        assert found.outcome is Outcome.FAILED
        assert "limits.tree" in found.findings[0].message

    def test_what_somebody_wrote_into_our_cache_is_taken_anew(self, tmp_path: Path) -> None:
        project = with_lfs(tmp_path, [shell(HAS_ITS_CONTENT)], CONTENT)
        look(project, project.commit({"more.py": "x = 1\n"}))
        (kept,) = (file for file in (project.root / "cache" / "lfs").rglob("*") if file.is_file())
        kept.write_bytes(b"LARGE\n")
        for slot in (project.root / "cache" / "checkouts").iterdir():
            (slot / "commit").unlink()

        first = look(project, project.commit({"more.py": "x = 2\n"}, on=project.base))
        second = look(project, project.commit({"more.py": "x = 3\n"}, on=project.base))

        assert first.outcome is Outcome.ERRORED
        assert second.outcome is Outcome.PASSED, second.summary


class TestWarm:
    @pytest.fixture
    def project(self, tmp_path: Path) -> Project:
        return with_lfs(tmp_path, [shell("test -f calc.py")], CONTENT)

    def test_forth_and_back_between_contents_pointers_and_text(self, tmp_path: Path, project: Project) -> None:
        keep_content(project, b"other content\n")
        other = project.commit({"data.bin": pointer_to(b"other content\n")})
        text = project.commit({"data.bin": "plain\n"})
        as_pointer = project.commit({"data.bin": pointer_to(CONTENT), ".gitattributes": ""})
        without = project.commit({"data.bin": None})
        trees = Trees(tmp_path, project, (other, text, as_pointer, without))
        expected = {
            project.base: CONTENT,
            other: b"other content\n",
            text: b"plain\n",
            as_pointer: pointer_to(CONTENT).encode(),
            without: None,
        }

        for commit in (*expected, *reversed(expected), project.base, as_pointer, project.base, without, other):
            trees.look(commit)
            file = trees.last / "data.bin"
            assert (file.read_bytes() if file.exists() else None) == expected[commit]

    def test_what_did_not_change_is_not_written_again(self, tmp_path: Path, project: Project) -> None:
        more = project.commit({"more.py": "x = 1\n"})
        trees = Trees(tmp_path, project, (more,))
        trees.look(project.base)
        before = (trees.last / "data.bin").stat().st_ctime_ns

        for commit in (more, project.base, project.base):
            trees.look(commit)
            assert (trees.last / "data.bin").stat().st_ctime_ns == before

    @pytest.mark.parametrize("content", [b"LARGE\n", b"longer than it was\n", b""])
    def test_whatever_somebody_did_to_it_is_undone(self, tmp_path: Path, project: Project, content: bytes) -> None:
        trees = Trees(tmp_path, project)
        trees.look(project.base)
        file = trees.last / "data.bin"
        state = file.stat()
        file.write_bytes(content)
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))

        trees.look(project.base)

        assert file.read_bytes() == CONTENT

    @pytest.mark.parametrize("spoil", ["filled", "index", "commit"])
    def test_a_checkout_that_a_crash_left_half_made_is_made_again(
        self, tmp_path: Path, project: Project, spoil: str
    ) -> None:
        trees = Trees(tmp_path, project)
        trees.look(project.base)
        (trees.last.parent / spoil).write_bytes(b"garbage")

        trees.look(project.base)

        assert (trees.last / "data.bin").read_bytes() == CONTENT

    def test_without_its_content_it_is_the_pointer_again(self, tmp_path: Path, project: Project) -> None:
        trees = Trees(tmp_path, project)
        trees.look(project.base)

        with trees.pool.pristine(project.base, Filling()) as tree:
            assert (tree / "data.bin").read_text() == pointer_to(CONTENT)


class TestTheCache:
    def test_keeps_what_was_used_last_within_its_bound(self, tmp_path: Path) -> None:
        shared = tmp_path / "git"
        contents = [bytes([number]) * 1_000 for number in range(5)]
        pointers = [Pointer(hashlib.sha256(content).hexdigest(), 1_000) for content in contents]
        for pointer, content in zip(pointers, contents, strict=True):
            place = shared / "lfs" / "objects" / pointer.sha256[:2] / pointer.sha256[2:4] / pointer.sha256
            place.parent.mkdir(parents=True)
            place.write_bytes(content)
        cache = LfsCache(tmp_path / "cache", shared, bytes_max=3_000)

        for age_s, pointer in enumerate(pointers):
            os.utime(cache.get(pointer), (age_s, age_s))

        kept = {file.name for file in (tmp_path / "cache").rglob("*") if file.is_file()}
        assert kept == {pointer.sha256 for pointer in pointers[2:]}

    @pytest.mark.parametrize("content", [b"LARGE\n", b"large\n and more", b""])
    def test_what_is_not_as_the_pointer_says_is_not_taken_over(self, tmp_path: Path, content: bytes) -> None:
        pointer = Pointer(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
        place = tmp_path / "git" / "lfs" / "objects" / pointer.sha256[:2] / pointer.sha256[2:4] / pointer.sha256
        place.parent.mkdir(parents=True)
        place.write_bytes(content)

        with pytest.raises(ContentMissing):
            LfsCache(tmp_path / "cache", tmp_path / "git").get(pointer)

        assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]

    def test_a_folder_or_a_device_in_the_place_of_content_is_none(self, tmp_path: Path) -> None:
        pointer = Pointer("ab" * 32, 0)
        place = tmp_path / "git" / "lfs" / "objects" / "ab" / "ab" / pointer.sha256
        place.parent.mkdir(parents=True)
        cache = LfsCache(tmp_path / "cache", tmp_path / "git")

        makes: tuple[Callable[[], None], ...] = (
            place.mkdir,
            lambda: place.symlink_to("/dev/zero"),
            lambda: os.mkfifo(place),
        )
        for make in makes:
            make()
            with pytest.raises(ContentMissing, match="not on this machine"):
                cache.get(pointer)
            place.rmdir() if place.is_dir() else place.unlink()

    def test_a_pointer_of_the_first_version_is_one(self) -> None:
        text = pointer_to(CONTENT).replace("git-lfs", "hawser")

        assert parse_pointer(text.encode()) == Pointer(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
