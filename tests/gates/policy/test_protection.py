"""What an artifact may not change on its own."""

import pytest

from gatewright.gates.policies.pipeline_file import parse_pipeline
from gatewright.gates.policies.pipeline_gates import Kinds
from gatewright.gates.policy import Policy
from gatewright.gates.protection import TablesUnreadable, changed_tables, protection_of, tables_of


def policy(kinds: Kinds, gates: str = "[test]", *, paths: tuple[str, ...] = (), top: str = "") -> Policy:
    text = f"version: 1\ntarget: main\n{top}\nstages:\n  code: {{gates: {gates}}}\nland: {{needs: [code]}}\n"
    pipeline = parse_pipeline(text, kinds=kinds)
    found = protection_of(pipeline, kinds=kinds, paths=frozenset(paths))
    return Policy(commit="c", digest="d", pipeline=pipeline, protected=found.files, tables=dict(found.tables))


@pytest.mark.parametrize(
    "path",
    [
        "gatewright.yaml",
        "conftest.py",
        "tests/unit/conftest.py",
        "ruff.toml",
        "src/.ruff.toml",
        "mypy.ini",
        "pytest.ini",
        "sub/pytest.toml",
        ".coveragerc",
        "pyrightconfig.json",
        "sitecustomize.py",
        "src/sitecustomize/__init__.py",
        ".gitmodules",
        "Tests/CONFTEST.PY",
    ],
)
def test_the_policy_and_what_tools_read_unasked_are_protected(path: str, kinds: Kinds) -> None:
    assert policy(kinds).is_protected(path)


@pytest.mark.parametrize(
    "path",
    [
        "src/a.py",
        "tests/test_a.py",
        "pyproject.toml",
        "setup.cfg",
        "Makefile",
        "package.json",
        ".gitattributes",
        "uv.lock",
    ],
)
def test_ordinary_files_are_not_protected(path: str, kinds: Kinds) -> None:
    assert not policy(kinds).is_protected(path)


def test_files_that_commands_name_are_protected_and_folders_and_key_files_are_not(kinds: Kinds) -> None:
    found = policy(
        kinds,
        "[{command: {run: 'cd ci && sh ./check.sh --rules=rules.txt src'}}]",
        paths=("ci/check.sh", "ci/rules.txt", "src/a.py", "dev.txt", "tools/make_env.py"),
        top="setup: {run: 'python tools/make_env.py && pip install -r dev.txt', key: [dev.txt]}",
    )

    assert found.is_protected("ci/check.sh")
    assert found.is_protected("ci/rules.txt")
    assert found.is_protected("tools/make_env.py")
    assert not found.is_protected("src/a.py")
    assert not found.is_protected("dev.txt")


@pytest.mark.parametrize(
    ("written", "path"), [("ci/x.toml", "ci/x.toml"), ("./ci/x.toml", "ci/x.toml"), ("ci/[x]", "ci/[x]")]
)
def test_a_file_that_a_gates_options_refer_to_is_protected(written: str, path: str, kinds: Kinds) -> None:
    found = policy(kinds, f"[{{ruff: {{config: '{written}'}}}}]", paths=(path, "ci/other"))

    assert found.is_protected(path)
    assert not found.is_protected("ci/other")


@pytest.mark.parametrize("written", ["ci", "../x.toml", "/etc/x.toml", "-v", "", "absent.toml"])
def test_a_reference_to_no_file_of_the_policy_protects_nothing_and_breaks_nothing(written: str, kinds: Kinds) -> None:
    found = policy(kinds, f"[{{ruff: {{config: '{written}'}}}}]", paths=("ci/x.toml",))

    assert not found.is_protected("ci/x.toml")


def test_a_mixed_file_that_a_command_names_is_still_protected_by_table(kinds: Kinds) -> None:
    found = policy(kinds, "[{command: {run: 'mypy --config-file pyproject.toml'}}]", paths=("pyproject.toml",))

    assert not found.is_protected("pyproject.toml")
    assert "tool.mypy" in found.protected_tables("pyproject.toml")


