"""Ways around the protection that leave every protected file as it is."""

from collections.abc import Mapping

import pytest

from gatewright.gates.guarded.links import followed
from gatewright.gates.policies.pipeline_file import parse_pipeline
from gatewright.gates.policies.pipeline_gates import Kinds
from gatewright.gates.policy import Policy
from gatewright.gates.protection import changed_tables, protection_of


def policy(
    kinds: Kinds, run: str, tree: Mapping[str, str], *, links: Mapping[str, str] | None = None, top: str = ""
) -> Policy:
    text = f"version: 1\ntarget: main\n{top}\nstages:\n  code: {{gates: [{{command: {{run: '{run}'}}}}]}}\n"
    pipeline = parse_pipeline(f"{text}land: {{needs: [code]}}\n", kinds=kinds)
    found = protection_of(
        pipeline,
        kinds=kinds,
        paths=tree.keys() | (links or {}).keys(),
        links=links or {},
        read=lambda path: tree[path].encode() if path in tree else None,
    )
    return Policy(
        commit="c",
        digest="d",
        pipeline=pipeline,
        protected=found.files,
        tables=dict(found.tables),
        shadows=dict(found.shadows),
    )


@pytest.mark.parametrize("path", ["ci/json.py", "ci/json/__init__.py", "ci/yaml.py", "ci/requests/__init__.py"])
def test_no_new_module_stands_in_for_what_a_script_of_the_policy_imports(path: str, kinds: Kinds) -> None:
    script = "import yaml\nfrom requests.api import get\nimport re\n"

    assert policy(kinds, "python ci/check.py", {"ci/check.py": script}).is_protected(path)


def test_modules_that_the_project_has_and_new_ones_of_other_names_are_ordinary(kinds: Kinds) -> None:
    tree = {"check.py": "import calc, types\n", "calc.py": "", "types.py": "", "ci/lint.py": "import calc\n"}
    found = policy(kinds, "python check.py && python ci/lint.py", tree)

    assert not [path for path in ("calc.py", "types.py", "prices.py", "src/json.py") if found.is_protected(path)]


def test_what_a_script_at_the_root_tests_may_be_written_after_it(kinds: Kinds) -> None:
    found = policy(kinds, "python accept.py", {"accept.py": "from prices import total\n"})

    assert not found.is_protected("prices.py")
    assert found.is_protected("json.py")


@pytest.mark.parametrize(
    ("run", "path"),
    [
        ("python -m mypy src", "ast.py"),
        ("cd web && python3.11 -m pytest", "web/typing.py"),
        ("python -c pass", "io/__init__.py"),
        ("PYTHONPATH=lib:ci mypy -m calc", "ci/ast.py"),
    ],
)
def test_no_new_module_stands_in_where_python_is_started(run: str, path: str, kinds: Kinds) -> None:
    assert policy(kinds, run, {"calc.py": ""}).is_protected(path)


@pytest.mark.parametrize(
    ("run", "links", "path"),
    [
        ("sh check.sh", {"check.sh": "tools/real.sh"}, "tools/real.sh"),
        ("sh ci/check.sh", {"ci": "tools/ci"}, "tools/ci/check.sh"),
        ("sh ci/check.sh", {"ci": "tools/ci"}, "ci"),
        ("true", {"sub/ruff.toml": "../config/lint.toml"}, "config/lint.toml"),
        ("true", {"pyproject.toml": "config/all"}, "config/all"),
        ("true", {"rules": "config"}, "config/all"),
        ("sh a", {"a": "b", "b": "tools/real.sh"}, "tools/real.sh"),
    ],
)
def test_what_a_link_of_the_policy_leads_to_is_protected_like_the_link(
    run: str, links: Mapping[str, str], path: str, kinds: Kinds
) -> None:
    paths = ("tools/real.sh", "tools/ci/check.sh", "config/lint.toml", "config/all", "src/a.py")
    tree: dict[str, str] = dict.fromkeys(paths, "")
    found = policy(kinds, f"{run} || exit 1", tree, links=links, top="protect: [rules]")

    assert found.is_protected(path)
    assert not found.is_protected("src/a.py")


def test_links_in_a_circle_or_out_of_the_tree_are_followed_to_an_end() -> None:
    links = {"a": "b", "b": "a", "out": "../../etc", "deep/x": "../y/./z"}

    assert followed("a/c", links) == ("a/c", "a", "b/c", "b")
    assert followed("out/passwd", links) == ("out/passwd", "out")
    assert followed("deep/x/1", links) == ("deep/x/1", "deep/x", "y/z/1")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"[pytest] #]\naddopts = --collect-only\n"),
        (b"[pytest]\nx = 1\n", b"[pytest]\nx = 1\n[pytest;]\nx = 2\n"),
        (b"[pytest]\naddopts = -W error\n", b"[DEFAULT]\naddopts = -W error\n[pytest]\n"),
        (b"[DEFAULT]\na = 1\n[pytest]\n", b"[DEFAULT]\na = 2\n[pytest]\n"),
    ],
    ids=["comment after a section", "comment in a section", "moved into DEFAULT", "inherited"],
)
def test_what_only_some_readers_of_ini_files_see_is_a_change(before: bytes, after: bytes) -> None:
    assert changed_tables("tox.ini", before, after, ("pytest",))


def test_what_no_protected_section_inherits_is_no_change() -> None:
    assert not changed_tables("setup.cfg", b"[DEFAULT]\na = 1\n", b"[DEFAULT]\na = 2\n[metadata]\n", ("tool:pytest",))


def test_a_name_that_is_the_same_where_case_does_not_count_is_protected(kinds: Kinds) -> None:
    """U+017F is an s where names are compared without case, though it is no capital letter."""
    found = policy(kinds, "true || exit 1", {})

    assert found.is_protected("confte\N{LATIN SMALL LETTER LONG S}t.py")
    assert found.protected_tables("PyProject.TOML")
