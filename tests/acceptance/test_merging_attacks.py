"""Merges made to lose what others have landed, and odd ones made in good faith."""

from pathlib import Path
from subprocess import CalledProcessError

import pytest

from gatewright.schemas.records import ChangeRecord, LandingStep, StageState

from .conftest import Repositories
from .house import Repository, Told, serving, solo, write_all

pytestmark = pytest.mark.anyio

FAR = 1_005
LARGE_LINES = 60_000


def writing(*globs: str) -> str:
    listed = ", ".join(f'"{glob}"' for glob in globs)
    return solo().replace("goal: ", f"writes: [{listed}]\n    goal: ")


def commit_all(repository: Repository, brief: Told, files: dict[str, str | None]) -> str:
    """Commit files in a workspace; the new commit."""
    workspace = Path(brief["workspace"])
    write_all(workspace, files)
    repository.git("add", "-A", cwd=workspace)
    repository.git("commit", "-q", "-m", "Work", cwd=workspace)
    return repository.git("rev-parse", "HEAD", cwd=workspace)


def merge(repository: Repository, brief: Told, *arguments: str) -> None:
    repository.git("merge", "-q", "--no-ff", "-m", "Merge", *arguments, cwd=Path(brief["workspace"]))


def wheres(verdict: Told) -> set[str]:
    return {finding["where"] for finding in verdict["findings"]}


def is_blocked(record: ChangeRecord) -> bool:
    return record.landing is not None and record.landing.step is LandingStep.BLOCKED


def is_decided(record: ChangeRecord) -> bool:
    return record.landed_commit is not None or record.stage("code").state is not StageState.PASSED


@pytest.mark.slow
@pytest.mark.parametrize("is_honest", [True, False])
async def test_what_lands_between_a_verdict_and_the_landing_is_not_taken_back(
    make: Repositories, *, is_honest: bool
) -> None:
    """Merged before it had landed it was work like any other; what became of it is judged when it has."""
    repository = make()
    async with serving(repository) as server, server.agent() as ada:
        await ada.start("First")
        await ada.start("Second")
        first, second = await ada.claim("c1"), await ada.claim("c2")
        commit_all(repository, first, {"one.txt": "one\n"})
        theirs = commit_all(repository, second, {"two.txt": "two\n", "calc.py": "# Two\n" + repository.read("calc.py")})
        merge(repository, first, *([] if is_honest else ["-s", "ours"]), theirs)
        (repository.path / "one.txt").write_text("somebody's own\n")
        verdict = await ada.submit(first)
        assert verdict["outcome"] == "passed", verdict.text
        await server.until("c1", is_blocked)
        await ada.submit(second)
        await server.landed("c2")
        (repository.path / "one.txt").unlink()
        await server.until("c1", is_decided)
        again = await ada.claim("c1")
        anew = await ada.get("submit_artifact", lease=again["lease"], commit=verdict["commit"], summary="Again.")
        if is_honest:
            await server.landed("c1")

    assert any("has landed or left 'main' since it was judged" in note for note in again["notes"]), again.text
    assert wheres(anew) == (set() if is_honest else {"two.txt", "calc.py"}), anew.text
    assert repository.read("two.txt") == "two\n"
    assert ("one.txt" in repository.files()) == is_honest


@pytest.mark.slow
async def test_what_was_taken_off_the_target_does_not_come_back_with_whoever_had_merged_it(make: Repositories) -> None:
    repository = make(writing("src/**"))
    before = repository.tip()
    async with serving(repository) as server, server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        repository.commit("A mistake", secret__txt="secret\n")
        merge(repository, brief, "main")
        repository.write("src/one.txt", "somebody's own\n")
        verdict = await ada.submit(brief, {"src/one.txt": "one\n"})
        assert verdict["outcome"] == "passed", verdict.text
        await server.until("c1", is_blocked)
        (repository.path / "src/one.txt").unlink()
        repository.git("reset", "-q", "--hard", before)
        await server.until("c1", is_decided)
        again = await ada.claim("c1")
        anew = await ada.get("submit_artifact", lease=again["lease"], commit=verdict["commit"], summary="Again.")

    assert wheres(anew) == {"secret.txt"}, anew.text
    assert repository.tip() == before


@pytest.mark.slow
async def test_a_person_may_merge_what_waits_for_landing(make: Repositories) -> None:
    repository = make()
    async with serving(repository) as server, server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        repository.write("one.txt", "somebody's own\n")
        verdict = await ada.submit(brief, {"one.txt": "one\n"})
        await server.until("c1", is_blocked)
        (repository.path / "one.txt").unlink()
        repository.git("merge", "-q", "--no-ff", "-m", "By hand", verdict["commit"])
        await server.landed("c1")

    assert repository.read("one.txt") == "one\n"


