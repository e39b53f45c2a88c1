"""A hook in the user's repository that lets the target branch move by landings only.

A seat belt against habit, not a fence: whoever may write to the repository can set the variable that the refusal names,
or delete the hook. Landings run with hooks off; every other ref is free. A hook of somebody else is never touched: its
owner is told the lines to add.
"""

import os
import shlex
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..gates.files import replace_text
from ..gates.git import Git
from ..gates.repository import SharedRepository
from ..gates.worktrees.worktree import user_environment

OVERRIDE = "GATEWRIGHT_ALLOW"
HOOK = "reference-transaction"

_MARKER = "# gatewright guard of "

# The hook is called three times for every change of any ref, so it leaves early; `prepared` alone can refuse.
# The old id is zero when the caller names none, so "does it move?" is asked of the repository. `git pack-refs` deletes
# the loose file of a ref that it has just packed; a real deletion holds the lock of the packed ones meanwhile.
_SCRIPT = """\
#!/bin/sh
{marker}{ref} in {common_dir_plain}
[ "$1" = prepared ] || exit 0
[ "${override}" != 1 ] || exit 0
while read -r old new ref; do
    [ "$ref" = {quoted_ref} ] || continue
{elsewhere}    now=$(git rev-parse --verify --quiet "$ref") || continue
    [ "$now" != "$new" ] || continue
    common=$(git rev-parse --git-common-dir)
    case $new in *[!0]*) ;; *)
        [ -e "$common/packed-refs.lock" ] || ! grep -qxF "$now $ref" "$common/packed-refs" 2>/dev/null || continue ;;
    esac
    echo {sentence} >&2
    echo {advice} >&2
    exit 1
done
exit 0
"""

# A folder of hooks may serve many repositories. In the repository's own folder the question is not asked, so that the
# guard goes on when the repository is moved.
_ELSEWHERE = """\
    [ "$(cd "$(git rev-parse --git-common-dir)" && pwd -P)" = {common_dir} ] || exit 0
"""

_LINES = """\
if [ -x {script} ]; then
    gatewright_refs=$(cat)
    printf '%s\\n' "$gatewright_refs" | {script} "$1" || exit 1
    exec <<GATEWRIGHT
$gatewright_refs
GATEWRIGHT
fi
"""


class GuardKind(StrEnum):
    ACTIVE = "active"
    ABSENT = "absent"
    # Ours, but for another branch, from another version, or not executable: installing mends it.
    STALE = "stale"
    # Somebody else's hook stands there.
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class GuardState:
    """How it stands with the hook at `hook`: one sentence; for a foreign hook the `lines` that its owner has to add."""

    kind: GuardKind
    hook: Path
    sentence: str
    lines: str = ""


def guard_state(repository: SharedRepository, target: str) -> GuardState:
    """Look, and change nothing."""
    hook = _hook_path(repository)
    text = _read(hook)
    if text is None:
        return GuardState(GuardKind.ABSENT, hook, f"Nothing guards the branch {target}.")
    if _is_ours(repository, hook, text):
        if text == _script(repository, target, hook) and os.access(hook, os.X_OK):
            return GuardState(GuardKind.ACTIVE, hook, _guarded(repository, target, hook))
        return GuardState(
            GuardKind.STALE, hook, f"The guard at {hook} does not guard the branch {target} as it should."
        )
    script = _own_script_path(repository)
    lines = _LINES.format(script=shlex.quote(str(script)))
    if lines in text and os.access(hook, os.X_OK) and _read(script) == _script(repository, target, None):
        return GuardState(GuardKind.ACTIVE, hook, _guarded(repository, target, hook), lines)
    sentence = f"There is a {HOOK} hook of yours at {hook}; add these lines after its first line to guard {target}:"
    return GuardState(GuardKind.FOREIGN, hook, sentence, lines)


