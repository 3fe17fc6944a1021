"""Cosine: a linear warm-up, then half a cosine down to a floor.

What      The rate rises linearly to the peak and follows half a period of a cosine to `floor` at the last token. It
          depends on the length of training everywhere, so a run cannot be prolonged without starting over.
Source    Loshchilov & Hutter 2017 (SGDR), arXiv 1608.03983, equation 5, one period; warm-up and the floor of a tenth as
          in Brown et al. 2020 (GPT-3), arXiv 2005.14165, appendix B.
Formula   warm-up: tokens / warmup
          then floor + (1 - floor) (1 + cos(pi x)) / 2, x = (tokens - warmup) / (total_tokens - warmup)
Shapes    progress -> factor
Units     tokens; fractions of total_tokens; the factor is a fraction of the peak rate
Fidelity  Exact.
Errors    A warm-up longer than the training raises RecipeError; tokens outside [0, total_tokens] are held at its ends.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated

from annotated_types import Ge, Le, Lt

from seedbed.train.contract import Progress, Schedule
from seedbed.train.spans import spans


@dataclasses.dataclass(frozen=True)
class Cosine(Schedule):
    """Warm-up and cosine decay.

    Args:
        warmup_fraction: of total_tokens; not used where warmup_tokens is given.
        warmup_tokens: length of the warm-up in tokens, the same for every total.
        floor: the factor at the end.
    """

    warmup_fraction: Annotated[float, Ge(0), Lt(1)] = 0.02
    warmup_tokens: Annotated[int | None, Ge(0)] = None
    floor: Annotated[float, Ge(0), Le(1)] = 0.1

    def value(self, at: Progress) -> float:
        """The factor on the peak learning rate."""
        parts = spans(self, at, (self.warmup_fraction, self.warmup_tokens))
        if parts.is_warming_up:
            return parts.tokens / parts.warmup
        if parts.total <= parts.warmup:
            return 1.0
        x = (parts.tokens - parts.warmup) / (parts.total - parts.warmup)
        return self.floor + (1.0 - self.floor) * (1.0 + math.cos(math.pi * x)) / 2.0