@pytest.mark.parametrize(
    ("is_honest", "first"),
    [(False, 0), *(pytest.param(*case, marks=pytest.mark.slow) for case in [(True, 0), (False, 1)])],
)
async def test_sides_of_the_target_that_are_merged_one_by_one_are_all_looked_at(
    make: Repositories, *, is_honest: bool, first: int
) -> None:
    repository = make(writing("mine/**", *([] if is_honest else ["side?.txt"])))
    async with serving(repository) as server, server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        repository.git("checkout", "-q", "-b", "side")
        repository.commit("Side", side0__txt="0\n")
        repository.git("checkout", "-q", "main")
        repository.commit("Main", side1__txt="1\n")
        sides = [repository.tip("side"), repository.tip("main")]
        repository.git("merge", "-q", "--no-ff", "-m", "Both", "side")
        merge(repository, brief, *([] if is_honest else ["-s", "ours"]), sides[first])
        merge(repository, brief, sides[1 - first])
        verdict = await ada.submit(brief, {"mine/a.txt": "mine\n"})
        if is_honest:
            await server.landed("c1")

    assert wheres(verdict) == (set() if is_honest else {f"side{first}.txt"}), verdict.text


@pytest.mark.slow
async def test_too_many_merges_of_the_target_one_by_one_are_refused_with_a_way_out(make: Repositories) -> None:
    repository = make()
    async with serving(repository) as server, server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        base, sides = repository.tip(), []
        for number in range(11):
            repository.git("checkout", "-q", "-b", f"side{number}", base)
            repository.commit("Side", **{f"side{number}__txt": "x\n"})
            sides.append(repository.tip("HEAD"))
        repository.git("checkout", "-q", "main")
        for side in sides:
            repository.git("merge", "-q", "--no-ff", "-m", "Side", side)
            merge(repository, brief, side)
        told = await ada.call("submit_artifact", lease=brief["lease"], summary="Work.")
        merge(repository, brief, "main")
        verdict = await ada.submit(brief, {"mine.txt": "mine\n"})

    assert told.code == "bad_artifact"
    assert "11 commits of 'main' one by one. Merge its tip." in told.text
    assert verdict["outcome"] == "passed", verdict.text


async def test_a_target_that_imported_another_history_can_be_merged(make: Repositories) -> None:
    repository = make(writing("mine/**"))
    async with serving(repository) as server, server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        repository.git("checkout", "-q", "--orphan", "import")
        repository.git("rm", "-rqf", ".")
        repository.commit("Another project", lib__txt="lib\n")
        repository.git("checkout", "-q", "main")
        repository.git("merge", "-q", "--allow-unrelated-histories", "-m", "Import", "import")
        merge(repository, brief, "main")
        verdict = await ada.submit(brief, {"mine/a.txt": "mine\n"})

    assert verdict["outcome"] == "passed", verdict.text


@pytest.mark.slow
async def test_work_that_imported_another_history_into_the_target_is_judged(make: Repositories) -> None:
    repository = make(writing("mine/**"))
    async with serving(repository) as server, server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        workspace = Path(brief["workspace"])
        repository.commit("Theirs", theirs__txt="theirs\n")
        repository.git("checkout", "-q", "--orphan", "import", cwd=workspace)
        repository.git("rm", "-rqf", ".", cwd=workspace)
        commit_all(repository, brief, {"mine/lib.txt": "lib\n"})
        merge(repository, brief, "--allow-unrelated-histories", "main")
        verdict = await ada.submit(brief, {"mine/a.txt": "mine\n"})
        await server.landed("c1")

    assert verdict["outcome"] == "passed", verdict.text
    assert {"theirs.txt", "mine/lib.txt", "mine/a.txt"} <= repository.files()


@pytest.mark.slow
async def test_a_conflict_in_a_large_file_can_be_resolved(make: Repositories) -> None:
    repository = make()
    rest = "".join(f"line {number} {'x' * 90}\n" for number in range(LARGE_LINES))
    repository.commit("Large", large__txt="begin\n" + rest)
    async with serving(repository) as server, server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        repository.commit("Theirs", large__txt="theirs\n" + rest)
        commit_all(repository, brief, {"large.txt": "mine\n" + rest})
        with pytest.raises(CalledProcessError):
            merge(repository, brief, "main")
        left = await ada.get("check_gates", lease=brief["lease"], wait_s=20)
        verdict = await ada.submit(brief, {"large.txt": "mine and theirs\n" + rest})

    assert wheres(left) == {"large.txt"}, left.text
    assert verdict["outcome"] == "passed", verdict.text


