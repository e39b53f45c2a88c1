"""The store: what is no sound commit above the base never gets to a gate."""

import zlib

from .sample import BROKEN, Files, Link, Submodule
from .suite import Layer, asked, bad, failed, refused
from .workshop import Workshop

STORE = Layer.STORE
NOT_FULL = "full"


def nothing_was_taken(workshop: Workshop) -> None:
    """No program that an attack names was run."""
    assert not [place for place in workshop.root.iterdir() if place.name in {"taken", "ran"}]


@bad(STORE, refused("bad_artifact", NOT_FULL))
def abbreviated_id(workshop: Workshop) -> str:
    """Name a commit by the first digits, to which another object can be made later."""
    return workshop.commit({"calc/__init__.py": BROKEN})[:12]


@bad(STORE, refused("bad_artifact", NOT_FULL))
def ref_name(workshop: Workshop) -> str:
    """Name a branch, which can be moved between the judgement and the landing."""
    workshop.git("update-ref", "refs/heads/evil", workshop.commit({"calc/__init__.py": f"{BROKEN}\n"}))
    return "refs/heads/evil"


@bad(STORE, refused("bad_artifact", NOT_FULL), quick=True, afterwards=nothing_was_taken)
def option_as_id(workshop: Workshop) -> str:
    """Give git an option that runs a program where it expects an id."""
    return f"--upload-pack=touch {workshop.root / 'taken'}"


@bad(STORE, refused("bad_artifact", NOT_FULL))
def revision_expression(workshop: Workshop) -> str:
    """Put an operator behind a full id, which git would resolve to something else than what was named."""
    return workshop.commit({"calc/__init__.py": f"{BROKEN}# x\n"}) + "^{/Work}"


@bad(STORE, refused("bad_artifact", NOT_FULL))
def upper_case_id(workshop: Workshop) -> str:
    """Spell an id in capitals: git takes it, and whoever compares texts sees another artifact."""
    return workshop.commit({"calc/__init__.py": f"# capitals\n{BROKEN}"}).upper()


@bad(STORE, refused("bad_artifact", "tag"))
def tag_object(workshop: Workshop) -> str:
    """Hand in a tag, which leads to a commit and can say anything about it."""
    commit = workshop.commit({"calc/__init__.py": f"# tagged\n{BROKEN}"})
    text = f"object {commit}\ntype commit\ntag v1\ntagger Eve <eve@example.org> 1700000000 +0000\n\nv1\n"
    return workshop.object("tag", text.encode())


@bad(STORE, refused("bad_artifact", "tree"))
def tree_object(workshop: Workshop) -> str:
    """Hand in a tree: contents without a history that could be judged."""
    return workshop.git("rev-parse", workshop.commit({"calc/__init__.py": f"# tree\n{BROKEN}"}) + "^{tree}")


@bad(STORE, refused("bad_artifact", "descend"), quick=True)
def unrelated_history(workshop: Workshop) -> str:
    """Begin a history of its own, so that there is no base to compare with."""
    return workshop.commit({"calc/__init__.py": BROKEN}, on=None)


@bad(STORE, refused("bad_artifact", "descend"), is_alone=True)
def grafted_descent(workshop: Workshop) -> str:
    """Have the shared repository claim that an unrelated commit descends from the base."""
    commit = workshop.commit({"calc/__init__.py": BROKEN, "grafted": ""}, on=None)
    (workshop.common_dir / "info").mkdir(exist_ok=True)
    (workshop.common_dir / "info" / "grafts").write_text(f"{commit} {workshop.base}\n")
    return commit


@bad(STORE, failed("blackbox", "exit-code", "add 2 3"), is_alone=True, quick=True)
def replaced_commit(workshop: Workshop) -> str:
    """Show an honest commit wherever the shared repository is asked for the bad one."""
    commit = workshop.commit({"calc/__init__.py": BROKEN, "replaced": ""})
    workshop.git("replace", commit, workshop.commit({"docs/guide.md": "# Guide\n"}))
    return commit