def install_guard(repository: SharedRepository, target: str) -> GuardState:
    """Put the hook where git looks for hooks; returns how it stands now.

    Beside a foreign hook only our own script is written, into our own folder, for the lines that the state names. A
    place that cannot be written (hooks switched off by `core.hooksPath=/dev/null`) is said in the sentence.
    """
    before = guard_state(repository, target)
    if before.kind is GuardKind.ACTIVE:
        return before
    foreign = before.kind is GuardKind.FOREIGN
    place = _own_script_path(repository) if foreign else before.hook
    script = _script(repository, target, None if foreign else before.hook)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        replace_text(place, script, mode=0o755)
    except OSError as exc:
        sentence = (
            f"Nothing guards the branch {target}: {place} cannot be written ({exc.strerror}); see core.hooksPath."
        )
        return GuardState(before.kind, before.hook, sentence, before.lines)
    return guard_state(repository, target)


def remove_guard(repository: SharedRepository, target: str) -> GuardState:
    """Take away what `install_guard` wrote, and nothing else; lines in a foreign hook do nothing from then on."""
    hook = _hook_path(repository)
    text = _read(hook)
    if text is not None and _is_ours(repository, hook, text):
        hook.unlink(missing_ok=True)
    _own_script_path(repository).unlink(missing_ok=True)
    return guard_state(repository, target)


def _script(repository: SharedRepository, target: str, hook: Path | None) -> str:
    """The hook's text; `hook` is None when hooks of others call it."""
    common_dir = repository.common_dir
    at_home = hook is not None and hook.is_relative_to(common_dir)
    ref = f"refs/heads/{target}"
    sentence = (
        f"gatewright: {target} moves by landings only, after its gates have passed (gatewright start, then submit)."
    )
    advice = f"gatewright: to move it yourself all the same, run the command again with {OVERRIDE}=1 in front."
    return _SCRIPT.format(
        marker=_MARKER,
        ref=ref,
        override=OVERRIDE,
        quoted_ref=shlex.quote(ref),
        common_dir_plain=str(common_dir).replace("\n", " "),
        elsewhere="" if at_home else _ELSEWHERE.format(common_dir=shlex.quote(str(common_dir))),
        sentence=shlex.quote(sentence),
        advice=shlex.quote(advice),
    )


def _hook_path(repository: SharedRepository) -> Path:
    """Where git looks for the hook, `core.hooksPath` of the person's own settings included."""
    git = Git(repository.common_dir, base_environment=user_environment())
    _, listing = git.run_status("config", "--show-scope", "--type=path", "-z", "--get-all", "core.hooksPath")
    fields = listing.decode("utf-8", "surrogateescape").split("\0")
    # Our own neutral setting stands on the command line.
    own = [value for scope, value in zip(fields[0:-1:2], fields[1::2], strict=True) if scope != "command"]
    # A relative one starts where hooks run: at the top of the worktree.
    worktree = repository.main_worktree or repository.top
    return worktree / own[-1] / HOOK if own else repository.common_dir / "hooks" / HOOK


def _own_script_path(repository: SharedRepository) -> Path:
    return repository.state_dir / "guard"


def _is_ours(repository: SharedRepository, hook: Path, text: str) -> bool:
    marker = text.removeprefix("#!/bin/sh\n").partition("\n")[0]
    at_home = hook.is_relative_to(repository.common_dir)
    return marker.startswith(_MARKER) and (at_home or marker.endswith(f" in {repository.common_dir}"))


def _guarded(repository: SharedRepository, target: str, hook: Path) -> str:
    sentence = f"The branch {target} moves by landings only ({hook}; {OVERRIDE}=1 overrides)."
    worktree = repository.main_worktree
    if worktree is not None and hook.is_relative_to(worktree) and not hook.is_relative_to(repository.common_dir):
        return f"{sentence} Other worktrees have hooks of their own, because core.hooksPath is relative."
    return sentence


def _read(file: Path) -> str | None:
    """The text of a file; None when there is none. A broken link counts as a hook: git would complain of it."""
    if not os.path.lexists(file):
        return None
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
