"""DoReMi: the shares under which a small model does best on the domain where it lags its reference most.

What      A reference model is trained on the pool as it is. A proxy of the same size then minimises the worst domain's
          excess loss over it (group DRO): each step the weight of a domain grows with its excess. The shares are the
          weights averaged over the steps. Noise has no excess, since the reference cannot predict it either.
Source    Xie, Pham, Dong, Du, Liu, Lu, Liang, Le, Ma, Yu 2023 (NeurIPS), arXiv 2305.10429, algorithm 1; compared with
          sangmichaelxie/doremi (doremi/trainer.py, update_domain_weights), December 2023.
Formula   excess_d = mean over tokens t of d in the batch of max(loss_t - reference_t, 0)
          weight_d <- weight_d exp(step_size excess_d) / SUM_e weight_e exp(step_size excess_e)
          weight_d <- (1 - smoothing) weight_d + smoothing / D
          share_d = mean over steps of weight_d; the proxy's loss is SUM_d weight_d (mean loss of d)
Shapes    excess_D a step -> weight_D; step_weight_SD -> share_D
Units     Losses in nats per token; shares are fractions of the tokens that are read.
Fidelity  Adapted: step size 1 and smoothing 1e-3 are the paper's (the released code has 1e-4). Excess is clipped token
          by token before it is averaged, and a domain that is not in a batch keeps its last excess, as released. The
          paper's proxies have 280M parameters and 200k steps; the tokens here suit a budget of tens of millions. The
          average counts the weights after each step, not the uniform start.
Errors    SeedbedError where the run has no step or a weight is not finite. Before a domain was seen its excess is 0.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from seedbed.select.mixing import (
    Domains,
    FloatArray,
    Mixer,
    Mixture,
    ProxyRun,
    Seen,
    StepSeen,
    WeightLaw,
    average_of_steps,
)
from seedbed.stats.exponentiated_gradient import moved


@dataclasses.dataclass(frozen=True)
class Doremi(Mixer):
    """Parameters of the two proxies and of the weights' steps.

    Args:
        step_size: what an excess of one nat multiplies a weight by, as a logarithm.
        smoothing: part of the weight that is spread evenly at each step; no share is below smoothing / D.
        tokens: how long reference and proxy are trained, each.
        shape: their size relative to the arm's model, in width and depth.
        learning_rate: peak.
        reference: False compares with nothing: every loss is an excess, and noise gains weight. A control.
        sampling: "uniform" draws as many sequences from each domain, "pool" by the pool's shares.
    """

    asks = ("proxy",)

    step_size: Annotated[float, Gt(0)] = 1.0
    smoothing: Annotated[float, Ge(0), Lt(1)] = 1e-3
    tokens: Annotated[int, Gt(0)] = 2_000_000
    shape: Annotated[float, Gt(0), Le(4)] = 0.5
    learning_rate: Annotated[float, Gt(0), Le(1)] = 1e-3
    reference: bool = True
    sampling: Literal["pool", "uniform"] = "uniform"

    def proxy(self) -> tuple[ProxyRun, WeightLaw]:
        """A proxy with a reference, and group DRO."""
        run = ProxyRun(self.tokens, self.shape, self.learning_rate, reference=self.reference, sampling=self.sampling)
        return run, WorstExcess(self.step_size, self.smoothing)

    def mixture(self, domains: Domains, seen: Seen, seed: int) -> Mixture:
        """The average of the weights; told beside it: the last ones, and the number of steps."""
        del seed
        return average_of_steps(domains, seen, self.path())


@dataclasses.dataclass(frozen=True)
class WorstExcess:
    """The weights' step of group DRO."""

    step_size: float
    smoothing: float

    def first(self, domains: Domains) -> FloatArray:
        """Uniform."""
        return np.full(len(domains.names), 1.0 / len(domains.names))

    def next(self, weight_D: FloatArray, seen: StepSeen) -> FloatArray:
        """Towards the domains with the largest excess."""
        excess_D = np.where(np.isnan(seen.excess_D), 0.0, seen.excess_D)
        return moved(weight_D, excess_D, rate=self.step_size, smoothing=self.smoothing)
