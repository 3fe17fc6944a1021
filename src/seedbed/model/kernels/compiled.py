"""The compiled loops: products of small matrices that stay in cache, and passes over rows that read memory once.

Everything is float32, in memory that belongs to the caller. All compiled code is in this one file, because a compiled
function is found again on disk by the content of its own file. Loops release the interpreter while they run.

A product is made of tiles of a few rows by two vectors, held in registers over the whole depth: written in the
compiler's own language, since no loop over arrays is turned into that. It reaches what the best libraries do on large
matrices, already at depth 32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import binding, ir
from numba.core import cgutils
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_numba, _ir, _cgutils, _intrinsic = cast(Any, numba), cast(Any, ir), cast(Any, cgutils), cast(Any, intrinsic)
_features = cast("dict[str, bool]", cast(Any, binding).get_host_cpu_features())

LANES, ROWS = (16, 8) if _features.get("avx512f") else (8, 4) if _features.get("avx2") else (4, 8)
"""Floats in a vector register, and rows of a tile: a tile and what it is made of must fit the registers."""

COLUMNS = 2 * LANES
"""Columns of a tile."""

QUERIES = 32
"""Queries whose scores are made at a time: with 256 keys they fill a core's nearest cache."""


def exactly(function: F) -> F:
    """Compiled as written, but for products and sums that become one instruction. NaN stays NaN."""
    return cast(F, _numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})(function))


def freely(function: F) -> F:
    """Compiled so that sums may be taken in another order, always the same: in vectors."""
    flags = {"contract", "reassoc", "nsz"}
    return cast(F, _numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=flags)(function))


