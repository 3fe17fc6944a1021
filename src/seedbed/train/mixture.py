"""Which source each sequence of a run comes from: whole numbers that follow the asked shares as closely as can be.

Every sequence goes to the source that is furthest behind what was asked of it so far (largest-remainder rounding in
time; the order of a smooth weighted round robin). What each source is behind is kept as an integer, in units of 2^-32
sequences, so that it is the same after a resume and on every machine. At any point a source is less than one sequence
per other source away from the sum of its shares, and nothing is drawn at random.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from seedbed.core.errors import RecipeError, did_you_mean
from seedbed.train.contract import Progress
from seedbed.train.plan import Phase, TrainPlan

UNIT = 1 << 32


@dataclasses.dataclass(frozen=True)
class Draw:
    """The next sequences of a run.

    Args:
        rows: (source, its index in that source) of each.
        owed: what each source is behind afterwards, in 2^-32 sequences.
        drawn: source -> sequences taken from it.
    """

    rows: tuple[tuple[str, int], ...]
    owed: Mapping[str, int]
    drawn: Mapping[str, int]


def asked_shares(plan: TrainPlan, sources: Sequence[str], at: Progress) -> dict[str, float]:
    """Share of each source (views included) at a point of training; they sum to 1.

    Raises RecipeError where the plan names a source that is not there, or names none where there are several.
    """
    shares = plan.objective.shares(_phase(plan, sources, at).shares, at)
    for name in shares:
        if name not in sources:
            raise RecipeError("train.plan.mixture", f"there is no source {name!r}", did_you_mean(name, sources))
    total = sum(shares.values())
    return {name: shares.get(name, 0.0) / total for name in sources}


def _phase(plan: TrainPlan, sources: Sequence[str], at: Progress) -> Phase:
    for phase in plan.mixture:
        if at.tokens < phase.until * at.total_tokens:
            return phase
    if plan.mixture:
        return plan.mixture[-1]
    suffixes = [view.suffix for view in plan.objective.views()]
    plain = {
        name.removesuffix(max((s for s in suffixes if s and name.endswith(s)), key=len, default="")) for name in sources
    }
    if len(plain) > 1:
        mend = "Add phases such as {shares: {first: 0.7, second: 0.3}}."
        raise RecipeError("train.plan.mixture", f"it says nothing of the sources {', '.join(sorted(plain))}", mend)
    return Phase(dict.fromkeys(plain, 1.0))


def draw(shares: Mapping[str, float], count: int, owed: Mapping[str, int], next_index: Mapping[str, int]) -> Draw:
    """The next `count` sequences under shares that hold for all of them."""
    steps = _whole(shares)
    behind = {name: owed.get(name, 0) for name in shares}
    drawn = dict.fromkeys(shares, 0)
    rows: list[tuple[str, int]] = []
    for _ in range(count):
        for name, step in steps.items():
            behind[name] += step
        chosen = max((name for name in shares if steps[name]), key=behind.__getitem__)  # ties: the first source
        behind[chosen] -= UNIT
        rows.append((chosen, next_index[chosen] + drawn[chosen]))
        drawn[chosen] += 1
    return Draw(tuple(rows), behind, drawn)


def _whole(shares: Mapping[str, float]) -> dict[str, int]:
    """Shares in units of 2^-32 that sum to one exactly: what rounding leaves goes to the largest."""
    steps = {name: round(share * UNIT) for name, share in shares.items()}
    steps[max(steps, key=steps.__getitem__)] += UNIT - sum(steps.values())
    return steps
