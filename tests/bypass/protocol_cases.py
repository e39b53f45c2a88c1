"""The machine around the gates: stale, replayed and forged requests, handed in by agents through the tools they have.

Each case is a story with agents at a server, which ends with the one answer that matters. Whatever happens, the target
stays where it was: that is looked at after every one of them.
"""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gatewright.schemas.records import Outcome

from ..acceptance.house import PLAN, Agent, Clock, Repository, Server, write_all
from ..acceptance.house import Told as Answered
from .suite import Given, Layer, Refusal, Reply, bad, refused, told

PROTOCOL = Layer.PROTOCOL
LEASE_S = 15 * 60
BROKEN = {"broken.txt": "x"}


@dataclass(frozen=True)
class Scene:
    """A repository with a server, two agents, and a clock that can be put forward."""

    repository: Repository
    server: Server
    ada: Agent
    eve: Agent
    clock: Clock


def answer(said: Answered) -> Given:
    """What was said, as the suite compares it."""
    if said.is_refused:
        return Refusal(str(said.code), str(said["message"]))
    return Reply(str(said.content.get("outcome", "none")), said.text)


async def submit(agent: Agent, lease: str, **given: object) -> Given:
    """Hand in, and take whatever is answered."""
    return answer(await agent.call("submit_artifact", lease=lease, **{"summary": "Work.", **given}))


def commit_of(workspace: str, files: Mapping[str, str | None]) -> str:
    """A commit that an agent makes in a workspace."""
    write_all(Path(workspace), files)
    for arguments in (["add", "-A"], ["commit", "-q", "-m", "Work"]):
        subprocess.run(["git", *arguments], cwd=workspace, check=True, capture_output=True)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=workspace, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@bad(PROTOCOL, refused("lease_lost", "holds the stage now"), quick=True)
async def lease_after_a_takeover(scene: Scene) -> Given:
    """Hand in with a lease that ran out, and that somebody else has taken over."""
    await scene.eve.start()
    late = await scene.eve.claim()
    scene.clock.advance(LEASE_S + 1)
    await scene.ada.claim()
    return await submit(scene.eve, late["lease"], files=BROKEN)


@bad(PROTOCOL, refused("unknown_lease", ""))
async def lease_with_another_fence(scene: Scene) -> Given:
    """Count the fence up by hand, to be the holder after the holder."""
    await scene.ada.start()
    brief = await scene.ada.claim()
    gw, change, stage, _, proof = brief["lease"].split(".")
    return await submit(scene.eve, f"{gw}.{change}.{stage}.2.{proof}", files=BROKEN)


@bad(PROTOCOL, refused("unknown_lease", ""))
async def lease_with_a_made_up_proof(scene: Scene) -> Given:
    """Make a lease up from what everybody can see."""
    change = await scene.ada.start()
    await scene.ada.claim()
    return await submit(scene.eve, f"gw1.{change}.plan.1.{'A' * 22}", files=BROKEN)


@bad(PROTOCOL, refused("unknown_lease", ""))
async def lease_of_another_stage(scene: Scene) -> Given:
    """Put the name of a later stage into a lease for an earlier one."""
    await scene.ada.start()
    brief = await scene.ada.claim()
    return await submit(scene.ada, brief["lease"].replace(".plan.", ".code."), files=BROKEN)


@bad(PROTOCOL, refused("unknown_lease", ""))
async def lease_of_another_change(scene: Scene) -> Given:
    """Put the number of another change into a lease."""
    await scene.ada.start()
    await scene.ada.start("Another")
    brief = await scene.ada.claim("c1")
    return await submit(scene.ada, brief["lease"].replace(".c1.", ".c2."), files=BROKEN)


@bad(PROTOCOL, refused("lease_held", "ada"))
async def stage_that_somebody_holds(scene: Scene) -> Given:
    """Claim what another agent works on, under that agent's name."""
    change = await scene.ada.start()
    await scene.ada.claim()
    return answer(await scene.eve.call("claim_stage", agent="ada", change=change, stage="plan"))


@bad(PROTOCOL, refused("stage_waiting", "plan"), quick=True)
async def stage_before_its_turn(scene: Scene) -> Given:
    """Claim the code before the plan has passed."""
    change = await scene.eve.start()
    return answer(await scene.eve.call("claim_stage", agent="eve", change=change, stage="code"))


@bad(PROTOCOL, refused("idempotency_conflict", "key"), quick=True)
async def key_with_another_request(scene: Scene) -> Given:
    """Use the key of a submission that failed for another one, to be told what the first was told."""
    change = await scene.eve.start()
    brief = await scene.eve.claim()
    await submit(scene.eve, brief["lease"], files={f"docs/changes/{change}.md": "no"}, key="k")
    return await submit(scene.eve, brief["lease"], files={f"docs/changes/{change}.md": PLAN}, key="k")


@bad(PROTOCOL, told(Outcome.FAILED, "ok"))
async def check_that_was_green_before(scene: Scene) -> Given:
    """Have a good tree checked, and hand in another one right after it."""
    await pass_plan(scene.eve)
    brief = await scene.eve.claim()
    write_all(Path(brief["workspace"]), {"a.txt": "a"})
    checked = await scene.eve.get("check_gates", lease=brief["lease"])
    assert checked["outcome"] == "passed"
    return answer(await scene.eve.submit(brief, BROKEN))


