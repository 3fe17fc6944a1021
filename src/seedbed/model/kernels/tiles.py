"""The compiled loops: products of small matrices that stay in cache, and passes over rows that read memory once.

Everything is float32, in memory that belongs to the caller. Loops release the interpreter while they run.

A product is made of tiles of a few rows by two vectors, held in registers over the whole depth: written in the
compiler's own language, since no loop over arrays is turned into that. It reaches what the best libraries do on large
matrices, already at depth 32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import binding, ir
from numba.core import cgutils
from numba.extending import intrinsic

from seedbed.text import kernel

F = TypeVar("F", bound=Callable[..., Any])
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_numba, _ir, _cgutils, _intrinsic = cast(Any, numba), cast(Any, ir), cast(Any, cgutils), cast(Any, intrinsic)
_features = cast("dict[str, bool]", cast(Any, binding).get_host_cpu_features())

LANES, ROWS = (16, 8) if _features.get("avx512f") else (8, 4) if _features.get("avx2") else (4, 8)
"""Floats in a vector register, and rows of a tile: a tile and what it is made of must fit the registers."""

COLUMNS = 2 * LANES
"""Columns of a tile."""

_VECTOR: Any = _ir.VectorType(_ir.FloatType(), LANES)

QUERIES = 32
"""Queries whose scores are made at a time: with 256 keys they fill a core's nearest cache."""


def exactly(function: F) -> F:
    """Compiled as written, but for products and sums that become one instruction. NaN stays NaN."""
    return kernel.numeric("contract")(function)


def freely(function: F) -> F:
    """Compiled so that sums may be taken in another order, always the same: in vectors."""
    return kernel.numeric("contract", "reassoc", "nsz")(function)


def _place(builder: Any, base: Any, *steps: Any) -> Any:
    for step in steps:
        base = builder.gep(base, [step])
    return base


def _read(builder: Any, pointer: Any) -> Any:
    loaded = builder.load(builder.bitcast(pointer, _VECTOR.as_pointer()))
    loaded.align = 4
    return loaded


def _write(builder: Any, value: Any, pointer: Any) -> None:
    stored = builder.store(value, builder.bitcast(pointer, _VECTOR.as_pointer()))
    stored.align = 4


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
        number, vector, index = _ir.IntType(64), _VECTOR, _ir.IntType(32)
        (_, a_at, a_row, a_k, _, b_at, b_k, _, c_at, c_row, depth, adds) = arguments
        a, b, c = (context.make_array(signature.args[i])(context, builder, arguments[i]).data for i in (0, 4, 7))
        kind = _ir.FunctionType(vector, [vector] * 3)
        fma = _cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")
        nothing, everywhere = (
            _ir.Constant(vector, _ir.Undefined),
            _ir.Constant(_ir.VectorType(index, LANES), [0] * LANES),
        )

        place, read, write = (partial(action, builder) for action in (_place, _read, _write))
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


_ROUNDER, _LOWEST, HIGHEST = np.float32(12582912.0), np.float32(-126.0), np.float32(126.0)
LOG_2, LOG2_E = np.float32(math.log(2)), np.float32(1 / math.log(2))
_P1, _P2, _P3, _P4, _P5, _P6 = (np.float32(math.log(2) ** n / math.factorial(n)) for n in range(1, 7))
ONE, ZERO = np.float32(1), np.float32(0)


@exactly
def power_of_2(x: np.float32) -> np.float32:
    """2^x for x up to 127, to about 1e-7 of itself; below -126 it is 2^-126. A series around the nearest integer."""
    x = _LOWEST if x < _LOWEST else x
    rounded = x + _ROUNDER
    r = x - (rounded - _ROUNDER)
    series = ONE + r * (_P1 + r * (_P2 + r * (_P3 + r * (_P4 + r * (_P5 + r * _P6)))))
    return _times_power(series, rounded)


@exactly
def product(
    rows: int, columns: int, depth: int, a: Floats, a_at: int, a_row: int, a_k: int, b: Floats, b_at: int, b_k: int,
    c: Floats, c_at: int, c_row: int, adds: int,
) -> None:  # fmt: skip
    """c (+)= a b; rows a multiple of ROWS, columns of COLUMNS."""
    for j in range(0, columns, COLUMNS):
        for i in range(0, rows, ROWS):
            _tile(a, a_at + i * a_row, a_row, a_k, b, b_at + j, b_k, c, c_at + i * c_row + j, c_row, depth, adds)


@exactly
def set_scaled(out: Floats, x: Floats, factor: np.float32) -> None:
    """out = factor x. Loops run over slices from 0: of places that might be negative the compiler makes no vectors."""
    for j in range(len(out)):
        out[j] = factor * x[j]


@exactly
def pack(x: Floats, at: int, stride: int, rows: int, width: int, factor: np.float32, out: Floats, out_row: int) -> None:
    """out = factor x, row by row; what lies beside and below stays."""
    for i in range(rows):
        begin = at + i * stride
        set_scaled(out[i * out_row : i * out_row + width], x[begin : begin + width], factor)


@exactly
def pack_turned(x: Floats, at: int, stride: int, rows: int, width: int, out: Floats, out_row: int) -> None:
    """out = x transposed."""
    for d in range(width):
        for i in range(rows):
            out[d * out_row + i] = x[at + i * stride + d]


@exactly
def largest(s: Floats) -> np.float32:
    """The largest number of a row."""
    top = s[0]
    for j in range(len(s)):
        top = _larger(top, s[j])
    return top


@freely
def powers(s: Floats, less: np.float32) -> np.float32:
    """s becomes 2^(s - less); its sum."""
    total = ZERO
    for j in range(len(s)):
        s[j] = power_of_2(s[j] - less)
    for j in range(len(s)):
        total += s[j]
    return total


@exactly
def powers_and_slopes(p: Floats, ds: Floats, less: np.float32, mean: np.float32) -> None:
    """p becomes 2^(p - less), ds becomes p (ds - mean)."""
    for j in range(len(p)):
        p[j] = power_of_2(p[j] - less)
        ds[j] = p[j] * (ds[j] - mean)


@freely
def dot(a: Floats, b: Floats) -> np.float32:
    """The sum of products."""
    total = ZERO
    for j in range(len(a)):
        total += a[j] * b[j]
    return total


@exactly
def padded(n: int) -> int:
    """The next multiple of QUERIES and COLUMNS."""
    return -(-n // QUERIES) * QUERIES
