"""Step Law: the learning rate and batch to train a decoder with, from its size and the length of training. No torch.

Source    Li et al. 2025, "Predictable Scale: Part I, Step Law", arXiv 2503.04715; 3,700 decoders trained with AdamW, a
          warm-up and a cosine to a fixed 1e-5, sequences of 2048 tokens.
Formula   learning_rate = 1.79 N^-0.713 D^0.307;  batch_tokens = 0.58 D^0.571
          N non-embedding parameters, D tokens. As printed; the mean of the 1,000 released fits, which the authors' tool
          uses, has two digits more: at N 7e9, D 1.4e12 it says 9.35e-4 where this says 9.17e-4, and the same batch.
Bands     The 5 % and 95 % points of the 1,000 bootstrap fits the authors released, taken as log-normal: how well the
          law itself is known, not how much a deviation costs. In the released runs the optimum is flat: at half or
          twice the rate or the batch the loss is 0.4 to 0.5 % above the best, at the law's own point 0.12 %.
Range     What the 17 cells of released dense runs span: N 2.1e8 to 1.1e9, D 4e9 to 1e11. Outside it the formula still
          answers, marked as extrapolated, but the rate is held at 4.9e-3, the highest the law takes inside its range
          (N 2.1e8, D 1e11). For models below 1e6 parameters the formula asks for more than 1e-2; at 0.33M parameters
          and 0.4M tokens a run at that rate, of one seed, ended 4.5 % above one at 0.004. What the law's point costs at
          such sizes is what benchmarks/effect/train/step_law.py measures.
"""

from __future__ import annotations

import dataclasses
import math

from seedbed.core.errors import SeedbedError

PARAMETERS_RANGE = (2.1e8, 1.1e9)
TOKENS_RANGE = (4e9, 1e11)

HIGHEST_RATE = 4.9e-3
"""The law at the smallest model and the longest training of its range."""

# Covariances of (ln factor, exponent of N, exponent of D) and (ln factor, exponent of D) over the bootstrap fits.
_RATE_COVARIANCE = (
    (3.890621e-01, -1.3558939e-02, -5.1324935e-03),
    (-1.3558939e-02, 8.9148574e-04, -1.7433179e-04),
    (-5.1324935e-03, -1.7433179e-04, 3.6631184e-04),
)
_BATCH_COVARIANCE = ((1.9117964e-01, -8.1515722e-03), (-8.1515722e-03, 3.4851794e-04))
_NORMAL_95 = 1.6449


@dataclasses.dataclass(frozen=True)
class StepLaw:
    """What the law says.

    Args:
        learning_rate: peak, held at HIGHEST_RATE.
        batch_tokens: tokens a step.
        in_range: whether the law was fitted on such sizes; otherwise this is an extrapolation.
        formula_rate: the rate before it is held.
        learning_rate_band, batch_tokens_band: 90 % of the bootstrap fits lie inside; the rate's is held too.
    """

    learning_rate: float
    batch_tokens: float
    in_range: bool
    formula_rate: float
    learning_rate_band: tuple[float, float]
    batch_tokens_band: tuple[float, float]

    @property
    def is_held(self) -> bool:
        """Whether the formula asks for a higher rate."""
        return self.formula_rate > HIGHEST_RATE


def step_law(non_embedding_parameters: int, tokens: int) -> StepLaw:
    """The law for N = `non_embedding_parameters` and D = `tokens`. Raises SeedbedError where one is below 1."""
    if non_embedding_parameters < 1 or tokens < 1:
        what = f"there is no answer for {non_embedding_parameters} parameters and {tokens} tokens"
        raise SeedbedError("step_law", what, "Both must be at least 1.")
    rate = 1.79 * non_embedding_parameters**-0.713 * tokens**0.307
    batch = max(1.0, 0.58 * tokens**0.571)
    size, length = math.log(non_embedding_parameters), math.log(tokens)
    rate_band = _band(rate, _RATE_COVARIANCE, (1.0, size, length))
    return StepLaw(
        learning_rate=min(rate, HIGHEST_RATE),
        batch_tokens=batch,
        in_range=_inside(non_embedding_parameters, PARAMETERS_RANGE) and _inside(tokens, TOKENS_RANGE),
        formula_rate=rate,
        learning_rate_band=(min(rate_band[0], HIGHEST_RATE), min(rate_band[1], HIGHEST_RATE)),
        batch_tokens_band=_band(batch, _BATCH_COVARIANCE, (1.0, length)),
    )


def _band(value: float, covariance: tuple[tuple[float, ...], ...], features: tuple[float, ...]) -> tuple[float, float]:
    """Around `value`, from the spread of the logarithm of the fits at `features`."""
    rows = zip(features, covariance, strict=True)
    variance = sum(a * b * entry for a, row in rows for b, entry in zip(features, row, strict=True))
    factor = math.exp(_NORMAL_95 * math.sqrt(max(variance, 0.0)))
    return value / factor, value * factor


def _inside(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= value <= bounds[1]
