"""What programs that run other programs, or check what they are given, read without being told."""

from collections.abc import Mapping
from dataclasses import dataclass

Tables = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Runner:
    """What a program reads that runs other programs: a changed recipe would change what the gate checks."""

    programs: frozenset[str]
    files: tuple[str, ...] = ()
    tables: tuple[tuple[str, tuple[str, ...]], ...] = ()


RUNNERS = (
    Runner(frozenset({"make", "gmake"}), ("**/Makefile", "**/makefile", "**/GNUmakefile")),
    Runner(frozenset({"just"}), ("**/justfile", "**/Justfile", "**/.justfile")),
    Runner(frozenset({"task"}), ("**/Taskfile.y*ml",), (("**/pyproject.toml", ("tool.taskipy",)),)),
    Runner(
        frozenset({"tox"}),
        ("**/tox.toml",),
        (("**/tox.ini", ("tox", "tox:*", "testenv", "testenv:*")), ("**/pyproject.toml", ("tool.tox",))),
    ),
    Runner(frozenset({"nox"}), ("**/noxfile.py",)),
    Runner(frozenset({"pre-commit", "prek"}), ("**/.pre-commit-config.y*ml",)),
    Runner(frozenset({"hatch"}), ("**/hatch.toml",), (("**/pyproject.toml", ("tool.hatch.envs",)),)),
    Runner(frozenset({"poe"}), (), (("**/pyproject.toml", ("tool.poe",)),)),
    Runner(frozenset({"pdm"}), (), (("**/pyproject.toml", ("tool.pdm.scripts",)),)),
    Runner(frozenset({"inv", "invoke"}), ("**/tasks.py",)),
    Runner(frozenset({"mvn", "mvnw"}), ("**/pom.xml", "**/.mvn/**", "**/mvnw")),
    Runner(
        frozenset({"gradle", "gradlew"}),
        (
            *("**/build.gradle", "**/build.gradle.kts", "**/settings.gradle", "**/settings.gradle.kts"),
            *("**/gradle.properties", "**/gradle/wrapper/**", "**/gradlew"),
        ),
    ),
    Runner(frozenset({"golangci-lint"}), ("**/.golangci.*",)),
    Runner(
        frozenset({"cargo"}),
        (
            *("**/clippy.toml", "**/.clippy.toml", "**/rustfmt.toml", "**/.rustfmt.toml"),
            *("**/.cargo/config", "**/.cargo/config.toml", "**/rust-toolchain", "**/rust-toolchain.toml"),
        ),
        (("**/Cargo.toml", ("lints", "workspace.lints")),),
    ),
    Runner(frozenset({"bazel", "bazelisk"}), ("**/.bazelrc", "**/.bazelversion")),
    Runner(frozenset({"rake", "rspec", "bundle"}), ("**/Rakefile", "**/.rspec", "**/.rubocop.yml")),
    Runner(frozenset({"phpunit"}), ("**/phpunit.xml", "**/phpunit.xml.dist")),
    Runner(frozenset({"ty"}), ("**/ty.toml",), (("**/pyproject.toml", ("tool.ty",)),)),
    Runner(frozenset({"pyrefly"}), ("**/pyrefly.toml",), (("**/pyproject.toml", ("tool.pyrefly",)),)),
    Runner(frozenset({"pyre"}), ("**/.pyre_configuration*",)),
    Runner(frozenset({"bandit"}), ("**/.bandit", "**/bandit.yaml")),
    Runner(
        frozenset({"codespell"}),
        ("**/.codespellrc",),
        (("**/setup.cfg", ("codespell",)), ("**/pyproject.toml", ("tool.codespell",))),
    ),
    Runner(frozenset({"vulture"}), (), (("**/pyproject.toml", ("tool.vulture",)),)),
    Runner(frozenset({"interrogate"}), (), (("**/pyproject.toml", ("tool.interrogate",)),)),
    Runner(frozenset({"deptry"}), (), (("**/pyproject.toml", ("tool.deptry",)),)),
    Runner(
        frozenset({"lint-imports"}),
        ("**/.importlinter",),
        (("**/setup.cfg", ("importlinter*",)), ("**/pyproject.toml", ("tool.importlinter",))),
    ),
    Runner(frozenset({"yamllint"}), ("**/.yamllint*",)),
    Runner(frozenset({"shellcheck"}), ("**/.shellcheckrc", "**/shellcheckrc")),
    Runner(frozenset({"hadolint"}), ("**/.hadolint.y*ml",)),
    Runner(frozenset({"markdownlint", "markdownlint-cli2"}), ("**/.markdownlint*",)),
    Runner(
        frozenset(
            "npm npx yarn pnpm bun c8 nyc tsc eslint jest vitest mocha prettier stylelint biome playwright".split()
        ),
        (
            *("**/.npmrc", "**/.yarnrc", "**/.yarnrc.yml", "**/.pnpmfile.cjs", "**/bunfig.toml"),
            *("**/.babelrc*", "**/babel.config.*", "**/playwright.config.*", "**/biome.json*", "**/.eslintignore"),
            *("**/.prettierrc*", "**/prettier.config.*", "**/.prettierignore", "**/.stylelintrc*"),
            *("**/jest.config.*", "**/vitest.config.*", "**/vite.config.*", "**/.mocharc.*", "**/tsconfig*.json"),
            *("**/eslint.config.*", "**/.eslintrc*", "**/.c8rc*", "**/.nycrc*", "**/nyc.config.*"),
        ),
        (
            (
                "**/package.json",
                ("scripts", "jest", "mocha", "eslintConfig", "nyc", "c8", "prettier", "stylelint", "babel"),
            ),
        ),
    ),
)
