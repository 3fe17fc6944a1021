"""Losses and gradients a domain, of one batch: what a proxy model's domain weights are moved by, and its step.

Rows of a batch belong to domains; a domain's loss is the weighted mean over its tokens. A domain without rows, or
without a token to train on, has NaN. With `by_losses` one pass over all rows serves, and the gradient of the weighted
loss is taken when the weights are known; with `by_gradients` each domain has a pass of its own.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from seedbed.core.errors import SeedbedError
from seedbed.model.runtime import Runtime
from seedbed.model.transformer import Decoder
from seedbed.train.contract import Batch, Objective
from seedbed.train.step import rows_of

FloatArray = npt.NDArray[np.float64]
Gradient = list[Tensor]


@dataclasses.dataclass(frozen=True)
class Observed:
    """One number a domain; NaN where there is nothing to say.

    Args:
        loss_D: mean loss, nats per token.
        excess_D: mean of max(loss - reference loss, 0); without a reference the mean loss.
        alignment_D: inner product of the domain's gradient with the sum of the targets' gradients.
        norm_D: norms of the domains' gradients; both after clipping.
    """

    loss_D: FloatArray
    excess_D: FloatArray
    alignment_D: FloatArray
    norm_D: FloatArray


Weigh = Callable[[Observed], FloatArray]
"""What was observed -> the weights of this step."""


@dataclasses.dataclass(frozen=True)
class Passes:
    """Passes through a model, and through its reference.

    Args:
        model, reference: on the device; no reference where nothing is subtracted.
        objective: whose losses.
        limit: largest norm of a gradient.
        runtime: device and autocast.
    """

    model: Decoder
    reference: Decoder | None
    objective: Objective
    limit: float
    runtime: Runtime

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Those that are trained."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def by_losses(self, batch: Batch, row_D: Sequence[list[int]], weigh: Weigh) -> None:
        """Fill the parameters' gradients: of SUM_d weight_d loss_d over the weights of the domains in the batch."""
        loss_BT = self._losses(self.model, batch)
        excess_BT = self._excess(loss_BT.detach(), batch)
        mean_D = [_mean(loss_BT, batch.weight_BT, rows) for rows in row_D]
        excess_D = [_number(_mean(excess_BT, batch.weight_BT, rows)) for rows in row_D]
        nothing_D = np.full(len(row_D), np.nan)
        loss_D = np.array([_number(mean) for mean in mean_D])
        weight_D = weigh(Observed(loss_D, np.array(excess_D), nothing_D, nothing_D))
        read = [(float(weight_D[d]), mean) for d, mean in enumerate(mean_D) if mean is not None]
        total = max(sum(weight for weight, _ in read), 1e-300)
        torch.autograd.backward(torch.stack([mean * (weight / total) for weight, mean in read]).sum())
        torch.nn.utils.clip_grad_norm_(self.parameters, self.limit)

    def by_gradients(
        self, batch: Batch, row_D: Sequence[list[int]], aims: Sequence[Gradient] | None, weigh: Weigh
    ) -> None:
        """Fill the parameters' gradients: SUM_d weight_d gradient_d, each clipped.

        `aims` are the targets' gradients; None: the domains' own.
        """
        loss_D, excess_D, norm_D, alignment_D = (np.full(len(row_D), np.nan) for _ in range(4))
        found: dict[int, Gradient] = {}
        for d, rows in enumerate(row_D):
            if rows and bool(batch.weight_BT[rows].sum() > 0):
                loss_D[d], excess_D[d], found[d] = self.gradient(batch, rows)
                norm_D[d] = _norm(found[d])
        aim = [torch.stack(pieces).sum(0) for pieces in zip(*(aims or found.values()), strict=True)]
        for d, gradient in found.items():
            alignment_D[d] = sum(float((a.double() * g).sum()) for a, g in zip(aim, gradient, strict=True))
        weight_D = weigh(Observed(loss_D, excess_D, alignment_D, norm_D))
        total = max(float(sum(weight_D[d] for d in found)), 1e-300)
        for p, parameter in enumerate(self.parameters):
            pieces = [gradient[p] * (float(weight_D[d]) / total) for d, gradient in found.items()]
            parameter.grad = torch.stack(pieces).sum(0)

    def gradient(self, batch: Batch, rows: list[int]) -> tuple[float, float, Gradient]:
        """(mean loss, mean excess, clipped gradient of the mean loss) of some rows."""
        mine = rows_of(batch, rows)
        loss_BT = self._losses(self.model, mine)
        everything = list(range(len(rows)))
        mean = _mean(loss_BT, mine.weight_BT, everything)
        assert mean is not None
        made: Any = torch.autograd.grad(mean, self.parameters, materialize_grads=True)
        gradient = list(cast("tuple[Tensor, ...]", made))
        factor = self.limit / (_norm(gradient) + 1e-6)
        clipped = [g * factor for g in gradient] if factor < 1.0 else gradient
        excess = _mean(self._excess(loss_BT.detach(), mine), mine.weight_BT, everything)
        return _number(mean), _number(excess), clipped

    def _excess(self, loss_BT: Tensor, batch: Batch) -> Tensor:
        """Clipped token by token, before any mean: a mean of noise has excess only where it is averaged first."""
        if self.reference is None:
            return loss_BT
        with torch.no_grad():
            return (loss_BT - self._losses(self.reference, batch)).clamp(min=0)

    def _losses(self, model: Decoder, batch: Batch) -> Tensor:
        with self.runtime.autocast():
            return self.objective.losses(model, batch)


def _mean(value_BT: Tensor, weight_BT: Tensor, rows: list[int]) -> Tensor | None:
    """Weighted mean over some rows; None where they hold no token to train on."""
    weight = weight_BT[rows]
    total = weight.sum()
    return (value_BT[rows] * weight).sum() / total if rows and bool(total > 0) else None


def _number(mean: Tensor | None) -> float:
    """NaN for nothing; a mean that is not finite ends the run. Raises SeedbedError."""
    if mean is None:
        return math.nan
    value = float(mean.detach())
    if not math.isfinite(value):
        raise SeedbedError("the proxy model", f"its loss is {value}", "Lower its learning rate.")
    return value


def _norm(gradient: Gradient) -> float:
    return math.sqrt(sum(float(g.double().square().sum()) for g in gradient))
