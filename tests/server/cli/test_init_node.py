"""`init` for Node: gates that its own scripts amount to, what they need installed, and what cannot be known."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from gatewright.gates.policy import parse_pipeline
from gatewright.schemas.pipeline import Pipeline
from gatewright.server.cli.node_project import read_node_project
from gatewright.server.cli.node_scripts import REPORT, ScriptRun, find_test_run

from .conftest import Desk, Ran

Call = Callable[..., Ran]

NODE_TEST = "import test from 'node:test';\ntest('it', () => {});\n"
LIBRARY = {
    "package.json": json.dumps(
        {
            "name": "library",
            "scripts": {"test": "npm run lint && vitest", "lint": "eslint src --max-warnings 0", "build": "tsc"},
            "devDependencies": {"eslint": "^9", "vitest": "^4", "typescript": "^5"},
        }
    ),
    "package-lock.json": "{}",
    "tsconfig.json": "{}",
    "eslint.config.mjs": "export default [];\n",
    "src/library.test.ts": "test('it', () => {});\n",
}


def pipeline(desk: Desk) -> Pipeline:
    return parse_pipeline((desk.top / "gatewright.yaml").read_bytes())


def options(desk: Desk) -> dict[str, Mapping[str, object]]:
    return {gate.name: gate.options for gate in pipeline(desk).stages["code"].gates}


def package(folder: Path, files: Mapping[str, str] | None = None, **content: object) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in {"package.json": json.dumps(content), **(files or {})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_library_gets_the_gates_that_its_scripts_amount_to(desk: Desk, call: Call) -> None:
    desk.commit(LIBRARY)

    told = call("init")

    assert told.status == 0
    assert options(desk) == {
        "test": {"run": "vitest run --reporter=junit --outputFile=junit.xml", "report": "junit.xml"},
        "eslint": {"run": "eslint --format json src", "report": "eslint", "level": "warning"},
        "types": {"run": "tsc --noEmit --pretty false", "report": "lines"},
    }
    setup = pipeline(desk).setup
    assert setup is not None
    assert setup.run == "npm ci --no-audit --no-fund"
    assert (setup.key, setup.keep) == (("package.json", "package-lock.json"), ("node_modules",))
    assert "Nothing here checks" not in (desk.top / "gatewright.yaml").read_text()


def test_python_and_node_side_by_side_get_the_gates_of_both_and_one_set_up(desk: Desk, call: Call) -> None:
    desk.commit({**LIBRARY, "requirements.txt": "click\n", "tests/test_it.py": "def test_it():\n    pass\n"})

    call("init")

    assert list(options(desk)) == ["compile", "ruff", "test", "node-tests", "eslint", "types"]
    setup = pipeline(desk).setup
    assert setup is not None
    assert setup.run.endswith("-r requirements.txt pytest && npm ci --no-audit --no-fund")
    assert setup.key == ("requirements.txt", "package.json", "package-lock.json")
    assert setup.keep == (".venv", "node_modules")


def test_what_needs_nothing_has_no_set_up(desk: Desk, call: Call) -> None:
    desk.commit({"package.json": '{"scripts": {"test": "node --test"}}', "test/it.test.mjs": NODE_TEST})

    call("init")

    assert pipeline(desk).setup is None
    assert list(options(desk)) == ["test"]


def test_without_tests_it_says_so_and_writes_no_test_gate(desk: Desk, call: Call) -> None:
    desk.commit({"package.json": '{"scripts": {"test": "node --test"}}', "index.js": "\n"})

    told = call("init")

    assert "No tests of Node were found" in told.out
    assert "does not load yet" in told.out


@pytest.mark.parametrize(
    "text", ["{", "[]", "[" * 100_000, '{"scripts": []}', '{"workspaces": 3, "scripts": {"test": 1}}']
)
def test_a_package_file_that_makes_no_sense_stops_nobody(desk: Desk, call: Call, text: str) -> None:
    desk.commit({"package.json": text})

    assert call("init").status == 0


REPORTS = f"--test-reporter=junit --test-reporter-destination={REPORT}"


@pytest.mark.parametrize(
    ("script", "run"),
    [
        ("node --test", f"node {REPORTS} --test"),
        ("node --import tsx --test 'test/**/*.ts'", f"node {REPORTS} --import tsx --test 'test/**/*.ts'"),
        ("node --test --test-reporter spec test/*.js", f"node {REPORTS} --test test/*.js"),
        ("NODE_ENV=test node --test", f"NODE_ENV=test node {REPORTS} --test"),
        ("vitest", f"vitest run --reporter=junit --outputFile={REPORT}"),
        ("vitest run --coverage", f"vitest run --reporter=junit --outputFile={REPORT} --coverage"),
        ("c8 mocha --reporter dot test", f"c8 mocha --reporter=xunit --reporter-option=output={REPORT} test"),
        (
            "cross-env A=b jest --watch",
            f"JEST_JUNIT_OUTPUT_FILE={REPORT} cross-env A=b jest --reporters=default --reporters=jest-junit",
        ),
    ],
)
def test_a_known_runner_writes_a_report(script: str, run: str) -> None:
    assert find_test_run({"test": script}, {"jest-junit"}) == ScriptRun(run, REPORT)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("jest", "jest-junit"),
        ("tap", "exit code"),
        ("node test.js", "exit code"),
        ("mocha | tee log", "exit code"),
        ("mocha; true", "exit code"),
        ("(cd a && mocha)", "exit code"),
        ("vitest & node --test", "exit code"),
        ("mocha 'unbalanced", "exit code"),
    ],
)
def test_another_runner_is_judged_by_its_exit_code_and_that_is_said(script: str, sentence: str) -> None:
    found = find_test_run({"test": script}, set())

    assert (found.run, found.report) == ("npm test", None)
    assert sentence in found.notes[0]


@pytest.mark.parametrize("script", [None, 'echo "Error: no test specified" && exit 1', "true", "exit 0"])
def test_a_script_that_tests_nothing_makes_no_gate(script: str | None) -> None:
    found = find_test_run({} if script is None else {"test": script}, set())

    assert found.run is None
    assert found.notes


def test_what_else_the_test_script_runs_is_said() -> None:
    scripts = {"test": "npm run lint && npm run unit && ./check.sh", "lint": "eslint .", "unit": "vitest run"}

    found = find_test_run(scripts, set())

    assert found.run == f"vitest run --reporter=junit --outputFile={REPORT}"
    assert found.notes == ("`npm test` runs `./check.sh` too, which no gate does.",)


def test_scripts_that_call_each_other_end() -> None:
    found = find_test_run({"test": "npm run a", "a": "npm run b", "b": "npm run a"}, set())

    assert found.run == "npm test"


@pytest.mark.parametrize(
    ("lock", "command"),
    [
        ("package-lock.json", "npm ci"),
        ("pnpm-lock.yaml", "pnpm install --frozen-lockfile"),
        ("yarn.lock", "yarn install --frozen-lockfile"),
        (None, "npm install"),
    ],
)
def test_the_lock_file_says_what_installs(tmp_path: Path, lock: str | None, command: str) -> None:
    folder = package(tmp_path, {lock: ""} if lock else {}, devDependencies={"vitest": "^4"})

    found = read_node_project(folder, ())

    assert found is not None
    assert found.install is not None
    assert found.install.startswith(command)
    assert found.key_files == ("package.json", *([lock] if lock else []))
    assert any("no lock file" in note for note in found.notes) is (lock is None)


def test_the_packages_of_a_workspace_are_keys_too_and_their_modules_are_kept(tmp_path: Path) -> None:
    found = read_node_project(package(tmp_path, {"package-lock.json": ""}, workspaces=["packages/*", "./tools"]), ())

    assert found is not None
    assert found.key_files == ("package.json", "package-lock.json", "packages/*/package.json", "tools/package.json")
    assert found.keep == ("node_modules", "packages/*/node_modules", "tools/node_modules")


def test_what_keeps_a_set_up_from_working_is_said(tmp_path: Path) -> None:
    files = {"yarn.lock": "", ".yarnrc.yml": "nodeLinker: pnp\n", ".npmrc": "//r/:_authToken=${NPM_TOKEN}\n"}

    found = read_node_project(package(tmp_path, files, scripts={"prepare": "husky"}, dependencies={"a": "1"}), ())

    assert found is not None
    assert found.install == "yarn install --immutable --ignore-scripts"
    assert found.key_files == ("package.json", "yarn.lock", ".npmrc", ".yarnrc.yml")
    for word in ("nodeLinker", "left out", "NPM_TOKEN"):
        assert any(word in note for note in found.notes)


def test_a_type_check_is_that_of_the_projects_own_script(tmp_path: Path) -> None:
    scripts = {"typecheck": "tsc -p tsconfig.build.json --noEmit --pretty"}
    folder = package(tmp_path, {"tsconfig.json": "{}"}, scripts=scripts, devDependencies={"typescript": "5"})

    found = read_node_project(folder, ())

    assert found is not None
    assert [gate.options["run"] for gate in found.gates] == ["tsc -p tsconfig.build.json --noEmit --pretty false"]


def test_eslint_without_a_configuration_is_no_gate(tmp_path: Path) -> None:
    found = read_node_project(package(tmp_path, devDependencies={"eslint": "9"}), ())

    assert found is not None
    assert found.gates == ()
