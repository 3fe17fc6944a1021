"""What tests of growing models share: small trained models of many shapes, and how far two models are apart."""

import dataclasses
import functools

import torch
from torch.nn import functional

from seedbed.model.depth_scalings.layernorm_scaling import LayerNormScaling
from seedbed.model.feed_forwards.gelu import GELU
from seedbed.model.feed_forwards.squared_relu import SquaredReLU
from seedbed.model.norms.layer_norm import LayerNorm
from seedbed.model.parametrizations.mup import MuP
from seedbed.model.parametrizations.standard import Standard
from seedbed.model.positions.learned import LearnedPositions
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder, initial_model

VOCAB = 40
PLAIN = ModelShape(VOCAB, d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, d_ff=24, context=16)
SHAPES = {
    "plain": PLAIN,
    "untied": dataclasses.replace(PLAIN, tied_embeddings=False),
    "multi_head": dataclasses.replace(PLAIN, n_kv_heads=None, d_ff=None),
    "gpt_2": dataclasses.replace(
        PLAIN, n_kv_heads=None, norm=LayerNorm(), positions=LearnedPositions(), feed_forward=GELU(), biases="all"
    ),
    "qk_norm": dataclasses.replace(PLAIN, qk_norm=True, biases="qkv", feed_forward=SquaredReLU()),
    "mup": dataclasses.replace(PLAIN, parametrization=MuP(base_width=8, base_head_width=4)),
    "mup_untied": dataclasses.replace(PLAIN, parametrization=MuP(base_width=8), tied_embeddings=False),
    "depth_scaled": dataclasses.replace(
        PLAIN, depth_scaling=LayerNormScaling(), parametrization=Standard(scaled_residual=False)
    ),
}


def texts(rows: int, seed: int) -> torch.Tensor:
    """ids_BT, (rows, context + 1): each token follows from the one before, with some noise."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(VOCAB, (rows, PLAIN.context + 1), generator=generator)
    for t in range(1, ids.shape[1]):
        keeps = torch.rand(rows, generator=generator) < 0.9
        ids[:, t] = torch.where(keeps, (ids[:, t - 1] * 3 + 1) % VOCAB, ids[:, t])
    return ids


def train(model: Decoder, steps: int, *, decay: float = 0.0) -> Decoder:
    """The same model, some steps of AdamW later."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=decay)
    for step in range(steps):
        ids = texts(8, 100 + step)
        loss = functional.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


@functools.cache
def trained(name: str, layers: int = 2) -> Decoder:
    """A trained model of a shape; nobody may change it."""
    model = initial_model(dataclasses.replace(SHAPES[name], n_layers=layers), 0)
    with torch.no_grad():
        for parameter in model.parameters():  # gains and biases that are anything but 1 and 0
            if parameter.ndim == 1:
                parameter.add_(torch.randn(len(parameter), generator=torch.Generator().manual_seed(1)) * 0.2)
    return train(model, 30)


def logits(model: Decoder) -> torch.Tensor:
    with torch.no_grad():
        return model(texts(6, 7)[:, :-1])


def apart(first: Decoder, second: Decoder) -> float:
    """The largest difference between two models' logits."""
    return float((logits(first) - logits(second)).abs().max())
