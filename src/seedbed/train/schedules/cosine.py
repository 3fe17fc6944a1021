"""Cosine: a linear warm-up, then half a cosine down to a floor.

What      The rate rises linearly to the peak and follows half a period of a cosine to `floor` at the last token. It
          depends on the length of training everywhere, so a run cannot be prolonged without starting over.
Source    Loshchilov & Hutter 2017 (SGDR), arXiv 1608.03983, equation 5, one period; warm-up and the floor of a tenth as
          in Brown et al. 2020 (GPT-3), arXiv 2005.14165, appendix B.
Formula   warm-up: tokens / warmup
          then floor + (1 - floor) (1 + cos(pi x)) / 2, x = (tokens - warmup) / (total_tokens - warmup)
Shapes    tokens, total_tokens -> factor
Units     tokens; fractions of total_tokens; the factor is a fraction of the peak rate
Fidelity  Exact.
Errors    None; tokens outside [0, total_tokens] are held at its ends.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated

from annotated_types import Ge, Le, Lt

from seedbed.train.contract import Schedule


@dataclasses.dataclass(frozen=True)
class Cosine(Schedule):
    """Warm-up and cosine decay.

    Args:
        warmup_fraction: of total_tokens.
        floor: the factor at the end.
    """

    warmup_fraction: Annotated[float, Ge(0), Lt(1)] = 0.02
    floor: Annotated[float, Ge(0), Le(1)] = 0.1

    def value(self, tokens: int, total_tokens: int) -> float:
        """The factor on the peak learning rate."""
        tokens = min(max(tokens, 0), total_tokens)
        warmup = self.warmup_fraction * total_tokens
        if tokens < warmup:
            return tokens / warmup
        if total_tokens == 0:
            return 1.0
        x = (tokens - warmup) / (total_tokens - warmup)
        return self.floor + (1.0 - self.floor) * (1.0 + math.cos(math.pi * x)) / 2.0
