"""Average-parameter law: forecasts the loss of a model whose size changes while it is trained.

What      Fits L(N, D) = E + A / N^alpha + B / D^beta with N the parameters that were active, averaged over the tokens
          of training. So dense runs, runs pruned on the way and runs that grew lie on one surface; a dense run has the
          size it has, and a table of dense runs alone gives Chinchilla's law.
Source    Jin et al. 2025 (ICLR), "The Journey Matters: Average Parameter Count over Pre-training Unifies Sparse and
          Dense Scaling Laws", arXiv 2501.12486. The form and its fit: Hoffmann et al. 2022, arXiv 2203.15556.
Formula   average_params = (1/D) * integral over tokens of N(t) dt = sum(N_k tokens_k) / sum(tokens_k);
          log_loss_N = logsumexp(a - alpha * x_N, b - beta * y_N, e), with x = ln average_params, y = ln tokens;
          objective as chinchilla's. Compute, at 6 FLOP per active parameter and token, is 6 average_params D.
Shapes    average_params_N (or params_N), tokens_N, loss_N -> 5 numbers; (average_params, tokens) -> (value, low, high)
Units     parameters, in one convention of counting throughout (what is pruned comes off that count); tokens; loss in
          nats per token or bits per byte. Any multiple gives the same forecasts.
Fidelity  Adapted: the form is the paper's, fit and interval are those of all laws here. The paper tested gradual
          magnitude pruning of models of 58M to 468M parameters, in 80 schedules, up to 20 times Chinchilla's tokens;
          for models that grow, or whose layers are dropped, the form is a conjecture.
Errors    Those of chinchilla; `average_of` raises SeedbedError for pieces that are not positive finite numbers, a
          sparsity outside [0, 1], or more pruned parameters than there are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from seedbed.core.errors import SeedbedError
from seedbed.predict.contract import TOKENS, Plan, Variable
from seedbed.predict.form import Form
from seedbed.predict.parametric import Parametric
from seedbed.predict.power_terms import PowerTerm, power_terms

if TYPE_CHECKING:
    from seedbed.predict.fitted import Fitted

AVERAGE_PARAMS = Variable("average_params", what="active parameters, averaged over the tokens of training")


@dataclasses.dataclass(frozen=True)
class AverageParameter(Parametric):
    """E + A / average_params^alpha + B / tokens^beta."""

    instead: ClassVar[Mapping[str, str]] = {"average_params": "params"}

    def form(self, columns: Sequence[str]) -> Form:  # noqa: ARG002
        """Of average_params and tokens."""
        return FORM

    def derive(self, given: Plan) -> dict[str, float]:
        """A run of which no average is told is dense: its parameters are active all the time."""
        told = dict(given)
        if "params" in told:
            told.setdefault(AVERAGE_PARAMS.name, told["params"])
        return told

    def remarks(self, fitted: Fitted) -> Sequence[str]:  # noqa: ARG002
        """How parameters were counted, where nobody said it."""
        if self.params_count != "unknown":
            return ()
        return (
            "it is not said which parameters were counted: give params_count (total or non_embedding), and take what "
            "is pruned off the same count",
        )


def average_of(params_K: npt.ArrayLike, tokens_K: npt.ArrayLike) -> float:
    """The average of a training in pieces: so many active parameters for so many tokens each."""
    params, tokens = _pieces(params_K, "active parameters"), _pieces(tokens_K, "tokens")
    if params.shape != tokens.shape:
        raise SeedbedError("average_params", f"{params.size} numbers of parameters for {tokens.size} of tokens")
    return float(params @ (tokens / tokens.sum()))


def average_of_schedule(params: float, prunable: float, sparsity_K: npt.ArrayLike, tokens_K: npt.ArrayLike) -> float:
    """The average of `params` of which `prunable` are pruned to a sparsity that changes from piece to piece."""
    sparsity = np.atleast_1d(np.asarray(sparsity_K, np.float64))
    if not (sparsity.size and np.all((sparsity >= 0) & (sparsity <= 1))):
        raise SeedbedError("average_params", "a sparsity is no share between 0 and 1", "Give fractions, not percent.")
    if not 0 <= prunable <= params:
        raise SeedbedError("average_params", f"{prunable:g} of {params:g} parameters cannot be prunable")
    return average_of(params - prunable * sparsity, tokens_K)


def _pieces(numbers: npt.ArrayLike, what: str) -> npt.NDArray[np.float64]:
    found = np.atleast_1d(np.asarray(numbers, np.float64))
    if not (found.size and found.ndim == 1 and np.all(np.isfinite(found) & (found > 0))):
        raise SeedbedError(
            "average_params", f"{what} must be positive finite numbers, one a piece", "Leave out others."
        )
    return found


FORM = power_terms([PowerTerm(AVERAGE_PARAMS, "A", "alpha"), PowerTerm(TOKENS, "B", "beta")])
