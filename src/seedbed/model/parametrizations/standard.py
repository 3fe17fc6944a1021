"""Standard parametrization: matrices start with deviation 1 / sqrt(inputs), and all weights learn at one rate.

What      Each matrix keeps the size of what it reads; what writes into the residual stream is drawn smaller in deep
          models. Embedding and head start with deviation 0.02. The best learning rate falls as models widen.
Source    LeCun et al. 1998, "Efficient BackProp", section 4.6, for 1 / sqrt(inputs); GPT-2 (Radford et al. 2019,
          section 2.3) for the residual factor and 0.02.
Formula   matrix: fan_in^-0.5, times writers^-0.5 for those that write, with writers = 2 layers where scaled_residual
          embedding, positions, head: 0.02;  gains 1, biases 0
Shapes    a weight's kind and inputs -> deviation
Units     standard deviations
Fidelity  Adapted: GPT-2 draws all matrices with 0.02, whatever their inputs.
Errors    No input raises.
"""

from __future__ import annotations

import dataclasses
import math

from seedbed.model.contract import Kind, Parametrization


@dataclasses.dataclass(frozen=True)
class Standard(Parametrization):
    """1 / sqrt(inputs), and one rate for all.

    Args:
        scaled_residual: what writes into the residual stream is drawn smaller by sqrt(2 layers).
    """

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
