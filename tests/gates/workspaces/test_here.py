"""The person's own checkout as a workspace: what enters, what stays out, and that nothing else is touched."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.gates.repository import open_repository
from gatewright.gates.worktrees.here import Here, Place
from gatewright.gates.worktrees.problems import WorkspaceProblem
from gatewright.gates.worktrees.snapshot import Snapshot

from .conftest import NOW, git

Enter = Callable[..., Path]
Take = Callable[[], Snapshot]


@pytest.fixture
def here(project: Path) -> Here:
    (project / ".git" / "gatewright").mkdir()
    return Here(open_repository(project))


@pytest.fixture
def enter(here: Here, base: str) -> Enter:
    """Give the checkout to a lease: of c1/code on the first commit, unless told otherwise."""

    def give(
        stage: str = "code", *, change: str = "c1", fence: int = 1, on: str = base, content: str | None = None
    ) -> Path:
        place = Place(change, stage, fence, f"token-{fence}", root=base, base=on, content=content or on)
        return here.enter(place, is_live=lambda found: found.change != change, when=NOW)

    return give


@pytest.fixture
def take(here: Here) -> Take:
    def handed_in() -> Snapshot:
        found = here.occupation()
        assert found is not None
        return here.snapshot(base=found.base, message="work", author="ada", when=NOW)

    return handed_in


def commit_on(project: Path, base: str, **files: str | None) -> str:
    """A commit on `base` made beside the checkout; `__` in a name stands for a dot, `_` for a slash."""
    place = project.parent / "beside"
    git(project, "worktree", "add", "-q", "--detach", str(place), base)
    for name, text in files.items():
        file = place / name.replace("__", ".").replace("_", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink() if text is None else file.write_text(text)
    git(place, "add", "-A", "-f")
    git(place, "commit", "-q", "-m", "beside")
    made = git(place, "rev-parse", "HEAD")
    git(project, "worktree", "remove", "--force", str(place))
    return made


def persons(project: Path) -> dict[str, bytes]:
    """Everything in the git folder but objects and what is gatewright's own."""
    found = {}
    for parent, folders, names in os.walk(project / ".git"):
        folders[:] = [name for name in folders if name not in {"objects", "gatewright"}]
        found.update({str(Path(parent) / name): (Path(parent) / name).read_bytes() for name in names})
    return found


def changed(project: Path, taken: Snapshot) -> list[str]:
    listing = git(project, "diff", "--name-status", "--no-renames", f"{taken.commit}^", taken.commit)
    return [line.replace("\t", " ") for line in listing.split("\n") if line]


def stored(project: Path, text: str) -> bool:
    """Whether these bytes are in the object store."""
    done = subprocess.run(
        ["git", "hash-object", "--stdin"], cwd=project, input=text.encode(), capture_output=True, check=True
    )
    return not subprocess.run(
        ["git", "cat-file", "-e", done.stdout.decode().strip()], cwd=project, check=False
    ).returncode


def test_what_was_changed_is_one_commit_on_the_base(project: Path, enter: Enter, take: Take, base: str) -> None:
    enter()
    (project / "src" / "new.py").write_text("n\n")
    (project / "a.txt").unlink()
    (project / "run.sh").chmod(0o644)
    (project / "link").symlink_to("run.sh")
    (project / "x.log").write_text("ignored\n")
    before = persons(project)

    taken = take()

    assert git(project, "rev-parse", f"{taken.commit}^@") == base
    assert changed(project, taken) == ["D a.txt", "A link", "M run.sh", "A src/new.py"]
    assert persons(project) == before


def test_nothing_changed_is_the_base_itself(project: Path, enter: Enter, take: Take, base: str) -> None:
    (project / "notes.txt").write_text("mine\n")
    enter()

    assert (take().commit, take().changed) == (base, False)


