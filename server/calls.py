"""What a call of a tool does: parse, call the operation, answer. No rules live here.

Arguments are parsed by strict models, so an unknown or wrongly typed one is refused in our own shape. Every reply
goes out as structured content and as text, because some clients show the model only the one and some only the other.
Source: docs/tools.md
"""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import mcp_types as types
from pydantic import ValidationError

from ..gates.text import shorten
from ..schemas import access, refusals
from ..schemas import arguments as a
from ..schemas import replies as r
from ..schemas.fitting import fit_forms
from ..schemas.ids import ReviewLeaseName, parse_lease
from ..schemas.prose import text_of_refusal
from ..schemas.refusals import Refusal, Refused
from .identity.principals import subject_of
from .identity.scopes import EVERY_SCOPE, Scopes
from .operations import artifacts, changes, looking, reviews, stages, submissions, waiting
from .operations.holding import require_own
from .operations.repeating import Request, find_effect
from .progress import keep_told
from .services import Services
from .signal import Report
from .telemetry.about import about
from .telemetry.watching import watcher
from .tools import TOOLS, Tool

# In letters of four bytes they still fit, and in lines of one letter too.
REFUSAL_CHARS_MAX = 2_000
CALL_STAMP = "gatewright/call"
# Whatever a caller asked for that there is not.
UNKNOWN_TOOL = "unknown"
WAITED = "gatewright/waited_s"
WAIT_S_DEFAULT = 45
# How long these clients are known to let a call take; opencode's clock is reset by our progress.
WAIT_S_BY_CLIENT: Mapping[str, int] = {
    "claude-code": 240,
    "codex-mcp-client": 240,
    "gemini-cli-mcp-client": 240,
    "opencode": 240,
    "qwen-cli-mcp-client": 240,
}

OpenServices = Callable[[], Awaitable[Services]]


@dataclass(frozen=True, slots=True)
class Call:
    """One tools/call: who calls, what, under which key, and how it is told that work goes on."""

    services: Services
    request: Request
    wait_s: float
    report: Report


@dataclass(frozen=True, slots=True)
class Origin:
    """Who calls and may what, by which client, under which stamp of the bridge, and its wait at earlier servers."""

    principal: str
    client: str
    stamp: str | None
    waited_s: float
    scopes: Scopes


async def _start_change(call: Call, arguments: a.StartChange) -> r.Reply:
    return await changes.start_change(call.services, call.request, arguments)


async def _claim_stage(call: Call, arguments: a.ClaimStage) -> r.Reply:
    # Nothing open is an answer; an agent waits for work only when it says so.
    wait_s = 0 if arguments.wait_s is None else call.wait_s
    return await stages.claim_stage(call.services, call.request, arguments, wait_s=wait_s, report=call.report)


async def _renew_lease(call: Call, arguments: a.RenewLease) -> r.Reply:
    lease = call.services.leases.check_any(arguments.lease)
    if isinstance(lease, ReviewLeaseName):
        return await reviews.renew_review(call.services, lease)
    return await stages.renew_lease(call.services, lease)


async def _check_gates(call: Call, arguments: a.CheckGates) -> r.Reply:
    lease = call.services.leases.check(arguments.lease)
    evaluation = await submissions.check_gates(call.services, lease, arguments)
    return await _verdict(call, evaluation, waiting.GATES_ANSWERED)


async def _submit_artifact(call: Call, arguments: a.SubmitArtifact) -> r.Reply:
    lease = call.services.leases.check(arguments.lease)
    evaluation = await submissions.submit_artifact(call.services, call.request, lease, arguments)
    return await _verdict(call, evaluation, waiting.GATES_ANSWERED)


async def _wait_for_update(call: Call, arguments: a.WaitForUpdate) -> r.Reply:
    if arguments.evaluation is not None:
        return await _verdict(call, arguments.evaluation, waiting.EVERYBODY_ANSWERED)
    return await waiting.wait_for_update(call.services, arguments, call.request, wait_s=call.wait_s, report=call.report)


async def _verdict(call: Call, evaluation: str, until: Collection[str]) -> r.Reply:
    return await waiting.wait_for_verdict(
        call.services, evaluation, until=until, wait_s=call.wait_s, report=call.report
    )


async def _read_artifact(call: Call, arguments: a.ReadArtifact) -> r.Reply:
    return await artifacts.read_artifact(call.services, arguments)


async def _review_artifact(call: Call, arguments: a.ReviewArtifact) -> r.Reply:
    lease = call.services.leases.check_review(arguments.lease)
    return await reviews.review_artifact(call.services, call.request, lease, arguments)


async def _release_stage(call: Call, arguments: a.ReleaseStage) -> r.Reply:
    lease = call.services.leases.check_any(arguments.lease)
    if isinstance(lease, ReviewLeaseName):
        return await reviews.release_review(call.services, call.request, lease, arguments)
    return await stages.release_stage(call.services, call.request, lease, arguments)


async def _get_status(call: Call, arguments: a.GetStatus) -> r.Reply:
    return await looking.get_status(call.services, arguments, call.request.principal)


async def _get_evidence(call: Call, arguments: a.GetEvidence) -> r.Reply:
    return await artifacts.get_evidence(call.services, arguments)


# Any: each takes the arguments model of its own name.
HANDLERS: Mapping[str, Callable[[Call, Any], Awaitable[r.Reply]]] = {
    "start_change": _start_change,
    "claim_stage": _claim_stage,
    "renew_lease": _renew_lease,
    "check_gates": _check_gates,
    "submit_artifact": _submit_artifact,
    "wait_for_update": _wait_for_update,
    "read_artifact": _read_artifact,
    "review_artifact": _review_artifact,
    "release_stage": _release_stage,
    "get_status": _get_status,
    "get_evidence": _get_evidence,
}


