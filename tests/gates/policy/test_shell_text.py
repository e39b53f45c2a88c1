"""What can be told of a shell command by reading it."""

import subprocess

import pytest

from gatewright.gates.policies.shell_text import cannot_fail, modules, program, words

# In each, `false` stands for the check; run by a real shell the text succeeds all the same.
CANNOT_FAIL = [
    "false || true",
    "false||true",
    "false || :",
    "false || exit 0",
    "false || echo failed",
    "false || /bin/true",
    "false || 'true'",
    "false || { echo oops; }",
    "(false || true)",
    "{ false || true; }",
    "false && echo fine || true",
    "false || true # never mind",
    "false || true\n\n",
    "false >/dev/null 2>&1 || true",
    "false $(echo a b) || true",
    "FOO=1 false || true",
    "false; true",
    "false; exit 0",
    "false; echo done",
    "false\nexit 0",
    "false; exit 0; false",
    "exit 0; false",
    "false &",
    "false | tee /dev/null",
    "false 2>&1 | tail -5",
    "false | cat",
    "set -e; false || true",
    "set -e\nfalse | cat",
    "sh -c 'false || true'",
    'bash -c "false; true"',
    "bash -ec 'false || true'",
    "! false || true",
    "X=1",
    ":",
    "# nothing at all",
]

# Each of these fails in a real shell, so reading them otherwise would refuse an honest gate.
CAN_FAIL = [
    "false",
    "false || exit 1",
    "false || { echo failed; exit 1; }",
    "set -e; false; echo done",
    "set -eu\nfalse\necho done",
    "set -o errexit; false; true",
    "set -e; (false); true",
    "false && echo fine",
    "echo begin && false",
    "echo text | grep -q other",
    "cat /nonexistent/file",
    "! true",
    "bash -c 'set -o pipefail; false | cat'",
    "bash -ec 'false; true'",
    "bash -c false",
    "if true; then false; fi",
    "for each in a; do false; done",
    "true; exit 3",
    "echo '|| true' && false",
    "grep -q '|| true' /dev/null",
    "false 2>&1",
    "(false)",
    "{ false; }",
    "false & wait $!",
    "check() { false; }; check",
    "echo() { false; }; echo",
    "sh -c 'exit 4'",
    "trap 'exit 5' EXIT; true",
    "cd /nonexistent || exit 1; true",
    "test -f /nonexistent",
    "[ -f /nonexistent ]",
    "false || exit",
    "false || { exit 3; }; true",
    "found=$(false)",
    "found=`false`",
    ": ${SURELY_NOT_SET:?must be set}",
    "kill -9 $$; true",
]


@pytest.mark.parametrize("command", CANNOT_FAIL)
def test_a_command_that_swallows_its_check_is_seen(command: str) -> None:
    assert subprocess.run(["bash", "-c", command], capture_output=True, check=False).returncode == 0, "a wrong example"
    assert cannot_fail(command)


@pytest.mark.parametrize("command", CAN_FAIL)
def test_a_command_that_fails_in_a_real_shell_is_never_said_not_to(command: str) -> None:
    assert subprocess.run(["bash", "-c", command], capture_output=True, check=False).returncode != 0, "a wrong example"
    assert not cannot_fail(command)


@pytest.mark.parametrize(
    "command", ["(" * 4_000, "{ " * 2_000, "! " * 2_000, '"' * 3_999, "$(" * 2_000, "pytest |", "a ||"]
)
def test_a_text_that_no_shell_would_run_is_not_called_harmless_and_does_not_break_the_reader(command: str) -> None:
    assert not cannot_fail(command)
    assert isinstance(words(command), tuple)


def test_words_are_found_behind_options_folders_quotes_and_inner_shells() -> None:
    found = words("cd tools && ./run.sh --config=ci/x.cfg 'a b.py' | tee ../out; sh -c 'python q.py'")

    assert {"tools/run.sh", "ci/x.cfg", "a b.py", "out", "q.py"} <= set(found)


def test_modules_are_found_with_the_folders_they_may_be_started_in() -> None:
    assert modules("python -m mypy src") == (("", "mypy"),)
    assert set(modules("cd ./web && sh -c 'python -m a.b' -m --x")) == {("", "a.b"), ("web/", "a.b")}
    assert modules("git commit -m 'two words'") == (("", "two"),)
    assert modules("python -c 'print(1)'") == ()


@pytest.mark.parametrize(
    ("command", "first"),
    [
        ("python3 review.py --deep", "python3"),
        ("A=1 B='2 3' ./review.sh && true", "./review.sh"),
        ("cat > /dev/null\nprintf '{}'", "cat"),
        ("'my reviewer' x", "my reviewer"),
        ("A=1", None),
        ("", None),
    ],
)
def test_the_program_that_is_started_first_is_named(command: str, first: str | None) -> None:
    assert program(command) == first
