"""Average of checkpoints: the mean of several points of one training, which often is a better model than its last.

What      Weights of the checkpoint and of other checkpoints of the same training are averaged: of the latest few
          (LAWA), or of points along a constant or cyclical rate (stochastic weight averaging). It saves part of the
          decay of the rate, at no training step.
Source    Kaddour 2022 (Stop wasting my time), arXiv 2209.14981; Izmailov et al. 2018 (Averaging weights leads to wider
          optima), arXiv 1803.05407, algorithm 1.
Formula   theta = SUM_r share_r theta_r / SUM_r share_r;  by default all shares are the same
Shapes    a checkpoint and models of its shape -> a checkpoint of that shape
Units     shares: weights of a mean; sums in float64, rounded once
Fidelity  Adapted: LAWA keeps a moving window during training; here the checkpoints that were stored are named. Neither
          has statistics of batch norms to measure again, as this decoder has none.
Errors    No model, shares that are none, or models of another shape or tokenizer raise SeedbedError.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from seedbed.core.errors import SeedbedError
from seedbed.model.merging import average
from seedbed.model.transforming import Checkpoint, Given, Transform


@dataclasses.dataclass(frozen=True)
class AverageCheckpoints(Transform):
    """LAWA, stochastic weight averaging. The role `second` must be filled; further ones may be given under any names.

    Args:
        shares: of the checkpoint first, then of each other one in the order of their roles by alphabet; none: equal.
    """

    roles: ClassVar[tuple[str, ...]] = ("second",)

    shares: tuple[Annotated[float, Ge(0)], ...] = ()

    def apply(self, checkpoint: Checkpoint, given: Given) -> Checkpoint:
        """The mean of the checkpoint and all models given."""
        roles = sorted(given.models)
        if not roles:
            raise SeedbedError(self.name(), "no other checkpoint is given", "Give at least one of the same training.")
        each = [checkpoint, *(given.models[role] for role in roles)]
        shares = np.array(self.shares or (1.0,) * len(each))
        tokenizers = [one.tokenizer_json or checkpoint.tokenizer_json for one in each]
        mean = average([one.decoder for one in each], shares, names=["the checkpoint", *roles], tokenizers=tokenizers)
        return Checkpoint(mean, checkpoint.tokenizer_json, checkpoint.end_of_text)
