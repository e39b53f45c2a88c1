"""Promises of gates/environment.py and gates/preparation/, with real virtual environments, pip and setuptools."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest

from gatewright.gates.environment import PreparedEnvironment, SetupFailed, prepare_environment
from gatewright.gates.preparation import environment_cache
from gatewright.gates.preparation.installing import layer_install
from gatewright.schemas.pipeline import Install, Limits, Setup

PATH = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
FILES: Mapping[str, bytes] = {"requirements.txt": b"nothing\n"}
PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "artifact"
version = "1.2"
[tool.setuptools]
py-modules = ["artifact"]
[project.scripts]
artifact-tool = "artifact:main"
"""


def setup_of(run: str, **options: object) -> Setup:
    return Setup.model_validate({"run": run, "key": ["requirements.txt"], **options})


def prepare(
    setup: Setup | None, cache: Path, *, files: Mapping[str, bytes] = FILES, server: Mapping[str, str] | None = None
) -> PreparedEnvironment | SetupFailed:
    async def call() -> PreparedEnvironment | SetupFailed:
        server_environment = {"PATH": PATH, **(server or {})}
        return await prepare_environment(
            setup, files=files, cache=cache, limits=Limits(), report=lambda _: None, server=server_environment
        )

    return anyio.run(call)


def prepared(
    setup: Setup | None, cache: Path, *, files: Mapping[str, bytes] = FILES, server: Mapping[str, str] | None = None
) -> PreparedEnvironment:
    made = prepare(setup, cache, files=files, server=server)
    assert isinstance(made, PreparedEnvironment), made
    return made


def failed(setup: Setup, cache: Path, server: Mapping[str, str] | None = None) -> SetupFailed:
    made = prepare(setup, cache, server=server)
    assert isinstance(made, SetupFailed)
    return made


def install(
    environment: PreparedEnvironment, run: str | None, tree: Path, into: Path
) -> PreparedEnvironment | SetupFailed:
    async def call() -> PreparedEnvironment | SetupFailed:
        wanted = Install(run=run) if run else None
        return await layer_install(environment, wanted, tree=tree, into=into, limits=Limits())

    into.mkdir(parents=True)
    return anyio.run(call)


def layered(environment: PreparedEnvironment, run: str | None, tree: Path, into: Path) -> PreparedEnvironment:
    made = install(environment, run, tree, into)
    assert isinstance(made, PreparedEnvironment), made
    return made


def output_of(environment: PreparedEnvironment, command: str, cwd: Path) -> str:
    variables = {"PATH": environment.path, "PYTHONDONTWRITEBYTECODE": "1", **environment.variables}
    done = subprocess.run(["sh", "-c", command], cwd=cwd, env=variables, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def digest_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        digest.update(f"{path} {path.lstat().st_mode} {len(content)}\n".encode() + content)
    return digest.hexdigest()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> PreparedEnvironment:
    """A real environment with pip, setuptools, and a dependency with a console script and a `.pth` file."""
    packages = tmp_path_factory.mktemp("packages")
    found = importlib.util.find_spec("setuptools")
    assert found is not None
    assert found.origin is not None
    for pattern in ("pip*", "setuptools*", "_distutils_hack"):
        for folder in Path(found.origin).parent.parent.glob(pattern):
            shutil.copytree(folder, packages / folder.name, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    (packages / "dependency.py").write_text("def main():\n    import sys\n    print('dependency', sys.prefix)\n")
    (packages / "below").mkdir()
    (packages / "below" / "deeper.py").write_text("VALUE = 42\n")
    (packages / "below.pth").write_text("below\n")
    scripts = tmp_path_factory.mktemp("scripts")
    (scripts / "pip").write_text("#!PYTHON\nfrom pip._internal.cli.main import main\nraise SystemExit(main())\n")
    (scripts / "dependency").write_text("#!PYTHON\nfrom dependency import main\nmain()\n")
    run = (
        "python3 -m venv --without-pip .venv && cp -r "
        f"{packages}/. .venv/lib/python*/site-packages/ && for tool in pip dependency; do "
        f'sed "s#PYTHON#$PWD/.venv/bin/python#" {scripts}/$tool > .venv/bin/$tool; chmod 755 .venv/bin/$tool; done; '
        "mkdir -p node_modules/.bin; echo 'echo node tool' > node_modules/.bin/tool; chmod 755 node_modules/.bin/tool"
    )
    setup = setup_of(run, keep=[".venv", "node_modules"])
    server = {"GATEWRIGHT_READABLE": f"{packages}:{scripts}"}
    return prepared(setup, tmp_path_factory.mktemp("cache"), server=server)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A private copy of an artifact, with a `.git` of its own."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "pyproject.toml").write_text(PROJECT)
    (tree / "artifact.py").write_text("def main():\n    print('the artifact of this tree')\n")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "artifact"]):
        subprocess.run(["git", *command], cwd=tree, check=True)
    return tree


