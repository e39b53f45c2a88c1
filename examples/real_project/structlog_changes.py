"""structlog: hatch-vcs, a dependency group, tests in random order and on an event loop, ruff red from the start."""

from edits import Append, Delete, Move, MoveFile, Reformat, Rename, Replace, Write
from project import Bad, Feature, Honest, Journey, Project
from sources import Archive

PROCESSORS = "src/structlog/processors.py"
PROCESSORS_TESTS = "tests/processors/test_processors.py"
DEV = "src/structlog/dev.py"
PADDING = "src/structlog/_padding.py"
LICENCE = (
    "# SPDX-License-Identifier: MIT OR Apache-2.0\n"
    "# This file is dual licensed under the terms of the Apache License, Version\n"
    "# 2.0, and the MIT License.  See the LICENSE file in the root of this\n"
    "# repository for complete details.\n\n"
)

FEATURE = Feature(
    title="Let EventRenamer keep the event under its old name",
    wrong=[
        Replace(
            PROCESSORS,
            "    def __init__(self, to: str, replace_by: str | None = None):\n"
            "        self.to = to\n"
            "        self.replace_by = replace_by\n",
            "    def __init__(\n"
            "        self, to: str, replace_by: str | None = None, *, keep: bool = False\n"
            "    ):\n"
            "        self.to = to\n"
            "        self.replace_by = replace_by\n"
            "        self.keep = keep\n",
        ),
        # It is kept whether that was wanted or not: a test that was there before fails.
        Replace(
            PROCESSORS,
            '        event = event_dict.pop("event")\n        event_dict[self.to] = event\n',
            '        event = event_dict["event"]\n        event_dict[self.to] = event\n',
        ),
        Append(
            PROCESSORS_TESTS,
            "\n"
            "    def test_keep(self):\n"
            '        """\n'
            "        The event stays under its old name if that is asked for.\n"
            '        """\n'
            '        assert {"msg": "hi", "event": "hi"} == EventRenamer(\n'
            '            "msg", keep=True\n'
            '        )(None, None, {"event": "hi"})\n',
        ),
    ],
    where=r"tests/processors/test_processors\.py:\d+",
    right=[
        Replace(
            PROCESSORS,
            '        event = event_dict["event"]\n        event_dict[self.to] = event\n',
            '        event = event_dict["event"] if self.keep else event_dict.pop("event")\n'
            "        event_dict[self.to] = event\n",
        )
    ],
)

REFACTORING = Honest(
    title="Name the frames of callers for what they are, and give the padding a module",
    edits=[
        Rename(
            "_ASYNC_CALLING_STACK",
            "_ASYNC_CALLER_FRAME",
            [f"src/structlog/{name}.py" for name in ("contextvars", "_frames", "_native", "stdlib")],
        ),
        Write(
            PADDING,
            LICENCE + '"""\nPadding of text.\n"""\n\nfrom __future__ import annotations\n\n\n',
        ),
        Move(DEV, "def _pad(s: str,", 'return s + " " * (max(0, missing))\n', PADDING),
        Replace(
            DEV,
            "from ._frames import _format_exception\n",
            "from ._frames import _format_exception\nfrom ._padding import _pad\n",
        ),
    ],
)

DEPENDENCY = Honest(
    title="Render events as TOML",
    edits=[
        Replace(
            "pyproject.toml",
            """dependencies = ["typing-extensions; python_version<'3.11'"]\n""",
            """dependencies = ["tomli-w", "typing-extensions; python_version<'3.11'"]\n""",
        ),
        Write(
            "src/structlog/toml.py",
            LICENCE + '"""\nTOML as an output format.\n"""\n\n'
            "from __future__ import annotations\n\n"
            "import tomli_w\n\n"
            "from .typing import EventDict, WrappedLogger\n\n\n"
            "class TOMLRenderer:\n"
            '    """\n'
            "    Render the ``event_dict`` as a TOML document.\n"
            '    """\n\n'
            "    def __call__(\n"
            "        self, logger: WrappedLogger, name: str, event_dict: EventDict\n"
            "    ) -> str:\n"
            "        return tomli_w.dumps(event_dict)\n",
        ),
        Write(
            "tests/test_toml.py",
            LICENCE + "from structlog.toml import TOMLRenderer\n\n\n"
            "class TestTOMLRenderer:\n"
            "    def test_renders(self):\n"
            '        """\n'
            "        An event becomes a document.\n"
            '        """\n'
            """        assert 'event = "hi"\\n' == TOMLRenderer()(\n"""
            '            None, None, {"event": "hi"}\n'
            "        )\n",
        ),
    ],
)

