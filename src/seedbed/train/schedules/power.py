"""Power: a rate that falls as a power of the tokens read, and asks neither for the length of training nor the batch.

What      The best constant rate of a training falls as a power of its tokens and rises in proportion to the batch. This
          schedule follows that law from token to token under a cap, so that one setting serves all lengths and batches;
          a short decay ends the training. The plan's peak learning rate is the cap. Meant for muP.
Source    Shen et al. 2024 (Power Scheduler), arXiv 2408.13359: eta(n) = min(eta_max, beta a n^b), a warm-up before it
          and a decay after it.
Formula   eta(n) = min(eta_max, beta a n^b);  beta = batch_sequences, n = tokens, eta_max = the plan's peak
          warm-up: n / warmup * eta(warmup);  then eta(n);  decay: eta(decay_start) * shape(x), x from 0 to 1
          exponential: exponential_floor^x;  linear: 1 - x;  the factor is eta / eta_max
Shapes    progress -> factor
Units     tokens; sequences; a: rate per sequence of the batch at one token; the factor is a fraction of the peak rate
Fidelity  Adapted. The warm-up climbs to the law's value at its end, not to the cap, so that there is no kink. The paper
          was not at hand: a is told as 4.6 and as 4, the default is 4.6 (at 4 all rates below the cap are 13 % lower);
          b = -0.51 and the cap 0.02 agree everywhere. It leaves the shape of the decay open, so the default is that of
          WSD's paper. a holds for the length of sequence it was fitted at: beta counts sequences.
Errors    A warm-up and a decay that overlap raise RecipeError; tokens outside [0, total_tokens] are held at its ends;
          n = 0 gives the cap.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from seedbed.train.contract import Progress
from seedbed.train.spans import Decaying


@dataclasses.dataclass(frozen=True)
class Power(Decaying):
    """The Power scheduler; set the plan's learning_rate to the cap, 0.02 in the paper.

    Args:
        a, b: of the law.
        warmup_fraction: of total_tokens; not used where warmup_tokens is given.
        warmup_tokens: length of the warm-up in tokens, the same for every total: what makes runs branch exactly.
        decay_fraction: of total_tokens, at the end; not used where decay_tokens is given.
        decay_tokens: length of the decay in tokens, rounded down to whole batches.
        kind: shape of the decay.
        exponential_floor: where the exponential decay ends.
    """

    a: Annotated[float, Gt(0)] = 4.6
    b: Annotated[float, Ge(-2), Le(0)] = -0.51
    decay_fraction: Annotated[float, Ge(0), Le(1)] = 0.1
    kind: Literal["exponential", "linear"] = "exponential"
    exponential_floor: Annotated[float, Gt(0), Le(1)] = 0.01

    def value(self, at: Progress) -> float:
        """The factor on the peak learning rate."""
        parts = self.parts(at)
        if parts.is_warming_up:
            return parts.tokens / parts.warmup * self._law(parts.warmup, at)
        if not parts.is_decaying:
            return self._law(parts.tokens, at)
        x = (parts.tokens - parts.decay_start) / parts.decay
        shape = 1.0 - x if self.kind == "linear" else self.exponential_floor**x
        return self._law(parts.decay_start, at) * shape

    def _law(self, tokens: float, at: Progress) -> float:
        """The law under its cap, as a fraction of the cap."""
        if tokens <= 0:
            return 1.0
        return min(1.0, at.batch_sequences * self.a * tokens**self.b / at.learning_rate)
