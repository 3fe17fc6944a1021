"""Constant: a linear warm-up, then the same rate for good.

What      The rate rises linearly to the peak and stays. With the warm-up given in tokens it never depends on how long
          training will be: a run can be prolonged, and a cooled-down copy branched off, wherever one likes.
Source    The trunk of constant-and-cooldown training in Hägele et al. 2024, arXiv 2405.18392, section 3.
Formula   warm-up: tokens / warmup;  then 1
Shapes    progress -> factor
Units     tokens; fractions of total_tokens; the factor is a fraction of the peak rate
Fidelity  Exact for the trunk; its cooldown is the schedule `warmup_stable_decay`.
Errors    A warm-up longer than the training raises RecipeError; tokens outside [0, total_tokens] are held at its ends.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

from annotated_types import Ge, Le

from seedbed.train.contract import Progress, Schedule
from seedbed.train.spans import spans


@dataclasses.dataclass(frozen=True)
class Constant(Schedule):
    """Warm-up, then constant.

    Args:
        warmup_fraction: of total_tokens; not used where warmup_tokens is given.
        warmup_tokens: length of the warm-up in tokens, the same for every total: what makes runs branch exactly.
    """

    warmup_fraction: Annotated[float, Ge(0), Le(1)] = 0.02
    warmup_tokens: Annotated[int | None, Ge(0)] = None

    def value(self, at: Progress) -> float:
        """The factor on the peak learning rate."""
        parts = spans(self, at, (self.warmup_fraction, self.warmup_tokens))
        return parts.tokens / parts.warmup if parts.is_warming_up else 1.0
