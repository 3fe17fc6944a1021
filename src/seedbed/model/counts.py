"""How large a model is and what it costs to run, in closed form.

Parameters  V C (embedding, and again for an untied head) + per block: (2 H + 2 K) D C (attention, H query and K
            key/value heads of width D) + 3 C F (gated feed-forward) + 2 C (norms) + C (final norm).
FLOP        A multiplication and an addition are two. Forward, per token: 2 x (matrix parameters of the blocks + V C of
            the head, tied or not) + 4 H D (T + 1) / 2 per block for the scores and the mix of values over the
            (T + 1) / 2 positions a token sees on average. Lookups, norms, rotations and softmax are left out (a few
            percent). Training is 3 x forward: backward makes two products of the same size for each of forward.
"""

from __future__ import annotations

from seedbed.model.shape import ModelShape

TRAINING_FACTOR = 3.0
"""FLOP of forward and backward over FLOP of forward."""


def _block_matrices(shape: ModelShape) -> int:
    attention = (2 * shape.n_heads + 2 * shape.kv_heads) * shape.head_width * shape.d_model
    return attention + 3 * shape.d_model * shape.feed_forward


def non_embedding_parameters(shape: ModelShape) -> int:
    """Parameters of blocks and norms: what scaling laws call N."""
    return shape.n_layers * (_block_matrices(shape) + 2 * shape.d_model) + shape.d_model


def total_parameters(shape: ModelShape) -> int:
    """All parameters; a tied head is counted once."""
    tables = 1 if shape.tied_embeddings else 2
    return non_embedding_parameters(shape) + tables * shape.vocab_size * shape.d_model


def forward_flops(shape: ModelShape, sequences: int, length: int) -> float:
    """FLOP of one forward pass over `sequences` rows of `length` positions, padding included."""
    matrices = 2.0 * (shape.n_layers * _block_matrices(shape) + shape.vocab_size * shape.d_model)
    attention = 4.0 * shape.n_layers * shape.n_heads * shape.head_width * (length + 1) / 2
    return sequences * length * (matrices + attention)


def training_flops(shape: ModelShape, sequences: int, length: int) -> float:
    """FLOP of one forward and backward pass."""
    return TRAINING_FACTOR * forward_flops(shape, sequences, length)
