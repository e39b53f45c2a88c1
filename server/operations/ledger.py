"""What the gates were worth so far: how often each caught something, was wrong about it, and was satisfied later.

One *piece of work* is what was handed in to a stage until something else was: attempts that follow each other with the
same tree under the same policy and gate are one, so that judging again what nobody changed counts once. Of each gate

- `judged` are the pieces to which it said yes or no. That it could not judge is counted as `errored`, that it asked
  people or reviewers not at all until they have answered.
- `caught` are those to which it said no. catch rate = caught / judged.
- `false_alarms` are those of the caught to which it later said yes although nothing had changed, and those whose every
  finding the holder disputed and a person then upheld as no fault. false-alarm rate = false alarms / caught. It is a
  lower bound: what was mended without a word may have been no fault either.
- `retried` are those of the caught, false alarms left out, after which the same stage of the same change handed in
  something else that the gate judged; `recovered` those whose next piece it passed. recovery rate = recovered /
  retried.

What a gate let through that was wrong is not told: nothing that is stored says which gate should have seen it.
Dry runs and landings are not counted, neither being an attempt.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...gates.text import number_of
from ...schemas.records import Outcome
from ...schemas.views import GateRates, LedgerView
from ..services import Services
from ..store import Judgement, Upheld

if TYPE_CHECKING:
    from ..store.tx import Tx

JUDGEMENTS_MAX = 5_000
JUDGEMENTS_AT_ONCE = 500
UPHELD_MAX = 1_000
GATES_TOLD_MAX = 25
DIGITS = 3
SAID = frozenset({Outcome.PASSED, Outcome.FAILED})

COUNTED = (
    "catch_rate: of the pieces of work that the gate judged, those to which it said no.",
    "false_alarm_rate: of those, the ones to which it later said yes unchanged, or that a person held to be no fault.",
    "recovery_rate: of the true ones after which something else was handed in, those whose next piece it passed.",
)
UNTOLD = ("What a gate let through that was wrong: nothing that is stored says which gate should have seen it.",)

_Gate = tuple[str, str]
_Series = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Piece:
    """What one gate said of one piece of work, in order; `attempts` are those that it was handed in as."""

    attempts: frozenset[int]
    outcomes: tuple[Outcome, ...]
    failing: frozenset[str]

    @property
    def is_caught(self) -> bool:
        """Whether the gate said no to it at least once."""
        return Outcome.FAILED in self.outcomes

    def is_false_alarm(self, upheld: Iterable[Upheld]) -> bool:
        """Whether a no was taken back: by the gate itself, or by a person for everything that it found."""
        if not self.is_caught:
            return False
        first = self.outcomes.index(Outcome.FAILED)
        if Outcome.PASSED in self.outcomes[first:]:
            return True
        return bool(self.failing) and any(
            found.attempt in self.attempts and self.failing <= found.fingerprints for found in upheld
        )


async def read_ledger(services: Services) -> LedgerView:
    """The rates of every gate over the newest `JUDGEMENTS_MAX` judgements of attempts, the busiest gates first."""
    judgements, upheld = await services.read(_read)
    rates = rates_of(judgements, upheld)
    is_complete = len(judgements) < JUDGEMENTS_MAX
    caught = sum(gate.caught for gate in rates)
    newest = "" if is_complete else "the newest "
    return LedgerView(
        summary=f"{number_of(len(rates), 'gates')} caught {number_of(caught, 'pieces')} of work in "
        f"{newest}{number_of(len(judgements), 'judgements')}.",
        judgements=len(judgements),
        is_complete=is_complete,
        gates=rates[:GATES_TOLD_MAX],
        gates_total=len(rates),
        counted=COUNTED,
        untold=UNTOLD,
        next="get_evidence(change, stage, gate) shows what one of them found.",
    )


def rates_of(judgements: Sequence[Judgement], upheld: Iterable[Upheld]) -> tuple[GateRates, ...]:
    """One line a gate of a stage, whatever the order of the judgements; what is counted stands at the top."""
    disputes: dict[tuple[str, str], list[Upheld]] = defaultdict(list)
    for found in upheld:
        disputes[found.change, found.stage].append(found)
    series: dict[_Gate, dict[_Series, list[Judgement]]] = defaultdict(lambda: defaultdict(list))
    for judgement in sorted(judgements, key=lambda j: (j.attempt, j.number)):
        gate = (judgement.stage, judgement.gate)
        series[gate][judgement.change, *gate].append(judgement)
    rates = (_rates(gate, found, disputes) for gate, found in series.items())
    return tuple(sorted(rates, key=lambda line: (-line.judged, line.stage, line.gate)))


def _rates(
    gate: _Gate, series: Mapping[_Series, Sequence[Judgement]], disputes: Mapping[tuple[str, str], Sequence[Upheld]]
) -> GateRates:
    stage, name = gate
    judged = caught = false_alarms = retried = recovered = 0
    for (change, _, _), judgements in series.items():
        upheld = disputes.get((change, stage), ())
        pieces = pieces_of(judgements)
        judged += len(pieces)
        for place, piece in enumerate(pieces):
            if not piece.is_caught:
                continue
            caught += 1
            if piece.is_false_alarm(upheld):
                false_alarms += 1
            elif place + 1 < len(pieces):
                retried += 1
                recovered += pieces[place + 1].outcomes[-1] is Outcome.PASSED
    newest = max((j for found in series.values() for j in found), key=lambda j: j.number)
    return GateRates(
        stage=stage,
        gate=name,
        kind=newest.kind,
        judged=judged,
        caught=caught,
        catch_rate=_rate(caught, judged),
        false_alarms=false_alarms,
        false_alarm_rate=_rate(false_alarms, caught),
        retried=retried,
        recovered=recovered,
        recovery_rate=_rate(recovered, retried),
        errored=sum(j.outcome is Outcome.ERRORED for found in series.values() for j in found),
    )


def pieces_of(judgements: Iterable[Judgement]) -> tuple[Piece, ...]:
    """What one gate said yes or no to in one stage of one change, in the order in which it was handed in."""
    groups: list[list[Judgement]] = []
    for judgement in judgements:
        if judgement.outcome not in SAID:
            continue
        if groups and groups[-1][-1].subject == judgement.subject:
            groups[-1].append(judgement)
        else:
            groups.append([judgement])
    return tuple(
        Piece(
            frozenset(j.attempt for j in group),
            tuple(j.outcome for j in group),
            frozenset(mark for j in group if j.outcome is Outcome.FAILED for mark in j.fingerprints),
        )
        for group in groups
    )


def _read(tx: "Tx") -> tuple[tuple[Judgement, ...], tuple[Upheld, ...]]:
    found: list[Judgement] = []
    while len(found) < JUDGEMENTS_MAX:
        page = tx.judgements(before=found[-1].number if found else None, limit=JUDGEMENTS_AT_ONCE)
        found += page
        if len(page) < JUDGEMENTS_AT_ONCE:
            break
    return tuple(found), tx.upheld(limit=UPHELD_MAX)


def _rate(part: int, whole: int) -> float | None:
    return None if whole == 0 else round(part / whole, DIGITS)
