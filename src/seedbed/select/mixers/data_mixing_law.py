"""Data mixing law: the loss on each target domain as an exponential of a weighted sum of the shares.

What      Trains some small models on spread-out mixtures, fits a law of the shares to each target domain's loss, and
          takes the shares with the lowest weighed loss that the pool can fill.
Source    Ye, Liu, Sun, Zhan, Zhou, Qiu 2024, arXiv 2403.16952, section 3; reference code yegcjs/mixinglaws.
Formula   loss_e(r) = c_e + k_e exp(SUM_d t_ed r_d); fitted by SUM over trials of Huber_delta(loss_e(r) - observed);
          share = argmin over r of SUM_e target_e loss_e(r), r_d <= max_epochs tokens_d / budget.
Shapes    share_RD, loss_RE -> (c_E, k_E, t_ED) -> share_D
Units     losses in nats per token; tokens.
Fidelity  Adapted: same law and objective. Starts take c from a ladder below the lowest loss, where the other numbers
          are a linear regression of ln(loss - c) on r, in place of a random grid. (k, t) are only known up to a common
          shift of t, so the mean of t over the domains is fixed at 0. The law is convex in r: the search descends and
          finds the lowest value there is, where the code goes through a grid. Partial: target domains are those of the
          target text (the paper also learns hidden ones), and the laws of steps and sizes that carry a mixture law to
          a larger scale are left out: the trials' own scale is foretold.
Errors    SeedbedError for a loss that is not finite or not above 0, naming the trial, and for fewer than D + 3 trials.
          One domain alone gets all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le

from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.select.mixing import Domains, FloatArray, Mixer, Mixture, Seen, Trial, held_out, target_loss
from seedbed.stats.mixing_law import MixingLaw, fitted
from seedbed.stats.simplex import lowest

LEVELS = 6
"""A trial's weights are 1, 1/2, 1/4, ... of a domain, or 0: that many values."""


@dataclasses.dataclass(frozen=True)
class DataMixingLaw(Mixer):
    """Parameters of trials, fit and search.

    Args:
        n_trials: small models.
        trial_tokens: how long each is trained.
        shape: their size relative to the arm's model.
        huber_delta: residuals beyond it count linearly (nats per token).
        starts: values of c that descents begin at.
        max_epochs: how often the search lets a domain be read within the budget.
        folds: of the cross-validation that says how far it is off.
    """

    asks: ClassVar[tuple[Literal["trials", "merged", "rounds", "proxy"], ...]] = ("trials",)

    n_trials: Annotated[int, Ge(4), Le(100_000)] = 32
    trial_tokens: Annotated[int, Gt(0)] = 1_000_000_000
    shape: Annotated[float, Gt(0), Le(4)] = 1.0
    huber_delta: Annotated[float, Gt(0), Le(1)] = 0.02
    starts: Annotated[int, Ge(1), Le(1000)] = 12
    max_epochs: Annotated[float, Gt(0)] = 4.0
    folds: Annotated[int, Ge(2), Le(100)] = 5

    def trials(self, domains: Domains, seed: int) -> Sequence[Trial]:
        """Distinct mixtures whose weights are halved at random; all of the same start."""
        n, rng = len(domains.names), np.random.default_rng(seed)
        level_SD = rng.integers(0, LEVELS + 1, (self.n_trials * 50, n))
        weight_SD = np.where(level_SD == LEVELS, 0.0, 0.5**level_SD)
        weight_SD = weight_SD[weight_SD.any(axis=1)]
        share_SD = np.unique(weight_SD / weight_SD.sum(axis=1, keepdims=True), axis=0)
        share_SD = share_SD[rng.permutation(len(share_SD))[: self.n_trials]]
        share_SD /= share_SD.sum(axis=1, keepdims=True)
        return [Trial(tuple(row), self.trial_tokens, self.shape, seed) for row in share_SD.tolist()]

    def mixture(self, domains: Domains, seen: Seen, seed: int) -> Mixture:
        """The lowest of the fitted law; what loss it expects, and how far the law was off on held-out trials."""
        assert seen.trials is not None
        n = len(domains.names)
        if n == 1:
            return Mixture(np.ones(1))
        share_RD, loss_RE = seen.trials.share_RD, seen.trials.loss_RE
        loss_R = target_loss(domains, seen.trials, self.path())
        if len(loss_R) < n + 3:
            raise SeedbedError(
                self.path(), f"{len(loss_R)} trials for {n} domains are too few", f"Give {n + 3} or more."
            )
        if loss_RE.min() <= 0:
            raise SeedbedError(self.path(), f"trial {np.argmin(loss_RE.min(axis=1))} has a loss of 0 or less")
        fit = partial(fitted, huber_delta=self.huber_delta, starts=self.starts)
        law = MixingLaw(tuple(fit(share_RD, loss_RE[:, e]) for e in range(loss_RE.shape[1])), domains.target_E)
        share_D, value = lowest(law.value, [np.full(n, 1 / n), domains.share_D], self._caps(domains))
        at = {"uniform": np.full(n, 1 / n), "pool": domains.share_D}
        told: dict[str, Json] = {f"expected_loss_{name}": law.value(share)[0] for name, share in at.items()}
        told |= {"expected_loss_share": value, "trials": len(loss_R), "best_trial_loss": float(loss_R.min())}
        return Mixture(share_D / share_D.sum(), {**told, **self._held_out(domains, share_RD, loss_RE, seed)})

    def _caps(self, domains: Domains) -> FloatArray | None:
        """What the budget leaves of each domain, at most; None where all of them together do not fill it."""
        if not domains.budget_tokens:
            return None
        cap_D = np.minimum(domains.tokens_D * self.max_epochs / domains.budget_tokens, 1.0)
        return cap_D if cap_D.sum() >= 1 else None

    def _held_out(self, domains: Domains, share_RD: FloatArray, loss_RE: FloatArray, seed: int) -> dict[str, Json]:
        """Every trial foretold by laws that were fitted without it."""
        n = len(domains.names)

        def fit(point_RP: FloatArray, loss_R: FloatArray) -> Callable[[FloatArray], FloatArray]:  # noqa: ARG001
            each = [
                fitted(point_RP[:, :n], point_RP[:, n + e], huber_delta=self.huber_delta, starts=self.starts)
                for e in range(loss_RE.shape[1])
            ]
            law = MixingLaw(tuple(each), domains.target_E)
            return lambda at_RP: np.array([law.value(row[:n])[0] for row in at_RP])

        points = np.concatenate([share_RD, loss_RE], axis=1)  # a fit of all target domains needs each one's losses
        return held_out(fit, points, loss_RE @ domains.target_E, folds=self.folds, seed=seed)