@pytest.mark.parametrize(
    "way", ["untracked", "modified", "staged", "deleted", "mode", "link", "pipe", "huge", "nested"]
)
def test_what_the_person_had_stays_out_and_is_not_stored(
    project: Path, enter: Enter, take: Take, base: str, way: str
) -> None:
    had: dict[str, Callable[[], object]] = {
        "untracked": lambda: (project / "notes.txt").write_text("secret\n"),
        "modified": lambda: (project / "a.txt").write_text("secret\n"),
        "staged": lambda: ((project / "s.txt").write_text("staged\n"), git(project, "add", "s.txt")),
        "deleted": (project / "a.txt").unlink,
        "mode": lambda: (project / "run.sh").chmod(0o644),
        "link": lambda: (project / "dangling").symlink_to("nowhere"),
        "pipe": lambda: os.mkfifo(project / "pipe"),
        "huge": lambda: os.truncate(os.open(project / "huge", os.O_CREAT | os.O_WRONLY), 2**33),
        "nested": lambda: git(project, "init", "-q", "nested") or (project / "nested" / "f").write_text("x\n"),
    }
    had[way]()
    before = persons(project)
    enter()

    taken = take()

    assert taken.commit == base
    assert persons(project) == before
    assert not stored(project, "secret\n")


@pytest.mark.parametrize(
    ("touch", "enters"),
    [
        (lambda file: file.write_text("mine\n"), False),  # saved again
        (lambda file: os.utime(file, (1, 1)), False),
        (lambda file: file.write_text("more\n"), True),
        (lambda file: file.chmod(0o755), True),
        (lambda file: (file.unlink(), file.symlink_to("a.txt")), True),
    ],
    ids=["saved again", "another time", "other bytes", "executable", "a link instead"],
)
@pytest.mark.slow
def test_a_file_of_the_persons_enters_when_it_is_changed(
    project: Path, enter: Enter, take: Take, touch: Callable[[Path], object], enters: bool
) -> None:
    (project / "notes.txt").write_text("mine\n")
    enter()

    touch(project / "notes.txt")

    assert take().changed is enters


def test_a_file_of_the_persons_that_is_put_back_as_committed_is_no_change(
    project: Path, enter: Enter, take: Take
) -> None:
    (project / "a.txt").write_text("mine\n")
    enter()

    (project / "a.txt").write_text("a\n")

    assert not take().changed


@pytest.mark.parametrize(
    "name", ["ü/ä ö.txt", "a\nb.txt", "-dash", "it's", ":(glob)*", "a\tb", os.fsdecode(b"latin-\xe4")]
)
@pytest.mark.slow
def test_odd_names_are_kept_apart_and_handed_in(project: Path, enter: Enter, take: Take, name: str) -> None:
    mine, theirs = project / f"{name}1", project / f"{name}2"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine\n")
    enter()
    theirs.write_text("theirs\n")

    listing = subprocess.run(
        ["git", "diff", "-z", "--name-only", f"{take().commit}^", take().commit],
        cwd=project,
        capture_output=True,
        check=True,
    )
    assert os.fsdecode(listing.stdout) == f"{name}2\0"


def test_what_a_stage_builds_on_is_put_there_and_its_index_stays(
    project: Path, enter: Enter, take: Take, base: str
) -> None:
    inputs = commit_on(project, base, docs_plan__md="plan\n", a__txt="from plan\n", run__sh=None)
    before, untouched = persons(project), (project / "src" / "x.py").stat().st_mtime_ns
    enter(on=inputs)
    (project / "new.txt").write_text("n\n")

    taken = take()

    assert (project / "docs" / "plan.md").read_text() == "plan\n"
    assert ((project / "a.txt").read_text(), (project / "run.sh").exists()) == ("from plan\n", False)
    assert changed(project, taken) == ["A new.txt"]
    assert persons(project) == before
    assert (project / "src" / "x.py").stat().st_mtime_ns == untouched


