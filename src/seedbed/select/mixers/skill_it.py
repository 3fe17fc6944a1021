"""Skill-it: more of the domains that teach what the model still finds hard, by a graph of which domain teaches which.

What      Short trials measure which domain lowers whose loss: the skills graph. Then, round by round, a domain is read
          the more, the higher the losses of what it teaches are, by mirror descent over a window of rounds. The first
          round goes by the graph alone.
Source    Chen, Roberts, Bhatia, Wang, Zhang, Sala, Re 2023 (NeurIPS), arXiv 2307.14430, section 4 and appendix;
          compared with HazyResearch/skill-it (trainer/mw_trainer.py), October 2023.
Formula   share_d = prior_d exp(step_size SUM_j graph_dj heat_j) / Z
          heat_j = sum (or mean) of the losses on j over the last `window` rounds; 1 in the first round
          graph "pairs":   gain_dj = (loss_j after j alone - loss_j after d and j, half each) / loss_j at the start
          graph "singles": gain_dj = (loss_j at the start - loss_j after d alone) / loss_j at the start
          graph_dj = edge (binary) or gain_dj (weighted) where gain_dj > min_gain, else 0; graph_jj = 1 with "pairs"
Shapes    trials loss_RE, round_loss_KE -> graph_DE, share_D
Units     Losses in nats per token; gains are fractions of a loss; shares are fractions of the tokens that are read.
Fidelity  Adapted: the update is the released one, each round from the prior and not from the round before, which
          replaces accumulation by the window; so are step_size 0.5 (their LEGO task; 0.2 for Natural Instructions),
          the window of 3, edges of 0.5 and 1 on the diagonal. The sum over the window is their default, the mean what
          they take for targets outside the pool: it makes steps `window` times smaller. The code that learned their
          graphs is not released: trials follow the paper's two algorithms, at equal tokens. The start is a model
          trained on a sixteenth of a trial's tokens, where the paper takes the untrained one; gains are divided by
          its loss, so that one threshold serves skills of any difficulty. Left out: losses divided by the first
          ones, step sizes that change, lone skills held apart.
Errors    SeedbedError without trials, for losses that are not finite, and for "pairs" with a target that is no domain
          of the pool. A graph without edges off the diagonal, or complete, tells domains apart by nothing: `told` gives
          the number of edges. Without targets the shares are the prior.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Le, Lt

from seedbed.core.errors import SeedbedError
from seedbed.select.mixing import Domains, FloatArray, Mixer, Mixture, Seen, Trial, Trials
from seedbed.stats.exponentiated_gradient import moved

_START = 16
"""A trial's tokens over those of the start."""


