"""Gradual magnitude pruning: ever more of the smallest weights are set to 0 while training goes on, and stay there.

What      Between two points of training the share of zeros in every matrix of the blocks rises along a ramp to its
          final value; at each of `times` points the weights of least magnitude are switched off for good. The defaults
          begin at a quarter of the training's compute and end at three quarters, which the source found near the best.
Source    Zhu & Gupta 2017, arXiv 1710.01878 (the ramp, zeros by magnitude in each matrix); Jin et al. 2025 (ICLR), "The
          Journey Matters: Average Parameter Count over Pre-training Unifies Sparse and Dense Scaling Laws", arXiv
          2501.12486 (where to begin and to end).
Formula   sparsity(u) = final (1 - (1 - j / times)^3), j = floor(times u), u = (t - t0) / (t1 - t0); linear: final
          j / times. Where start and end are of compute: with g the saving of all weights being off, and m the ramp's
          mean over its steps, a token costs 1 before the ramp, 1 - g m on average on it, 1 - g final behind it; so
          C = 1 / (start + (end - start) / (1 - g m) + (1 - end) / (1 - g final)), t0 = start C,
          t1 = t0 + (end - start) C / (1 - g m), all in fractions of what the same tokens cost dense.
Shapes    progress -> sparsity; weight -> importance of the same shape
Units     start, end: fractions of compute (FLOP of active weights) or of tokens; sparsity: a fraction of each matrix
Fidelity  Adapted: at the same sparsity in every matrix, as Zhu & Gupta; Jin et al.'s final sparsities and frequency are
          the caller's to choose, since that paper was not at hand. What is off gets no gradient and never comes back.
Errors    An end before the start raises RecipeError; so does fsdp (see train/pruning.py). A matrix that is all 0 when
          pruning begins stays 0: begin behind the first steps where initial weights are 0.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Le, Lt

from seedbed.core.errors import RecipeError
from seedbed.train.contract import Progress, Pruning

if TYPE_CHECKING:
    from torch import Tensor

_ROUNDING = 1e-9
"""An end at 1 is reached by the last step, whatever its sum is rounded to."""


@dataclasses.dataclass(frozen=True)
class GradualMagnitude(Pruning):
    """Gradual magnitude pruning; an end that is the start prunes once.

    Args:
        sparsity_at_end: share of every matrix that is 0 from the end of the ramp on.
        start, end: of the ramp.
        unit: what start and end are fractions of.
        ramp: "cubic" prunes most at first, "linear" evenly.
        times: steps of the ramp.
    """

    sparsity_at_end: Annotated[float, Ge(0), Lt(1)] = 0.8
    start: Annotated[float, Ge(0), Le(1)] = 0.25
    end: Annotated[float, Ge(0), Le(1)] = 0.75
    unit: Literal["compute", "tokens"] = "compute"
    ramp: Literal["cubic", "linear"] = "cubic"
    times: Annotated[int, Ge(1), Le(100_000)] = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.end < self.start:
            raise RecipeError(f"{self.path()}.end", f"{self.end:g} lies before the start, {self.start:g}")

    def sparsity(self, at: Progress, saving: float) -> float:
        """Of every matrix; the ramp begins with its first pruning, not at 0."""
        done, (start, end) = at.tokens / at.total_tokens, self.span(saving)
        if done >= end - _ROUNDING:
            return self.sparsity_at_end
        if done < start:
            return 0.0
        return self._height(math.floor(self.times * (done - start) / (end - start)))

    def importance(self, weight: Tensor) -> Tensor:
        """Magnitude."""
        return weight.abs()

    def span(self, saving: float) -> tuple[float, float]:
        """Start and end in fractions of all tokens."""
        if self.unit == "tokens":
            return self.start, self.end
        compute, (on_ramp, _) = self.compute(saving), self._costs(saving)
        start = self.start * compute
        return start, start + (self.end - self.start) * compute / on_ramp

    def compute(self, saving: float) -> float:
        """FLOP of active weights over those of a dense training on the same tokens."""
        (on_ramp, behind), ramp = self._costs(saving), self.end - self.start
        if self.unit == "tokens":
            return self.start + ramp * on_ramp + (1.0 - self.end) * behind
        return 1.0 / (self.start + ramp / on_ramp + (1.0 - self.end) / behind)

    def _costs(self, saving: float) -> tuple[float, float]:
        """Of a token on the ramp, on average, and behind it, against a dense one."""
        mean = sum(self._height(j) for j in range(self.times)) / self.times
        return 1.0 - saving * mean, 1.0 - saving * self.sparsity_at_end

    def _height(self, step: int) -> float:
        left = 1.0 - step / self.times
        return self.sparsity_at_end * (1.0 - (left**3 if self.ramp == "cubic" else left))