async def call_tool(
    open_services: OpenServices,
    principal: str,
    name: str,
    given: Mapping[str, object],
    *,
    client: str,
    stamp: str | None,
    report: Report,
    waited_s: float = 0.0,
    scopes: Scopes = EVERY_SCOPE,
) -> types.CallToolResult:
    """Run one tool and answer; a refusal is a result with `isError`. A defect of ours is raised.

    `open_services` is asked once the arguments are in order; it may refuse, where there is nothing to serve.
    `waited_s`: what the client has waited for this call at earlier servers, so that no wait becomes longer than asked.
    """
    origin = Origin(principal, client, stamp, waited_s, scopes)
    began, code = time.perf_counter(), None
    try:
        tool, parsed = _parse(name, given)
        if not tool.scopes & scopes:
            raise Refused(access.scope_missing(name, tool.scopes, scopes))

        async def work(report: Report) -> r.Reply:
            return await _run(open_services, origin, name, parsed, report=report)

        # What is only looked up is answered before anybody would want to hear of it.
        is_quick = tool.is_read_only and not hasattr(parsed, "wait_s")
        with about(tool=name, **_named_by(parsed)):
            answer = await (work(report) if is_quick else keep_told(work, report, f"{name} is being worked on"))
        return _answered(answer)
    except Refused as exc:
        code = exc.refusal.code
        return refused(exc.refusal)
    finally:
        watcher().called(name if name in TOOLS else UNKNOWN_TOOL, time.perf_counter() - began, code)


def _named_by(parsed: a.Arguments) -> dict[str, str | None]:
    """The change and stage that a call is about, as far as it says so itself."""
    lease = parse_lease(getattr(parsed, "lease", None) or "")
    if lease is not None:
        return {"change": lease.change, "stage": lease.stage}
    return {"change": getattr(parsed, "change", None), "stage": getattr(parsed, "stage", None)}


def _parse(name: str, given: Mapping[str, object]) -> tuple[Tool, a.Arguments]:
    """The tool and its arguments; raises `Refused` (bad_argument)."""
    tool, model = TOOLS.get(name), a.TOOLS.get(name)
    if tool is None or model is None:
        raise Refused(refusals.bad_argument(f"there is no tool '{name[:60]}'; the tools are {', '.join(TOOLS)}"))
    try:
        return tool, model.model_validate(dict(given))
    except ValidationError as exc:
        raise Refused(refusals.bad_argument(_problem(exc), tool=name)) from None


async def _run(
    open_services: OpenServices, origin: Origin, name: str, parsed: a.Arguments, *, report: Report
) -> r.Reply:
    wanted = getattr(parsed, "wait_s", None)
    key = getattr(parsed, "key", None)
    # An agent's key outlives its connection's; the bridge's stamp only guards a call that the bridge sends again.
    whole_key = f"key:{key}" if key is not None else (f"call:{origin.stamp}" if origin.stamp is not None else None)
    request = Request(origin.principal, name, parsed.model_dump(mode="json"), whole_key, origin.scopes)
    wait_s = max(0.0, (_wait_s(origin.client) if wanted is None else wanted) - origin.waited_s)
    services = await open_services()
    if key is not None:
        # Before anything else, the lease's own truth included (rule 11).
        await services.read(lambda tx: find_effect(tx, request))
    await _require_own(services, origin, parsed)
    try:
        return await HANDLERS[name](Call(services, request, wait_s, report), parsed)
    except Refused:
        await _renew_quietly(services, parsed)
        raise


async def _require_own(services: Services, origin: Origin, parsed: a.Arguments) -> None:
    """Before anything is done by a lease, where principals are authenticated one by one; raises `Refused`."""
    lease = getattr(parsed, "lease", None)
    if lease is not None and subject_of(origin.principal) is not None:
        name = services.leases.check_any(lease)
        await services.read(lambda tx: require_own(tx, name, origin.principal))


async def _renew_quietly(services: Services, parsed: a.Arguments) -> None:
    """A holder whose call is refused is alive all the same: any call with a lease renews it (rule 2)."""
    lease = getattr(parsed, "lease", None)
    with suppress(Refused):
        name = None if lease is None else services.leases.check_any(lease)
        if isinstance(name, ReviewLeaseName):
            await reviews.renew_review(services, name)
        elif name is not None:
            await stages.renew_lease(services, name)


def refused(refusal: Refusal) -> types.CallToolResult:
    """A refusal on the wire; what is quoted in it may be long."""
    told = replace(refusal, message=shorten(refusal.message, REFUSAL_CHARS_MAX))
    content = r.RefusalReply(code=told.code, message=told.message, next=told.next)
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text_of_refusal(told))],
        structured_content=content.model_dump(mode="json"),
        is_error=True,
    )


def _answered(whole: r.Reply) -> types.CallToolResult:
    fitted = fit_forms(whole)
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=fitted.text)], structured_content=fitted.content
    )


def _wait_s(client: str) -> int:
    return next((s for name, s in WAIT_S_BY_CLIENT.items() if client.startswith(name)), WAIT_S_DEFAULT)


def _problem(error: ValidationError) -> str:
    """The first problem in a few words, with the name of the argument."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "arguments"
    match first["type"]:
        case "extra_forbidden":
            return f"there is no argument `{where[:80]}`"
        case "missing":
            return f"`{where}` is missing"
        case _:
            return f"`{where[:80]}`: {first['msg'][:200]}"