@dataclasses.dataclass(frozen=True)
class SkillIt(Mixer):
    """Parameters of the graph and of the rounds.

    Args:
        step_size: what a nat of loss on a taught domain multiplies a share by, as a logarithm.
        window: rounds whose losses count.
        over_window: "sum" or "mean" of them.
        prior: what each round starts from: "uniform", or the pool's shares.
        graph: "singles" trains a model on each domain; "pairs" on each two domains as well, which tells prerequisites
            from what is merely alike, at D (D + 1) / 2 trials.
        edges: "binary" gives every edge the same weight, "weighted" its gain.
        edge: weight of a binary edge.
        min_gain: gains up to this are no edge: it must lie above the noise between two seeds of a trial.
        trial_tokens: how long a trial is.
        trial_shape: its model's size relative to the arm's, in width and depth.
    """

    asks = ("trials", "rounds")

    step_size: Annotated[float, Gt(0)] = 0.5
    window: Annotated[int, Ge(1)] = 3
    over_window: Literal["sum", "mean"] = "sum"
    prior: Literal["uniform", "pool"] = "uniform"
    graph: Literal["singles", "pairs"] = "singles"
    edges: Literal["binary", "weighted"] = "binary"
    edge: Annotated[float, Gt(0), Le(1)] = 0.5
    min_gain: Annotated[float, Ge(0), Lt(1)] = 0.01
    trial_tokens: Annotated[int, Ge(_START)] = 500_000
    trial_shape: Annotated[float, Gt(0), Le(4)] = 1.0

    def trials(self, domains: Domains, seed: int) -> Sequence[Trial]:
        """Each domain alone; the pairs, where they are asked for; last the start."""
        D = len(domains.names)
        one_DD = np.eye(D)
        mixed = list(one_DD)
        if self.graph == "pairs":
            mixed += [(one_DD[a] + one_DD[b]) / 2 for a in range(D) for b in range(a + 1, D)]
        mixed.append(domains.share_D)
        tokens = [self.trial_tokens] * (len(mixed) - 1) + [self.trial_tokens // _START]
        return [
            Trial(tuple(share_D.tolist()), n, self.trial_shape, seed) for share_D, n in zip(mixed, tokens, strict=True)
        ]

    def mixture(self, domains: Domains, seen: Seen, seed: int) -> Mixture:
        """Shares of the next round; told beside them: the graph and its number of edges off the diagonal."""
        del seed
        if seen.trials is None:
            raise SeedbedError(self.path(), "there are no trials to learn the graph from", "Run what it proposes.")
        graph_DE = self.learned(domains, seen.trials)
        heat_E = self._heat(domains, seen.round_loss_KE, graph_DE.shape[1])
        prior_D = domains.share_D if self.prior == "pool" else np.full(len(domains.names), 1 / len(domains.names))
        share_D = moved(prior_D, graph_DE @ heat_E, rate=self.step_size)
        off_DE = graph_DE > 0
        if self.graph == "pairs":
            off_DE[_places(domains), np.arange(graph_DE.shape[1])] = False
        return Mixture(share_D, {"graph": graph_DE.tolist(), "edges": int(off_DE.sum())})

    def learned(self, domains: Domains, trials: Trials) -> FloatArray:
        """graph_DE: what each domain teaches each target."""
        wrong = np.argwhere(~np.isfinite(trials.loss_RE))
        if len(wrong):
            what = f"the loss of trial {wrong[0][0]} on {domains.targets[int(wrong[0][1])]} is not finite"
            raise SeedbedError(self.path(), what, "Look at the plan's learning rate.")
        gain_DE = _of_pairs(domains, trials) if self.graph == "pairs" else _of_singles(domains, trials)
        taught_DE = gain_DE > self.min_gain
        graph_DE = np.where(taught_DE, gain_DE if self.edges == "weighted" else self.edge, 0.0)
        if self.graph == "pairs":
            graph_DE[_places(domains), np.arange(graph_DE.shape[1])] = 1.0
        return graph_DE

    def _heat(self, domains: Domains, round_loss_KE: FloatArray | None, E: int) -> FloatArray:
        if round_loss_KE is None or len(round_loss_KE) == 0:
            return np.ones(E)
        window_KE = round_loss_KE[-self.window :]
        wrong = np.argwhere(~np.isfinite(window_KE))
        if len(wrong):
            what = f"the model's loss on {domains.targets[int(wrong[0][1])]} is not finite"
            raise SeedbedError(self.path(), what, "Look at the plan's learning rate.")
        return window_KE.sum(0) if self.over_window == "sum" else window_KE.mean(0)


def _of_pairs(domains: Domains, trials: Trials) -> FloatArray:
    """gain_DE of reading a domain beside the target's own, over the target's own alone."""
    D, place_E = len(domains.names), _places(domains)
    _counted(trials, D * (D + 1) // 2 + 1)
    read = [frozenset(np.flatnonzero(share_D).tolist()) for share_D in trials.share_RD[:-1]]
    loss = dict(zip(read, trials.loss_RE[:-1], strict=True))
    gain_DE = np.zeros((D, len(place_E)))
    for e, own in enumerate(place_E.tolist()):
        alone = loss[frozenset((own,))][e]
        gain_DE[:, e] = [(alone - loss[frozenset((d, own))][e]) / trials.loss_RE[-1, e] for d in range(D)]
    return gain_DE


def _of_singles(domains: Domains, trials: Trials) -> FloatArray:
    """gain_DE of reading each domain alone, over the start."""
    _counted(trials, len(domains.names) + 1)
    return (trials.loss_RE[-1] - trials.loss_RE[:-1]) / trials.loss_RE[-1]


def _counted(trials: Trials, asked: int) -> None:
    if len(trials.loss_RE) != asked:
        raise SeedbedError(SkillIt.path(), f"there are {len(trials.loss_RE)} trials where {asked} were asked for")


def _places(domains: Domains) -> npt.NDArray[np.int64]:
    """Which domain each target is. Raises SeedbedError for one that is none."""
    for target in domains.targets:
        if target not in domains.names:
            what = f"pairs ask how the pool's own domains are learned, and the target {target!r} is none of them"
            raise SeedbedError(f"{SkillIt.path()}.graph", what, 'Set it to "singles".')
    return np.array([domains.names.index(target) for target in domains.targets], np.int64)
