"""The repository afterwards: what landed is what was judged, is on the target once, and nothing bad is among it."""

from collections import Counter
from collections.abc import Iterable, Sequence

from gatewright.schemas.records import ChangeRecord, ChangeState, Outcome
from gatewright.server.composition import ARTIFACTS_FOLDER

from .truth import Findings, Truth
from .world import SUBTLE, WRONG, World

STAGES = ("plan", "left", "right", "join")


def check_repository(world: World, truth: Truth, findings: Findings) -> None:
    """Look at the target, at every landed tree, at every artifact and at the person's checkout."""
    artifacts = str(world.state / ARTIFACTS_FOLDER)
    check_target(world, artifacts, truth, findings)
    check_objects(world, (artifacts, str(world.project / ".git")), findings)
    if dirty := world.git("status", "--porcelain"):
        findings.broken.append(f"the person's checkout of the target is left behind: {dirty[:300]}")


def check_target(world: World, artifacts: str, truth: Truth, findings: Findings) -> None:
    """What landed is on the target once, was judged, and every attempt's commit is in the folder `artifacts`."""
    landed = {name: record for name, record in truth.records.items() if record.state is ChangeState.LANDED}
    subjects = Counter(world.git("log", "--first-parent", "--format=%s", "main").splitlines())
    for name, record in landed.items():
        subject = f"Land {name}: {record.title}"
        count = subjects.pop(subject, 0)
        if count != 1:
            (findings.doubled if count else findings.lost).append(f"'{subject}' is {count} times on the target")
            continue
        _check_landing(world, truth, record, findings)
    findings.broken.extend(
        f"'{subject}' is on the target, and not recorded" for subject in subjects if subject.startswith("Land ")
    )
    if commits := [record.landed_commit for record in landed.values() if record.landed_commit is not None]:
        findings.broken.extend(f"something bad has landed: {line}" for line in _bad_in(world, commits))
    for record in truth.records.values():
        for attempt in (a for stage in record.stages for a in stage.attempts):
            if world.git("--git-dir", artifacts, "cat-file", "--batch-check", stdin=attempt.commit).endswith("missing"):
                findings.lost.append(f"the commit of attempt {attempt.number} of {record.id}")


def check_objects(world: World, folders: Iterable[str], findings: Findings) -> None:
    """Nothing that is named is missing in these repositories."""
    for folder in folders:
        said = world.git("--git-dir", folder, "fsck", "--connectivity-only", "--no-dangling")
        findings.broken.extend(f"git fsck: {line}" for line in said.splitlines())


def _check_landing(world: World, truth: Truth, record: ChangeRecord, findings: Findings) -> None:
    commit, landing = record.landed_commit, record.landing
    assert commit is not None
    assert landing is not None
    tree = world.git("rev-parse", f"{commit}^{{tree}}")
    evidence = truth.evidence.get(landing.evaluation, ())
    judged = {item.tree for item in evidence if item.evidence.outcome is Outcome.PASSED}
    if tree != landing.tree or judged != {tree}:
        findings.broken.append(f"{record.id} landed {tree}; {landing.tree} was intended and {judged} judged (I11)")
    if world.git("merge-base", commit, "main") != commit:
        findings.lost.append(f"{record.id}, which has landed, is not on the target")
    files = world.git("ls-tree", "-r", "--name-only", commit, "--", f"work/{record.id}").splitlines()
    missing = {f"work/{record.id}/{stage}.txt" for stage in STAGES} - {*files}
    findings.lost.extend(f"{path} of the landed {record.id}" for path in missing)


def _bad_in(world: World, commits: Sequence[str]) -> list[str]:
    """Every landed tree is looked at, because a later one could hide what an earlier one brought."""
    found: list[str] = []
    for commit in commits:
        listing = world.git("ls-tree", "-r", "--name-only", commit, "--", "work")
        found.extend(f"{commit[:10]}:{path}" for path in listing.splitlines() if WRONG in path)
        found.extend(
            world.run(
                "git", "grep", "-l", "-e", WRONG, "-e", SUBTLE, commit, "--", "work", expected=(0, 1)
            ).splitlines()
        )
    return found
