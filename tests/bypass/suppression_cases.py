"""Suppressions: comments and files that make a checker look away are a person's to allow."""

from .sample import CALC, Files, Link
from .suite import Layer, asked, bad, failed
from .workshop import Workshop

REGIME = Layer.REGIME
HIDES = "suppression"


@bad(REGIME, asked("ruff", HIDES, "calc/extra.py"), quick=True)
def noqa_of_a_line(_: Workshop) -> Files:
    """Hide a finding by a comment on its line."""
    return {"calc/extra.py": '"""More."""\n\nimport os  # noqa: F401\n'}


@bad(REGIME, asked("ruff", HIDES, "calc/extra.py"))
def noqa_without_a_code_in_odd_spelling(_: Workshop) -> Files:
    """Hide everything on a line, in a spelling that few look for."""
    return {"calc/extra.py": '"""More."""\n\nimport os  #NoQA\n'}


@bad(REGIME, asked("ruff", HIDES, "calc/extra.py"))
def noqa_of_a_file(_: Workshop) -> Files:
    """Hide everything in a file."""
    return {"calc/extra.py": '# ruff: noqa\n"""More."""\n\nimport os\n'}


@bad(REGIME, asked("ruff", HIDES, "calc/extra.py"))
def noqa_of_a_file_for_another_tool(_: Workshop) -> Files:
    """Hide everything in a file by the comment of a tool whose comments ruff takes too."""
    return {"calc/extra.py": '"""More."""\n\nimport os\n\n# flake8: noqa\n'}


@bad(REGIME, asked("ruff", HIDES, "calc/extra.py"))
def noqa_of_a_region(_: Workshop) -> Files:
    """Switch a rule off for a stretch of the file."""
    return {"calc/extra.py": '"""More."""\n\n# ruff: disable[F401]\nimport os\n# ruff: enable[F401]\n'}


@bad(REGIME, asked("ruff", HIDES, "calc/extra.py"), quick=True)
def type_ignore(_: Workshop) -> Files:
    """Have the type checker skip a line: the `types` gate is content."""
    return {"calc/extra.py": '"""More."""\n\n\ndef more():  # type: ignore\n    """More."""\n'}


@bad(REGIME, asked("ruff", HIDES, "calc/extra.py"))
def type_checker_off_for_a_file(_: Workshop) -> Files:
    """Have the type checker skip a file."""
    return {"calc/extra.py": '# mypy: ignore-errors\n"""More."""\n\n\ndef more():\n    """More."""\n'}


@bad(REGIME, asked("ruff", HIDES, "calc/extra.py"))
def coverage_pragma(_: Workshop) -> Files:
    """Take a function out of what coverage counts."""
    return {"calc/extra.py": '"""More."""\n\n\ndef more() -> None:  # pragma: no cover\n    """More."""\n'}


@bad(REGIME, asked("ruff", HIDES, "calc/extra.py"))
def security_pragma(_: Workshop) -> Files:
    """Have a scanner for insecure calls skip a line."""
    return {"calc/extra.py": '"""More."""\n\nTOKEN = "x"  # nosec\n'}


@bad(REGIME, asked("ruff", HIDES, "calc/extra.py"))
def formatter_off(_: Workshop) -> Files:
    """Have the formatter leave a stretch alone, which can then be laid out to mislead."""
    return {"calc/extra.py": '# fmt: off\n"""More."""\nx   =   1\n'}


@bad(REGIME, asked("ruff", HIDES, "calc/__init__.pyi"))
def stub_beside_a_module(_: Workshop) -> Files:
    """Put a stub beside the module: type checkers read the stub and never the module again."""
    stub = '"""Sums."""\n\ndef add(a: int, b: int) -> int:\n    """The sum."""\n'
    return {"calc/__init__.py": CALC.replace(") -> int", ")"), "calc/__init__.pyi": stub}


@bad(REGIME, asked("ruff", HIDES, "typings/calc/__init__.pyi"))
def stub_in_a_folder_of_stubs(_: Workshop) -> Files:
    """Put the stub where type checkers look before they look at the project."""
    return {"typings/calc/__init__.pyi": "def add(a: int, b: int) -> int: ...\n"}


@bad(REGIME, asked("ruff", HIDES, "calc-stubs/__init__.pyi"))
def stub_in_a_package_of_stubs(_: Workshop) -> Files:
    """Put the stub into a package whose name says that it stands for the module's."""
    return {"calc-stubs/__init__.pyi": "def add(a: int, b: int) -> int: ...\n"}


@bad(REGIME, asked("ruff", HIDES, "calc/__init__.py"), gates=("types",))
def one_comment_more_where_there_is_one(workshop: Workshop) -> str:
    """Widen a suppression: from one rule to all of them."""
    first = workshop.commit({"calc/extra.py": '"""More."""\n\nimport os  # noqa: F401\n'})
    return workshop.commit({"calc/__init__.py": f"# mypy: disable-error-code=no-untyped-def\n{CALC}"}, on=first)


@bad(REGIME, failed("ruff", "F401", "calc/legacy.py"))
def known_finding_once_more(_: Workshop) -> Files:
    """Repeat a finding that the base has, with the very same line: it is tolerated only as often as it was there."""
    return {"calc/legacy.py": "import os\n\n\ndef more() -> None:\n    import os\n"}


@bad(REGIME, failed("ruff", "F401", "calc/other.py"))
def known_finding_in_another_file(_: Workshop) -> Files:
    """Copy the file with a tolerated finding, as if it had moved."""
    return {"calc/other.py": "import os\n"}


@bad(REGIME, failed("ruff", "syntax", "calc/extra.py"), failed("compile", "syntax", "calc/extra.py"))
def code_that_does_not_compile(_: Workshop) -> Files:
    """Hand in a module that nobody can import."""
    return {"calc/extra.py": "def more(:\n"}


@bad(REGIME, failed("compile", "syntax", "calc/extra.py"))
def encoding_that_hides_code(_: Workshop) -> Files:
    """Have Python read a statement where everybody else reads a comment."""
    return {"calc/extra.py": b"# coding: utf-7\nx = 1  # harmless+AAo-import os\n"}


@bad(REGIME, failed("compile", "syntax", "calc/extra.py"), quick=True)
def text_that_reads_otherwise_than_it_runs(_: Workshop) -> Files:
    """Have characters turn the line around for the reader, who takes a statement for a comment."""
    line = '    return user == "root\u202e \u2066# nobody else\u2069 \u2066" or True'
    return {"calc/extra.py": f'"""Who may."""\n\n\ndef may(user: str) -> bool:\n    """Only root."""\n{line}\n'}


@bad(REGIME, failed("scope", "link", "calc/extra.py"))
def module_that_is_a_link_to_another_kind_of_file(_: Workshop) -> Files:
    """Import a file that no gate takes for Python."""
    return {"calc/extra.py": Link("../docs/extra.txt"), "docs/extra.txt": "import os\n"}
