"""One function per domain verb: decide, commit, act. Every function takes the services and plain arguments.

deciding     the step that they share: decide, evolve, save, enqueue and cancel evaluations
repeating    the same request again has one effect
changes      start, cancel, repin
stages       claim, renew, release, and what a takeover keeps (makers: whose it stays; holding: whose a lease is)
claimable    what can be claimed, best first, and by whom
reviews      claim, give, renew and let go of a review
submissions  hand in an artifact, check a snapshot
people       reopen, retry, grant, land; decide_once, by which all that people do has one effect
deeds        all that people decide, by the names of their commands (showing: what they see before)
approving    approve, reject
answering    answer what gates and escalations ask (questions: what waits for an answer)
clearing     take away the workspaces of a change that is over
answered     evidence of what people answered (reviewed: reviewers)
bases        what a stage starts from
workplaces   where a holder works (worktrees: of its own, or the person's checkout; branches: on a team's remote)
briefs       what a claimer is told (review_briefs: a reviewer; packets: what a retry needs to know)
taking_in    what an artifact has taken in of the target, and from what it is judged then
former       what former attempts left for the next one (conflicts: what a stage found wrong with an earlier one)
verdicts     what a submitter is told (evidence: as replies tell it; runs: before the server has made an attempt)
looking      status, why, evidence, artifacts (explaining: one stage in full; awaiting: what waits for people)
waiting      long polls
telling      an event as a sentence
ledger       what the gates were worth so far
inforce      the policy at the tip of the trusted branch
fsck         examine everything (fsck_problem: what may be found; fsck_history: a change in the store; fsck_git: in git)
"""