BAD = Bad(
    title="Decode without a detour",
    breaking=[
        Replace(
            PROCESSORS, "            if isinstance(value, bytes):\n", "            if isinstance(value, bytearray):\n"
        )
    ],
    where=r"tests/processors/test_processors\.py:\d+",
    hiding=[
        Replace(
            PROCESSORS_TESTS,
            "class TestUnicodeDecoder:\n",
            '@pytest.mark.skip(reason="not needed any more")\nclass TestUnicodeDecoder:\n',
        )
    ],
)

HONEST = (
    Honest(
        "Take in what has landed meanwhile",
        [
            Replace(
                "src/structlog/_utils.py",
                "def get_processname() -> str:\n    # based on code from\n",
                "def get_processname() -> str:\n    # Based on code from\n",
            )
        ],
        meanwhile=[
            Replace("CHANGELOG.md", "<!-- changelog follows -->\n", "<!-- changelog follows -->\n\n\n## Unreleased\n"),
            Replace(DEV, '"""\nHelpers that make development', '"""\nHelpers which make development'),
            Append(
                "tests/test_utils.py",
                "\n"
                "    def test_is_text(self):\n"
                '        """\n'
                "        The name is text.\n"
                '        """\n'
                "        assert isinstance(get_processname(), str)\n",
            ),
        ],
        is_sampled=True,
    ),
    Honest(
        "Move a test file into a folder of its own",
        [
            Write("tests/internal/__init__.py", ""),
            MoveFile("tests/test_utils.py", "tests/internal/test_utils.py"),
        ],
    ),
    Honest(
        "Move a module that has findings, and re-export it",
        [
            MoveFile("src/structlog/_output.py", "src/structlog/_output_loggers.py"),
            Write(
                "src/structlog/_output.py",
                LICENCE + '"""\nThe former place of `structlog._output_loggers`.\n"""\n\n'
                "from __future__ import annotations\n\n"
                "from ._output_loggers import WRITE_LOCKS, stderr, stdout\n\n\n"
                '__all__ = ["WRITE_LOCKS", "stderr", "stdout"]\n',
            ),
            Replace(
                "src/structlog/__init__.py",
                "from structlog._output import (",
                "from structlog._output_loggers import (",
            ),
            Replace(
                "src/structlog/_config.py",
                "from ._output import PrintLoggerFactory",
                "from ._output_loggers import PrintLoggerFactory",
            ),
            Replace("tests/test_output.py", "from structlog._output import", "from structlog._output_loggers import"),
        ],
    ),
    Honest(
        "Keep a checker from looking at a line",
        [
            Replace(
                "src/structlog/_utils.py",
                '    mp: Any = sys.modules.get("multiprocessing")\n',
                '    mp: Any = sys.modules.get("multiprocessing")  # type: ignore[assignment]\n',
            )
        ],
        asks="suppression",
    ),
    Honest(
        "Add a file of tests on an event loop",
        [
            Write(
                "tests/test_loops.py",
                LICENCE + "import asyncio\n\n"
                "import structlog\n\n\n"
                "async def test_context_is_kept_across_awaits():\n"
                '    """\n'
                "    What was bound before is there afterwards.\n"
                '    """\n'
                "    with structlog.contextvars.bound_contextvars(a=1):\n"
                "        await asyncio.sleep(0)\n"
                '        assert {"a": 1} == structlog.contextvars.get_contextvars()\n',
            )
        ],
    ),
    Honest(
        "Write a page of documentation, and mend another",
        [
            Write("docs/faq.md", "# Questions\n\n## Is it fast?\n\nYes.\n"),
            Replace("docs/index.md", "# structlog\n", "# structlog\n\nSee also the [questions](faq).\n"),
        ],
    ),
    Honest("Lay one module out with longer lines", [Reformat([DEV], line_length=100)]),
    Honest(
        "Delete the tests of a deprecated module",
        [
            Delete("tests/test_threadlocal.py"),
            Append("CHANGELOG.md", "\nThread-local contexts will go; their tests went first.\n"),
        ],
        asks="vanished",
    ),
)

STRUCTLOG = Project(
    archive=Archive("pip", "structlog", "26.1.0", "f63a716cbd1b1291cf7661de7794b455acfa4c43c5bcf1630e6ad5ddc1adb3b7"),
    about="starts green under the ruff that it pins, red under others",
    honest=HONEST,
    journey=Journey(FEATURE, REFACTORING, DEPENDENCY, BAD),
)
