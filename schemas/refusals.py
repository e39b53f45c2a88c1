"""Every refusal code, in precedence order, with all of its wording.

A refusal is data for programs (`code`), one sentence for the model (who, what, until when) and the next action (a
tool or a command, and when). When several rules forbid a request, the one that stands first here is told.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from .counted import number_of

ANOTHER_REVIEWER = (
    "Somebody else reviews this one: an agent by an MCP connection or a token of its own (all that one account does on "
    "the command line is one caller's), or a program that the review gate names by `run`."
)


class RefusalCode(StrEnum):
    """The codes; their order is the precedence."""

    BAD_ARGUMENT = "bad_argument"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    UNKNOWN_CHANGE = "unknown_change"
    UNKNOWN_STAGE = "unknown_stage"
    UNKNOWN_LEASE = "unknown_lease"
    CHANGE_OVER = "change_over"
    CHANGE_LANDING = "change_landing"
    STAGE_WAITING = "stage_waiting"
    STAGE_PASSED = "stage_passed"
    STAGE_ESCALATED = "stage_escalated"
    STAGE_EVALUATING = "stage_evaluating"
    STAGE_IN_REVIEW = "stage_in_review"
    LEASE_HELD = "lease_held"
    LEASE_LOST = "lease_lost"
    OWN_WORK = "own_work"
    ALREADY_REVIEWED = "already_reviewed"
    REVIEW_STALE = "review_stale"
    ALREADY_APPROVED = "already_approved"
    QUESTION_STALE = "question_stale"
    BAD_ARTIFACT = "bad_artifact"
    UNCHANGED_ARTIFACT = "unchanged_artifact"
    FINDINGS_UNANSWERED = "findings_unanswered"
    REVIEW_INCONSISTENT = "review_inconsistent"
    TOO_LARGE = "too_large"
    POLICY_MISSING = "policy_missing"
    POLICY_INVALID = "policy_invalid"
    NOT_ALLOWED = "not_allowed"
    DRAINING = "draining"
    STORE_UNAVAILABLE = "store_unavailable"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that the rules deny; nothing was changed by it."""

    code: RefusalCode
    message: str
    next: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}\nnext: {self.next}"


class Refused(Exception):
    """Carries a refusal out of a transaction, which is rolled back by it."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(str(refusal))


def minutes(seconds: float) -> str:
    """How long for people: `11 more minutes`, `1 more minute`, `40 more seconds`."""
    whole = max(0, round(seconds))
    if whole < 90:
        return number_of(whole, "more seconds")
    return number_of(round(whole / 60), "more minutes")


def bad_argument(problem: str, *, tool: str | None = None) -> Refusal:
    """The call itself is malformed."""
    where = f" of {tool}" if tool else ""
    return Refusal(RefusalCode.BAD_ARGUMENT, f"Bad argument{where}: {problem}.", "Call again with that corrected.")


def idempotency_conflict(key: str) -> Refusal:
    """The same key came with another request."""
    return Refusal(
        RefusalCode.IDEMPOTENCY_CONFLICT,
        f"Key '{key}' was already used by you for another request, which stands.",
        "Use a new key for a new request; repeat a request with exactly the same arguments.",
    )


def unknown_change(change: str) -> Refusal:
    """There is no such change."""
    return Refusal(
        RefusalCode.UNKNOWN_CHANGE,
        f"There is no change '{change}' in this repository.",
        "get_status() lists the changes; start_change(title, intent) begins one.",
    )


def unknown_stage(change: str, stage: str, stages: Sequence[str]) -> Refusal:
    """The change's pipeline has no such stage."""
    return Refusal(
        RefusalCode.UNKNOWN_STAGE,
        f"Change {change} has no stage '{stage}'; it has {', '.join(stages)}.",
        f'get_status(change="{change}") shows the stages.',
    )


def unknown_attempt(change: str, stage: str, wanted: str) -> Refusal:
    """A stage that exists has not got what was asked for."""
    return Refusal(
        RefusalCode.BAD_ARGUMENT,
        f"Stage '{stage}' of {change} has {wanted}.",
        f'get_status(change="{change}", stage="{stage}") shows what there is.',
    )


