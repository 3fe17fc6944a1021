"""Warm-up, stable, decay (WSD): a constant rate that can be branched off and cooled down at any time.

What      The rate rises linearly, stays, and falls over the last part of training. Up to the start of the decay it does
          not depend on how long training will be (if the warm-up is given in tokens), so one long run serves many ends:
          with the decay in tokens too, a plan of `now + decay_tokens` has the same past to the bit, and decays now.
Source    Hu et al. 2024 (MiniCPM), arXiv 2404.06395, section 4; the 1 - sqrt decay: Hägele et al. 2024, arXiv
          2405.18392, section 3.
Formula   x = progress through the decay, 0 to 1
          warm-up: tokens / warmup;  stable: 1
          one_minus_sqrt: 1 - (1 - floor) sqrt(x);  linear: 1 - (1 - floor) x;  exponential: exponential_floor^x
Shapes    progress -> factor
Units     tokens; fractions of total_tokens; the factor is a fraction of the peak rate
Fidelity  Adapted: MiniCPM's exponential decay is 0.5^((s - S) / T) with T in steps of its run; here it falls to
          `exponential_floor` at the end, whatever the length.
Errors    A warm-up and a decay that overlap raise RecipeError; tokens outside [0, total_tokens] are held at its ends.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from seedbed.train.contract import Progress
from seedbed.train.spans import Decaying


@dataclasses.dataclass(frozen=True)
class WarmupStableDecay(Decaying):
    """WSD.

    Args:
        warmup_fraction: of total_tokens; not used where warmup_tokens is given.
        warmup_tokens: length of the warm-up in tokens, the same for every total: what makes runs branch exactly.
        decay_fraction: of total_tokens, at the end; not used where decay_tokens is given.
        decay_tokens: length of the decay in tokens, rounded down to whole batches.
        kind: shape of the decay.
        exponential_floor: where the exponential decay ends.
        floor: where the other two end.
    """

    kind: Literal["one_minus_sqrt", "linear", "exponential"] = "one_minus_sqrt"
    exponential_floor: Annotated[float, Gt(0), Le(1)] = 0.01
    floor: Annotated[float, Ge(0), Le(1)] = 0.0

    def value(self, at: Progress) -> float:
        """The factor on the peak learning rate."""
        parts = self.parts(at)
        if parts.is_warming_up:
            return parts.tokens / parts.warmup
        if not parts.is_decaying:
            return 1.0
        x = (parts.tokens - parts.decay_start) / parts.decay
        if self.kind == "exponential":
            return self.exponential_floor**x
        return 1.0 - (1.0 - self.floor) * (math.sqrt(x) if self.kind == "one_minus_sqrt" else x)
