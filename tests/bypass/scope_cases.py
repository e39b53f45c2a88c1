"""What a stage may write, what every checkout has, and what a document must say: rules that no edit gets around."""

from .policy_cases import BAD_SUMS, BLACKBOX_FAILS, POLICY_LAYER
from .sample import SAMPLE, Files
from .suite import asked, bad, failed
from .workshop import Workshop


@bad(POLICY_LAYER, asked("scope", "attributes", ".gitattributes"), BLACKBOX_FAILS)
def attributes_that_filter(_: Workshop) -> Files:
    """Have other bytes be checked out than were judged."""
    return {**BAD_SUMS, ".gitattributes": "*.py filter=mend\n"}


@bad(POLICY_LAYER, asked("scope", "attributes", "calc/.gitattributes"))
def attributes_that_decode(_: Workshop) -> Files:
    """Have another encoding be written to everybody's disk, by attributes in a folder and through a macro."""
    return {"calc/.gitattributes": "[attr]plain working-tree-encoding=UTF-7\n*.py plain\n"}


@bad(POLICY_LAYER, BLACKBOX_FAILS)
def attributes_that_hide(_: Workshop) -> Files:
    """Leave the bad file out of archives, and have its lines end otherwise."""
    return {
        **BAD_SUMS,
        ".gitattributes": "calc/** export-ignore eol=crlf\n",
        ".editorconfig": "root = true\n[*]\nindent_size = 8\n",
    }


@bad(POLICY_LAYER, failed("document", "section-missing", "docs/guide.md"))
def document_with_headings_in_a_code_block(_: Workshop) -> Files:
    """Have the wanted headings where only a program that looks for `##` sees them."""
    return {"docs/guide.md": "# Guide\n\n```\n## Use\n\ntext\n```\n\n## Requirements\n\nR1: sums.\n"}


@bad(POLICY_LAYER, failed("document", "section-empty", "docs/guide.md"))
def document_with_nothing_said(_: Workshop) -> Files:
    """Fill a section with what nobody sees."""
    return {"docs/guide.md": "## Use\n\n<!-- nothing -->\n\n## Requirements\n\nR1: sums.\n"}


@bad(POLICY_LAYER, failed("document", "id-repeated", "R1"))
def document_with_two_requirements_of_one_id(_: Workshop) -> Files:
    """Number two requirements alike, so that one trace satisfies both."""
    return {"docs/guide.md": "## Use\n\nSo.\n\n## Requirements\n\nR1: sums.\nR1: halves.\n"}


@bad(POLICY_LAYER, failed("scope", "outside", "vendor/other.py"))
def outside_on_the_way(workshop: Workshop) -> str:
    """Change what the stage may not write, and take it back: the history that lands still has it."""
    first = workshop.commit({"vendor/other.py": "token = 'stolen'\n"})
    return workshop.commit({"vendor/other.py": SAMPLE["vendor/other.py"], "docs/more.md": "x\n"}, on=first)


@bad(POLICY_LAYER, failed("scope", "outside", "vendor/other.py"))
def outside_by_a_rename(_: Workshop) -> Files:
    """Move a file that the stage may not write to where it may write."""
    return {"vendor/other.py": None, "calc/other.py": SAMPLE["vendor/other.py"]}


@bad(POLICY_LAYER, failed("scope", "outside", "vendor/other.py"))
def outside_by_its_mode(workshop: Workshop) -> str:
    """Change only whether a file may be executed."""
    oid = workshop.git("rev-parse", "main:vendor/other.py")
    tree = workshop.tree(("100755", b"other.py", oid))
    items = [tuple(line.split(None, 3)) for line in workshop.git("ls-tree", "main").splitlines()]
    made = [(mode.lstrip("0"), name.encode(), tree if name == "vendor" else oid) for mode, _, oid, name in items]
    return workshop.commit_of(workshop.tree(*made), workshop.base)


@bad(POLICY_LAYER, failed("scope", "outside", "vendor/other.py"))
def outside_by_a_merge(workshop: Workshop) -> str:
    """Bring the change in as the other side of a merge, where the first parents show nothing of it."""
    side = workshop.commit({"vendor/other.py": "x = 3\n"})
    tree = workshop.git("rev-parse", f"{side}^{{tree}}")
    return workshop.commit_of(tree, workshop.base, side)


@bad(POLICY_LAYER, failed("scope", "nothing", ""))
def nothing_changed(workshop: Workshop) -> str:
    """Hand in a commit that changes nothing, for which no gate could object to anything."""
    return workshop.commit_of(workshop.git("rev-parse", "main^{tree}"), workshop.base)


@bad(POLICY_LAYER, failed("scope", "reserved", ".Gatewright"))
def file_among_workspaces(_: Workshop) -> Files:
    """Have a file land in the workspace of another agent."""
    return {".Gatewright": "x\n"}