@bad(STORE, refused("bad_artifact", "cannot be taken over"), is_alone=True)
def overwritten_object(workshop: Workshop) -> str:
    """Put other bytes under the id of an object of the commit: a checkout would serve them."""
    commit = workshop.commit({"calc/__init__.py": BROKEN, "overwritten": ""})
    place = workshop.loose(workshop.git("rev-parse", f"{commit}:calc/__init__.py"))
    place.chmod(0o600)
    place.write_bytes(zlib.compress(b"blob 2\0x\n"))
    return commit


@bad(STORE, refused("bad_artifact", "cannot be"), is_alone=True)
def missing_object(workshop: Workshop) -> str:
    """Leave a file of the commit out, to bring it along when the judgement is over."""
    commit = workshop.commit({"calc/__init__.py": BROKEN, "missing": ""})
    workshop.loose(workshop.git("rev-parse", f"{commit}:calc/__init__.py")).unlink()
    return commit


@bad(STORE, refused("bad_artifact", "shallow"), is_alone=True)
def shallow_repository(workshop: Workshop) -> str:
    """Cut the history off, so that every commit seems to be a beginning."""
    commit = workshop.commit({"calc/__init__.py": BROKEN, "shallow": ""})
    (workshop.common_dir / "shallow").write_text(f"{commit}\n")
    return commit


@bad(STORE, failed("blackbox", "exit-code", "add 2 3"), is_alone=True, afterwards=nothing_was_taken)
def repository_with_hooks_and_filters(workshop: Workshop) -> str:
    """Have hooks, filters and included settings of the shared repository mend the files that are judged."""
    commit = workshop.commit({"calc/__init__.py": BROKEN, "filtered": ""})
    evil = workshop.repository / "evil.sh"
    evil.write_text(f"#!/bin/sh\ntouch {workshop.root}/ran\nsed 's/a - b/a + b/'\n")
    evil.chmod(0o755)
    for name in ("post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc"):
        (workshop.common_dir / "hooks").mkdir(exist_ok=True)
        (workshop.common_dir / "hooks" / name).symlink_to(evil)
    for key in ("filter.evil.smudge", "core.fsmonitor", "core.sshCommand", "uploadpack.packObjectsHook"):
        workshop.git("config", key, str(evil))
    (workshop.common_dir / "info").mkdir(exist_ok=True)
    (workshop.common_dir / "info" / "attributes").write_text("* filter=evil\n")
    return commit


@bad(STORE, refused("bad_artifact", "cannot be taken over"))
def duplicate_entries(workshop: Workshop) -> str:
    """Have two files of one name in a folder: who reads the first and who the last see other programs."""
    names = workshop.git("ls-tree", "main").splitlines()
    entry = next(line.split() for line in names if line.endswith("Makefile"))
    return workshop.with_item("100644", b"Makefile", entry[2])


@bad(STORE, refused("bad_artifact", "cannot be taken over"))
def git_folder_in_the_tree(workshop: Workshop) -> str:
    """Bring a `.git` along, whose settings would be read by whoever runs git in the checkout."""
    config = workshop.object("blob", b"[core]\n\tfsmonitor = touch /tmp/never\n")
    return workshop.with_item("40000", b".git", workshop.tree(("100644", b"config", config)))


@bad(STORE, refused("bad_artifact", "cannot be taken over"))
def git_folder_by_its_short_name(workshop: Workshop) -> str:
    """Bring the same folder under the short name by which Windows opens it."""
    config = workshop.object("blob", b"[core]\n\tfsmonitor = touch /tmp/never\n")
    return workshop.with_item("40000", b"GIT~1", workshop.tree(("100644", b"config", config)))


@bad(STORE, refused("bad_artifact", "UTF-8"))
def name_that_is_no_text(workshop: Workshop) -> str:
    """Name a file in bytes that no program decodes alike."""
    return workshop.with_item("100644", b"caf\xe9.py", workshop.object("blob", b"x = 1\n"))


@bad(STORE, refused("bad_artifact", "cannot be taken over"))
def padded_mode(workshop: Workshop) -> str:
    """Write a mode that git reads and others read otherwise."""
    return workshop.with_item("0100644", b"padded.py", workshop.object("blob", b"x = 1\n"))


@bad(STORE, refused("bad_artifact", "cannot be taken over"))
def submodule_settings_with_an_option(workshop: Workshop) -> str:
    """Have the address of a submodule be an option of the program that fetches it."""
    text = '[submodule "x"]\n\tpath = x\n\turl = --upload-pack=touch taken\n'
    return workshop.commit({".gitmodules": text})


