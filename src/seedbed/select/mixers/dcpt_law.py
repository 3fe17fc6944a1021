"""D-CPT law: loss from model size, length and the share of one domain; the largest share that general skill allows.

What      Trains small models of several sizes and lengths at several shares of one domain (all others keep their
          proportions), fits one law to the loss on that domain and one to the rest, and takes the largest share at
          which the general loss stays within a tolerance, or the share with the lowest target loss.
Source    Que et al. 2024, arXiv 2406.01375, section 3 (law) and section 4 (the trade-off, its first use).
Formula   L(N, D, r) = E + A / N^alpha + B r^eta / D^beta + C / (r + eps)^gamma, with r the share of the text that the
          loss is of (the general law takes 1 - r); fitted by SUM of Huber_delta(ln L - ln observed), delta = 1e-3.
          share = max r with L_general(1 - r) <= (1 + tolerance) L_general(1)   (aim "bound"), or
          share = argmin target_domain L_domain(r) + target_general L_general(1 - r)   (aim "lowest").
Shapes    params_R, tokens_R, share_RD, loss_RE -> 9 numbers twice -> share_D
Units     losses in nats per token; params without embeddings; tokens; tolerance as a fraction.
Fidelity  Adapted: the paper goes on from trained models and measures the tolerance from those; trials here start from
          scratch, and it is measured from what the law says of no domain text at all. Sizes and lengths are divided by
          their geometric means before the fit; 16 seeded starts replace its grid. Partial: its uses for scarce domain
          text and for dividing compute are left out here, as is the cross-domain law: see `predict`.
Errors    SeedbedError for a domain that is not there, for a loss that is not finite or not above 0, for fewer than 10
          trials, and with aim "bound" where the target has text of one domain alone. One domain alone gets all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Annotated, ClassVar, Literal, cast

import numpy as np
from annotated_types import Ge, Gt, Le

from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.core.parameters import Json
from seedbed.select.mixing import Domains, FloatArray, Mixer, Mixture, Seen, Trial, Trials, held_out, target_loss
from seedbed.stats.dcpt import DcptFit, fitted

FEWEST = 10
"""Trials that nine numbers need."""

GRID = 1001
"""Shares looked at between 0 and 1."""


@dataclasses.dataclass(frozen=True)
class DcptLaw(Mixer):
    """Parameters of trials, fit and search.

    Args:
        domain: of the pool, whose share is sought; empty for the smallest.
        target: the target's domain that it is measured by; empty for the one of the same name, or else the first.
        ratios: shares of the domain that are tried.
        lengths: tokens of the trials.
        shapes: sizes of the trials relative to the arm's model; the forecast is for the one nearest to 1.
        aim: "bound" or "lowest", as in Formula.
        tolerance: how much worse the general loss may get, with aim "bound".
        huber_delta: residuals beyond it count linearly (log of the loss).
        starts: descents; a quarter of them in each fit of the cross-validation.
        folds: of the cross-validation that says how far it is off.
    """

    asks: ClassVar[tuple[Literal["trials", "merged", "rounds", "proxy"], ...]] = ("trials",)

    domain: str = ""
    target: str = ""
    ratios: tuple[Annotated[float, Ge(0), Le(1)], ...] = (0.0, 0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 0.9, 1.0)
    lengths: tuple[Annotated[int, Gt(0)], ...] = (100_000_000, 300_000_000, 1_000_000_000)
    shapes: tuple[Annotated[float, Gt(0), Le(4)], ...] = (0.5, 1.0)
    aim: Literal["bound", "lowest"] = "bound"
    tolerance: Annotated[float, Ge(0)] = 0.03
    huber_delta: Annotated[float, Gt(0), Le(1)] = 1e-3
    starts: Annotated[int, Ge(1), Le(10_000)] = 16
    folds: Annotated[int, Ge(2), Le(100)] = 5

    def trials(self, domains: Domains, seed: int) -> Sequence[Trial]:
        """Every share at every length and size."""
        at = self._domain(domains)
        return [
            Trial(tuple(_with_share(domains, at, ratio).tolist()), length, shape, seed)
            for shape in self.shapes
            for length in self.lengths
            for ratio in self.ratios
        ]

    def mixture(self, domains: Domains, seen: Seen, seed: int) -> Mixture:
        """The share both laws lead to; the laws, and how far each was off on held-out trials."""
        assert seen.trials is not None
        if len(domains.names) == 1:
            return Mixture(np.ones(1))
        at, trials = self._domain(domains), seen.trials
        loss_R = target_loss(domains, trials, self.path())
        if len(loss_R) < FEWEST:
            raise SeedbedError(self.path(), f"{len(loss_R)} trials for nine numbers are too few", "Try more shares.")
        if trials.loss_RE.min() <= 0:
            raise SeedbedError(self.path(), f"trial {np.argmin(trials.loss_RE.min(axis=1))} has a loss of 0 or less")
        fit = partial(fitted, huber_delta=self.huber_delta, starts=self.starts, seed=seed)
        quick = partial(fit, starts=max(1, self.starts // 4))
        laws: list[DcptFit] = []
        told: dict[str, Json] = {"trials": len(loss_R)}
        for side, ratio_R, side_R in self._sides(domains, trials, at):
            sizes = (trials.params_R.astype(np.float64), trials.tokens_R.astype(np.float64))
            point_RP = np.column_stack([*sizes, ratio_R])
            laws.append(fit(point_RP, side_R))
            told[side] = {**laws[-1].to_json(), **held_out(quick, point_RP, side_R, folds=self.folds, seed=seed)}
        ratio, expected = self._best(domains, trials, laws)
        errors = [cast("dict[str, float]", told[side])["heldout_error"] for side in ("domain", "general")[: len(laws)]]
        told |= {"share": ratio, "heldout_error": max(errors), **expected}
        return Mixture(_with_share(domains, at, ratio), told)

    def _domain(self, domains: Domains) -> int:
        """Number of the domain whose share is sought."""
        if not self.domain:
            return int(np.argmin(domains.tokens_D))
        if self.domain not in domains.names:
            what = f"domain names {self.domain!r}, which the pool lacks"
            raise SeedbedError(self.path(), what, did_you_mean(self.domain, domains.names))
        return domains.names.index(self.domain)

    def _measured(self, domains: Domains, at: int) -> int:
        """Number of the target's domain that it is measured by."""
        name = self.target or domains.names[at]
        if self.target and self.target not in domains.targets:
            what = f"target names {self.target!r}, which the target text lacks"
            raise SeedbedError(self.path(), what, did_you_mean(self.target, domains.targets))
        return domains.targets.index(name) if name in domains.targets else 0

    def _sides(self, domains: Domains, trials: Trials, at: int) -> list[tuple[str, FloatArray, FloatArray]]:
        """(name, ratio_R, loss_R) of the domain and, where the target has other text, of the rest."""
        e, ratio_R = self._measured(domains, at), trials.share_RD[:, at]
        rest_E = np.where(np.arange(len(domains.targets)) == e, 0.0, domains.target_E)
        sides = [("domain", ratio_R, trials.loss_RE[:, e])]
        if rest_E.sum() > 0:
            return [*sides, ("general", 1 - ratio_R, trials.loss_RE @ (rest_E / rest_E.sum()))]
        if self.aim == "bound":
            mend = 'Give target text of other domains too, or set aim="lowest".'
            raise SeedbedError(self.path(), "the target has one domain, so there is no general loss to keep", mend)
        return sides

    def _best(self, domains: Domains, trials: Trials, laws: Sequence[DcptFit]) -> tuple[float, dict[str, Json]]:
        """(share, what is expected there)."""
        nearest = int(np.argmin(np.abs(np.log(self.shapes)))) * len(self.lengths) * len(self.ratios)
        params, tokens = float(trials.params_R[nearest]), float(domains.budget_tokens or max(self.lengths))
        ratio_G = np.linspace(0, 1, GRID)
        ahead = np.column_stack([np.full(GRID, params), np.full(GRID, tokens), ratio_G])
        domain_G = laws[0](ahead)
        mirrored = np.column_stack([ahead[:, :2], 1 - ratio_G])
        general_G = laws[1](mirrored) if len(laws) > 1 else np.zeros(GRID)
        if self.aim == "bound":
            best = int(np.flatnonzero(general_G <= (1 + self.tolerance) * general_G[0]).max())
        else:
            weight = float(domains.target_E[self._measured(domains, self._domain(domains))])
            best = int(np.argmin(weight * domain_G + (1 - weight) * general_G))
        expected: dict[str, Json] = {"expected_loss_domain": float(domain_G[best])}
        if len(laws) > 1:
            expected |= {"expected_loss_general": float(general_G[best]), "general_loss_before": float(general_G[0])}
        expected["beyond_longest_trial"] = tokens / float(trials.tokens_R.max())
        return float(ratio_G[best]), expected


def _with_share(domains: Domains, at: int, ratio: float) -> FloatArray:
    """share_D: `ratio` of one domain, the others in the pool's proportions."""
    rest_D = np.where(np.arange(len(domains.names)) == at, 0.0, domains.tokens_D.astype(np.float64))
    share_D = rest_D / max(rest_D.sum(), 1.0) * (1 - ratio)
    share_D[at] = ratio
    return share_D / share_D.sum()
