"""A model's weights as optimizers see them: what each one is, and by what its rate and decay are multiplied."""

from __future__ import annotations

import dataclasses

from torch import nn

from seedbed.model.contract import Kind
from seedbed.model.transformer import Decoder, kind_of


@dataclasses.dataclass(frozen=True)
class Weight:
    """A parameter and its place.

    Args:
        name: as in the checkpoint.
        parameter: the tensor itself.
        kind: embedding (a tied head is one), matrix (of a block), vector (gains, biases) or head.
        lr_scale: factor on the learning rate; 1 without muP.
        decay_scale: factor on the weight decay; 1 without muP.
    """

    name: str
    parameter: nn.Parameter
    kind: Kind
    lr_scale: float = 1.0
    decay_scale: float = 1.0


def weights_of(model: Decoder) -> list[Weight]:
    """Every parameter once, in the order of `named_parameters`."""
    rule, width = model.shape.parametrization, model.shape.d_model
    found: list[Weight] = []
    for name, parameter in model.named_parameters():
        kind = kind_of(name, parameter)
        found.append(Weight(name, parameter, kind, rule.lr_scale(kind, width), rule.decay_scale(kind, width)))
    return found
