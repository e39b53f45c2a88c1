"""sqlparse: its version in a source file, tests expected to fail, a test tool for hatch only, and ruff red."""

from edits import Append, Commit, Delete, MoveFile, Rename, Replace, Write
from project import Honest, Project
from sources import Archive

CLI = "sqlparse/cli.py"
UTILS = "sqlparse/utils.py"
CLI_TESTS = "tests/test_cli.py"
SPLIT_TESTS = "tests/test_split.py"
SOURCES_THAT_MATCH = [UTILS, "sqlparse/sql.py", "sqlparse/engine/grouping.py"]
NOTICE = (
    "#\n"
    "# Copyright (C) 2009-2020 the sqlparse authors and contributors\n"
    "# <see AUTHORS file>\n"
    "#\n"
    "# This module is part of python-sqlparse and is released under\n"
    "# the BSD License: https://opensource.org/licenses/BSD-3-Clause\n\n"
)
MORE_KEYWORDS = "".join(f"    'XKEYWORD{number:05}': tokens.Keyword,\n" for number in range(5_000))
WRITE = "    s = sqlparse.format(data, **formatter_opts)\n    stream.write(s)\n    stream.flush()\n"

HONEST = (
    Honest(
        "Add a flag to the command line, with tests and documentation",
        [
            Replace(
                CLI,
                "    group = parser.add_argument_group('Formatting Options')\n",
                "    parser.add_argument(\n"
                "        '--check',\n"
                "        dest='check',\n"
                "        action='store_true',\n"
                "        default=False,\n"
                "        help='only tell whether FILE would be changed')\n\n"
                "    group = parser.add_argument_group('Formatting Options')\n",
            ),
            Replace(
                CLI,
                WRITE,
                WRITE.replace(
                    "    stream.write", "    if args.check:\n        return int(s != data)\n    stream.write"
                ),
            ),
            Append(
                CLI_TESTS,
                "\n\n"
                "def test_check_tells_of_a_change(filepath):\n"
                "    path = filepath('function.sql')\n"
                "    assert sqlparse.cli.main([path, '--check', '-k', 'lower']) == 1\n\n\n"
                "def test_check_tells_of_none(tmp_path, capsys):\n"
                "    path = tmp_path / 'one.sql'\n"
                "    path.write_text('select 1;')\n"
                "    assert sqlparse.cli.main([str(path), '--check']) == 0\n"
                "    assert capsys.readouterr().out == ''\n",
            ),
            Replace(
                "docs/source/ui.rst",
                "  hints.\n",
                "  hints. With ``--check`` it only tells whether the file would be changed.\n",
            ),
        ],
        is_sampled=True,
    ),
    Honest(
        "Fix a crash, with the row of a test that was red before",
        [
            Replace(UTILS, "    if val is None:\n        return\n", "    if not val:\n        return val\n"),
            Replace("tests/test_utils.py", "    [None, None],\n", "    [None, None],\n    ['', ''],\n"),
        ],
        is_sampled=True,
    ),
    Honest("Rename a function across files", [Rename("imt", "matches_any", SOURCES_THAT_MATCH)]),
    Honest(
        "Move a module and re-export what it had",
        [
            MoveFile("sqlparse/exceptions.py", "sqlparse/errors.py"),
            Write(
                "sqlparse/exceptions.py",
                f'{NOTICE}"""The former place of the errors."""\n\n'
                "from sqlparse.errors import SQLParseError\n\n"
                "__all__ = ['SQLParseError']\n",
            ),
            Rename("sqlparse.exceptions", "sqlparse.errors", [CLI, "sqlparse/engine/filter_stack.py"]),
            Replace("sqlparse/formatter.py", "from sqlparse.exceptions import", "from sqlparse.errors import"),
        ],
    ),
    Honest(
        "Raise the version and say so in the changelog",
        [
            Replace("sqlparse/__init__.py", "__version__ = '0.5.3'", "__version__ = '0.5.4.dev0'"),
            Replace(
                "CHANGELOG",
                "Release 0.5.3 (Dez 10, 2024)\n",
                "Development Version\n-------------------\n\nNothing yet.\n\n\nRelease 0.5.3 (Dez 10, 2024)\n",
            ),
        ],
    ),
    Honest(
        "Skip a test, and say why",
        [
            Replace(
                SPLIT_TESTS,
                "def test_split_backslash():\n",
                "@pytest.mark.skip(reason='depends on the dialect')\ndef test_split_backslash():\n",
            )
        ],
        asks="silenced",
    ),
    Honest(
        "Add a fixture with Windows line endings, and its test",
        [
            Write("tests/files/crlf.sql", b"select 1;\r\nselect 2;\r\n"),
            Append(
                SPLIT_TESTS,
                "\n\ndef test_split_crlf(load_file):\n    assert len(sqlparse.split(load_file('crlf.sql'))) == 2\n",
            ),
        ],
    ),
    Honest(
        "Add a binary fixture, and its test",
        [
            Write("tests/files/encoding_utf16.sql", "select 'ä€';\n".encode("utf-16")),
            Append(
                "tests/test_format.py",
                "\n\n"
                "def test_format_utf16(load_file):\n"
                "    sql = load_file('encoding_utf16.sql', 'utf-16')\n"
                "    assert sqlparse.format(sql) == \"select 'ä€';\"\n",
            ),
        ],
    ),
    Honest(
        "Add a package with a folder of tests",
        [
            Write("sqlparse/dialects/__init__.py", f'{NOTICE}"""What dialects have of their own."""\n'),
            Write(
                "sqlparse/dialects/mysql.py",
                f'{NOTICE}"""MySQL."""\n\n\n'
                "def quote_identifier(name):\n"
                '    """Quote a name with backticks."""\n'
                "    return '`{}`'.format(name.replace('`', '``'))\n",
            ),
            Write("tests/dialects/__init__.py", ""),
            Write(
                "tests/dialects/test_mysql.py",
                "from sqlparse.dialects.mysql import quote_identifier\n\n\n"
                "def test_quote_identifier():\n"
                "    assert quote_identifier('a`b') == '`a``b`'\n",
            ),
        ],
    ),
    Honest(
        "Ignore more files, and lay out editors' lines alike",
        [
            Append(".gitignore", "/\n.venv/\n*.swp\n"),
            Write(".editorconfig", "root = true\n\n[*.py]\nindent_style = space\nindent_size = 4\n"),
        ],
    ),
    Honest(
        "Extract a function, in several commits, one empty and one broken",
        [
            Replace(CLI, WRITE, "    _write(stream, sqlparse.format(data, **formatter_opts))\n"),
            Commit("Extract the writing: not yet there"),
            Commit("Ask for another run of CI"),
            Replace(
                CLI,
                "def main(args=None):\n",
                "def _write(stream, text):\n    stream.write(text)\n    stream.flush()\n\n\ndef main(args=None):\n",
            ),
        ],
        is_sampled=True,
    ),
    Honest(
        "Generate a module of five thousand lines",
        [
            Write(
                "sqlparse/more_keywords.py",
                f"{NOTICE}# Generated: do not edit.\n\n"
                f"from sqlparse import tokens\n\nKEYWORDS = {{\n{MORE_KEYWORDS}}}\n",
            )
        ],
    ),
    Honest(
        "Rename a test",
        [Replace(SPLIT_TESTS, "def test_split_semicolon():", "def test_split_at_semicolons_but_not_in_text():")],
        asks="vanished",
        is_sampled=True,
    ),
    Honest("Delete an example nobody runs", [Delete("examples/column_defs_lowlevel.py")]),
)

ARCHIVE = Archive("pip", "sqlparse", "0.5.3", "09f67787f56a0b16ecdbde1bfc7f5d9c3371ca683cfeaa8e6ff60b4807ec9272")
SQLPARSE = Project(ARCHIVE, "starts with tests that are expected to fail", HONEST)
SQLPARSE_RED = Project(
    ARCHIVE,
    "held to rules that it breaks dozens of times",
    tuple(change for change in HONEST if change.title.startswith(("Fix a crash", "Move a module", "Extract a"))),
    rules="select: [E4, E7, E9, W, F, UP, B]",
)