@pytest.mark.parametrize("taken_by", ["a file", "an ignored file", "a folder", "a link", "a file on the way"])
@pytest.mark.slow
def test_what_the_person_has_in_the_place_of_an_input_stays_and_the_input_is_not_deleted(
    project: Path, enter: Enter, take: Take, base: str, taken_by: str
) -> None:
    inputs = commit_on(project, base, docs_plan__log="plan\n")
    place = project / "docs" / "plan.log"
    place.parent.mkdir()
    match taken_by:
        case "a file" | "an ignored file":
            place.write_text("mine\n")
        case "a folder":
            place.mkdir()
            (place / "x.txt").write_text("mine\n")
        case "a link":
            place.symlink_to("nowhere")
        case _:
            place.parent.rmdir()
            place.parent.write_text("mine\n")
    if taken_by == "a file":
        (project / ".git" / "info" / "exclude").write_text("!*.log\n")
    status = git(project, "status", "--porcelain", "-uall", "--ignored")
    enter(on=inputs)
    (project / "new.txt").write_text("n\n")

    taken = take()

    assert changed(project, taken) == ["A new.txt"]
    (project / "new.txt").unlink()
    assert git(project, "status", "--porcelain", "-uall", "--ignored") == status


def test_an_input_that_git_ignores_is_no_deletion(project: Path, enter: Enter, take: Take, base: str) -> None:
    enter(on=commit_on(project, base, plan__log="plan\n"))
    (project / "new.txt").write_text("n\n")

    assert changed(project, take()) == ["A new.txt"]
    assert (project / "plan.log").read_text() == "plan\n"


def test_an_input_may_be_changed_deleted_or_become_a_folder(project: Path, enter: Enter, take: Take, base: str) -> None:
    enter(on=commit_on(project, base, one="1\n", two="2\n", three="3\n", run__sh=None))
    (project / "one").write_text("changed\n")
    (project / "two").unlink()
    (project / "three").unlink()
    (project / "three").mkdir()
    (project / "three" / "file").write_text("f\n")
    (project / "run.sh").write_text("#!/bin/sh\n")
    (project / "run.sh").chmod(0o755)

    assert changed(project, take()) == ["M one", "A run.sh", "D three", "A three/file", "D two"]


def test_work_goes_on_from_an_attempt_that_failed_elsewhere(project: Path, enter: Enter, take: Take, base: str) -> None:
    failed = commit_on(project, base, work__py="half\n", a__txt=None)
    enter(content=failed)
    (project / "work.py").write_text("whole\n")

    assert changed(project, take()) == ["D a.txt", "A work.py"]


def test_whoever_takes_over_has_the_work_and_still_not_what_was_the_persons(
    project: Path, here: Here, enter: Enter, take: Take, base: str
) -> None:
    (project / "notes.txt").write_text("mine\n")
    enter()
    (project / "work.py").write_text("half\n")
    enter(fence=2)
    (project / "more.py").write_text("more\n")

    assert changed(project, take()) == ["A more.py", "A work.py"]
    assert here.left_out() == ("notes.txt",)
    assert here.find_lease(project / "src") == "token-2"


def test_the_work_of_a_stage_beside_it_is_not_handed_in_again(
    project: Path, enter: Enter, take: Take, base: str
) -> None:
    enter("one")
    (project / "one.py").write_text("1\n")
    enter("two")
    (project / "two.py").write_text("2\n")
    beside = changed(project, take())
    both = commit_on(project, base, one__py="1\n", two__py="2\n")
    enter("three", on=both)
    (project / "three.py").write_text("3\n")

    assert beside == ["A two.py"]
    assert changed(project, take()) == ["A three.py"]


