"""How large a model is and what it costs to run, in closed form, from what its parts say of themselves.

Parameters  V C (embedding, and again for an untied head) + learned positions + per block: attention + feed-forward +
            two norms + the final norm. For Llama's parts: (2 H + 2 K) D C (H query and K key/value heads of width D)
            + 3 C F + 2 C a block, + C.
FLOP        A multiplication and an addition are two. Forward, per token: 2 x (matrix parameters of the blocks + V C of
            the head, tied or not) + 4 H D (T + 1) / 2 per block for the scores and the mix of values over the
            (T + 1) / 2 positions a token sees on average; a window leaves fewer. Lookups, norms, rotations, biases and
            softmax are left out (a few percent). Training is 3 x forward: backward makes two products of the same size
            for each of forward. Documents that attention stays inside of are not looked at: this is an upper bound.
"""

from __future__ import annotations

from seedbed.model.shape import ModelShape

TRAINING_FACTOR = 3.0
"""FLOP of forward and backward over FLOP of forward."""


def non_embedding_parameters(shape: ModelShape) -> int:
    """Parameters of blocks and norms: what scaling laws call N."""
    norm = shape.norm.parameters(shape.d_model)
    feed_forward = shape.feed_forward.parameters(shape.d_model, shape.ff_width, shape.biases == "all")
    return shape.n_layers * (shape.attention.parameters(shape.heads) + feed_forward + 2 * norm) + norm


def total_parameters(shape: ModelShape) -> int:
    """All parameters; a tied head is counted once."""
    tables = (1 if shape.tied_embeddings else 2) * shape.vocab_size * shape.d_model
    return non_embedding_parameters(shape) + tables + shape.positions.parameters(shape.context, shape.d_model)


def forward_flops(shape: ModelShape, sequences: int, length: int) -> float:
    """FLOP of one forward pass over `sequences` rows of `length` positions, padding included."""
    layers = range(1, shape.n_layers + 1)
    attention = sum(shape.attention.multiply_adds(shape.heads, length, layer) for layer in layers)
    feed_forward = shape.n_layers * shape.feed_forward.multiply_adds(shape.d_model, shape.ff_width)
    return sequences * length * 2.0 * (attention + feed_forward + shape.vocab_size * shape.d_model)


def training_flops(shape: ModelShape, sequences: int, length: int) -> float:
    """FLOP of one forward and backward pass."""
    return TRAINING_FACTOR * forward_flops(shape, sequences, length)