@_intrinsic
def _tile(
    typing: Any, a: Any, a_at: Any, a_row: Any, a_k: Any, b: Any, b_at: Any, b_k: Any,  # noqa: ARG001
    c: Any, c_at: Any, c_row: Any, depth: Any, adds: Any,
) -> Any:  # fmt: skip
    """c (+)= a b, ROWS by COLUMNS; places and strides in floats. Columns of b and c lie together, those of a need not.

    The whole depth is run through with the tile in registers: `depth` > 0.
    """
    signature = _numba.types.void(a, a_at, a_row, a_k, b, b_at, b_k, c, c_at, c_row, depth, adds)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number, vector, index = _ir.IntType(64), _ir.VectorType(_ir.FloatType(), LANES), _ir.IntType(32)
        (_, a_at, a_row, a_k, _, b_at, b_k, _, c_at, c_row, depth, adds) = arguments
        a, b, c = (context.make_array(signature.args[i])(context, builder, arguments[i]).data for i in (0, 4, 7))
        kind = _ir.FunctionType(vector, [vector] * 3)
        fma = _cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")
        nothing, everywhere = (
            _ir.Constant(vector, _ir.Undefined),
            _ir.Constant(_ir.VectorType(index, LANES), [0] * LANES),
        )

        def place(base: Any, *steps: Any) -> Any:
            for step in steps:
                base = builder.gep(base, [step])
            return base

        def read(pointer: Any) -> Any:
            loaded = builder.load(builder.bitcast(pointer, vector.as_pointer()))
            loaded.align = 4
            return loaded

        def write(value: Any, pointer: Any) -> None:
            stored = builder.store(value, builder.bitcast(pointer, vector.as_pointer()))
            stored.align = 4

        rows = [place(a, a_at, builder.mul(a_row, number(r))) for r in range(ROWS)]
        before, loop, after = builder.block, builder.append_basic_block("depth"), builder.append_basic_block("done")
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(number)
        sums = [builder.phi(vector) for _ in range(2 * ROWS)]
        here = place(b, b_at, builder.mul(k, b_k))
        pair = read(here), read(place(here, number(LANES)))
        made: list[Any] = []
        for row in rows:
            one = builder.insert_element(nothing, builder.load(place(row, builder.mul(k, a_k))), index(0))
            many = builder.shuffle_vector(one, nothing, everywhere)
            made += [builder.call(fma, [many, part, sums[len(made) + i]]) for i, part in enumerate(pair)]
        following = builder.add(k, number(1))
        for phi, start, end in zip(
            [k, *sums], [number(0), *[_ir.Constant(vector, None)] * len(sums)], [following, *made], strict=True
        ):
            phi.add_incoming(start, before)
            phi.add_incoming(end, loop)
        builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)
        builder.position_at_end(after)
        targets = [place(c, c_at, builder.mul(c_row, number(i // 2)), number(i % 2 * LANES)) for i in range(2 * ROWS)]
        with builder.if_else(builder.icmp_signed("!=", adds, number(0))) as (then, otherwise):
            with then:
                for value, target in zip(made, targets, strict=True):
                    write(builder.fadd(read(target), value), target)
            with otherwise:
                for value, target in zip(made, targets, strict=True):
                    write(value, target)
        return context.get_dummy_value()

    return signature, build


@_intrinsic
def _times_power(typing: Any, value: Any, power: Any) -> Any:  # noqa: ARG001
    """value * 2^n, where `power` is 1.5 * 2^23 + n: n lies in its lowest bits, the exponent of `value` above them."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        value, power = (builder.bitcast(argument, _ir.IntType(32)) for argument in arguments)
        moved = builder.add(value, builder.shl(power, _ir.Constant(_ir.IntType(32), 23)))
        return builder.bitcast(moved, _ir.FloatType())

    return _numba.types.float32(_numba.types.float32, _numba.types.float32), build


@_intrinsic
def _larger(typing: Any, a: Any, b: Any) -> Any:  # noqa: ARG001
    """The larger number, marked so that the compiler makes vectors of it; NaN may be overlooked."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        known = ("nnan", "nsz")
        return builder.select(builder.fcmp_ordered(">", *arguments, flags=known), *arguments, flags=known)

    return _numba.types.float32(_numba.types.float32, _numba.types.float32), build


_ROUNDER, _LOWEST, _HIGHEST = np.float32(12582912.0), np.float32(-126.0), np.float32(126.0)
_LOG_2, _LOG2_E = np.float32(math.log(2)), np.float32(1 / math.log(2))
_P1, _P2, _P3, _P4, _P5, _P6 = (np.float32(math.log(2) ** n / math.factorial(n)) for n in range(1, 7))
_ONE, _ZERO = np.float32(1), np.float32(0)


@exactly
def _power_of_2(x: np.float32) -> np.float32:
    """2^x for x up to 127, to about 1e-7 of itself; below -126 it is 2^-126. A series around the nearest integer."""
    x = _LOWEST if x < _LOWEST else x
    rounded = x + _ROUNDER
    r = x - (rounded - _ROUNDER)
    series = _ONE + r * (_P1 + r * (_P2 + r * (_P3 + r * (_P4 + r * (_P5 + r * _P6)))))
    return _times_power(series, rounded)


@exactly
def _product(
    rows: int, columns: int, depth: int, a: Floats, a_at: int, a_row: int, a_k: int, b: Floats, b_at: int, b_k: int,
    c: Floats, c_at: int, c_row: int, adds: int,
) -> None:  # fmt: skip
    """c (+)= a b; rows a multiple of ROWS, columns of COLUMNS."""
    for j in range(0, columns, COLUMNS):
        for i in range(0, rows, ROWS):
            _tile(a, a_at + i * a_row, a_row, a_k, b, b_at + j, b_k, c, c_at + i * c_row + j, c_row, depth, adds)


@exactly
def _scale(out: Floats, x: Floats, factor: np.float32) -> None:
    """out = factor x. Loops run over slices from 0: of places that might be negative the compiler makes no vectors."""
    for j in range(len(out)):
        out[j] = factor * x[j]


@exactly
def _pack(
    x: Floats, at: int, stride: int, rows: int, width: int, factor: np.float32, out: Floats, out_row: int
) -> None:
    """out = factor x, row by row; what lies beside and below stays."""
    for i in range(rows):
        begin = at + i * stride
        _scale(out[i * out_row : i * out_row + width], x[begin : begin + width], factor)


@exactly
def _pack_turned(x: Floats, at: int, stride: int, rows: int, width: int, out: Floats, out_row: int) -> None:
    """out = x transposed."""
    for d in range(width):
        for i in range(rows):
            out[d * out_row + i] = x[at + i * stride + d]


@exactly
def _largest(s: Floats) -> np.float32:
    top = s[0]
    for j in range(len(s)):
        top = _larger(top, s[j])
    return top


@freely
def _powers(s: Floats, less: np.float32) -> np.float32:
    """s becomes 2^(s - less); its sum."""
    total = _ZERO
    for j in range(len(s)):
        s[j] = _power_of_2(s[j] - less)
    for j in range(len(s)):
        total += s[j]
    return total


@exactly
def _powers_and_slopes(p: Floats, ds: Floats, less: np.float32, mean: np.float32) -> None:
    """p becomes 2^(p - less), ds becomes p (ds - mean)."""
    for j in range(len(p)):
        p[j] = _power_of_2(p[j] - less)
        ds[j] = p[j] * (ds[j] - mean)


@freely
def _dot(a: Floats, b: Floats) -> np.float32:
    total = _ZERO
    for j in range(len(a)):
        total += a[j] * b[j]
    return total


@exactly
def _padded(n: int) -> int:
    """The next multiple of QUERIES and COLUMNS."""
    return -(-n // QUERIES) * QUERIES


@exactly
def attention(
    first: int, last: int, sizes: tuple[int, int, int, int], scale: float, begin_BT: Ints,
    q: Floats, q_steps: tuple[int, int, int], k: Floats, k_steps: tuple[int, int, int],
    v: Floats, v_steps: tuple[int, int, int], out_BTHD: Floats, top_BHT: Floats, sum_BHT: Floats,
) -> None:  # fmt: skip
    """Causal attention of the key-value heads `first` to `last`, counted over all sequences.

    Args:
        first, last: the heads of this call.
        sizes: H query heads, K key-value heads, T positions, D head width.
        scale: on the products of queries and keys.
        begin_BT: the first position that each query sees; it does not fall along a sequence.
        q, k, v: memory from the first number on, and the steps from sequence to sequence, head to head, token to token.
        out_BTHD: is written.
        top_BHT, sum_BHT: are written: each query's largest score, to base 2, and its sum of powers of 2 above that.
    """
    H, K, T, D = sizes
    deep, long = _padded(D), _padded(T)
    turned_k, values = np.zeros(deep * long, np.float32), np.zeros(long * deep, np.float32)
    queries = np.zeros(long * deep, np.float32)
    s, y = np.empty(QUERIES * long, np.float32), np.empty(QUERIES * deep, np.float32)
    inverse = np.empty(QUERIES, np.float32)
    for item in range(first, last):
        n, kv = item // K, item % K
        begin_T = begin_BT[n % len(begin_BT)]
        _pack_turned(k, n * k_steps[0] + kv * k_steps[1], k_steps[2], T, D, turned_k, long)
        _pack(v, n * v_steps[0] + kv * v_steps[1], v_steps[2], T, D, _ONE, values, deep)
        for head in range(kv * (H // K), (kv + 1) * (H // K)):
            factor = np.float32(scale) * _LOG2_E
            _pack(q, n * q_steps[0] + head * q_steps[1], q_steps[2], T, D, factor, queries, deep)
            for i in range(0, T, QUERIES):
                low, high = begin_T[i] // COLUMNS * COLUMNS, i + QUERIES
                _product(QUERIES, high - low, D, queries, i * deep, deep, 1, turned_k, low, long, s, low, long, 0)
                for r in range(min(QUERIES, T - i)):
                    at = r * long
                    begin, end = at + begin_T[i + r], at + i + r + 1
                    top = _largest(s[begin:end])
                    total = _powers(s[begin:end], top)
                    s[at + low : begin], s[end : at + high] = _ZERO, _ZERO
                    top_BHT[n, head, i + r], sum_BHT[n, head, i + r] = top, total
                    inverse[r] = _ONE / total
                _product(QUERIES, deep, high - low, s, low, long, 1, values, low * deep, deep, y, 0, deep, 0)
                for r in range(min(QUERIES, T - i)):
                    _scale(out_BTHD[n, i + r, head], y[r * deep : r * deep + D], inverse[r])


@exactly
def attention_backward(
    first: int, last: int, sizes: tuple[int, int, int, int], scale: float, begin_BT: Ints,
    q: Floats, q_steps: tuple[int, int, int], k: Floats, k_steps: tuple[int, int, int],
    v: Floats, v_steps: tuple[int, int, int], out_BTHD: Floats, log_sum_BHT: Floats,
    grad_BTHD: Floats, grad_qkv_BTHD: Floats,
) -> None:  # fmt: skip
    """The way back: the scores are made again, so that nothing of T^2 is kept.

    Args:
        log_sum_BHT: top + log2(sum), which is all that is kept of the scores.
        grad_BTHD: by the output.
        grad_qkv_BTHD: is written: by queries, keys and values, head after head.
    The other arguments are those of `attention`.
    """
    H, K, T, D = sizes
    deep, long = _padded(D), _padded(T)
    flat_out, flat_grad = out_BTHD.reshape(-1), grad_BTHD.reshape(-1)
    turned_k, turned_v = np.zeros(deep * long, np.float32), np.zeros(deep * long, np.float32)
    keys, queries, given = (
        np.zeros(long * deep, np.float32),
        np.zeros(long * deep, np.float32),
        np.zeros(long * deep, np.float32),
    )
    grad_k, grad_v = np.empty(long * deep, np.float32), np.empty(long * deep, np.float32)
    p, ds, y = (
        np.empty(QUERIES * long, np.float32),
        np.empty(QUERIES * long, np.float32),
        np.empty(QUERIES * deep, np.float32),
    )
    for item in range(first, last):
        n, kv = item // K, item % K
        begin_T = begin_BT[n % len(begin_BT)]
        k_at = n * k_steps[0] + kv * k_steps[1]
        _pack_turned(k, k_at, k_steps[2], T, D, turned_k, long)
        _pack(k, k_at, k_steps[2], T, D, _ONE, keys, deep)
        _pack_turned(v, n * v_steps[0] + kv * v_steps[1], v_steps[2], T, D, turned_v, long)
        grad_k[:], grad_v[:] = _ZERO, _ZERO
        for head in range(kv * (H // K), (kv + 1) * (H // K)):
            factor = np.float32(scale) * _LOG2_E
            _pack(q, n * q_steps[0] + head * q_steps[1], q_steps[2], T, D, factor, queries, deep)
            o_at = (n * T * H + head) * D
            _pack(flat_grad, o_at, H * D, T, D, _ONE, given, deep)
            for i in range(0, T, QUERIES):
                low, high = begin_T[i] // COLUMNS * COLUMNS, i + QUERIES
                wide = high - low
                _product(QUERIES, wide, D, queries, i * deep, deep, 1, turned_k, low, long, p, low, long, 0)
                _product(QUERIES, wide, D, given, i * deep, deep, 1, turned_v, low, long, ds, low, long, 0)
                for r in range(min(QUERIES, T - i)):
                    at = r * long
                    begin, end = at + begin_T[i + r], at + i + r + 1
                    o = o_at + (i + r) * H * D
                    mean = _dot(flat_out[o : o + D], flat_grad[o : o + D])
                    _powers_and_slopes(p[begin:end], ds[begin:end], log_sum_BHT[n, head, i + r], mean)
                    p[at + low : begin], p[end : at + high] = _ZERO, _ZERO
                    ds[at + low : begin], ds[end : at + high] = _ZERO, _ZERO
                _product(wide, deep, QUERIES, p, low, 1, long, given, i * deep, deep, grad_v, low * deep, deep, 1)
                _product(wide, deep, QUERIES, ds, low, 1, long, queries, i * deep, deep, grad_k, low * deep, deep, 1)
                _product(QUERIES, deep, wide, ds, low, long, 1, keys, low * deep, deep, y, 0, deep, 0)
                for r in range(min(QUERIES, T - i)):
                    _scale(grad_qkv_BTHD[n, i + r, head], y[r * deep : r * deep + D], np.float32(scale))
        for t in range(T):
            here = slice(t * deep, t * deep + D)
            _scale(grad_qkv_BTHD[n, t, H + kv], grad_k[here], _LOG_2)  # the packed queries hold scale / log 2
            _scale(grad_qkv_BTHD[n, t, H + K + kv], grad_v[here], _ONE)


@freely
def rms_norm(
    first: int, last: int, x_NC: Floats, weight_C: Floats, eps: float, out_NC: Floats, inverse_N: Floats
) -> None:
    """out = x inverse weight, where inverse = 1 / sqrt(mean(x^2) + eps), for the rows `first` to `last`."""
    for n in range(first, last):
        x, out = x_NC[n], out_NC[n]
        inverse = _ONE / np.sqrt(_dot(x, x) / np.float32(len(x)) + np.float32(eps))
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
        along = _ZERO
        for c in range(len(x)):
            along += grad[c] * weight_C[c] * x[c]
        share = along * inverse * inverse * inverse / np.float32(len(x))
        for c in range(len(x)):
            grad_weight_C[c] += grad[c] * x[c] * inverse
            out[c] = grad[c] * weight_C[c] * inverse - x[c] * share


@exactly
def _sigmoid(z: np.float32) -> np.float32:
    turned = -z * _LOG2_E
    return _ONE / (_ONE + _power_of_2(_HIGHEST if turned > _HIGHEST else turned))


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
            by_gate[f] = grad[f] * up[f] * (share + silu * (_ONE - share))


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
        z, total = z_NV[n], _ZERO
        top = _largest(z)
        for v in range(len(z)):
            z[v] = _power_of_2((z[v] - top) * _LOG2_E)
        for v in range(len(z)):
            total += z[v]
        top_N[n], sum_N[n] = top, total