def test_a_module_of_the_tree_cannot_stand_in_for_an_installed_one_that_a_command_starts(kinds: Kinds) -> None:
    """`python -m mypy` looks into the folder that it is started in before it looks at what is installed."""
    found = policy(kinds, "[{command: {run: 'cd web && python -m mypy src'}}]", paths=("web/src/a.py",))

    assert found.is_protected("mypy.py")
    assert found.is_protected("web/mypy/__main__.py")
    assert not found.is_protected("web/src/mypy.py")


def test_a_module_of_the_project_that_a_command_starts_is_protected_and_its_package_is_not(kinds: Kinds) -> None:
    paths = ("tools/check.py", "tools/other.py", "pkg/__main__.py", "pkg/a.py")
    found = policy(kinds, "[{command: {run: 'python -m tools.check && python -m pkg'}}]", paths=paths)

    assert [path for path in paths if found.is_protected(path)] == ["tools/check.py", "pkg/__main__.py"]


def test_nothing_new_runs_before_a_module_of_the_project_or_in_its_place(kinds: Kinds) -> None:
    """Python runs a package's `__init__.py` first, and takes a package before a module of the same name."""
    paths = ("tools/check.py", "pkg/__init__.py", "pkg/__main__.py")
    found = policy(kinds, "[{command: {run: 'python -m tools.check && python -m pkg'}}]", paths=paths)
    new = ("tools/__init__.py", "tools.py", "tools/check/__init__.py", "tools/check/__main__.py", "tools/new.py")

    assert [path for path in new if found.is_protected(path)] == [*new[:4]]
    assert not found.is_protected("pkg/__init__.py")


def test_people_protect_more(kinds: Kinds) -> None:
    assert policy(kinds, top='protect: [".github/**"]').is_protected(".github/workflows/ci.yml")


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("make lint", "Makefile"),
        ("cd web && npm test", "web/vitest.config.ts"),
        ("pre-commit run --all-files", ".pre-commit-config.yaml"),
        ("python -m nox -s tests", "noxfile.py"),
        ("./gradlew check", "build.gradle.kts"),
        ("golangci-lint run", ".golangci.yml"),
        ("cargo test", "crates/.cargo/config.toml"),
        ("npm run lint", ".npmrc"),
        ("npx prettier --check .", "web/.prettierrc.json"),
        ("mvn verify", ".mvn/maven.config"),
        ("./gradlew check", "gradle/wrapper/gradle-wrapper.properties"),
        ("ty check src", "ty.toml"),
        ("yamllint .", ".yamllint.yaml"),
        ("shellcheck ci/*.sh", ".shellcheckrc"),
    ],
)
def test_the_recipe_of_a_program_that_runs_others_is_protected(command: str, path: str, kinds: Kinds) -> None:
    assert policy(kinds, f"[{{command: {{run: '{command}'}}}}]").is_protected(path)
    assert not policy(kinds).is_protected(path)


@pytest.mark.parametrize(
    ("command", "path", "versions", "changed"),
    [
        ("npm test", "web/package.json", ('{"scripts": {"test": "a"}}', '{"scripts": {"test": "true"}}'), ("scripts",)),
        ("npm test", "package.json", ('{"dependencies": {}}', '{"dependencies": {"x": "1"}}'), ()),
        ("tox -e py", "tox.ini", ("[testenv]\ncommands = a", "[testenv]\ncommands = true"), ("testenv",)),
        ("mypy src", "tox.ini", ("[testenv]\ncommands = a", "[testenv]\ncommands = true"), ()),
        ("poe lint", "pyproject.toml", ("[tool.poe.tasks]\nlint = 'a'", "[tool.poe.tasks]\nlint = 'b'"), ("tool.poe",)),
    ],
)
def test_the_recipe_in_a_mixed_file_is_protected_by_table(
    command: str, path: str, versions: tuple[str, str], changed: tuple[str, ...], kinds: Kinds
) -> None:
    found = policy(kinds, f"[{{command: {{run: '{command}'}}}}]")

    before, after = (version.encode() for version in versions)
    assert found.changed_tables(path, before, after) == changed


