"""Merge proxy: one model for each domain, and mixtures judged by the average of the models' weights.

What      From one shared start, a model is trained on each domain alone. A mixture of domains is then scored without
          training: by the target loss of the average of its domains' models. The best mixture scored is taken.
Source    Na, Magnusson, Jha, Sherborne, Strubell, Dodge, Dasigi 2024, arXiv 2410.15661, section 3; reference code
          clarana/ez-data-ablations.
Formula   model_r = start + SUM_d r_d (model_d - start); value(r) = SUM_e target_e loss_e(model_r);
          share = argmin of value over the candidates: every set of at most `most_domains` domains in equal parts,
          `candidates` drawn at random where there are more.
Shapes    share_MD -> loss_ME -> value_M -> share_D
Units     losses in nats per token; tokens.
Fidelity  Adapted: the paper ranks mixtures and leaves the choice to the reader, here the lowest is taken; `weighted`
          also scores averages with shares drawn at random, which its code does not do. The start is trained on named
          domains of the pool where the paper used Wikipedia and books; without start_tokens it is the random start
          alone, from which averages soon stop to be models. The reference trains on equal-sized partitions; here
          each model reads the same number of tokens, a small domain more than once.
Errors    SeedbedError for a loss that is not finite, naming the trial, and for a start on a domain that is not there.
          One domain alone gets all. Ties go to the earlier candidate.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le

from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.core.fingerprint import hash_bytes
from seedbed.core.parameters import Json
from seedbed.select.mixing import Domains, FloatArray, Mixer, Mixture, Seen, Trial, target_loss
from seedbed.stats.simplex import dirichlet

ALL_SETS = 4096
"""Sets of domains that are listed; where there are more, they are drawn."""


@dataclasses.dataclass(frozen=True)
class MergeProxy(Mixer):
    """Parameters of the models and of the candidates.

    Args:
        trial_tokens: how long each domain's model is trained, after the start.
        start_tokens: how long the shared start is trained before; 0 starts all from the same random weights.
        start_domains: what it is trained on, in equal parts; empty for all domains. Named ones stay what they are when
            a domain is added, so that the new domain costs one training run and no more.
        shape: size relative to the arm's model.
        most_domains: domains in a candidate; 0 for any number.
        candidates: mixtures scored.
        weighted: also that many averages with shares drawn uniformly from the simplex.
        checks: pairs of domains that a model is really trained on, to say how well averages foretell it.
        model_seed: of start and order, the same for every model: averages need it.
    """

    asks: ClassVar[tuple[Literal["trials", "merged", "rounds", "proxy"], ...]] = ("trials", "merged")

    trial_tokens: Annotated[int, Gt(0)] = 100_000_000
    start_tokens: Annotated[int, Ge(0)] = 100_000_000
    start_domains: tuple[str, ...] = ()
    shape: Annotated[float, Gt(0), Le(4)] = 1.0
    most_domains: Annotated[int, Ge(0)] = 0
    candidates: Annotated[int, Gt(0), Le(ALL_SETS)] = 64
    weighted: Annotated[int, Ge(0), Le(ALL_SETS)] = 0
    checks: Annotated[int, Ge(0), Le(1000)] = 4
    model_seed: Annotated[int, Ge(0)] = 0

    def trials(self, domains: Domains, seed: int) -> Sequence[Trial]:  # noqa: ARG002 - all share model_seed
        """A model for each domain, then a model for each pair that is checked, which reads what both of them read."""
        start = self._start(domains)
        one = [self._trial(domains, {d}, start) for d in range(len(domains.names))]
        return [*one, *(self._trial(domains, set(pair), start) for pair in self._pairs(domains))]

    def mixture(self, domains: Domains, seen: Seen, seed: int) -> Mixture:
        """The best candidate; how well averages foretold the trained pairs, beside the mean of single losses."""
        assert seen.trials is not None
        assert seen.merged is not None
        loss_R = target_loss(domains, seen.trials, self.path())
        n = len(domains.names)
        share_MD = self._candidates(n, seed)
        pair_KD = np.array([_equal(set(pair), n) for pair in self._pairs(domains)]).reshape(-1, n)
        padded = np.zeros((len(share_MD) + len(pair_KD), len(seen.trials.loss_RE)))
        padded[:, :n] = np.concatenate([share_MD, pair_KD])
        value = seen.merged(padded) @ domains.target_E
        value_M, foretold_K = value[: len(share_MD)], value[len(share_MD) :]
        single_D = loss_R[:n]
        mean_M = share_MD @ single_D
        best = int(np.argmin(value_M))
        told: dict[str, Json] = {
            "candidates": len(share_MD),
            "loss_of_the_average": float(value_M[best]),
            "mean_of_losses": float(mean_M[best]),
            "pearson_with_mean_of_losses": _pearson(value_M, mean_M),
            **_checked(foretold_K, loss_R[n:], pair_KD @ single_D),
        }
        return Mixture(share_MD[best], told)

    def _start(self, domains: Domains) -> Trial | None:
        if not self.start_tokens:
            return None
        for name in self.start_domains:
            if name not in domains.names:
                raise SeedbedError(
                    self.path(),
                    f"start_domains names {name!r}, which the pool lacks",
                    did_you_mean(name, domains.names),
                )
        named = self.start_domains or domains.names
        shares = tuple(float(s) for s in _equal({domains.names.index(name) for name in named}, len(domains.names)))
        return Trial(shares, self.start_tokens, self.shape, self.model_seed)

    def _trial(self, domains: Domains, chosen: set[int], start: Trial | None) -> Trial:
        shares = tuple(float(share) for share in _equal(chosen, len(domains.names)))
        return Trial(shares, self.trial_tokens * len(chosen), self.shape, self.model_seed, start)

    def _pairs(self, domains: Domains) -> list[tuple[int, int]]:
        """Pairs by a hash of their names: most stay when a domain is added."""

        def word(pair: tuple[int, int]) -> bytes:
            return hash_bytes(*(domains.names[d].encode() for d in pair))

        return sorted(itertools.combinations(range(len(domains.names)), 2), key=word)[: self.checks]

    def _candidates(self, n: int, seed: int) -> FloatArray:
        """share_MD: sets of domains in equal parts, then weighted ones."""
        rng = np.random.default_rng(seed)
        most = min(self.most_domains or n, n)
        if n <= 12:
            every = [set(s) for size in range(1, most + 1) for s in itertools.combinations(range(n), size)]
            few = len(every) <= self.candidates
            kept = range(len(every)) if few else sorted(rng.choice(len(every), self.candidates, replace=False))
            sets = [every[int(i)] for i in kept]
        else:
            sizes = rng.integers(1, most + 1, self.candidates)
            sets = [{int(d) for d in rng.choice(n, int(size), replace=False)} for size in sizes]
        drawn = dirichlet(np.ones(n), self.weighted, rng)
        return np.concatenate([[_equal(chosen, n) for chosen in sets], drawn])


def _equal(chosen: set[int], n: int) -> FloatArray:
    share_D = np.zeros(n)
    share_D[sorted(chosen)] = 1.0 / len(chosen)
    return share_D


def _checked(foretold_K: FloatArray, trained_K: FloatArray, mean_K: FloatArray) -> dict[str, Json]:
    """How averages and means of losses compare with models really trained on the pairs, which no fit has seen."""
    if not len(foretold_K):
        return {"checked": 0}
    return {
        "checked": len(foretold_K),
        "heldout_error": float(np.abs(foretold_K - trained_K).mean()),
        "heldout_error_mean_of_losses": float(np.abs(mean_K - trained_K).mean()),
        "pearson_trained": _pearson(foretold_K, trained_K),
        "pearson_trained_mean_of_losses": _pearson(mean_K, trained_K),
    }


def _pearson(a: FloatArray, b: FloatArray) -> float | None:
    """None where fewer than three, or where one does not vary."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
