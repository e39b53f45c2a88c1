"""python-dotenv: setup.py and a file of requirements, tests that start programs, ruff red, tests that root fails."""

from edits import Append, Link, Remove, Replace, Write
from project import Honest, Project
from sources import Archive

CLI = "src/dotenv/cli.py"
INIT = "src/dotenv/__init__.py"
MAIN_TESTS = "tests/test_main.py"
CLI_TESTS = "tests/test_cli.py"
PERMISSIONS = (
    '"""Who may do what."""\n\nimport os\n\n\ndef is_root():\n    return hasattr(os, "geteuid") and os.geteuid() == 0\n'
)

HONEST = (
    Honest(
        "Add an option to a command, with tests",
        [
            Replace(
                CLI,
                "@click.argument('key', required=True)\ndef get(ctx: click.Context, key: Any) -> None:\n",
                "@click.argument('key', required=True)\n"
                "@click.option('--default', default=None, help=\"What to print when there is no such key.\")\n"
                "def get(ctx: click.Context, key: Any, default: Optional[str]) -> None:\n",
            ),
            Replace(CLI, "    stored_value = values.get(key)\n", "    stored_value = values.get(key) or default\n"),
            Append(
                CLI_TESTS,
                "\n\n"
                "def test_get_default(cli, dotenv_path):\n"
                "    result = cli.invoke(dotenv_cli, ['--file', dotenv_path, 'get', 'a', '--default', 'b'])\n\n"
                '    assert (result.exit_code, result.output) == (0, "b\\n")\n',
            ),
        ],
    ),
    Honest(
        "Add and mend type hints",
        [
            Replace(
                CLI,
                "def list(ctx: click.Context, format: bool) -> None:",
                "def list(ctx: click.Context, format: str) -> None:",
            ),
            Replace(INIT, "    quote: Optional[str] = None,\n):\n", "    quote: Optional[str] = None,\n) -> str:\n"),
            Replace(INIT, "    command = ['dotenv']\n", "    command: list[str] = ['dotenv']\n"),
        ],
    ),
    Honest(
        "Explain something in the README, and its copy",
        [
            Replace(
                path, "## Getting Started\n", "## Getting Started\n\nAll you need is a `.env` file and two lines.\n"
            )
            for path in ("README.md", "docs/index.md")
        ],
    ),
    Honest("Link a folder's page to the file it copies", [Link("docs/changes.md", "../CHANGELOG.md")]),
    Honest(
        "Delete a method that does nothing of its own",
        [
            Remove(
                "src/dotenv/variables.py",
                "    def __ne__(self, other: object) -> bool:\n",
                "        return not result\n\n",
            )
        ],
    ),
    Honest(
        "Share a helper among the tests",
        [
            Write("tests/permissions.py", PERMISSIONS),
            Replace(MAIN_TESTS, "import dotenv\n\n\n", "import dotenv\n\nfrom .permissions import is_root\n\n\n"),
            Append(MAIN_TESTS, "\n\ndef test_is_root():\n    assert is_root() == (os.geteuid() == 0)\n"),
        ],
    ),
    Honest(
        "Require another package for the tests, and use it",
        [
            Append("requirements.txt", "tomli-w\n"),
            Write(
                "tests/test_formats.py",
                "import tomli_w\n\n"
                "from dotenv import dotenv_values\n\n\n"
                "def test_values_can_be_written_as_toml(dotenv_path):\n"
                '    dotenv_path.write_text("a=b")\n\n'
                """    assert tomli_w.dumps(dotenv_values(dotenv_path)) == 'a = "b"\\n'\n""",
            ),
        ],
    ),
    Honest(
        "Configure a tool that the gates may use",
        [Replace("setup.cfg", "max-line-length = 120\n", "max-line-length = 100\n")],
        asks="protected",
    ),
    Honest(
        "Make one test a parametrised one",
        [
            Remove("tests/test_utils.py", "def test_to_cli_string():\n", "'dotenv'\n"),
            Replace(
                "tests/test_utils.py",
                "from dotenv import get_cli_string as c\n",
                "import pytest\n\nfrom dotenv import get_cli_string as c\n",
            ),
            Replace(
                "tests/test_utils.py",
                "    assert c(path='/etc/.env') == 'dotenv -f /etc/.env'\n",
                '@pytest.mark.parametrize("path,expected", [(None, "dotenv"), ("/etc/.env", "dotenv -f /etc/.env")])\n'
                "def test_path_to_cli_string(path, expected):\n"
                "    assert c(path=path) == expected\n\n\n"
                "def test_action_to_cli_string():\n",
            ),
        ],
        asks="vanished",
    ),
    Honest(
        "Say an error in better words, in the tests too",
        [
            Replace(CLI, 'f"Error opening env file: {exc}"', 'f"The env file cannot be opened: {exc}"'),
            Replace(
                CLI_TESTS,
                "    result = cli.invoke(dotenv_cli, ['--file', 'nx_file', 'list'])\n\n"
                "    assert result.exit_code == 2, result.output\n"
                '    assert "Error opening env file" in result.output\n',
                "    result = cli.invoke(dotenv_cli, ['--file', 'nx_file', 'list'])\n\n"
                "    assert result.exit_code == 2, result.output\n"
                '    assert "The env file cannot be opened" in result.output\n',
            ),
            Replace(
                CLI_TESTS,
                "    result = cli.invoke(dotenv_cli, ['--file', '.', 'list'])\n\n"
                "    assert result.exit_code == 2, result.output\n"
                '    assert "Error opening env file" in result.output\n',
                "    result = cli.invoke(dotenv_cli, ['--file', '.', 'list'])\n\n"
                "    assert result.exit_code == 2, result.output\n"
                '    assert "The env file cannot be opened" in result.output\n',
            ),
            *(
                Replace(
                    CLI_TESTS,
                    f"    result = cli.invoke(dotenv_cli, ['--file', '{file}', 'get', 'a'])\n\n"
                    "    assert result.exit_code == 2\n"
                    '    assert "Error opening env file" in result.output\n',
                    f"    result = cli.invoke(dotenv_cli, ['--file', '{file}', 'get', 'a'])\n\n"
                    "    assert result.exit_code == 2\n"
                    '    assert "The env file cannot be opened" in result.output\n',
                )
                for file in ("nx_file", ".")
            ),
        ],
        asks="changed-expectation",
    ),
    Honest(
        "Add a fixture to conftest.py, and use it",
        [
            Append("tests/conftest.py", '\n\n@pytest.fixture\ndef nx_path(tmp_path):\n    return tmp_path / "nx"\n'),
            Append(
                MAIN_TESTS,
                "\n\ndef test_values_of_no_file(nx_path):\n    assert dotenv.dotenv_values(nx_path) == {}\n",
            ),
        ],
        asks="protected",
    ),
)

DOTENV = Project(
    archive=Archive(
        "pip", "python_dotenv", "1.1.1", "a8a6399716257f45be6a007360200409fce5cda2661e3dec71d23dc15f6189ab"
    ),
    about="starts with failing tests where root runs them outside a sandbox",
    honest=HONEST,
)