BEFORE = b"[project]\ndependencies = ['a']\n[tool.ruff]\nline-length = 100\n"


@pytest.mark.parametrize(
    ("after", "changed"),
    [
        (BEFORE, ()),
        (BEFORE.replace(b"['a']", b"['a', 'b']"), ()),
        (b"# a comment\n" + BEFORE, ()),
        (b"[tool.ruff]\nline-length = 100\n[project]\ndependencies = []\n", ()),
        (BEFORE.replace(b"100", b"300"), ("tool.ruff",)),
        (BEFORE.replace(b"100", b"100.0"), ("tool.ruff",)),
        (BEFORE + b"[tool.pytest.ini_options]\naddopts = '-k nothing'\n", ("tool.pytest",)),
        (BEFORE + b"[tool.mypy]\n", ("tool.mypy",)),
        (b"[project]\n", ("tool.ruff",)),
        (None, ("tool.ruff",)),
    ],
)
def test_a_change_of_pyproject_counts_only_in_the_tools_tables(
    after: bytes | None, changed: tuple[str, ...], kinds: Kinds
) -> None:
    assert policy(kinds).changed_tables("pyproject.toml", BEFORE, after) == changed


@pytest.mark.parametrize(
    "after",
    [
        b"[tool.ruff\n",
        b"\xff\xfe",
        b"a = " + b"[" * 100_000,
        b"x = '" + b"a" * 2_000_000 + b"'",
    ],
)
def test_a_mixed_file_that_cannot_be_read_counts_as_changed_in_all_its_tables(after: bytes, kinds: Kinds) -> None:
    found = policy(kinds)

    assert found.changed_tables("pyproject.toml", BEFORE, after) == found.protected_tables("pyproject.toml")
    assert found.changed_tables("pyproject.toml", after, after) == ()


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("setup.cfg", "[mypy-pkg.*]\nignore_errors = True", "mypy-pkg.*"),
        ("setup.cfg", "[tool:pytest]\naddopts = -k nothing", "tool:pytest"),
        ("setup.cfg", "[coverage:run]\nomit = *", "coverage:run"),
        ("tox.ini", "[pytest]\naddopts = -k nothing", "pytest"),
        ("sub/setup.cfg", "[flake8]\nexclude = *", "flake8"),
    ],
)
def test_a_new_section_for_a_tool_is_a_change(path: str, text: str, name: str, kinds: Kinds) -> None:
    assert policy(kinds).changed_tables(
        path, b"[metadata]\nname = x\n", f"[metadata]\nname = x\n{text}\n".encode()
    ) == (name,)


def test_what_a_section_inherits_belongs_to_it() -> None:
    plain, inheriting = b"[mypy]\nstrict = True\n", b"[DEFAULT]\nignore_errors = True\n[mypy]\nstrict = True\n"

    assert changed_tables("setup.cfg", plain, inheriting, ["mypy"]) == ("mypy",)


@pytest.mark.parametrize("end", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\r"])
def test_a_section_hidden_behind_a_line_end_that_only_some_readers_see_makes_the_file_unreadable(end: str) -> None:
    """pytest's reader splits lines where Python's does not: a comment for one is a section for the other."""
    hidden = f"[metadata]\n; a comment{end}[pytest]\naddopts = -k nothing\n".encode()

    with pytest.raises(TablesUnreadable):
        tables_of("tox.ini", hidden, ["pytest"])
    assert changed_tables("tox.ini", b"[metadata]\n", hidden, ["pytest"]) == ("pytest",)


def test_windows_line_ends_are_ordinary() -> None:
    unix, windows = b"[pytest]\naddopts = -q\n", b"[pytest]\r\naddopts = -q\r\n"

    assert changed_tables("tox.ini", unix, windows, ["pytest"]) == ()
