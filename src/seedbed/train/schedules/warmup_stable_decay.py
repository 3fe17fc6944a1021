"""Warm-up, stable, decay (WSD): a constant rate that can be branched off and cooled down at any time.

What      The rate rises linearly, stays, and falls over the last part of training. Up to the start of the decay it does
          not depend on how long training will be (if the warm-up is given in tokens), so one long run serves many ends.
Source    Hu et al. 2024 (MiniCPM), arXiv 2404.06395, section 4; the 1 - sqrt decay: Hägele et al. 2024, arXiv
          2405.18392, section 3.
Formula   x = progress through the decay, 0 to 1
          warm-up: tokens / warmup;  stable: 1
          one_minus_sqrt: 1 - sqrt(x);  linear: 1 - x;  exponential: exponential_floor^x
Shapes    tokens, total_tokens -> factor
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

from seedbed.core.errors import RecipeError
from seedbed.train.contract import Schedule


@dataclasses.dataclass(frozen=True)
class WarmupStableDecay(Schedule):
    """WSD.

    Args:
        warmup_fraction: of total_tokens; not used where warmup_tokens is given.
        warmup_tokens: length of the warm-up in tokens, the same for every total: what makes runs branch exactly.
        decay_fraction: of total_tokens, at the end.
        kind: shape of the decay.
        exponential_floor: where the exponential decay ends.
    """

    warmup_fraction: Annotated[float, Ge(0), Le(1)] = 0.02
    warmup_tokens: Annotated[int | None, Ge(0)] = None
    decay_fraction: Annotated[float, Ge(0), Le(1)] = 0.2
    kind: Literal["one_minus_sqrt", "linear", "exponential"] = "one_minus_sqrt"
    exponential_floor: Annotated[float, Gt(0), Le(1)] = 0.01

    def __post_init__(self) -> None:
        """Raises RecipeError where warm-up and decay overlap."""
        super().__post_init__()
        if self.warmup_tokens is None and self.warmup_fraction + self.decay_fraction > 1:
            raise RecipeError(f"{self.name()}.decay_fraction", "warm-up and decay together exceed the training")

    def value(self, tokens: int, total_tokens: int) -> float:
        """The factor on the peak learning rate."""
        tokens = min(max(tokens, 0), total_tokens)
        warmup = self.warmup_fraction * total_tokens if self.warmup_tokens is None else self.warmup_tokens
        decay = self.decay_fraction * total_tokens
        if warmup + decay > total_tokens:
            what = f"a warm-up of {warmup:.0f} and a decay of {decay:.0f} tokens exceed the {total_tokens} of training"
            raise RecipeError(f"{self.name()}.warmup_tokens", what)
        if tokens < warmup:
            return tokens / warmup
        if tokens <= total_tokens - decay or decay == 0:
            return 1.0
        return decayed((tokens - (total_tokens - decay)) / decay, self.kind, self.exponential_floor)


def decayed(x: float, kind: str, exponential_floor: float) -> float:
    """The factor at progress x of the decay: 1 at 0, and 0 (or the exponential's floor) at 1."""
    if kind == "one_minus_sqrt":
        return 1.0 - math.sqrt(x)
    if kind == "linear":
        return 1.0 - x
    return exponential_floor**x
