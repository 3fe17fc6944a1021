"""Gradual magnitude pruning: ever more of the smallest weights are set to 0 while training goes on, and stay there.

What      Between two points of training the share of zeros in the matrices of the blocks rises to its final value; at
          each of `times` points the weights of least magnitude are switched off for good. The defaults begin at a
          quarter of the training's compute and end at three quarters, which the source found near the best.
Source    Jin et al. 2025 (ICLR), "The Journey Matters: Average Parameter Count over Pre-training Unifies Sparse and
          Dense Scaling Laws", arXiv 2501.12486; ramp, scope and final sparsity as in its release,
          tjingrant/sparse-llm-code, commit 78688d4. The cubic ramp, in each matrix: Zhu & Gupta 2017, arXiv 1710.01878.
Formula   x = j / times, j = floor(times u), u = (t - t0) / (t1 - t0); sparsity(x) = 1 - (1 - final)^x (geometric: an
          equal share of what is left each time), final (1 - (1 - x)^3) (cubic), final x (linear). Where start and end
          are of compute: with g the saving of all weights being off, and m the ramp's mean over its steps, a token
          costs 1 before the ramp, 1 - g m on average on it, 1 - g final behind it; so
          C = 1 / (start + (end - start) / (1 - g m) + (1 - end) / (1 - g final)), t0 = start C,
          t1 = t0 + (end - start) C / (1 - g m), all in fractions of what the same tokens cost dense.
Shapes    progress -> sparsity; weight -> importance of the same shape
Units     start, end: fractions of compute (FLOP of active weights) or of tokens; sparsity: a fraction of the matrices
Fidelity  Adapted: the release prunes the head's matrix too, and every 100 steps; here the head is left whole, and the
          number of prunings is given, so that it does not depend on the batch. As there, what is off gets no gradient
          and never comes back.
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


@dataclasses.dataclass(frozen=True)
class GradualMagnitude(Pruning):
    """Gradual magnitude pruning; an end that is the start prunes once.

    Args:
        sparsity_at_end: share of the matrices that is 0 from the end of the ramp on.
        start, end: of the ramp.
        unit: what start and end are fractions of.
        ramp: "geometric" takes the same share of what is left at each step, "cubic" most at first, "linear" evenly.
        scope: "model" compares the magnitudes of all matrices, "matrix" brings each to the same sparsity.
        times: steps of the ramp.
    """

    sparsity_at_end: Annotated[float, Ge(0), Lt(1)] = 0.5
    start: Annotated[float, Ge(0), Le(1)] = 0.25
    end: Annotated[float, Ge(0), Le(1)] = 0.75
    unit: Literal["compute", "tokens"] = "compute"
    ramp: Literal["geometric", "cubic", "linear"] = "geometric"
    scope: Literal["model", "matrix"] = "model"
    times: Annotated[int, Ge(1), Le(100_000)] = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.end < self.start:
            raise RecipeError(f"{self.path()}.end", f"{self.end:g} lies before the start, {self.start:g}")

    def sparsity(self, at: Progress, saving: float) -> float:
        """Of the matrices."""
        done, (start, end) = at.tokens / at.total_tokens, self.span(saving)
        if done >= end:
            return self.sparsity_at_end
        if done < start:
            return 0.0
        return self._height(math.floor(self.times * (done - start) / (end - start)))

    def importance(self, weight: Tensor) -> Tensor:
        """Magnitude, or its rank in the matrix as a fraction of it."""
        if self.scope == "model":
            return weight.abs()
        ranks = weight.abs().view(-1).argsort(stable=True).argsort(stable=True)
        return (ranks / weight.numel()).view_as(weight)

    def span(self, saving: float) -> tuple[float, float]:
        """Start and end in fractions of all tokens."""
        if self.unit == "tokens":
            return self.start, self.end
        compute, (on_ramp, _) = self.compute(saving), self._costs(saving)
        start = self.start * compute
        return start, min(1.0, start + (self.end - self.start) * compute / on_ramp)

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
        final, left = self.sparsity_at_end, 1.0 - step / self.times
        if self.ramp == "geometric":
            return 1.0 - (1.0 - final) ** (step / self.times)
        return final * (1.0 - (left**3 if self.ramp == "cubic" else left))
