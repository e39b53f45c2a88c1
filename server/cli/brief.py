"""`gatewright brief`: the brief of the lease in this workspace again, for an agent that lost its context."""

from argparse import ArgumentParser, Namespace

from .command import Exit
from .opening import services_of
from .terminal import Terminal
from .tool_arguments import LEASE_VARIABLE, find_lease


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--lease", metavar="LEASE", help=f"default: {LEASE_VARIABLE}, else that of this workspace")
    parser.add_argument("--json", action="store_true", help="print the structured reply, or the refusal")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Print what claim_stage told. A lease that has ended is refused by the first call that uses it, not here."""
    import anyio

    from ...schemas.prose import text_of

    lease = find_lease(options)
    with services_of(options) as services:
        from ...schemas.ids import ReviewLeaseName
        from ..operations.reviews import brief_of_review
        from ..operations.stages import brief_of_claim

        name = services.leases.check_any(lease)
        if isinstance(name, ReviewLeaseName):
            brief = anyio.run(brief_of_review, services, name.change, name.stage, name.number)
        else:
            brief = anyio.run(brief_of_claim, services, name.change, name.stage, name.fence)
    if options.json:
        terminal.write_data(brief.model_dump_json(indent=2) + "\n")
    else:
        terminal.say(text_of(brief))
    return Exit.OK
