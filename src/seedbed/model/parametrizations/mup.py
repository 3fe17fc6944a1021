"""muP: what is learned keeps its size as models widen, so the best learning rate of a narrow one serves a wide one.

What      Against a base width: matrices of the blocks learn at a rate divided by how much wider the model is, what the
          head reads is divided by the same, and products of queries and keys by the width of heads instead of its root.
          Initial weights are the standard ones. At the base sizes nothing differs from the standard parametrization.
Source    Yang et al. 2022 (Tensor Programs V), arXiv 2203.03466, table 8 (the form that allows tied embeddings), and
          definition 4.1 for attention; for Adam and its kin.
Formula   m = d_model / base_width
          matrix: rate / m, decay * m (decay is multiplied by the rate, so their product stays);  others: rate, decay
          logits = head (hidden / m);  scores = q . k sqrt(base_head_width) / D
          matrix: deviation fan_in^-0.5;  embedding, head: 0.02, whatever the width
Shapes    a weight's kind, and the model's width -> factors
Units     factors on a rate per step, and on a decay per unit of rate
Fidelity  Adapted: the authors advise to start queries and head at 0, which cannot be had with a tied head and would
          differ from the standard parametrization at the base; residual writers keep their factor for depth, which is
          outside muP. Inner widths are taken to grow with d_model. Compared by a coordinate check over widths.
Errors    No input raises.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated

from annotated_types import Ge

from seedbed.model.contract import Kind, Parametrization


@dataclasses.dataclass(frozen=True)
class MuP(Parametrization):
    """Rates that carry over from narrow models to wide ones.

    Args:
        base_width: d_model at which nothing differs from the standard parametrization.
        base_head_width: width of a head at which nothing differs.
        scaled_residual: what writes into the residual stream is drawn smaller by sqrt(2 layers).
    """

    base_width: Annotated[int, Ge(1)] = 256
    base_head_width: Annotated[int, Ge(1)] = 64
    scaled_residual: bool = True

    @property
    def scales_residual(self) -> bool:
        """As told."""
        return self.scaled_residual

    def deviation(self, kind: Kind, fan_in: int, writers: int) -> float:
        """Of a fresh weight."""
        if kind in ("embedding", "head"):
            return 0.02
        if kind == "vector":
            return 0.0
        return fan_in**-0.5 / (math.sqrt(writers) if self.scaled_residual else 1.0)

    def lr_scale(self, kind: Kind, width: int) -> float:
        """Matrices of the blocks learn more slowly in wider models."""
        return self.base_width / width if kind == "matrix" else 1.0

    def decay_scale(self, kind: Kind, width: int) -> float:
        """Rate times decay stays."""
        return width / self.base_width if kind == "matrix" else 1.0

    def attention_scale(self, head_width: int) -> float:
        """1 / D instead of 1 / sqrt(D)."""
        return (self.base_head_width / head_width) ** 0.5 * head_width**-0.5

    def output_multiplier(self, width: int) -> float:
        """What the head reads shrinks as its sums get longer."""
        return self.base_width / width
