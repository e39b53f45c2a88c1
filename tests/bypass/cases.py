"""All bad commits. Importing this module puts them on the list."""

from . import (
    evidence_cases,
    import_cases,
    policy_cases,
    process_cases,
    protocol_cases,
    sandbox_cases,
    scope_cases,
    store_cases,
    suppression_cases,
)
from .suite import CASES, Case, Layer

__all__ = ["CASES", "Case", "Layer"]

MODULES = (
    *(store_cases, policy_cases, scope_cases, suppression_cases, import_cases, evidence_cases),
    *(sandbox_cases, process_cases, protocol_cases),
)