def test_without_setup_the_servers_own_programs_are_used(tmp_path: Path) -> None:
    environment = prepared(None, tmp_path)

    assert environment.root is None
    assert environment.python == Path(sys.executable).parent / "python3"
    assert environment.path == f"{PATH}:{Path(sys.executable).parent}"
    assert list(tmp_path.iterdir()) == []


def test_a_version_managers_script_is_asked_for_the_interpreter_once_and_not_in_the_artifact(tmp_path: Path) -> None:
    shims = tmp_path / "shims"
    shims.mkdir()
    (shims / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (shims / "python3").chmod(0o755)

    environment = prepared(None, tmp_path / "cache", server={"PATH": f"{shims}:/usr/bin:/bin"})

    assert environment.python == Path(sys.executable)


def test_setup_sees_the_key_files_only_and_runs_once_for_the_same_content(tmp_path: Path) -> None:
    setup = setup_of("ls -A > listing; cat requirements.txt /proc/uptime >> listing", keep=["listing"])

    first = prepared(setup, tmp_path / "cache")
    assert first.root is not None
    listing = (first.root / "listing").read_text()
    second = prepared(setup, tmp_path / "cache")

    assert first == second
    assert listing.startswith("listing\nrequirements.txt\nnothing\n")
    assert (first.root / "listing").read_text() == listing, "a second run would have seen another time"


def test_setup_runs_gatewright_where_it_is_installed_in_place(tmp_path: Path) -> None:
    """Found by the honest suite: `init` writes `gatewright requirements` into set-up."""
    program = Path(sys.executable).with_name("gatewright")

    made = prepare(setup_of(f"{program} --version"), tmp_path / "cache")

    assert isinstance(made, PreparedEnvironment), made


def test_other_key_files_get_an_environment_of_their_own(tmp_path: Path) -> None:
    setup = setup_of("true")
    contents: list[Mapping[str, bytes]] = [{"a": b"b"}, {"a": b"c"}, {"ab": b""}, {"a": b"b", "c": b""}, {}]

    keys = {prepared(setup, tmp_path, files=files).key for files in contents}
    keys.add(prepared(setup_of("true; true"), tmp_path, files={}).key)

    assert len(keys) == 6


def test_what_was_made_with_other_rights_is_not_used(tmp_path: Path) -> None:
    """An environment that a set-up with the network or a secret has made may hold what it got there."""
    rights: list[dict[str, object]] = [{"network": False}, {"network": True}, {"network": False, "secrets": ["TOKEN"]}]

    keys = {prepared(setup_of("true", **given), tmp_path, server={"TOKEN": "secret-value"}).key for given in rights}

    assert len(keys) == 3


def test_an_environment_that_was_not_finished_is_made_anew(tmp_path: Path) -> None:
    cache, gone = tmp_path / "cache", tmp_path / "gone"
    gone.write_text("")
    server = {"PATH": PATH, "GATEWRIGHT_READABLE": str(gone)}
    setup = setup_of(f"echo x > half; [ ! -e {gone} ] || sleep 300; ls -A > listing", keep=["listing"])

    async def cancelled_in_the_middle() -> None:
        async with anyio.create_task_group() as tasks:

            async def build() -> None:
                await prepare_environment(
                    setup, files=FILES, cache=cache, limits=Limits(), report=lambda _: None, server=server
                )

            tasks.start_soon(build)
            with anyio.fail_after(10):
                while not list(cache.glob("*/half")):  # noqa: ASYNC110 (another process's file has no event)
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()

    anyio.run(cancelled_in_the_middle)
    gone.unlink()
    (half,) = cache.glob("*/half")
    (half.parent / "left over").write_text("")
    environment = prepared(setup, cache)

    assert environment.root == half.parent
    assert (half.parent / "listing").read_text() == "half\nlisting\nrequirements.txt\n"
    assert not list(cache.glob("home-*")), "the private home is gone"


def test_one_builder_at_a_time_and_the_others_use_what_it_made(tmp_path: Path) -> None:
    setup = setup_of("sleep 0.3")
    said: list[str] = []

    async def build() -> None:
        await prepare_environment(
            setup, files=FILES, cache=tmp_path / "cache", limits=Limits(), report=said.append, server={"PATH": PATH}
        )

    async def build_twice() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(build)
            tasks.start_soon(build)

    anyio.run(build_twice)

    assert said.count("setup: building the environment") == 1
    assert "setup: waiting for another process that builds the same environment" in said, "both were under way"


def test_setup_gets_the_named_secrets_and_the_settings_for_indexes_and_nothing_else(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".config" / "pip").mkdir(parents=True)
    (home / ".config" / "pip" / "pip.conf").write_text("[global]\n")
    (home / ".rustup").mkdir()
    server = {
        "HOME": str(home),
        "API_KEY": "private",
        "UV_PUBLISH_TOKEN": "private",
        "UV_CACHE_DIR": str(home),
        "GATEWRIGHT_SECRET_TOKEN": "s3cret",
        "PIP_INDEX_URL": "index",
        "https_proxy": "proxy",
    }
    made = prepare(setup_of("env | sed s/s3cret/given/ > seen", secrets=["TOKEN"]), tmp_path / "cache", server=server)

    assert isinstance(made, PreparedEnvironment)
    assert made.root is not None
    seen = dict(line.split("=", 1) for line in (made.root / "seen").read_text().splitlines())
    expected = {"TOKEN": "given", "PIP_INDEX_URL": "index", "https_proxy": "proxy"}
    assert expected.items() <= seen.items()
    assert seen["PIP_CONFIG_FILE"] == f"{home}/.config/pip/pip.conf"
    assert seen["HOME"] != str(home)
    assert not {"API_KEY", "UV_PUBLISH_TOKEN", "UV_CACHE_DIR", "GATEWRIGHT_SECRET_TOKEN"} & seen.keys()
    assert made.variables == {"RUSTUP_HOME": f"{home}/.rustup"}, "gates get none of the rest"


def test_a_secret_that_setup_prints_is_not_told(tmp_path: Path) -> None:
    problem = failed(setup_of("echo $TOKEN; exit 1", secrets=["TOKEN"]), tmp_path, {"TOKEN": "s3cret"})

    assert problem.output == "(TOKEN)\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setup", "sentence", "could_not_judge"),
    [
        (setup_of("echo why; exit 3"), "`setup` ended with exit code 3.", False),
        (
            setup_of("true", keep=[".venv"]),
            "`setup` ended well but made no '.venv', which the pipeline says to keep.",
            False,
        ),
        (
            setup_of("no-such-tool"),
            "`setup` could not be run: The command names a program that was not found (exit code 127).",
            True,
        ),
        (
            setup_of("true", secrets=["TOKEN"]),
            "`setup` needs the secret 'TOKEN': the server's environment has neither it nor GATEWRIGHT_SECRET_TOKEN.",
            True,
        ),
        (
            setup_of('mkdir -p .venv/bin; touch "$HOME/python"; ln -s "$HOME/python" .venv/bin/python', keep=[".venv"]),
            "`setup` made a .venv without an interpreter, or one whose interpreter lay in the private home.",
            False,
        ),
        (setup_of("sleep 300", timeout="1s"), "`setup` could not be run: The program did not end within 1 s.", True),
    ],
)
def test_a_setup_that_fails_is_told_in_one_sentence_and_tried_again(
    tmp_path: Path, setup: Setup, sentence: str, could_not_judge: bool
) -> None:
    problem = failed(setup, tmp_path)

    assert problem.sentence == sentence
    assert problem.could_not_judge is could_not_judge
    assert failed(setup, tmp_path) == problem, "a failure is not cached"


