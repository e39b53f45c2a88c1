"""The eleven MCP tools as agents see them: title, description, reply, hints. What a call does is in `calls`.

Nothing here needs the store, the gates or git: `tools/list` is the first thing that every client asks for.
Source: docs/tools.md
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ..schemas import replies as r
from .identity.scopes import EVERY_SCOPE, Scope, Scopes

WORK: Scopes = frozenset({Scope.WORK})
REVIEW: Scopes = frozenset({Scope.REVIEW})


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool as agents see it. `scopes`: one of them is needed to call it, where callers have scopes."""

    title: str
    description: str
    reply: type[r.Reply]
    scopes: Scopes
    is_read_only: bool = False
    is_destructive: bool = False


TOOLS: Mapping[str, Tool] = {
    "start_change": Tool(
        "Start a change",
        "Begin a change in this repository: one intent that goes through the pipeline's stages until it lands on "
        "the target branch. Call it once for an intent, then claim_stage.",
        r.StartedReply,
        WORK,
    ),
    "claim_stage": Tool(
        "Claim a stage",
        "Take staged work in this repository (the named stage, or the best that is open) and get the brief: goal, "
        "workspace folder, what you may write, the gates that will judge it, what earlier attempts found. You hold "
        "it until you submit or release, or stop calling for a while. Work in the workspace, then submit_artifact. "
        "With `kind: review` you review another's work instead: read it, then review_artifact.",
        r.Brief,
        WORK | REVIEW,
    ),
    "renew_lease": Tool(
        "Renew a lease",
        "Keep the stage that you hold while you work for long without calling anything. Every other call with the "
        "lease keeps it too.",
        r.RenewedReply,
        WORK | REVIEW,
    ),
    "check_gates": Tool(
        "Check without submitting",
        "Try before you submit: run the gates, which decide whether your stage passes, on what is in your workspace "
        "now. Costs no attempt and hands nothing in. Then mend, or submit_artifact.",
        r.Verdict,
        WORK,
    ),
    "submit_artifact": Tool(
        "Submit your work",
        "Hand in the work on the stage that you hold: the server commits your workspace, runs the gates on exactly "
        "that commit and answers with the verdict, with file and line for what failed; mend that and submit again. "
        "What passed goes on to the next stage. Without a file system give `files`. If it is still running, "
        "wait_for_update.",
        r.Verdict,
        WORK,
    ),
    "wait_for_update": Tool(
        "Wait for news",
        "Wait for the verdict of an evaluation, or until something happens or becomes claimable, in a change or "
        "anywhere. Changes nothing; then do what `next` says.",
        r.Verdict,
        EVERY_SCOPE,
        is_read_only=True,
    ),
    "read_artifact": Tool(
        "Read handed-over work",
        "Read work that was handed in: the files of a stage with their diff, or one file. For reviewers, and for "
        "agents that cannot see the repository.",
        r.ArtifactReply,
        EVERY_SCOPE,
        is_read_only=True,
    ),
    "review_artifact": Tool(
        "Review another's work",
        "Hand in your review of another agent's work: findings about the commit that your review lease names "
        "(claim_stage gives one, with `kind: review`). One blocking finding rejects; if you find nothing, say what "
        "you inspected.",
        r.ReviewedReply,
        REVIEW,
    ),
    "release_stage": Tool(
        "Release a stage",
        "Let go of a stage honourably: done_for_now, withdraw (take a submission back), cannot, spec_conflict (an "
        "earlier stage is wrong: name it), needs_decision (a person must decide). Better than submitting what you "
        "know is wrong.",
        r.ReleasedReply,
        WORK | REVIEW,
    ),
    "get_status": Tool(
        "Where everything stands",
        "See where every change and stage stands: who holds what, why something cannot move, and what would unlock "
        "it. Begin here when you do not know what to do.",
        r.Status,
        EVERY_SCOPE,
        is_read_only=True,
    ),
    "get_evidence": Tool(
        "What the gates found",
        "See what the gates found about an attempt, exactly as judged: all findings, and with `gate` that gate's "
        "output. A page at a time.",
        r.EvidenceReply,
        EVERY_SCOPE,
        is_read_only=True,
    ),
}