def unknown_lease() -> Refusal:
    """The token was not made by this repository's store."""
    return Refusal(
        RefusalCode.UNKNOWN_LEASE,
        "This is not a lease of this repository.",
        "Copy the lease exactly as claim_stage gave it; it also lies in the workspace's git folder "
        "(gatewright brief, run inside the workspace, shows it). Else claim_stage again.",
    )


def change_over(change: str, state: str) -> Refusal:
    """Nothing more happens to a change that has ended."""
    return Refusal(
        RefusalCode.CHANGE_OVER,
        f"Change {change} is {state}; nothing more happens to it.",
        "claim_stage for other work, or start_change for a new intent.",
    )


def change_landing(change: str, target: str, because: str | None = None) -> Refusal:
    """The target is being moved at this moment; `because` is what has kept it from moving so far."""
    held = f" What keeps it, and is tried again: {because.rstrip('.')}." if because else ""
    return Refusal(
        RefusalCode.CHANGE_LANDING,
        f"Change {change} is landing on '{target}' at this moment and cannot be changed any more.{held}",
        f'wait_for_update(change="{change}") tells when it has landed.',
    )


def stage_waiting(change: str, stage: str, missing: Sequence[str], *, by_server: bool = False) -> Refusal:
    """`missing` has one phrase a need: `'design', which agent 'ada' holds for 11 more minutes`."""
    then = f" and claim '{stage}' when it opens" if not by_server else ": the server runs it when it is its turn"
    return Refusal(
        RefusalCode.STAGE_WAITING,
        f"'{stage}' of {change} waits for {'; '.join(missing)}.",
        f'claim_stage for another stage, or wait_for_update(change="{change}"){then}.',
    )


def stage_passed(change: str, stage: str, attempt: int) -> Refusal:
    """There is nothing left to do on it."""
    return Refusal(
        RefusalCode.STAGE_PASSED,
        f"'{stage}' of {change} has passed with attempt {attempt}.",
        f'claim_stage(change="{change}") for what is open now.',
    )


def stage_escalated(change: str, stage: str, question: str) -> Refusal:
    """People must decide first."""
    return Refusal(
        RefusalCode.STAGE_ESCALATED,
        f"'{stage}' of {change} waits for a person: {question}",
        f"A person runs `gatewright why {change} {stage}`. Until then claim_stage for other work, or "
        f'wait_for_update(change="{change}").',
    )


def stage_evaluating(change: str, stage: str, evaluation: str) -> Refusal:
    """The gates are judging an attempt."""
    return Refusal(
        RefusalCode.STAGE_EVALUATING,
        f"The gates are judging '{stage}' of {change} (evaluation {evaluation}).",
        f'wait_for_update(evaluation="{evaluation}") brings the verdict; its holder may '
        'release_stage(because="withdraw") to change something first.',
    )


def run_by_server(change: str, stage: str, evaluation: str) -> Refusal:
    """No agent ever holds a `run:` stage."""
    return Refusal(
        RefusalCode.STAGE_EVALUATING,
        f"The server runs '{stage}' of {change} itself (evaluation {evaluation}); it is not for agents to claim.",
        f'wait_for_update(evaluation="{evaluation}") brings the verdict; claim_stage for other work.',
    )


def stage_in_review(change: str, stage: str, *, by_server: bool = False) -> Refusal:
    """The floor passed; people or reviewers are still to answer."""
    holder = "" if by_server else '; its holder may release_stage(because="withdraw")'
    return Refusal(
        RefusalCode.STAGE_IN_REVIEW,
        f"'{stage}' of {change} passed its floor and waits for people or reviewers.",
        f'wait_for_update(change="{change}") wakes you when they have answered{holder}.',
    )


def lease_held(change: str, stage: str, holder: str, seconds_left: float, own_file: str | None = None) -> Refusal:
    """Somebody else, or the caller under another connection, works on it."""
    own = f" If that is you: your lease lies in {own_file}." if own_file else ""
    return Refusal(
        RefusalCode.LEASE_HELD,
        f"'{stage}' of {change} is held by agent '{holder}' for {minutes(seconds_left)}.{own}",
        f'claim_stage for another stage, or wait_for_update(change="{change}") and claim it when it becomes free.',
    )