def test_kept_paths_never_lie_outside(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()

    assert "made no '../outside'" in failed(setup_of("true", keep=["../outside"]), tmp_path / "cache").sentence


def test_unused_environments_beyond_the_bound_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment_cache, "ENVIRONMENTS_MAX", 2)
    old = [prepared(setup_of(f"echo {number}; mkdir -p ro/x; chmod 500 ro"), tmp_path).key for number in range(4)]
    for age_s, key in ((90_000, old[0]), (90_001, old[1]), (10, old[2]), (5, old[3])):
        marker = tmp_path / f"{key}.finished"
        used_at = marker.stat().st_mtime - age_s
        os.utime(marker, (used_at, used_at))

    prepared(setup_of("true"), tmp_path)

    assert not (tmp_path / old[0]).exists()
    assert not (tmp_path / old[1]).exists()
    assert (tmp_path / old[2]).exists(), "used too recently, although beyond the bound"
    assert (tmp_path / old[3]).exists()


@pytest.mark.slow
@pytest.mark.parametrize("installer", [".venv/bin/pip", "python -m pip"])
def test_installing_the_artifact_leaves_the_shared_environment_byte_identical(
    shared: PreparedEnvironment, tree: Path, tmp_path: Path, installer: str
) -> None:
    assert shared.root is not None
    before = digest_of(shared.root)

    own = layered(shared, f"{installer} install --no-deps --no-build-isolation .", tree, tmp_path / "layer")

    assert output_of(own, "artifact-tool", tmp_path) == "the artifact of this tree\n"
    where = output_of(own, "python -c 'import artifact; print(artifact.__file__)'", tmp_path)
    assert where.startswith(str(tmp_path / "layer" / ".venv" / "lib"))
    assert digest_of(shared.root) == before
    status = subprocess.run(["git", "status", "--porcelain"], cwd=tree, capture_output=True, text=True, check=True)
    assert ".venv" not in status.stdout
    assert "node_modules" not in status.stdout


