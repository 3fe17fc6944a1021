"""The question the select room asks of mixers: which share of what is read comes from each domain?

A mixer may ask for nothing but the domains' sizes; for trials (small models trained on mixtures it proposes); for the
losses of the arm's own model after each round; or for weights that a proxy model learns step by step. The pipeline
makes what `asks` says and hands it over in `Seen`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
from annotated_types import Gt, Le

from seedbed.core.errors import SeedbedError
from seedbed.core.method import Method
from seedbed.core.parameters import Json
from seedbed.stats.exponentiated_gradient import averaged
from seedbed.stats.regression import agreement, out_of_fold

FloatArray = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Domains:
    """What is mixed.

    Args:
        names: of the D domains of the pool.
        tokens_D: tokens of each.
        targets: names of the E domains of the target text; losses are measured on each.
        target_E: what each counts for (sums to 1).
        budget_tokens: how long the mixture will be trained on.
    """

    names: tuple[str, ...]
    tokens_D: npt.NDArray[np.int64]
    targets: tuple[str, ...] = ()
    target_E: FloatArray = dataclasses.field(default_factory=lambda: np.zeros(0))
    budget_tokens: int = 0

    @property
    def share_D(self) -> FloatArray:
        """Share of each domain in the pool."""
        return self.tokens_D / self.tokens_D.sum()


@dataclasses.dataclass(frozen=True)
class Trial:
    """A small model to train on a mixture.

    Args:
        shares: of each domain, sums to 1.
        tokens: how long.
        shape: size relative to the arm's model, in width and depth.
        seed: of start and order.
        init: the trial whose trained model this one starts from, with a fresh optimizer; trained once for all that
            name it, and not among the results. None: from scratch.
    """

    shares: tuple[float, ...]
    tokens: int
    shape: float = 1.0
    seed: int = 0
    init: Trial | None = None


@dataclasses.dataclass(frozen=True)
class Trials:
    """What came of trials: R rows, losses on the E domains of the target text.

    Args:
        share_RD: the mixtures as they were read: whole documents round the shares that were asked for.
        tokens_R, params_R: length and size (parameters without embeddings).
        loss_RE: nats per token.
    """

    share_RD: FloatArray
    tokens_R: npt.NDArray[np.int64]
    params_R: npt.NDArray[np.int64]
    loss_RE: FloatArray


@dataclasses.dataclass(frozen=True)
class StepSeen:
    """What one step of a proxy model observed, one number a domain.

    Args:
        excess_D: mean over the domain's tokens of max(loss - reference loss, 0); of the last batch
            that held the domain, NaN before there was one.
        loss_D: mean loss, nats per token; NaN likewise.
        alignment_D: inner product of the domain's gradient with the sum of the targets' gradients; NaN where not asked.
        norm_D: norms of the domains' gradients; NaN where not asked.
        learning_rate: of this step, and its peak.
    """

    excess_D: FloatArray
    loss_D: FloatArray
    alignment_D: FloatArray
    norm_D: FloatArray
    learning_rate: float
    peak_learning_rate: float


class WeightLaw(Protocol):
    """How a proxy model's domain weights move; its state is the weights alone."""

    def first(self, domains: Domains) -> FloatArray:
        """weight_D at the first step."""
        ...

    def next(self, weight_D: FloatArray, seen: StepSeen) -> FloatArray:
        """weight_D after a step."""
        ...


@dataclasses.dataclass(frozen=True)
class ProxyRun:
    """A proxy model whose domain weights are learned while it trains.

    Args:
        tokens: how long; the reference model is trained as long, on the pool's own shares.
        shape: size relative to the arm's model.
        learning_rate: peak.
        reference: whether it needs a reference model's losses.
        gradients: whether it needs the domains' gradients (a backward pass each).
        sampling: "pool" draws batches by the pool's shares, "uniform" the same number from each domain.
    """

    tokens: Annotated[int, Gt(0)]
    shape: Annotated[float, Gt(0), Le(4)] = 1.0
    learning_rate: Annotated[float, Gt(0), Le(1)] = 1e-3
    reference: bool = False
    gradients: bool = False
    sampling: Literal["pool", "uniform"] = "uniform"


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was asked for and observed.

    Args:
        trials: of the mixtures proposed.
        merged: shares of trials -> loss_E of the weighted average of their models' parameters; M rows of shares give
            loss_ME, scored side by side.
        round_loss_KE: losses of the arm's own model before each of the rounds so far, oldest first.
        step_weight_SD: the domain weights of every step of a proxy run.
    """

    trials: Trials | None = None
    merged: Callable[[FloatArray], FloatArray] | None = None
    round_loss_KE: FloatArray | None = None
    step_weight_SD: FloatArray | None = None


@dataclasses.dataclass(frozen=True)
class Mixture:
    """What a mixer says.

    Args:
        share_D: sums to 1.
        told: what it knows about itself: its error on mixtures held out from its fit, what it expects, and so on.
    """

    share_D: FloatArray
    told: Mapping[str, Json] = dataclasses.field(default_factory=dict[str, Json])


class Mixer(Method):
    """Says which share of what is read comes from each domain."""

    asks: ClassVar[tuple[Literal["trials", "merged", "rounds", "proxy"], ...]] = ()
    rounds: ClassVar[int] = 1
    """In how many stages an arm reads by it, where nothing else is asked for; it is asked anew for each."""

    def trials(self, domains: Domains, seed: int) -> Sequence[Trial]:  # noqa: ARG002 - most ask for none
        """The small models to train before it is asked, where it asks for trials."""
        return ()

    def proxy(self) -> tuple[ProxyRun, WeightLaw]:
        """The proxy run it learns from, where it asks for one."""
        raise NotImplementedError

    def mixture(self, domains: Domains, seen: Seen, seed: int) -> Mixture:
        """The shares. Raises SeedbedError for observations that are not finite, naming the trial or the domain."""
        raise NotImplementedError


def held_out(
    fit: Callable[[FloatArray, FloatArray], Callable[[FloatArray], FloatArray]],
    point_RP: FloatArray,
    loss_R: FloatArray,
    *,
    folds: int,
    seed: int,
) -> dict[str, Json]:
    """How far a fit is off on trials it has not seen: every trial is foretold by a fit to the other folds.

    `heldout_error` is the mean absolute difference in the unit of the losses, `heldout_spearman` the correlation of
    ranks, `heldout_r2` the share of the variance that is foretold; both None where the losses do not vary.
    """
    return dict(agreement(out_of_fold(fit, point_RP, loss_R, folds=folds, seed=seed), loss_R))


def target_loss(domains: Domains, trials: Trials, where: str) -> FloatArray:
    """loss_R: each trial's loss on the target, its domains weighed. Raises SeedbedError for one that is not finite."""
    wrong = np.flatnonzero(~np.isfinite(trials.loss_RE).all(axis=1))
    if len(wrong):
        shares = {name: round(float(s), 4) for name, s in zip(domains.names, trials.share_RD[wrong[0]], strict=True)}
        what = f"trial {wrong[0]}, of {shares}, has losses {trials.loss_RE[wrong[0]].tolist()}"
        raise SeedbedError(where, what, "Its training went wrong: lower the learning rate.")
    return trials.loss_RE @ domains.target_E


def average_of_steps(domains: Domains, seen: Seen, where: str) -> Mixture:
    """The average of a proxy's weights over its steps; told beside it: the last ones, and the number of steps."""
    share_D = averaged(seen.step_weight_SD, where, domains.names)
    assert seen.step_weight_SD is not None
    return Mixture(share_D, {"steps": len(seen.step_weight_SD), "last": seen.step_weight_SD[-1].tolist()})