@pytest.mark.slow
async def test_however_far_the_target_has_gone_it_can_be_merged(make: Repositories) -> None:
    repository = make()
    async with serving(repository) as server, server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        commits = [
            f"commit refs/heads/main\ncommitter a <a@b> {1_700_000_000 + number} +0000\ndata 1\nx\n"
            + (f"from {repository.tip()}\n" if number == 0 else "")
            + f"M 100644 inline far.txt\ndata 4\n{number:04}\n\n"
            for number in range(FAR)
        ]
        repository.git("fast-import", "--quiet", stdin="".join(commits))
        repository.git("reset", "-q", "--hard", "main")
        merge(repository, brief, "main")
        verdict = await ada.submit(brief, {"mine.txt": "mine\n"})
        await server.landed("c1")

    assert verdict["outcome"] == "passed", verdict.text


@pytest.mark.slow
async def test_a_new_file_of_theirs_in_a_folder_that_was_renamed_asks_nobody(make: Repositories) -> None:
    repository = make()
    repository.commit("Old", **{f"old/f{number}__py": f"x{number} = {number}\n" * 20 for number in range(4)})
    async with serving(repository) as server, server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        workspace = Path(brief["workspace"])
        repository.commit("Theirs", **{"old/theirs__py": "y = 1\n" * 10})
        repository.git("mv", "old", "fresh", cwd=workspace)
        repository.git("commit", "-q", "-m", "Rename", cwd=workspace)
        with pytest.raises(CalledProcessError, match="merge"):
            merge(repository, brief, "main")
        verdict = await ada.submit(brief)
        await server.landed("c1")

    assert verdict["outcome"] == "passed", verdict.text
    assert "fresh/theirs.py" in repository.files()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["octopus", "mode", "symlink", "side branch", "older then newer"])
async def test_no_shape_of_a_merge_takes_back_what_has_landed(make: Repositories, how: str) -> None:
    repository = make()
    async with serving(repository) as server, server.agent() as ada:
        await ada.start()
        brief = await ada.claim()
        workspace = Path(brief["workspace"])
        base = repository.tip()
        older = repository.commit("Older", older__txt="older\n")
        (repository.path / "calc.py").chmod(0o755)
        (repository.path / "link").symlink_to("calc.py")
        repository.commit("Theirs", theirs__txt="theirs\n")
        lost = {"theirs.txt"}
        if how == "octopus":
            other = repository.git("commit-tree", f"{base}^{{tree}}", "-p", base, "-m", "Other", cwd=workspace)
            tree = repository.git("rev-parse", f"{base}^{{tree}}")
            octopus = repository.git("commit-tree", tree, "-p", base, "-p", other, "-p", "main", "-m", "Octopus")
            repository.git("reset", "-q", "--hard", octopus, cwd=workspace)
            lost |= {"older.txt", "link", "calc.py"}
        elif how == "side branch":
            repository.git("checkout", "-q", "-b", "aside", cwd=workspace)
            merge(repository, brief, "-s", "ours", "main")
            repository.git("checkout", "-q", "-", cwd=workspace)
            commit_all(repository, brief, {"more.txt": "more\n"})
            merge(repository, brief, "aside")
            lost |= {"older.txt", "link", "calc.py"}
        elif how == "older then newer":
            merge(repository, brief, "-s", "ours", older)
            merge(repository, brief, "main")
            lost = {"older.txt"}
        else:
            merge(repository, brief, "main")
            if how == "mode":
                (workspace / "calc.py").chmod(0o644)
            else:
                (workspace / "link").unlink()
            lost = {"calc.py"} if how == "mode" else {"link"}
        verdict = await ada.submit(brief, {"mine.txt": "mine\n"})

    assert wheres(verdict) == lost, verdict.text


@pytest.mark.slow
@pytest.mark.parametrize("is_honest", [True, False])
async def test_what_landed_squashed_stays_whoever_had_merged_it_before(make: Repositories, *, is_honest: bool) -> None:
    """Squashed, it stands in nobody's history but the target's."""
    repository = make(solo().replace("strategy: merge", "strategy: squash"))
    async with serving(repository) as server, server.agent() as ada:
        await ada.start("First")
        await ada.start("Second")
        first, second = await ada.claim("c1"), await ada.claim("c2")
        commit_all(repository, first, {"one.txt": "one\n"})
        theirs = commit_all(repository, second, {"two.txt": "two\n", "calc.py": "# Two\n" + repository.read("calc.py")})
        merge(repository, first, *([] if is_honest else ["-s", "ours"]), theirs)
        (repository.path / "one.txt").write_text("somebody's own\n")
        verdict = await ada.submit(first)
        assert verdict["outcome"] == "passed", verdict.text
        await server.until("c1", is_blocked)
        await ada.submit(second)
        await server.landed("c2")
        (repository.path / "one.txt").unlink()
        await server.landed("c1")

    assert {"one.txt", "two.txt"} <= repository.files()
    assert repository.read("two.txt") == "two\n"
    assert repository.read("calc.py").startswith("# Two\n")