def test_from_the_layer_everything_of_the_shared_environment_works(
    shared: PreparedEnvironment, tree: Path, tmp_path: Path
) -> None:
    own = layered(shared, None, tree, tmp_path / "layer")

    layer = tmp_path / "layer" / ".venv"
    assert output_of(own, "dependency", tree) == f"dependency {layer}\n", "scripts start the layer's interpreter"
    assert output_of(own, ".venv/bin/dependency", tree) == f"dependency {layer}\n"
    assert output_of(own, "python -c 'import deeper; print(deeper.VALUE)'", tree) == "42\n", "`.pth` files work"
    assert output_of(own, "tool", tree) == "node tool\n"
    assert (tree / "node_modules").is_symlink()
    assert own.python == layer / "bin" / "python"
    assert own.variables["VIRTUAL_ENV"] == str(layer)


@pytest.mark.slow
def test_a_layer_below_a_path_with_spaces_or_too_long_for_a_first_line_works(
    shared: PreparedEnvironment, tree: Path, tmp_path: Path
) -> None:
    into = tmp_path / "a folder with spaces" / ("long" * 30) / "layer"

    own = layered(shared, "pip --version && pip install --no-deps --no-build-isolation .", tree, into)

    assert output_of(own, "dependency", tree) == f"dependency {into}/.venv\n"
    assert output_of(own, "artifact-tool", tmp_path) == "the artifact of this tree\n"


def test_what_the_artifact_brings_itself_is_not_replaced(
    shared: PreparedEnvironment, tree: Path, tmp_path: Path
) -> None:
    (tree / ".venv").write_text("the artifact's own\n")
    (tree / "node_modules").mkdir()

    own = layered(shared, None, tree, tmp_path / "layer")

    assert (tree / ".venv").read_text() == "the artifact's own\n"
    assert not (tree / "node_modules").is_symlink()
    assert output_of(own, "python -c 'import sys; print(sys.prefix)'", tree) == f"{tmp_path}/layer/.venv\n"


@pytest.mark.slow
def test_an_artifact_that_cannot_be_installed_is_told_with_the_output(
    shared: PreparedEnvironment, tree: Path, tmp_path: Path
) -> None:
    (tree / "pyproject.toml").write_text("this is no TOML")

    problem = install(shared, "pip install --no-deps --no-build-isolation .", tree, tmp_path / "layer")

    assert isinstance(problem, SetupFailed)
    assert problem.sentence.startswith("`install` ended with exit code ")
    assert "TOMLDecodeError" in problem.output
    assert not problem.could_not_judge


@pytest.mark.slow
def test_without_setup_the_artifact_is_installed_over_the_servers_python(tree: Path, tmp_path: Path) -> None:
    environment = prepared(None, tmp_path / "cache")

    own = layered(environment, "python -m pip install --no-deps --no-build-isolation .", tree, tmp_path / "layer")

    where = output_of(own, "python -c 'import artifact, pytest; print(artifact.__file__)'", tmp_path)
    assert where.startswith(f"{tmp_path}/layer/.venv/lib"), "and what the server's python has is seen beside it"


def test_an_interpreter_that_does_not_work_is_told(shared: PreparedEnvironment, tree: Path, tmp_path: Path) -> None:
    broken = PreparedEnvironment(shared.key, shared.root, (".venv",), shared.path, Path("/bin/false"))

    problem = install(broken, None, tree, tmp_path / "layer")

    assert isinstance(problem, SetupFailed)
    assert problem.could_not_judge
    assert problem.sentence.startswith("The interpreter '/bin/false' does not work")