def test_work_that_a_stage_left_is_its_own_again_when_it_comes_back(
    project: Path, enter: Enter, take: Take, base: str
) -> None:
    """As after a spec conflict: the stage before is worked on again meanwhile."""
    plan = commit_on(project, base, plan__md="plan\n")
    better = commit_on(project, base, plan__md="better\n")
    (project / "notes.txt").write_text("mine\n")
    enter("plan")
    (project / "plan.md").write_text("plan\n")
    enter("code", on=plan)
    (project / "code.py").write_text("half\n")
    enter("plan", fence=2, content=plan)
    (project / "plan.md").write_text("better\n")
    replanned = changed(project, take())
    kept = git(project, "show", "refs/gatewright/saved/c1-code-1:code.py")
    enter("code", fence=2, on=better)
    (project / "more.py").write_text("more\n")

    assert replanned == ["A plan.md"]
    assert kept == "half"
    assert changed(project, take()) == ["A code.py", "A more.py"]


def test_a_folder_that_becomes_a_link_is_taken_as_git_would(project: Path, enter: Enter, take: Take) -> None:
    enter()
    (project / "src").rename(project.parent / "moved")
    (project / "src").symlink_to(project.parent / "moved")

    assert changed(project, take()) == ["A src", "D src/x.py"]


@pytest.mark.parametrize("other", ["rm the file", "new inputs there"])
@pytest.mark.slow
def test_nothing_is_written_through_a_link_in_the_place_of_a_folder(
    project: Path, enter: Enter, take: Take, base: str, other: str
) -> None:
    inputs = commit_on(project, base, src_x__py="x = 2\n", src_new__py="new\n")
    (project / "src").rename(project.parent / "moved")
    (project / "src").symlink_to(project.parent / "moved")
    if other == "rm the file":
        (project.parent / "moved" / "x.py").unlink()
    enter(on=inputs)
    (project / "more.txt").write_text("more\n")

    assert not (project.parent / "moved" / "new.py").exists()
    assert changed(project, take()) == ["A more.txt"]


@pytest.mark.parametrize("way", [".gitignore", "git add -f", "another stage"])
def test_what_git_ignored_is_refused_by_name_whatever_is_done_to_the_rules(
    project: Path, enter: Enter, take: Take, way: str
) -> None:
    (project / ".env").write_text("SECRET=1\n")
    (project / "cache").mkdir()
    (project / "cache" / "key").write_text("secret\n")
    enter()
    if way == "git add -f":
        git(project, "add", "-f", ".env", "cache/key")
    else:
        (project / ".gitignore").write_text("")
    if way == "another stage":
        enter("next")
        (project / ".env").write_text("SECRET=2\n")
        (project / "cache" / "key").write_text("other\n")

    with pytest.raises(WorkspaceProblem, match=r"\.env, cache/key was there before and git ignored it"):
        take()


def test_what_the_agent_made_and_no_longer_ignores_is_handed_in(project: Path, enter: Enter, take: Take) -> None:
    enter()
    (project / "built.log").write_text("made since\n")
    (project / ".gitignore").write_text(".env\ncache/\n")

    assert changed(project, take()) == ["M .gitignore", "A built.log"]


def test_an_agent_that_commits_by_habit_stays_in_the_checkout_from_stage_to_stage(
    project: Path, here: Here, enter: Enter, take: Take, base: str
) -> None:
    enter("plan")
    (project / "plan.md").write_text("plan\n")
    git(project, "add", "plan.md")
    git(project, "commit", "-q", "-m", "by habit")
    planned = take()
    enter("code", on=planned.commit)
    (project / "code.py").write_text("code\n")
    git(project, "add", "code.py")
    git(project, "commit", "-q", "-m", "again")
    enter("code", fence=2, on=planned.commit)

    assert changed(project, planned) == ["A plan.md"]
    assert changed(project, take()) == ["A code.py"]
    assert here.left_out() == ()


def test_a_lease_that_is_live_keeps_others_out(project: Path, here: Here, enter: Enter) -> None:
    enter()

    with pytest.raises(WorkspaceProblem, match="is in use for 'code' of c1"):
        enter(change="c2")

    here.leave("c2")
    assert here.holds("c1", "code", 1)


