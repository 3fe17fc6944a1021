"""LayerNorm Scaling: deep layers read a smaller norm, so that the residual stream grows slowly with depth.

What      The outputs of both norms of a block are multiplied by one over the square root of the block's number.
          Variance then grows with the logarithm of depth instead of linearly, and deep blocks keep doing something.
Source    Sun et al. 2025, "The curse of depth in large language models", arXiv 2502.05795, section 3 (equation 8).
Formula   y = norm(x) / sqrt(l), l = 1, 2, ... from the embedding up; the final norm is left alone
Shapes    layer number -> factor
Units     plain numbers
Fidelity  Exact; compared with the growth of variance over 48 layers at the start, without it, with it, and with scaled
          initial weights. The authors' code warns against the last two at once: they damp too much, so it raises.
Errors    With a parametrization that draws residual writers smaller, ModelShape raises RecipeError.
"""

from __future__ import annotations

import dataclasses

from seedbed.model.contract import DepthScaling


@dataclasses.dataclass(frozen=True)
class LayerNormScaling(DepthScaling):
    """1 / sqrt(layer) on both norms of a block."""

    def factor(self, layer: int) -> float:
        """For both norms of a layer, counted from 1."""
        return layer**-0.5
