"""The D-CPT law: a loss as a function of model size, training length and the share of the text that it is of.

L(N, D, r) = E + A / N^alpha + B r^eta / D^beta + C / (r + eps)^gamma (Que et al. 2024, arXiv 2406.01375, section 3),
fitted by SUM of Huber_delta(ln L - ln observed). Sizes, lengths and losses are relative to their geometric means, so
that no unit matters; params_P = (ln E, ln A, alpha, ln B, beta, eta, ln C, gamma, ln eps).
"""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import numpy.typing as npt

from seedbed.core.parameters import Json
from seedbed.stats.fits import huber, minimise

FloatArray = npt.NDArray[np.float64]

NAMES = ("ln_E", "ln_A", "alpha", "ln_B", "beta", "eta", "ln_C", "gamma", "ln_eps")
_SIZE, _EXPONENT = (-12.0, 2.0), (0.0, 4.0)
BOUNDS = (_SIZE, _SIZE, _EXPONENT, (-12.0, 4.0), _EXPONENT, (1e-3, 4.0), _SIZE, _EXPONENT, (-7.0, 0.0))
"""Of params_P: E, A, B and C relative to the mean loss."""


@dataclasses.dataclass(frozen=True)
class DcptFit:
    """A fitted law.

    Args:
        params_P: the nine numbers of BOUNDS.
        centre: geometric means of params and tokens, and of the losses.
        shift, scale: of the loss, where it was carried over from another domain.
    """

    params_P: FloatArray
    centre: tuple[float, float, float]
    shift: float = 0.0
    scale: float = 1.0

    def __call__(self, point_RP: FloatArray) -> FloatArray:
        """loss_R at rows of (params, tokens, ratio)."""
        loss_R = terms(self.params_P, _relative(point_RP, self.centre)).sum(axis=1) * self.centre[2]
        return self.shift + self.scale * loss_R

    def refit(self, point_RP: FloatArray, loss_R: FloatArray) -> DcptFit:
        """The law of another domain from as few as two runs: a shift and a scale are found, all else stays."""
        shift, scale = carried(self(point_RP), loss_R)
        return DcptFit(self.params_P, self.centre, scale * self.shift + shift, scale * self.scale)

    def to_json(self) -> dict[str, Json]:
        """The numbers by name, relative to the centre."""
        return {**dict(zip(NAMES, self.params_P.tolist(), strict=True)), "centre": list(self.centre)}


def fitted(
    point_RP: FloatArray, loss_R: FloatArray, *, huber_delta: float = 1e-3, starts: int = 16, seed: int = 0
) -> DcptFit:
    """The law of rows of (params, tokens, ratio): the lowest of several descents."""
    sizes = np.exp(np.log(point_RP[:, :2]).mean(axis=0))
    centre = (float(sizes[0]), float(sizes[1]), float(np.exp(np.log(loss_R).mean())))
    relative, log_R = _relative(point_RP, centre), np.log(loss_R / centre[2])
    begin = list(begins(starts, np.random.default_rng([seed, len(loss_R)])))
    found = minimise(partial(objective, relative, log_R, huber_delta), begin, BOUNDS)
    return DcptFit(found.params_P, centre)


def begins(n: int, rng: np.random.Generator) -> FloatArray:
    """params_SP where `n` descents may begin."""
    low, high = np.array([[-3, -5, 0.05, -5, 0.05, 0.05, -5, 0.05, -5], [0, -0.5, 1, -0.5, 1, 1.5, -0.5, 1, -0.5]])
    return low + (high - low) * rng.random((n, len(NAMES)))


def objective(
    relative_RP: FloatArray, log_R: FloatArray, delta: float, params_P: FloatArray
) -> tuple[float, FloatArray]:
    """SUM of Huber losses of log residuals in units of delta, and its gradient by the nine numbers."""
    total_R, jacobian_RP = log_loss(params_P, relative_RP)
    value_R, slope_R = huber(total_R - log_R, delta)
    return float(value_R.sum()) / delta, slope_R @ jacobian_RP / delta


def log_loss(params_P: FloatArray, relative_RP: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(ln loss_R, jacobian_RP) at rows of (ln N, ln D, r)."""
    term_R4 = terms(params_P, relative_RP)
    total_R = term_R4.sum(axis=1)
    e, a, b, c = (term_R4 / total_R[:, None]).T
    gamma, eps = params_P[7], np.exp(params_P[8])
    log_n, log_d, ratio = relative_RP.T
    log_r, shifted = np.log(np.where(ratio > 0, ratio, 1.0)), ratio + eps
    by_C = (c, -c * np.log(shifted), -c * gamma * eps / shifted)
    return np.log(total_R), np.column_stack([e, a, -a * log_n, b, -b * log_d, b * log_r, *by_C])


def terms(params_P: FloatArray, relative_RP: FloatArray) -> FloatArray:
    """term_R4: irreducible, of size, of length, of the share."""
    log_e, log_a, alpha, log_b, beta, eta, log_c, gamma, log_eps = params_P
    log_n, log_d, ratio = relative_RP.T
    log_r = np.log(np.where(ratio > 0, ratio, 1.0))
    of_length = np.where(ratio > 0, np.exp(log_b + eta * log_r - beta * log_d), 0.0)
    of_share = np.exp(log_c - gamma * np.log(ratio + np.exp(log_eps)))
    return np.column_stack([np.full(len(ratio), np.exp(log_e)), np.exp(log_a - alpha * log_n), of_length, of_share])


def carried(before_R: FloatArray, loss_R: FloatArray) -> tuple[float, float]:
    """(shift, scale) that take the losses of a known law to those measured on another domain."""
    spread = float(((before_R - before_R.mean()) ** 2).sum())
    scale = float((before_R - before_R.mean()) @ (loss_R - loss_R.mean())) / spread if spread > 0 else 1.0
    scale = scale if scale > 0 else 1.0  # runs that fall where the law rises say nothing of its scale
    return float(loss_R.mean()) - scale * float(before_R.mean()), scale


def _relative(point_RP: FloatArray, centre: tuple[float, float, float]) -> FloatArray:
    """Rows of (ln N, ln D, r), sizes and lengths relative to the centre."""
    return np.column_stack([np.log(point_RP[:, :2] / np.array(centre[:2])), np.clip(point_RP[:, 2], 0, 1)])
