"""Attention over stretches of positions, there and back: a few queries at a time against keys that stay in cache."""

from __future__ import annotations

import numpy as np

from seedbed.model.kernels.tiles import (
    COLUMNS,
    LOG2_E,
    LOG_2,
    ONE,
    QUERIES,
    ZERO,
    Floats,
    Ints,
    dot,
    exactly,
    largest,
    pack,
    pack_turned,
    padded,
    powers,
    powers_and_slopes,
    product,
    set_scaled,
)


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
    deep, long = padded(D), padded(T)
    turned_k, values = np.zeros(deep * long, np.float32), np.zeros(long * deep, np.float32)
    queries = np.zeros(long * deep, np.float32)
    s, y = np.empty(QUERIES * long, np.float32), np.empty(QUERIES * deep, np.float32)
    inverse = np.empty(QUERIES, np.float32)
    for item in range(first, last):
        n, kv = item // K, item % K
        begin_T = begin_BT[n % len(begin_BT)]
        pack_turned(k, n * k_steps[0] + kv * k_steps[1], k_steps[2], T, D, turned_k, long)
        pack(v, n * v_steps[0] + kv * v_steps[1], v_steps[2], T, D, ONE, values, deep)
        for head in range(kv * (H // K), (kv + 1) * (H // K)):
            factor = np.float32(scale) * LOG2_E
            pack(q, n * q_steps[0] + head * q_steps[1], q_steps[2], T, D, factor, queries, deep)
            for i in range(0, T, QUERIES):
                low, high = begin_T[i] // COLUMNS * COLUMNS, i + QUERIES
                product(QUERIES, high - low, D, queries, i * deep, deep, 1, turned_k, low, long, s, low, long, 0)
                for r in range(min(QUERIES, T - i)):
                    at = r * long
                    begin, end = at + begin_T[i + r], at + i + r + 1
                    top = largest(s[begin:end])
                    total = powers(s[begin:end], top)
                    s[at + low : begin], s[end : at + high] = ZERO, ZERO
                    top_BHT[n, head, i + r], sum_BHT[n, head, i + r] = top, total
                    inverse[r] = ONE / total
                product(QUERIES, deep, high - low, s, low, long, 1, values, low * deep, deep, y, 0, deep, 0)
                for r in range(min(QUERIES, T - i)):
                    set_scaled(out_BTHD[n, i + r, head], y[r * deep : r * deep + D], inverse[r])


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
    deep, long = padded(D), padded(T)
    flat_out, flat_grad = out_BTHD.reshape(-1), grad_BTHD.reshape(-1)
    turned_k, turned_v = np.zeros(deep * long, np.float32), np.zeros(deep * long, np.float32)
    keys, queries = np.zeros(long * deep, np.float32), np.zeros(long * deep, np.float32)
    given, y = np.zeros(long * deep, np.float32), np.empty(QUERIES * deep, np.float32)
    grad_k, grad_v = np.empty(long * deep, np.float32), np.empty(long * deep, np.float32)
    p, ds = np.empty(QUERIES * long, np.float32), np.empty(QUERIES * long, np.float32)
    for item in range(first, last):
        n, kv = item // K, item % K
        begin_T = begin_BT[n % len(begin_BT)]
        k_at = n * k_steps[0] + kv * k_steps[1]
        pack_turned(k, k_at, k_steps[2], T, D, turned_k, long)
        pack(k, k_at, k_steps[2], T, D, ONE, keys, deep)
        pack_turned(v, n * v_steps[0] + kv * v_steps[1], v_steps[2], T, D, turned_v, long)
        grad_k[:], grad_v[:] = ZERO, ZERO
        for head in range(kv * (H // K), (kv + 1) * (H // K)):
            factor = np.float32(scale) * LOG2_E
            pack(q, n * q_steps[0] + head * q_steps[1], q_steps[2], T, D, factor, queries, deep)
            o_at = (n * T * H + head) * D
            pack(flat_grad, o_at, H * D, T, D, ONE, given, deep)
            for i in range(0, T, QUERIES):
                low, high = begin_T[i] // COLUMNS * COLUMNS, i + QUERIES
                wide = high - low
                product(QUERIES, wide, D, queries, i * deep, deep, 1, turned_k, low, long, p, low, long, 0)
                product(QUERIES, wide, D, given, i * deep, deep, 1, turned_v, low, long, ds, low, long, 0)
                for r in range(min(QUERIES, T - i)):
                    at = r * long
                    begin, end = at + begin_T[i + r], at + i + r + 1
                    o = o_at + (i + r) * H * D
                    mean = dot(flat_out[o : o + D], flat_grad[o : o + D])
                    powers_and_slopes(p[begin:end], ds[begin:end], log_sum_BHT[n, head, i + r], mean)
                    p[at + low : begin], p[end : at + high] = ZERO, ZERO
                    ds[at + low : begin], ds[end : at + high] = ZERO, ZERO
                product(wide, deep, QUERIES, p, low, 1, long, given, i * deep, deep, grad_v, low * deep, deep, 1)
                product(wide, deep, QUERIES, ds, low, 1, long, queries, i * deep, deep, grad_k, low * deep, deep, 1)
                product(QUERIES, deep, wide, ds, low, long, 1, keys, low * deep, deep, y, 0, deep, 0)
                for r in range(min(QUERIES, T - i)):
                    set_scaled(grad_qkv_BTHD[n, i + r, head], y[r * deep : r * deep + D], np.float32(scale))
        for t in range(T):
            here = slice(t * deep, t * deep + D)
            set_scaled(grad_qkv_BTHD[n, t, H + kv], grad_k[here], LOG_2)  # the packed queries hold scale / log 2
            set_scaled(grad_qkv_BTHD[n, t, H + K + kv], grad_v[here], ONE)
