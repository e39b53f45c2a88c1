"""structlog: hatch-vcs, a dependency group, tests in random order and on an event loop, ruff red from the start."""

from edits import Append, Move, Rename, Replace, Write
from project import Bad, Feature, Honest, Project

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

STRUCTLOG = Project("structlog", "26.1.0", "starts with ruff red", FEATURE, REFACTORING, DEPENDENCY, BAD)
