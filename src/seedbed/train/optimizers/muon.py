"""Muon: momentum, made orthogonal before it is applied, for the matrices inside the model.

What      The momentum of a matrix is replaced by (nearly) the closest orthogonal matrix, so that an update moves all
          directions alike, the rare ones too. Embedding, head and vectors have no such geometry: AdamW updates them.
Source    Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; its scale for large models, and
          decay: Liu et al. 2025 (Moonlight), arXiv 2502.16982, section 2.2. Both updates are torch.optim's.
Formula   m = momentum m + (1 - momentum) g;  u = momentum m + (1 - momentum) g (Nesterov), or m
          X = u / |u|_F;  `ns_steps` times: A = X X^T, X = 3.4445 X + (-4.7750 A + 2.0315 A A) X
          w = w - lr weight_decay w - lr c X, for w of shape (A, B):
          match_rms_adamw: c = 0.2 sqrt(max(A, B));  original: c = sqrt(max(1, A / B))
Shapes    gradient -> update, of the parameter's shape
Units     lr: per step, peak times schedule; weight_decay: fraction of a weight per unit of lr
Fidelity  Exact for the updates; the iteration runs in bfloat16, as in both sources. The default is match_rms_adamw: the
          root mean square of its update is that of AdamW's (0.2), so a plan's learning rate and decay, or the Step
          Law's, serve both kinds of weights and both optimizers. Under muP the parametrization's lr_scale is meant for
          Adam; here a matrix takes what keeps the spectral norm of its update the same at every width: sqrt(lr_scale)
          with match_rms_adamw, 1 with original. Decay per step stays what the parametrization asks for.
Errors    No parameters raise ValueError (torch's); a NaN gradient gives NaN weights, so the loop looks before it steps.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Le, Lt

from seedbed.train.contract import Optimizer

if TYPE_CHECKING:
    from seedbed.model.weights import Weight

Group = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Muon(Optimizer):
    """Muon for matrices, AdamW for all else.

    Args:
        momentum: how slowly the momentum forgets.
        nesterov: look one step ahead.
        ns_steps: iterations towards the orthogonal matrix.
        adjustment: how the update's size follows the matrix's shape.
        weight_decay: of parameters with two axes, under both optimizers.
        adamw_lr_scale: factor on the rate of what AdamW updates; 1 fits match_rms_adamw, original needs less.
        beta1, beta2, eps: of AdamW.
    """

    sharded: ClassVar[bool] = False

    momentum: Annotated[float, Ge(0), Lt(1)] = 0.95
    nesterov: bool = True
    ns_steps: Annotated[int, Ge(1), Le(99)] = 5
    adjustment: Literal["match_rms_adamw", "original"] = "match_rms_adamw"
    weight_decay: Annotated[float, Ge(0)] = 0.1
    adamw_lr_scale: Annotated[float, Gt(0)] = 1.0
    beta1: Annotated[float, Ge(0), Lt(1)] = 0.9
    beta2: Annotated[float, Ge(0), Lt(1)] = 0.95
    eps: Annotated[float, Gt(0)] = 1e-8

    def build(self, weights: Sequence[Weight]) -> torch.optim.Optimizer:
        """Groups by scales: matrices, then what else decays, then vectors."""
        matrices = [weight for weight in weights if weight.kind == "matrix"]
        tables = [weight for weight in weights if weight.kind in ("embedding", "head")]
        vectors = [weight for weight in weights if weight.kind == "vector"]
        adamw = [
            *_groups(tables, self.weight_decay, lambda scale: scale * self.adamw_lr_scale),
            *_groups(vectors, 0.0, lambda scale: scale * self.adamw_lr_scale),
        ]
        return _Both(self, _groups(matrices, self.weight_decay, self._matrix_scale), adamw)

    def _matrix_scale(self, lr_scale: float) -> float:
        """Adam's update of a matrix grows with width as a spectral norm, Muon's with its square root, or not at all."""
        return math.sqrt(lr_scale) if self.adjustment == "match_rms_adamw" else 1.0


class _Both(torch.optim.Optimizer):
    """Two optimizers as one: one list of groups, one state, one numbering of the parameters."""

    def __init__(self, method: Muon, muon: list[Group], adamw: list[Group]) -> None:
        """The inner optimizers fill the groups with their own settings; the state is this one's."""
        self._muon: torch.optim.Optimizer | None = None
        self._adamw: torch.optim.Optimizer | None = None
        if muon:
            self._muon = torch.optim.Muon(
                muon,
                lr=0.0,
                weight_decay=method.weight_decay,
                momentum=method.momentum,
                nesterov=method.nesterov,
                ns_steps=method.ns_steps,
                adjust_lr_fn=method.adjustment,
            )
        if adamw:
            self._adamw = torch.optim.AdamW(
                adamw, lr=0.0, betas=(method.beta1, method.beta2), eps=method.eps, fused=True
            )
        inner = [one.param_groups for one in (self._muon, self._adamw) if one is not None]
        super().__init__([group for groups in inner for group in groups], {})

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One update of everything. Loading a state replaces groups and state, so they are handed over every time."""
        if closure is not None:
            raise ValueError("Muon takes no closure: compute the gradients before the step.")
        first = len(self._muon.param_groups) if self._muon is not None else 0
        for one, groups in ((self._muon, self.param_groups[:first]), (self._adamw, self.param_groups[first:])):
            if one is not None:
                one.param_groups, one.state = groups, self.state
                one.step()
        return None


def _groups(weights: Sequence[Weight], decay: float, scale: Callable[[float], float]) -> list[Group]:
    """Weights of the same scales together, in order of first appearance; `scale` changes a rate and not its decay."""
    alike: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for weight in weights:
        scales = (weight.lr_scale, weight.decay_scale if decay else 1.0)
        alike.setdefault(scales, []).append(weight.parameter)
    return [
        {
            "params": parameters,
            "weight_decay": decay * decay_scale * lr_scale / scale(lr_scale),
            "lr_scale": scale(lr_scale),
        }
        for (lr_scale, decay_scale), parameters in alike.items()
    ]
