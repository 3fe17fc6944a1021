"""RegMix: many small models on random mixtures, a regression of their loss on the shares, the best of many simulated.

What      Trains small models on mixtures drawn round the pool's own shares, learns the target loss from the shares,
          foretells it for 100,000 more mixtures and takes the mean of the best 128.
Source    Liu, Zheng, Muennighoff, Zeng, Dou, Pang, Jiang, Lin 2024, arXiv 2407.01492, section 3; reference code
          sail-sg/regmix (mixture sampler, regression notebook).
Formula   prior_d = tokens_d^0.5 / SUM; trial: strength s from 15 values between 0.1 and 5 (even in logs), drawn from
          Dirichlet(s * prior), refused where a share passes min(15 * pool share, 1), shares below 2e-4 made 0, rounded
          to 2e-4. loss = regressor(share); share = mean of the 128 lowest of 100,000 from Dirichlet(pool share).
Shapes    share_RD, loss_R -> share_D
Units     losses in nats per token; tokens.
Fidelity  Adapted: as many trees as the paper (1000 at rate 0.01), but no early stopping: the notebook stops on the
          mixtures it is then judged by. Leaves hold at least min(20, R / 10) trials (20 is the library's default, too
          many for few trials). The target may have several domains: their weighed mean is learned. Trials have the
          arm's shape times `shape`; the paper's had 1 M parameters and read 1 G tokens. The search draws from
          Dirichlet(pool share) as the code does; the paper says that the best 100 are averaged, the code has 128.
Errors    SeedbedError for a loss that is not finite, naming the trial, for fewer than 8 trials, and where lightgbm is
          not installed. One domain alone gets all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le

from seedbed.core import optional
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import library_versions
from seedbed.core.parameters import Json
from seedbed.select.mixing import Domains, FloatArray, Mixer, Mixture, Seen, Trial, held_out, target_loss
from seedbed.stats.regression import Regressor, lowest_of_many, regression
from seedbed.stats.simplex import dirichlet

STEP = 2e-4
"""Shares of trials are multiples of this, and 0 below it."""

OVERSAMPLING = 100
"""Mixtures drawn for each that is kept, so that equal ones can be left out."""

FEWEST = 8
"""Trials that a regression needs."""


@dataclasses.dataclass(frozen=True)
class Regmix(Mixer):
    """Parameters of trials, regression and search.

    Args:
        n_trials: small models.
        trial_tokens: how long each is trained.
        shape: their size relative to the arm's model.
        prior_exponent: below 1 the trials lie nearer to equal shares than the pool does.
        weakest, strongest: range of the Dirichlet's strength; weak draws lie in corners.
        max_ratio: no share of a trial passes this many times the pool's.
        regressor: "lightgbm" grows trees (extra `mix`), "linear" fits a plane.
        trees, learning_rate: of lightgbm.
        simulated: mixtures that are foretold.
        best: of them, how many are averaged.
        folds: of the cross-validation that says how far it is off.
    """

    asks: ClassVar[tuple[Literal["trials", "merged", "rounds", "proxy"], ...]] = ("trials",)

    n_trials: Annotated[int, Ge(FEWEST), Le(100_000)] = 512
    trial_tokens: Annotated[int, Gt(0)] = 1_000_000_000
    shape: Annotated[float, Gt(0), Le(4)] = 1.0
    prior_exponent: Annotated[float, Gt(0), Le(1)] = 0.5
    weakest: Annotated[float, Gt(0)] = 0.1
    strongest: Annotated[float, Gt(0)] = 5.0
    max_ratio: Annotated[float, Ge(1)] = 15.0
    regressor: Regressor = "lightgbm"
    trees: Annotated[int, Gt(0), Le(100_000)] = 1000
    learning_rate: Annotated[float, Gt(0), Le(1)] = 0.01
    simulated: Annotated[int, Gt(0), Le(10_000_000)] = 100_000
    best: Annotated[int, Gt(0), Le(100_000)] = 128
    folds: Annotated[int, Ge(2), Le(100)] = 5

    def identity(self) -> dict[str, Json]:
        """With the version of lightgbm where it is asked. Raises SeedbedError where that is not installed."""
        if self.regressor != "lightgbm":
            return super().identity()
        optional.load("lightgbm", "mix", self.path())
        return {**super().identity(), "libraries": library_versions("lightgbm")}

    def trials(self, domains: Domains, seed: int) -> Sequence[Trial]:
        """Distinct random mixtures; fewer than `n_trials` where there are no more."""
        shares = self.sampled(domains.share_D, np.random.default_rng(seed))
        return [Trial(tuple(row), self.trial_tokens, self.shape, seed) for row in shares.tolist()]

    def sampled(self, pool_D: FloatArray, rng: np.random.Generator) -> FloatArray:
        """share_RD of the trials."""
        prior = pool_D**self.prior_exponent
        prior /= prior.sum()
        strengths = np.geomspace(self.weakest, self.strongest, 15)
        limit = np.minimum(pool_D * self.max_ratio, 1.0)
        drawn = [
            dirichlet(prior * strength, -(-self.n_trials * OVERSAMPLING // len(strengths)), rng)
            for strength in strengths
        ]
        share = np.concatenate(drawn)[rng.permutation(sum(map(len, drawn)))]
        share = share[(share <= limit + 1e-12).all(axis=1)]
        steps = np.unique(_rounded(share), axis=0)  # sorted: which rows are kept is drawn anew
        if not len(steps):
            what = f"no mixture keeps every share within {self.max_ratio:g} times the pool's"
            raise SeedbedError(self.path(), what, "Raise max_ratio.")
        return steps[rng.choice(len(steps), min(self.n_trials, len(steps)), replace=False)] * STEP

    def mixture(self, domains: Domains, seen: Seen, seed: int) -> Mixture:
        """The mean of the best simulated mixtures; what loss it expects, and how far it was off on held-out trials."""
        assert seen.trials is not None
        n = len(domains.names)
        if n == 1:
            return Mixture(np.ones(1))
        share_RD, loss_R = seen.trials.share_RD, target_loss(domains, seen.trials, self.path())
        if len(loss_R) < FEWEST:
            raise SeedbedError(
                self.path(), f"{len(loss_R)} trials are too few to learn from", f"Give {FEWEST} or more."
            )
        fit = partial(regression, self.regressor, trees=self.trees, learning_rate=self.learning_rate)
        predict = fit(share_RD, loss_R)
        share_SD = dirichlet(domains.share_D, self.simulated, np.random.default_rng([seed, 1]))
        share_D, _ = lowest_of_many(predict, share_SD, self.best)
        expected = {"uniform": np.full(n, 1 / n), "pool": domains.share_D, "share": share_D}
        told: dict[str, Json] = {f"expected_loss_{name}": float(predict(s[None])[0]) for name, s in expected.items()}
        told |= {"trials": len(loss_R), "best_trial_loss": float(loss_R.min())}
        return Mixture(
            share_D / share_D.sum(), {**told, **held_out(fit, share_RD, loss_R, folds=self.folds, seed=seed)}
        )


def _rounded(share_RD: FloatArray) -> FloatArray:
    """Whole steps that sum to 1: shares below a step made 0, the rest rounded, what is missing given to the largest."""
    kept = np.where(share_RD < STEP, 0.0, share_RD)
    steps = np.asarray(np.rint(kept / kept.sum(axis=1, keepdims=True) / STEP), np.float64)
    largest = steps.argmax(axis=1)
    steps[np.arange(len(steps)), largest] += round(1 / STEP) - steps.sum(axis=1)
    return steps