@bad(PROTOCOL, told(Outcome.FAILED, "ok"))
async def evidence_of_another_change(scene: Scene) -> Given:
    """Pass with one change, and hand the same stage of another one in with what would fail."""
    await pass_plan(scene.eve)
    good = await scene.eve.submit(await scene.eve.claim(), {"a.txt": "a"})
    assert good["outcome"] == "passed"
    await scene.server.landed("c1")
    scene.repository.git("update-ref", "refs/heads/seen", "main")
    await pass_plan(scene.eve, "Another")
    return answer(await scene.eve.submit(await scene.eve.claim("c2"), {**BROKEN, "a.txt": "a"}))


@bad(PROTOCOL, refused("bad_artifact", "descend"))
async def artifact_of_another_change(scene: Scene) -> Given:
    """Hand in the commit of another change, which has nothing of this one's plan."""
    change = await scene.eve.start("Another")
    other = commit_of((await scene.eve.claim(change))["workspace"], {"a.txt": "a"})
    await pass_plan(scene.eve)
    brief = await scene.eve.claim("c2", "code")
    return await submit(scene.eve, brief["lease"], commit=other)


@bad(PROTOCOL, refused("bad_argument", "commit"))
async def commit_by_a_name(scene: Scene) -> Given:
    """Hand in a name that means another commit tomorrow."""
    await scene.eve.start()
    brief = await scene.eve.claim()
    return await submit(scene.eve, brief["lease"], commit="HEAD")


@bad(PROTOCOL, refused("bad_argument", "outcome"), quick=True)
async def verdict_in_the_arguments(scene: Scene) -> Given:
    """Say oneself that it passed."""
    await scene.eve.start()
    brief = await scene.eve.claim()
    return await submit(scene.eve, brief["lease"], files=BROKEN, outcome="passed")


@bad(PROTOCOL, refused("not_allowed", "review"))
async def review_of_the_own_work(scene: Scene) -> Given:
    """Approve what one hands in, with the lease for writing it."""
    await scene.eve.start()
    brief = await scene.eve.claim()
    given = {"lease": brief["lease"], "findings": [], "inspected": ["everything"]}
    return answer(await scene.eve.call("review_artifact", **given))


@bad(PROTOCOL, refused("unchanged_artifact", ""))
async def same_tree_again(scene: Scene) -> Given:
    """Hand in what failed once more, in the hope that a gate has a better day."""
    await pass_plan(scene.eve)
    brief = await scene.eve.claim()
    await scene.eve.submit(brief, BROKEN)
    return await submit(scene.eve, brief["lease"])


@bad(PROTOCOL, refused("stage_evaluating", ""))
async def second_artifact_while_the_first_is_judged(scene: Scene) -> Given:
    """Exchange the artifact while its gates run."""
    change = await scene.eve.start()
    brief = await scene.eve.claim()
    held = {f"docs/changes/{change}.md": PLAN}
    await scene.eve.get("submit_artifact", lease=brief["lease"], summary="x", files=held, wait_s=0)
    return await submit(scene.eve, brief["lease"], files=BROKEN)


@bad(PROTOCOL, refused("stage_passed", ""))
async def artifact_after_the_pass(scene: Scene) -> Given:
    """Exchange the artifact of a stage that has passed."""
    lease = await pass_plan(scene.eve)
    return await submit(scene.eve, lease, files=BROKEN)


@bad(PROTOCOL, refused("change_over", ""))
async def artifact_after_the_landing(scene: Scene) -> Given:
    """Hand in to a change that has landed."""
    await pass_plan(scene.eve)
    brief = await scene.eve.claim()
    await scene.eve.submit(brief, {"a.txt": "a"})
    await scene.server.landed("c1")
    scene.repository.git("update-ref", "refs/heads/seen", "main")
    return await submit(scene.eve, brief["lease"], files=BROKEN)


@bad(PROTOCOL, refused("bad_artifact", ".git"))
async def file_in_a_git_folder(scene: Scene) -> Given:
    """Hand in a hook as one of the change's files."""
    await scene.eve.start()
    brief = await scene.eve.claim()
    return await submit(scene.eve, brief["lease"], files={".git/hooks/post-commit": "#!/bin/sh\n"})


@bad(PROTOCOL, refused("bad_artifact", "relative"))
async def file_outside_the_tree(scene: Scene) -> Given:
    """Hand in a file that lies beside the repository."""
    await scene.eve.start()
    brief = await scene.eve.claim()
    return await submit(scene.eve, brief["lease"], files={"../../out.txt": "x"})


@bad(PROTOCOL, told(Outcome.FAILED, "ok"))
async def workspace_whose_git_hides_a_file(scene: Scene) -> Given:
    """Tell the workspace's git that it need not look at the bad file."""
    await pass_plan(scene.eve)
    brief = await scene.eve.claim()
    workspace = Path(brief["workspace"])
    write_all(workspace, BROKEN)
    scene.repository.git("add", "--intent-to-add", "broken.txt", cwd=workspace)
    scene.repository.git("update-index", "--assume-unchanged", "broken.txt", cwd=workspace)
    return answer(await scene.eve.call("submit_artifact", lease=brief["lease"], summary="Work."))


async def pass_plan(agent: Agent, title: str = "Add sub") -> str:
    """A new change whose plan has passed; the lease for the plan."""
    change = await agent.start(title)
    brief = await agent.claim(change)
    verdict = await agent.submit(brief, {f"docs/changes/{change}.md": PLAN})
    assert verdict["outcome"] == "passed", verdict.text
    return str(brief["lease"])
