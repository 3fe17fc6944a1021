"""Gumbel top-k: samples documents without replacement, the better ones more often, until the budget is reached.

What      Adds Gumbel noise to score / temperature and takes the largest: the same as drawing one document after the
          other from the softmax over those left. Constant scores give a uniform random sample.
Source    Kool, van Hoof, Welling 2019, arXiv 1903.06059, section 3; used by DSIR (arXiv 2302.03169) and MATES
          (arXiv 2406.06046), whose released code negates after adding noise: noise="gumbel_min".
Formula   rank by score_i + temperature * g_i, largest first; g_i = -ln(-ln u_i), u_i from (seed, id).
          gumbel_min: rank by score_i - temperature * g_i, which is greedier at the same temperature.
Shapes    score_N, n_tokens_N, key_N -> copies_N
Units     temperature in the unit of the score; budget_tokens in tokens; copies in readings.
Fidelity  Exact: temperature 1 is DSIR's. Temperature 0 is top_k; a large one forgets the score.
Errors    SeedbedError for a score that is not finite. Ties have probability 0 above temperature 0, and are broken by
          (seed, id). A budget of 0 selects nothing, one beyond the pool all of it.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from annotated_types import Ge

from seedbed.select.contract import FloatArray, Scored, Selector, take_until
from seedbed.stats.sampling import gumbels, hashed, order_by


@dataclasses.dataclass(frozen=True)
class GumbelTopK(Selector):
    """Parameters of the draw.

    Args:
        temperature: how much chance counts against the score.
        noise: "gumbel" samples from the softmax; "gumbel_min" is the noise of MATES' released selector.
    """

    temperature: Annotated[float, Ge(0)] = 1.0
    noise: Literal["gumbel", "gumbel_min"] = "gumbel"

    def copies(self, scored: Scored, *, budget_tokens: int, seed: int) -> FloatArray:
        """One copy of each drawn document until the budget is reached."""
        sign = 1.0 if self.noise == "gumbel" else -1.0
        noisy_N = scored.score_N + sign * self.temperature * gumbels(seed, scored.key_N)
        return take_until(order_by(noisy_N, hashed(seed, scored.key_N)), scored.n_tokens_N, budget_tokens)