@pytest.mark.slow
def test_only_one_of_many_that_ask_at_once_is_let_in(project: Path, enter: Enter) -> None:
    start, let_in, kept_out = threading.Barrier(6), [], []

    def ask(number: int) -> None:
        start.wait()
        try:
            enter(change=f"c{number}")
            let_in.append(number)
        except WorkspaceProblem:
            kept_out.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(let_in), len(kept_out)) == (1, 5)


@pytest.mark.slow
def test_the_persons_index_may_be_locked_missing_broken_or_split(project: Path, enter: Enter, take: Take) -> None:
    enter()
    (project / "new.txt").write_text("n\n")
    index = project / ".git" / "index"
    found = [changed(project, take())]
    (project / ".git" / "index.lock").write_bytes(b"held")
    found.append(changed(project, take()))
    (project / ".git" / "index.lock").unlink()
    git(project, "update-index", "--split-index")
    found.append(changed(project, take()))
    index.write_bytes(b"garbage")
    found.append(changed(project, take()))
    index.unlink()
    found.append(changed(project, take()))

    assert found == [["A new.txt"]] * 5
    assert not index.exists()


def test_what_the_person_told_git_not_to_look_at_is_as_committed(project: Path, enter: Enter, take: Take) -> None:
    git(project, "update-index", "--assume-unchanged", "a.txt")
    git(project, "update-index", "--skip-worktree", "src/x.py")
    (project / "a.txt").write_text("tweaked for this machine\n")
    enter()
    (project / "src" / "x.py").write_text("tweaked too\n")
    (project / "new.txt").write_text("n\n")

    assert changed(project, take()) == ["A new.txt"]
    assert (project / "a.txt").read_text() == "tweaked for this machine\n"


def test_an_input_that_the_person_told_git_not_to_look_at_is_no_deletion(
    project: Path, enter: Enter, take: Take, base: str
) -> None:
    git(project, "update-index", "--skip-worktree", "a.txt")
    enter(on=commit_on(project, base, a__txt="from plan\n"))
    (project / "new.txt").write_text("n\n")

    assert changed(project, take()) == ["A new.txt"]


def test_a_merge_that_is_not_finished_is_not_taken_as_work(project: Path, enter: Enter, take: Take, base: str) -> None:
    git(project, "update-ref", "refs/heads/side", commit_on(project, base, side__txt="side\n"))
    enter()
    git(project, "merge", "-q", "--no-ff", "--no-commit", "side")

    with pytest.raises(WorkspaceProblem, match="A merge is unfinished"):
        take()


def test_files_outside_of_a_sparse_checkout_are_no_deletions(
    project: Path, enter: Enter, take: Take, base: str
) -> None:
    inputs = commit_on(project, base, docs_plan__md="plan\n", src_x__py="x = 2\n")
    git(project, "sparse-checkout", "set", "--no-cone", "/a.txt", "/.gitignore")
    assert not (project / "src").exists()
    enter(on=inputs)
    (project / "new.txt").write_text("n\n")

    assert changed(project, take()) == ["A new.txt"]
    assert (project / "docs" / "plan.md").read_text() == "plan\n"
    assert not (project / "run.sh").exists()


@pytest.mark.slow
def test_no_program_of_the_persons_hooks_or_monitor_runs(project: Path, enter: Enter, take: Take, base: str) -> None:
    ran = project.parent / "ran"
    program = project.parent / "ran.sh"
    program.write_text(f"#!/bin/sh\ntouch '{ran}'\n")
    program.chmod(0o755)
    for name in ("post-index-change", "reference-transaction", "post-checkout", "pre-commit"):
        (project / ".git" / "hooks" / name).write_bytes(program.read_bytes())
        (project / ".git" / "hooks" / name).chmod(0o755)
    inputs = commit_on(project, base, plan__md="plan\n")
    git(project, "config", "core.fsmonitor", str(program))
    git(project, "status")
    ran.unlink(missing_ok=True)
    enter(on=inputs)
    (project / "a.txt").write_text("changed\n")

    assert changed(project, take()) == ["M a.txt"]
    assert not ran.exists()