def lease_lost(change: str, stage: str, holder: str | None) -> Refusal:
    """The lease ended."""
    now = f"agent '{holder}' holds the stage now" if holder else "the stage went on without it"
    return Refusal(
        RefusalCode.LEASE_LOST,
        f"Your lease on '{stage}' of {change} has ended: {now}.",
        "claim_stage for other work; nothing you made is lost.",
    )


def with_end(refusal: Refusal, because: str) -> Refusal:
    """A refusal of a former holder's call, with the reason for which somebody else ended the lease."""
    return replace(refusal, message=f"{refusal.message} Your lease ended because {because.rstrip('.')}.")


def with_kept(refusal: Refusal, commit: str) -> Refusal:
    """A refusal of a late holder's submission, whose commit was kept all the same."""
    return replace(
        refusal, message=f"{refusal.message} Your commit {commit[:10]} is kept and shown to the next holder."
    )


def dry_run_going(change: str, stage: str, evaluation: str) -> Refusal:
    """One dry run at a time per lease."""
    return Refusal(
        RefusalCode.STAGE_EVALUATING,
        f"A check of '{stage}' of {change} is already running (evaluation {evaluation}); one at a time per lease.",
        f'wait_for_update(evaluation="{evaluation}") brings its result.',
    )


def own_work(change: str, stage: str, verb: Literal["review", "approve", "answer about"]) -> Refusal:
    """Whoever made the artifact does not judge it; agents review, people approve and answer."""
    return Refusal(
        RefusalCode.OWN_WORK,
        f"You cannot {verb} '{stage}' of {change}: it is your own work, or counts as yours.",
        f"claim_stage for other work. {ANOTHER_REVIEWER}"
        if verb == "review"
        else "Somebody else has to look at this one.",
    )


def already_reviewed(change: str, stage: str, who: str) -> Refusal:
    """Nobody counts twice for one artifact."""
    return Refusal(
        RefusalCode.ALREADY_REVIEWED,
        f"'{who}', or one who counts as the same, judges or has judged this artifact of '{stage}' of {change}.",
        f'claim_stage for other work; get_status(change="{change}") shows whose word is still awaited.',
    )


def reviewed_enough(change: str, stage: str) -> Refusal:
    """A late review of an artifact that as many others as were asked for have reviewed meanwhile."""
    return Refusal(
        RefusalCode.ALREADY_REVIEWED,
        f"Your review lease on '{stage}' of {change} ran out, and enough others have reviewed this artifact since.",
        "claim_stage for other work.",
    )


def lease_of_review(change: str, stage: str) -> Refusal:
    """A reviewer calls what only the holder of a stage may."""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        f"This is the lease of a review of '{stage}' of {change}: a reviewer looks, and hands nothing in.",
        "review_artifact(lease, findings, inspected) gives your judgement; release_stage lets go without one.",
    )


def lease_of_stage(change: str, stage: str) -> Refusal:
    """The holder of a stage calls what only a reviewer may."""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        f"This is the lease of '{stage}' of {change} itself: its holder does not review it.",
        'claim_stage(role="reviewer") leases the review of somebody else\'s work.',
    )


def not_of_reviews(because: str) -> Refusal:
    """A reviewer asks for an exit that only a stage's holder has."""
    return bad_argument(
        f"a review is let go with done_for_now or cannot, not {because}: say it as a finding of your review",
        tool="release_stage",
    )


def review_stale(change: str, stage: str, commit: str | None) -> Refusal:
    """What was to be reviewed is no longer what is judged."""
    now = f"commit {commit[:10]} is judged now" if commit else "nothing is to be judged there now"
    return Refusal(
        RefusalCode.REVIEW_STALE,
        f"This is about an artifact of '{stage}' of {change} that is void: {now}.",
        f'get_status(change="{change}", stage="{stage}") shows what is judged; claim it again to judge that.',
    )


def already_approved(change: str, stage: str, who: str) -> Refusal:
    """Nobody's approval counts twice; `who` is the person, or how they are known."""
    return Refusal(
        RefusalCode.ALREADY_APPROVED,
        f"{who} has approved this commit for '{stage}' of {change} already, and counts once.",
        f"Somebody else approves it too; `gatewright why {change} {stage}` tells how many are still wanted.",
    )


