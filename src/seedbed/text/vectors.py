"""Many bytes at once: a block of 64 as the bits of one number, a word of 8 as one number.

The two loops over bytes that every other loop is made of. They are written in the compiler's own language, so that one
instruction compares as many bytes as the processor can; where it has no such instruction they are still correct.
"""

from __future__ import annotations

from typing import Any, cast

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from seedbed.text.kernel import Bytes, leaf

BLOCK = 64
ONE = np.uint64(1)
NONE, ALL = np.uint64(0), np.uint64(0xFFFFFFFFFFFFFFFF)

_numba, _ir = cast(Any, numba), cast(Any, ir)
_intrinsic = cast(Any, intrinsic)
_EIGHT = np.uint64(8)


@leaf
def between(data: Bytes, at: int, low: int, high: int) -> np.uint64:
    """Bit i: whether low <= data[at + i] <= high, for the 64 bytes from `at`; beyond the data no bit is set."""
    if at + BLOCK <= len(data):
        return _block_between(data, at, np.uint8(low), np.uint8(high - low))
    return _tail_between(data, at, low, high)


@leaf
def _tail_between(data: Bytes, at: int, low: int, high: int) -> np.uint64:
    """The same of fewer than 64 bytes; apart, so that the compiler writes the short way where it is asked for."""
    found = NONE
    for i in range(len(data) - at):
        found |= np.uint64(low <= data[at + i] <= high) << np.uint64(i)
    return found


@leaf
def within(at: int, stop: int) -> np.uint64:
    """The bits of a block at `at` that lie before `stop`."""
    if stop - at >= BLOCK:
        return ALL
    return ALL >> np.uint64(BLOCK - (stop - at)) if stop > at else NONE


@leaf
def load(data: Bytes, at: int, stop: int) -> np.uint64:
    """Up to 8 bytes data[at:stop] as one number, the first byte lowest; zeros where there are fewer."""
    left = stop - at
    if at + 8 <= len(data):
        value = _load_8(data, at)
        return value if left >= 8 else value & (ALL >> np.uint64(64 - 8 * left))
    value = NONE
    for i in range(min(left, 8)):
        value |= np.uint64(data[at + i]) << (_EIGHT * np.uint64(i))
    return value


@_intrinsic
def lowest_bit(typing_context: Any, value: Any) -> Any:  # noqa: ARG001 - the compiler's signature
    """The place of the lowest bit that is set; `value` is not 0."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.cttz(arguments[0], _ir.Constant(_ir.IntType(1), 1))

    return _numba.types.int64(_numba.types.uint64), build


@_intrinsic
def count_bits(typing_context: Any, value: Any) -> Any:  # noqa: ARG001
    """How many bits are set."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.ctpop(arguments[0])

    return _numba.types.int64(_numba.types.uint64), build


@_intrinsic
def _load_8(typing_context: Any, data: Any, at: Any) -> Any:  # noqa: ARG001
    """data[at:at + 8], which must be there."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _address(context, builder, signature, arguments, _ir.IntType(64))
        return builder.load(pointer, align=1)

    return _numba.types.uint64(data, _numba.types.intp), build


@_intrinsic
def _block_between(typing_context: Any, data: Any, at: Any, low: Any, width: Any) -> Any:  # noqa: ARG001
    """Bit i: whether data[at + i] - low <= width, of 64 bytes that must be there."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        block = _ir.VectorType(_ir.IntType(8), BLOCK)
        places = _ir.Constant(_ir.VectorType(_ir.IntType(32), BLOCK), [0] * BLOCK)
        nothing = _ir.Constant(block, _ir.Undefined)

        def everywhere(value: Any) -> Any:
            first = builder.insert_element(nothing, value, _ir.Constant(_ir.IntType(32), 0))
            return builder.shuffle_vector(first, nothing, places)

        loaded = builder.load(_address(context, builder, signature, arguments, block), align=1)
        above = builder.sub(loaded, everywhere(arguments[2]))
        inside = builder.icmp_unsigned("<=", above, everywhere(arguments[3]))
        return builder.bitcast(inside, _ir.IntType(64))

    types = _numba.types
    return types.uint64(data, types.intp, types.uint8, types.uint8), build


def _address(context: Any, builder: Any, signature: Any, arguments: Any, kind: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.bitcast(builder.gep(array.data, [arguments[1]]), kind.as_pointer())
