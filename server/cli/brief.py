"""`gatewright brief`: the brief of the lease in this workspace again, for an agent that lost its context."""

import json
from argparse import ArgumentParser, Namespace

from .command import Exit
from .opening import services_of
from .spoken import fields_as_typed
from .terminal import Terminal
from .tool_arguments import LEASE_VARIABLE, find_lease


def configure(_command: str, parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--lease", metavar="LEASE", help=f"default: {LEASE_VARIABLE}, else that of this workspace")
    parser.add_argument("--json", action="store_true", help="print the structured reply, or the refusal")


def run(_command: str, options: Namespace, terminal: Terminal) -> int:
    """Print what claim_stage told. A lease that has ended is refused by the first call that uses it, not here."""
    import anyio

    from ...schemas.prose import text_of_fields

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
    told = fields_as_typed(brief.model_dump(mode="json"), "claim")
    if options.json:
        terminal.write_data(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    else:
        terminal.say(text_of_fields(brief.headline(), told))
    return Exit.OK