def approval_stale(change: str, stage: str, commit: str | None) -> Refusal:
    """What a person was shown to approve is not what waits for it now."""
    now = f"commit {commit[:10]} waits for it now" if commit else "nothing waits for an approval there now"
    return Refusal(
        RefusalCode.QUESTION_STALE,
        f"What you were shown for '{stage}' of {change} was replaced or answered: {now}. Nothing was decided.",
        f"Run the command again to see how it stands; `gatewright why {change} {stage}` tells what happened.",
    )


def review_inconsistent(problem: str) -> Refusal:
    """A review contradicts itself or points at nothing; `problem` is a sentence without its full stop."""
    return Refusal(
        RefusalCode.REVIEW_INCONSISTENT,
        f"{problem}.",
        "Mend that and call review_artifact again with the same lease.",
    )


def findings_unanswered(change: str, stage: str, missing: Sequence[str]) -> Refusal:
    """What reviewers object to needs an answer each."""
    return Refusal(
        RefusalCode.FINDINGS_UNANSWERED,
        f"Reviewers of '{stage}' of {change} wait for an answer to {', '.join(missing)}.",
        "Give `answers`, one for each of them: the finding's id, a disposition (fixed, disputed or not_applicable) "
        "and a note.",
    )


def bad_artifact(problem: str, hand_in: str) -> Refusal:
    """The commit or the files cannot be an artifact; `problem` is a whole sentence, `hand_in` what to do instead."""
    return Refusal(RefusalCode.BAD_ARTIFACT, problem, hand_in)


def unchanged_artifact(change: str, stage: str, attempt: int) -> Refusal:
    """The same tree was already judged."""
    return Refusal(
        RefusalCode.UNCHANGED_ARTIFACT,
        f"This is the same tree as attempt {attempt} of '{stage}' of {change}, which failed.",
        "Mend the findings first (get_evidence shows them all), or dispute every one of them in `answers`.",
    )


def too_large(problem: str) -> Refusal:
    """A budget is exceeded; `problem` names it."""
    return Refusal(
        RefusalCode.TOO_LARGE, problem, "Hand in less at once, or ask a person to raise `limits` in gatewright.yaml."
    )


def bad_base(ref: str, remedy: str) -> Refusal:
    """What the trusted ref stands at cannot be worked on; `remedy` says why and what a person does, in sentences."""
    return Refusal(
        RefusalCode.BAD_ARTIFACT, f"Nothing can start from '{ref}' as the repository is.", f"{remedy} Then call again."
    )


def policy_missing(ref: str, *, uncommitted: bool) -> Refusal:
    """The trusted ref has no pipeline."""
    also = " There is one in the working tree, but it is not committed." if uncommitted else ""
    return Refusal(
        RefusalCode.POLICY_MISSING,
        f"There is no gatewright.yaml on '{ref}'.{also}",
        f"A person runs `gatewright init` and commits gatewright.yaml on '{ref}'."
        if not uncommitted
        else f"A person commits gatewright.yaml on '{ref}'; then call again.",
    )


def policy_invalid(ref: str, problems: str) -> Refusal:
    """The trusted ref's pipeline does not load."""
    return Refusal(
        RefusalCode.POLICY_INVALID,
        f"gatewright.yaml on '{ref}' does not load: {problems}",
        "A person mends it; `gatewright check-pipeline` shows every problem with its line.",
    )


def people_alone(command: str) -> Refusal:
    """What only people do was asked for without a terminal at both ends."""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        "People decide this, at a terminal: this command has none on its input and output.",
        f"A person runs `{command}` in a terminal of their own.",
    )


def secret_needs_terminal() -> Refusal:
    """The process has no terminal of its own to read a secret from."""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        "A secret is read from a terminal, and this process has none of its own.",
        "A person runs this command in a terminal of their own.",
    )


def secret_wrong() -> Refusal:
    """What was typed is not what was registered."""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        "That is not the secret. Nothing was decided.",
        "Run the command again; each wrong guess makes the next one wait.",
    )


def secret_slowed(name: str, wait_s: float) -> Refusal:
    """The next guess comes too soon after a wrong one."""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        f"The last secret for '{name}' was wrong, or is being looked at: the next one is taken in {wait_s:.0f} s.",
        "Wait that long, then run the command again. Nothing was decided.",
    )


