"""Linear: a linear warm-up, then a straight line down to a floor.

What      The rate rises linearly to the peak and falls linearly to `floor` at the last token. It depends on the length
          of training everywhere, so a run cannot be prolonged without starting over.
Source    Devlin et al. 2019 (BERT), arXiv 1810.04805, appendix A.2: warm-up over a hundredth of the steps, then linear
          to zero. Why to zero: Bergsma et al. 2025, arXiv 2502.15938.
Formula   warm-up: tokens / warmup
          then 1 - (1 - floor) x, x = (tokens - warmup) / (total_tokens - warmup)
Shapes    progress -> factor
Units     tokens; fractions of total_tokens; the factor is a fraction of the peak rate
Fidelity  Exact, with tokens for steps.
Errors    A warm-up longer than the training raises RecipeError; tokens outside [0, total_tokens] are held at its ends.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

from annotated_types import Ge, Le

from seedbed.train.contract import Progress, Schedule
from seedbed.train.spans import spans


@dataclasses.dataclass(frozen=True)
class Linear(Schedule):
    """Warm-up and linear decay.

    Args:
        warmup_fraction: of total_tokens; not used where warmup_tokens is given.
        warmup_tokens: length of the warm-up in tokens, the same for every total.
        floor: the factor at the end.
    """

    warmup_fraction: Annotated[float, Ge(0), Le(1)] = 0.01
    warmup_tokens: Annotated[int | None, Ge(0)] = None
    floor: Annotated[float, Ge(0), Le(1)] = 0.0

    def value(self, at: Progress) -> float:
        """The factor on the peak learning rate."""
        parts = spans(self, at, (self.warmup_fraction, self.warmup_tokens))
        if parts.is_warming_up:
            return parts.tokens / parts.warmup
        if parts.total <= parts.warmup:
            return 1.0
        x = (parts.tokens - parts.warmup) / (parts.total - parts.warmup)
        return 1.0 - (1.0 - self.floor) * x