@pytest.mark.slow
def test_a_submodule_of_the_persons_counts_by_its_commit_alone(
    project: Path, here: Here, enter: Enter, take: Take
) -> None:
    library = project.parent / "library"
    git(project, "init", "-q", str(library))
    git(library, "commit", "-q", "--allow-empty", "-m", "1")
    git(project, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    git(project, "commit", "-q", "-m", "lib")
    on = git(project, "rev-parse", "HEAD")
    enter(on=on)
    (project / "lib" / "dirt").write_text("x\n")
    dirty = take()
    git(project / "lib", "commit", "-q", "--allow-empty", "-m", "2")

    assert not dirty.changed
    assert changed(project, take()) == ["M lib"]


def test_a_repository_that_the_agent_nests_is_refused_with_its_name(project: Path, enter: Enter, take: Take) -> None:
    enter()
    git(project, "init", "-q", "vendor/nested")
    (project / "vendor" / "nested" / "f").write_text("f\n")

    with pytest.raises(WorkspaceProblem, match="vendor/nested"):
        take()


def test_too_much_new_content_is_refused_before_it_is_stored(project: Path, enter: Enter, take: Take) -> None:
    enter()
    with (project / "huge").open("wb") as file:
        file.truncate(2**31)

    with pytest.raises(WorkspaceProblem, match="the largest is huge"):
        take()


def test_conflicts_of_a_stash_are_refused_with_their_names(project: Path, enter: Enter, take: Take) -> None:
    (project / "a.txt").write_text("stashed\n")
    git(project, "stash")
    enter()
    (project / "a.txt").write_text("committed\n")
    git(project, "commit", "-q", "-am", "mine")
    git(project, "stash", "pop", check=False)

    with pytest.raises(WorkspaceProblem, match=r"unresolved conflicts in a\.txt"):
        take()


def test_what_was_pulled_since_is_no_part_of_the_work(project: Path, enter: Enter, take: Take, base: str) -> None:
    pulled = commit_on(project, base, pulled__txt="theirs\n")
    git(project, "update-ref", "refs/remotes/origin/main", pulled)
    enter()
    git(project, "merge", "-q", "--ff-only", pulled)
    (project / "own.txt").write_text("own\n")
    git(project, "add", "own.txt")
    git(project, "commit", "-q", "-m", "own")
    (project / "more.txt").write_text("more\n")

    assert changed(project, take()) == ["A more.txt", "A own.txt"]


@pytest.mark.slow
def test_a_file_that_is_written_all_the_time_is_taken_whole_or_refused(project: Path, enter: Enter, take: Take) -> None:
    enter()
    file, over = project / "busy.txt", threading.Event()

    def write() -> None:
        texts = ["a" * 70_000, "b" * 90_000]
        while not over.is_set():
            for text in texts:
                with file.with_name(".tmp").open("w") as half:
                    half.write(text)
                file.with_name(".tmp").replace(file)

    (project / ".git" / "info" / "exclude").write_text(".tmp\n")
    writer = threading.Thread(target=write)
    writer.start()
    try:
        commits = []
        for _ in range(5):
            try:
                commits.append(take().commit)
            except WorkspaceProblem:
                continue
    finally:
        over.set()
        writer.join()

    assert commits, "at least one of five is let through"
    for commit in commits:
        text = subprocess.run(
            ["git", "cat-file", "-p", f"{commit}:busy.txt"], cwd=project, capture_output=True, check=False
        ).stdout
        assert set(text) in (set(), {ord("a")}, {ord("b")})


@pytest.mark.slow
def test_through_a_link_to_the_checkout_it_is_the_same_one(project: Path, here: Here, enter: Enter, base: str) -> None:
    link = project.parent / "link"
    link.symlink_to(project)
    enter()
    seen = Here(open_repository(link))

    assert seen.path == project
    assert seen.holds("c1", "code", 1)
    assert seen.find_lease(link / "src") == "token-1"
    with pytest.raises(WorkspaceProblem, match="in use"):
        seen.enter(Place("c2", "code", 1, "t", root=base, base=base, content=base), is_live=lambda _: True, when=NOW)


@pytest.mark.slow
def test_from_a_linked_worktree_here_is_the_main_one(project: Path, enter: Enter, base: str) -> None:
    linked = project.parent / "linked"
    git(project, "worktree", "add", "-q", str(linked))
    enter()

    seen = Here(open_repository(linked))
    git(project, "worktree", "move", str(linked), str(project.parent / "moved"))

    assert seen.path == project
    assert seen.find_lease(project.parent / "moved") is None
    assert Here(open_repository(project.parent / "moved")).holds("c1", "code", 1)


def test_a_lease_file_that_is_broken_means_that_nobody_works_there(project: Path, here: Here, enter: Enter) -> None:
    enter()
    file = project / ".git" / "gatewright" / "here.json"
    assert file.stat().st_mode & 0o777 == 0o600
    for text in ("", "[]", "{}", '{"person": []}', '{"person": {"a": []}}', '{"person": {}, "others": 3}'):
        file.write_text(text)
        assert here.occupation() is None
    enter(change="c2")

    assert here.holds("c2", "code", 1)


KILLED = """
import os, sys
from pathlib import Path
from datetime import UTC, datetime
from gatewright.gates.worktrees.here import Here, Place
from gatewright.gates.repository import open_repository
here = Here(open_repository(Path(sys.argv[1])))
if sys.argv[2] == "enter":
    base, on = sys.argv[3:]
    place = Place("c1", "code", 1, "t", root=base, base=on, content=on)
    here.enter(place, is_live=lambda _: False, when=datetime.now(UTC))
else:
    here.snapshot(base=sys.argv[3], message="m", author="a", when=datetime.now(UTC))
"""


@pytest.mark.slow
@pytest.mark.parametrize("doing", ["enter", "snapshot"])
def test_killed_in_the_middle_the_person_has_everything_and_it_can_be_repeated(
    project: Path, enter: Enter, take: Take, base: str, doing: str
) -> None:
    """The person's own filter stands still in the middle of it: that is where the process is killed."""
    reached = project.parent / "reached"
    os.mkfifo(reached)
    (project / ".git" / "info" / "attributes").write_text("stop*.txt filter=stop\n")
    inputs = commit_on(project, base, first__txt="1\n", stop__txt="2\n")
    (project / "notes.txt").write_text("mine\n")
    if doing == "snapshot":
        enter(on=inputs)
        (project / "stop2.txt").write_text("work\n")
    stand_still = f"sh -c 'echo $PPID $$ > {reached}; exec sleep 600'"
    for side in ("clean", "smudge"):
        git(project, "config", f"filter.stop.{side}", stand_still)
    before = persons(project)

    arguments = [base, inputs] if doing == "enter" else [inputs]
    running = subprocess.Popen([sys.executable, "-c", KILLED, str(project), doing, *arguments], process_group=0)
    its_git, its_filter = map(int, reached.read_text().split())
    os.killpg(running.pid, 9)
    running.wait()
    for left in (its_git, its_filter):
        os.kill(left, 9)
    after = {name: data for name, data in persons(project).items() if "gatewright-index-" not in name}
    for side in ("clean", "smudge"):
        git(project, "config", "--unset", f"filter.stop.{side}")
    enter(on=inputs)
    (project / "stop2.txt").write_text("work\n")

    assert after == before
    assert (project / "notes.txt").read_text() == "mine\n"
    assert changed(project, take()) == ["A stop2.txt"]