def person_unknown(name: str, known: Sequence[str]) -> Refusal:
    """Nobody of this name is registered."""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        f"Nobody is registered as '{name}' (registered: {', '.join(known) or 'nobody'}).",
        "A registered person adds another: `gatewright people add NAME`.",
    )


def person_vouches() -> Refusal:
    """What nobody had to be known for needs a registered person by now."""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        "Somebody is registered by now, so that a registered person has to say who they are.",
        "Run the command again.",
    )


def nobody_registered() -> Refusal:
    """An approval by secret where nobody has one."""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        "Nobody is registered here, and an approval is that of somebody who is known.",
        "A person registers at a terminal: `gatewright people add NAME`.",
    )


def signature_alone(gate: str, command: str) -> Refusal:
    """A gate whose policy names signers takes no secret."""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        f"Gate '{gate}' counts signatures alone: its policy names who may sign.",
        f"`{command} --gate {gate} --statement` prints what to sign; the signature comes with --signature FILE "
        "--as IDENTITY.",
    )


def secret_alone(gate: str, command: str) -> Refusal:
    """A gate whose policy names no signers takes no signature."""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        f"Gate '{gate}' counts no signatures: its policy names nobody who may sign (`signers`).",
        f"A registered person runs `{command}` in a terminal of their own.",
    )


def signers_missing(path: str, commit: str, gate: str) -> Refusal:
    """The policy's commit has no such file of signers."""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        f"The trusted branch has no file {path} at {commit[:10]}, so that nobody can sign for '{gate}'.",
        "Commit that file on the trusted branch, then re-pin the change.",
    )


def signature_wrong(identity: str, said: str, namespace: str) -> Refusal:
    """OpenSSH does not verify it; `said` is how it says so."""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        f"The signature is not one of '{identity}' over this statement: {said or 'it does not verify'}.",
        "Print what is to be signed with --statement and the same --note, sign exactly those bytes with "
        f"`ssh-keygen -Y sign -n {namespace} -f KEY FILE`, and give FILE.sig with --signature.",
    )


def verifier_missing(program: str) -> Refusal:
    """OpenSSH is not installed."""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        f"There is no {program} on this machine, which verifies signatures.",
        "Install OpenSSH 8.2 or newer, then run the command again.",
    )


def person_replaced(name: str) -> Refusal:
    """The name of a person was registered anew while they decided."""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        f"'{name}' was registered with another secret since you said who you are; nothing was decided.",
        "Run the command again, and say who you are by the secret of now.",
    )


def question_replaced(change: str, stage: str) -> Refusal:
    """What a person answers is not asked any more."""
    return Refusal(
        RefusalCode.QUESTION_STALE,
        f"While you were reading, what '{stage}' of {change} asked was replaced or answered; nothing was decided.",
        "Run the command again to see how it stands.",
    )


def store_unavailable(problem: str) -> Refusal:
    """The store cannot be read or written; `problem` is a whole sentence."""
    return Refusal(
        RefusalCode.STORE_UNAVAILABLE,
        problem,
        "A person runs `gatewright doctor`. Call again then; what was acknowledged is safe.",
    )


def remote_unavailable(problem: str) -> Refusal:
    """The git remote of the team did not do what it was asked; `problem` is a whole sentence."""
    return Refusal(
        RefusalCode.STORE_UNAVAILABLE,
        problem,
        "Call again in half a minute, with the same arguments; what was acknowledged is safe, and get_status works.",
    )


def not_pushed(branch: str, change: str, stage: str) -> Refusal:
    """There is nothing of this lease on the remote."""
    return Refusal(
        RefusalCode.BAD_ARTIFACT,
        f"Nothing was pushed for '{stage}' of {change}: the remote has no branch {branch}.",
        f"Commit your work, run `git push origin HEAD:refs/heads/{branch}` in your clone, and call again.",
    )


def not_prepared() -> Refusal:
    """The repository was never set up."""
    return Refusal(
        RefusalCode.POLICY_MISSING,
        "gatewright is not set up in this repository.",
        "A person runs `gatewright init` there, commits gatewright.yaml, and calls again; no restart is needed.",
    )