@bad(STORE, refused("too_large", "entries"), quick=True)
def bomb_of_folders(workshop: Workshop) -> str:
    """Unfold ten objects into ten thousand million files."""
    blob = workshop.object("blob", b"")
    tree = workshop.tree(*(("100644", f"{n}".encode(), blob) for n in range(10)))
    for _ in range(9):
        tree = workshop.tree(*(("40000", f"{n}".encode(), tree) for n in range(10)))
    return workshop.with_item("40000", b"bomb", tree)


@bad(STORE, refused("too_large", "nested"))
def bomb_of_depth(workshop: Workshop) -> str:
    """Nest folders deeper than any program's stack."""
    tree = workshop.tree(("100644", b"x", workshop.object("blob", b"")))
    for _ in range(80):
        tree = workshop.tree(("40000", b"d", tree))
    return workshop.with_item("40000", b"deep", tree)


@bad(STORE, refused("too_large", "bytes"))
def bomb_of_bytes(workshop: Workshop) -> str:
    """Name one file of a megabyte a hundred times."""
    blob = workshop.object("blob", b"\0" * 1_000_000)
    return workshop.with_item(
        "40000", b"big", workshop.tree(*(("100644", f"{n:03}".encode(), blob) for n in range(99)))
    )


@bad(STORE, refused("too_large", "commits"))
def bomb_of_commits(workshop: Workshop) -> str:
    """Hide a bad commit among more than anybody looks through."""
    who = "committer Eve <eve@example.org> 1700000000 +0000\ndata 0\n"
    lines = [
        f"commit refs/bypass/many\nmark :{n}\n{who}from {':' + str(n - 1) if n > 1 else workshop.base}\n"
        for n in range(1, 1_103)
    ]
    content = "M 100644 inline calc/many.py\ndata 6\nx = 1\n\n"
    marks = workshop.root / "many"
    workshop.git(
        "fast-import", "--quiet", "--force", f"--export-marks={marks}", stdin=f"{''.join(lines)}{content}".encode()
    )
    return marks.read_text().strip().rpartition(" ")[2]


@bad(STORE, failed("scope", "size", "1000001 bytes"))
def one_large_file(_: Workshop) -> Files:
    """Hand in a file that is larger than the policy allows."""
    return {"calc/data.bin": b"\0" * 1_000_001}


@bad(STORE, failed("scope", "collision", "README"))
def names_that_differ_by_case(_: Workshop) -> Files:
    """Have two files that are one on the disks of other people."""
    return {"README": "honest\n", "readme": "not\n"}


@bad(STORE, failed("scope", "collision"))
def names_that_differ_by_normal_form(_: Workshop) -> Files:
    """Have two files whose names look the same and are composed otherwise."""
    return {"docs/\u00e9.md": "one\n", "docs/e\u0301.md": "two\n"}


@bad(STORE, failed("scope", "name", "invisible"))
def name_that_reads_backwards(_: Workshop) -> Files:
    """Have a name that is shown as another one."""
    return {"calc/\u202eyp.txt": "x = 1\n"}


@bad(STORE, failed("scope", "name"))
def name_of_a_device(_: Workshop) -> Files:
    """Have a file that opens a device on Windows, and one whose end it drops."""
    return {"docs/aux.md": "x\n", "docs/end.md.": "x\n"}


@bad(STORE, failed("scope", "link", "calc/secrets.txt"), quick=True)
def link_out_of_the_tree(_: Workshop) -> Files:
    """Link to a file of the machine, whose contents a gate would print."""
    return {"calc/secrets.txt": Link("/etc/passwd")}


@bad(STORE, failed("scope", "link"))
def link_out_through_another_link(_: Workshop) -> Files:
    """Leave the tree in two steps, of which each by itself stays inside."""
    return {"docs/up": Link(".."), "docs/out": Link("up/../../..")}


@bad(STORE, asked("scope", "submodule", "lib/other"))
def submodule_of_another_repository(_: Workshop) -> Files:
    """Put code in that no gate sees: only its id is in the commit."""
    return {"lib/other": Submodule("1" * 40)}
