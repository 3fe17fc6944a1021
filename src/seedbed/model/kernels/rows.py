"""Passes over rows: norms, gates, rotations and exponents, each reading memory once."""

from __future__ import annotations

import numpy as np

from seedbed.model.kernels.tiles import HIGHEST, LOG2_E, ONE, ZERO, Floats, dot, exactly, freely, largest, power_of_2


@freely
def rms_norm(
    first: int, last: int, x_NC: Floats, weight_C: Floats, eps: float, out_NC: Floats, inverse_N: Floats
) -> None:
    """out = x inverse weight, where inverse = 1 / sqrt(mean(x^2) + eps), for the rows `first` to `last`."""
    for n in range(first, last):
        x, out = x_NC[n], out_NC[n]
        inverse = ONE / np.sqrt(dot(x, x) / np.float32(len(x)) + np.float32(eps))
        inverse_N[n] = inverse
        for c in range(len(x)):
            out[c] = x[c] * inverse * weight_C[c]


@freely
def rms_norm_backward(
    first: int, last: int, x_NC: Floats, weight_C: Floats, inverse_N: Floats, grad_NC: Floats, out_NC: Floats,
    grad_weight_C: Floats,
) -> None:  # fmt: skip
    """out is written: the gradient by x; the gradient by the weight is added to `grad_weight_C`."""
    for n in range(first, last):
        x, grad, out, inverse = x_NC[n], grad_NC[n], out_NC[n], inverse_N[n]
        along = ZERO
        for c in range(len(x)):
            along += grad[c] * weight_C[c] * x[c]
        share = along * inverse * inverse * inverse / np.float32(len(x))
        for c in range(len(x)):
            grad_weight_C[c] += grad[c] * x[c] * inverse
            out[c] = grad[c] * weight_C[c] * inverse - x[c] * share


@exactly
def _sigmoid(z: np.float32) -> np.float32:
    turned = -z * LOG2_E
    return ONE / (ONE + power_of_2(HIGHEST if turned > HIGHEST else turned))


@exactly
def gated_silu(first: int, last: int, both_NG: Floats, out_NF: Floats) -> None:
    """out = silu(gate) up, where a row of `both` holds the gates, then the ups."""
    for n in range(first, last):
        out = out_NF[n]
        gate, up = both_NG[n, : len(out)], both_NG[n, len(out) :]
        for f in range(len(out)):
            out[f] = gate[f] * _sigmoid(gate[f]) * up[f]


@exactly
def gated_silu_backward(first: int, last: int, both_NG: Floats, grad_NF: Floats, out_NG: Floats) -> None:
    """out is written: the gradient by `both`."""
    for n in range(first, last):
        grad = grad_NF[n]
        F = len(grad)
        gate, up, by_gate, by_up = both_NG[n, :F], both_NG[n, F:], out_NG[n, :F], out_NG[n, F:]
        for f in range(F):
            share = _sigmoid(gate[f])
            silu = gate[f] * share
            by_up[f] = grad[f] * silu
            by_gate[f] = grad[f] * up[f] * (share + silu * (ONE - share))


@exactly
def turn(
    first: int, last: int, heads: int, x: Floats, steps: tuple[int, int, int], cos_TD: Floats, sin_TD: Floats,
    sign: float, out_BTHD: Floats,
) -> None:  # fmt: skip
    """out = x with the pair (i, i + D/2) of each head turned by sign times the angle of its position.

    Args:
        first, last: positions, counted over all sequences.
        x, steps: memory from the first number on, and the steps between sequences, heads and tokens.
    """
    T, D = cos_TD.shape
    for n in range(first, last):
        b, t = n // T, n % T
        cos, sin = cos_TD[t], sin_TD[t]
        for head in range(heads):
            at, out = b * steps[0] + head * steps[1] + t * steps[2], out_BTHD[b, t, head]
            left, right = x[at : at + D], x[at + D : at + 2 * D]
            new_left, new_right = out[:D], out[D:]
            for d in range(D):
                turned = np.float32(sign) * sin[d]
                new_left[d] = left[d] * cos[d] - right[d] * turned
                new_right[d] = right[d] * cos[d] + left[d] * turned


@freely
def exponents(first: int, last: int, z_NV: Floats, top_N: Floats, sum_N: Floats) -> None:
    """A row of z becomes exp(z - top), where top is its largest number; their sum."""
    for n in range(first, last):
        z, total = z_NV[n], ZERO
        top = largest(z)
        for v in range(len(z)):
            z[v] = power_of_2((z[v] - top) * LOG2_E)
        for v in range(len(z)):
            total += z[v]
        top_N[n], sum_N[n] = top, total
