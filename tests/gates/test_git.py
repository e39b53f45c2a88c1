"""git runs with an environment built from nothing, within bounds, and takes its helpers with it when it goes."""

import os
import time
from pathlib import Path

import pytest

from gatewright.gates import git as git_module
from gatewright.gates.git import Git, GitFailed

# Long before it would end by itself.
ENDS_WITHIN_S = 20.0


@pytest.fixture
def git(tmp_path: Path) -> Git:
    (tmp_path / "repo").mkdir()
    git = Git(tmp_path / "repo")
    git.run("init", "--quiet", "--bare", "--template=")
    return git


def test_nothing_of_the_callers_environment_reaches_git(
    git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("[user]\n\tname = leaked\n")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY", "GIT_CEILING_DIRECTORIES"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    monkeypatch.setenv("SECRET_TOKEN", "secret")

    assert git.text("rev-parse", "--absolute-git-dir") == str(tmp_path / "repo")
    assert git.run_status("config", "user.name", expected=(0, 1)) == (1, b"")
    assert b"secret" not in git.run("-c", "alias.env=!env", "env")


def test_a_program_named_git_in_the_work_tree_is_never_run(tmp_path: Path, git: Git) -> None:
    """An empty or relative entry of PATH would find it, as git's working directory is the tree."""
    impostor = tmp_path / "git"
    impostor.write_text("#!/bin/sh\necho impostor\n")
    impostor.chmod(0o755)

    assert all(Path(folder).is_absolute() for folder in git_module.SEARCH_PATH.split(os.pathsep))
    assert Path(git_module.PROGRAM).is_absolute()
    assert git_module.absolute_entries(f":.:bin:/usr/bin:{tmp_path.name}") == "/usr/bin"
    assert Git(git.git_dir, work_tree=tmp_path).text("--version").startswith("git version")


def test_an_unexpected_status_raises_one_sentence_with_gits_reason(git: Git) -> None:
    with pytest.raises(
        GitFailed, match="git rev-parse --verify ended with 128: fatal: Needed a single revision"
    ) as told:
        git.run("rev-parse", "--verify", "absent")

    assert told.value.returncode == 128
    assert git.run_status("rev-parse", "--verify", "--quiet", "absent", expected=(1,)) == (1, b"")


@pytest.mark.parametrize(
    ("alias", "is_outage"),
    [
        ("!kill -9 $$", True),
        ("!echo 'fatal: index-pack died of signal 9' >&2; exit 128", True),
        ("!echo 'fatal: cannot create x: No space left on device' >&2; exit 128", True),
        ("!echo 'fatal: bad object' >&2; exit 128", False),
        ("!kill -11 $$", False),
    ],
)
def test_who_killed_git_and_a_full_disk_are_told_from_what_git_was_given(git: Git, alias: str, is_outage: bool) -> None:
    """Nobody's commit is refused as a bad one for them."""
    with pytest.raises(GitFailed) as raised:
        git.run("-c", f"alias.told={alias}", "told")

    assert raised.value.is_outage is is_outage


def test_a_missing_repository_is_told_like_every_other_failure(tmp_path: Path) -> None:
    with pytest.raises(GitFailed, match="does not exist"):
        Git(tmp_path / "absent").run("rev-parse", "HEAD")


@pytest.mark.slow
def test_a_command_that_takes_too_long_ends_with_the_helpers_that_hold_its_output(git: Git, tmp_path: Path) -> None:
    """A helper that outlives git keeps the pipe open, and whoever reads it would wait for the helper."""
    pid_file = tmp_path / "pid"
    slow = f"alias.slow=!sleep 60 & echo $! > {pid_file}; wait"
    started = time.monotonic()

    with pytest.raises(GitFailed, match="no answer within"):
        git.run("-c", slow, "slow", timeout_s=1.0)

    assert time.monotonic() - started < 20
    _wait_until_it_has_ended(int(pid_file.read_text()))


def test_the_head_of_an_endless_output_ends_the_command(git: Git) -> None:
    started = time.monotonic()

    output, more = git.run_head("-c", "alias.endless=!yes", "endless", bytes_max=1_000)

    assert (len(output), more) == (1_000, True)
    assert time.monotonic() - started < 20


def test_a_short_output_is_returned_whole_and_a_failure_is_told(git: Git) -> None:
    assert git.run_head("rev-parse", "--git-dir", bytes_max=1_000)[1] is False
    with pytest.raises(GitFailed):
        git.run_head("rev-parse", "--verify", "absent", bytes_max=1_000)
    with pytest.raises(GitFailed, match="no answer within"):
        git.run_head("-c", "alias.slow=!sleep 60", "slow", bytes_max=10, timeout_s=0.5)


def test_whoever_says_a_lot_on_standard_error_is_read_all_the_same(git: Git) -> None:
    """More than a pipe holds: git would wait for us, and we for git."""
    loud = "alias.loud=!head -c 1000000 /dev/zero | tr '\\0' x >&2; echo told; exit $STATUS"

    assert git.run_head("-c", loud.replace("$STATUS", "0"), "loud", bytes_max=10, timeout_s=20) == (b"told\n", False)
    with pytest.raises(GitFailed, match="ended with 3: x"):
        git.run_head("-c", loud.replace("$STATUS", "3"), "loud", bytes_max=10, timeout_s=20)


def test_input_can_be_bytes_or_a_file(git: Git, tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"content\n")
    with (tmp_path / "input").open("rb") as file:
        from_file = git.run("hash-object", "--stdin", stdin=file)

    assert from_file == git.run("hash-object", "--stdin", stdin=b"content\n")
    assert from_file == b"d95f3ad14dee633a758d2e331151e950dd13e4ed\n"


def _wait_until_it_has_ended(process_id: int) -> None:
    """What was killed ends when the processor is free for it."""
    deadline = time.monotonic() + ENDS_WITHIN_S
    while _is_running(process_id):
        assert time.monotonic() < deadline, "the helper goes on"
        time.sleep(0.01)


def _is_running(process_id: int) -> bool:
    """A zombie that nobody has waited for yet does not run."""
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
