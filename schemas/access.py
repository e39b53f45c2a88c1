"""Refusals of those who call over HTTP: what their token does not let them do, with all of its wording."""

from collections.abc import Iterable

from .refusals import Refusal, RefusalCode


def scope_missing(act: str, needed: Iterable[str], given: Iterable[str]) -> Refusal:
    """The caller is known, and may not do this; one of `needed` would do. `act` begins the sentence."""
    wanted, had = " or ".join(f"'{scope}'" for scope in sorted(needed)), ", ".join(sorted(given))
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        f"{act} needs the scope {wanted}; your token has {had or 'none'}.",
        "Go on with what your scopes allow; a person issues tokens with others: `gatewright token issue`.",
    )


def lease_of_another(change: str, stage: str) -> Refusal:
    """A lease in the hands of another principal than the one that it was given to."""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        f"This lease on '{stage}' of {change} was given to another principal, and is good in its hands alone.",
        "claim_stage for work of your own.",
    )


def token_ended(scope: str) -> Refusal:
    """The token by which somebody was known is good no more by the time that they decided."""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        f"Your token was revoked or has expired, or has not the scope '{scope}'; nothing was decided.",
        "A person issues another: `gatewright token issue`.",
    )


def token_unknown(token_id: str) -> Refusal:
    """No token of this id can be revoked."""
    return Refusal(
        RefusalCode.BAD_ARGUMENT,
        f"There is no token '{token_id}' that is not revoked already.",
        "`gatewright token list` shows them all.",
    )


def too_many_tokens(most: int) -> Refusal:
    """A bound, so that the list stays one that people can read."""
    return Refusal(
        RefusalCode.BAD_ARGUMENT,
        f"{most} tokens can be used now, which is the most.",
        "`gatewright token revoke ID` ends one; `gatewright token list` shows them.",
    )
