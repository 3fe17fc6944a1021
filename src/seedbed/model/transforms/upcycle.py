"""Sparse upcycling: every feed-forward becomes several experts that begin as copies of it.

What      The gated feed-forward of each block is copied to all experts, and a fresh router chooses among them. As the
          weights of the chosen sum to 1, the function stays what it was; only router and data then part the experts.
          Noise, or inner channels drawn anew in each expert, part them from the start and cost exactness.
Source    Komatsuzaki et al. 2022, "Sparse upcycling", arXiv 2212.05055, section 3, with combine weights renormalised;
          inner channels drawn anew: Nakamura et al. 2025 (drop-upcycling), arXiv 2502.19261, section 3; coefficients
          of the losses as in AquilaMoE's scale-out, arXiv 2408.06567.
Formula   gate_e, up_e, down_e = gate, up, down (1 + noise n), n ~ N(0, 1);  router ~ N(0, router_deviation^2)
          redrawn > 0: for each expert round(redrawn F) of its inner channels; their rows of gate and of up and their
          columns of down are drawn from N(m, s^2), with m and s the mean and deviation of those very numbers
Shapes    a decoder with SwiGLU -> one with experts of the same inner width
Units     deviations; fractions of the inner width
Fidelity  Adapted: all blocks get experts, where Komatsuzaki et al. do so in every other one, and choice is by tokens
          alone, dropping none; optimizer moments are not carried over.
Errors    Models whose feed-forward is not SwiGLU raise SeedbedError; more active experts than there are, RecipeError.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor

from seedbed.model.growing import with_experts
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder
from seedbed.model.transforming import Checkpoint, Given, Promise, Transform


@dataclasses.dataclass(frozen=True)
class Upcycle(Transform):
    """Dense to experts.

    Args:
        experts: how many each feed-forward becomes.
        active: how many each position passes through.
        balance_weight, z_weight: of the two losses of the router, see feed_forwards/experts.py.
        router_deviation: of the fresh router's weights.
        noise: relative, on every weight of every expert; 0 keeps the function.
        redrawn: share of the inner channels that each expert draws anew; 0 keeps the function.
    """

    experts: Annotated[int, Ge(1)] = 8
    active: Annotated[int, Ge(1)] = 2
    balance_weight: Annotated[float, Ge(0)] = 0.001
    z_weight: Annotated[float, Ge(0)] = 0.01
    router_deviation: Annotated[float, Ge(0)] = 0.02
    noise: Annotated[float, Ge(0), Le(1)] = 0.0
    redrawn: Annotated[float, Ge(0), Le(1)] = 0.0

    def promise(self, shape: ModelShape) -> Promise:
        """Exact unless the experts are parted."""
        del shape
        return "none" if self.noise or self.redrawn else "exact"

    def apply(self, checkpoint: Checkpoint, given: Given) -> Checkpoint:
        """The model with experts."""
        dense = checkpoint.decoder
        router = {"experts": self.experts, "active": self.active}
        losses = {"balance_weight": self.balance_weight, "z_weight": self.z_weight}
        sparse = Decoder(with_experts(dense.shape, {**router, **losses}, self.name()))
        generator = torch.Generator().manual_seed(given.seed)
        state = {name: tensor.detach() for name, tensor in dense.state_dict().items()}
        found = {name: tensor for name, tensor in state.items() if ".mlp." not in name}
        for layer in range(dense.shape.n_layers):
            begin = f"model.layers.{layer}.mlp."
            block = {name.removeprefix(begin): tensor for name, tensor in state.items() if name.startswith(begin)}
            drawn_EC = torch.randn(self.experts, dense.shape.d_model, generator=generator)
            found[f"{begin}router.weight"] = self.router_deviation * drawn_EC
            for expert in range(self.experts):
                own = self._expert(block, generator)
                found |= {f"{begin}experts.{expert}.{name}": tensor for name, tensor in own.items()}
        sparse.load_state_dict(found)
        return dataclasses.replace(checkpoint, decoder=sparse)

    def _expert(self, block: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """One expert's weights."""
        if not self.noise and not self.redrawn:
            return block
        inner = len(block["gate_proj.weight"])
        drawn_F = torch.randperm(inner, generator=generator)[: round(self.redrawn * inner)]
        own: dict[str, Tensor] = {}
        for name, tensor in block.items():
            own[name] = tensor
            if name.endswith("weight"):
                own[name] = tensor * (1 + self.noise * torch.randn(tensor.shape, generator=generator))
                if len(drawn_F):
                    _redraw(own[name], drawn_F, 1 if name.startswith("down_proj") else 0, generator)
        return own


def _redraw(weight: Tensor, drawn_F: Tensor, axis: int, generator: torch.Generator) -> None:
    """Draw rows or columns anew, with the mean and deviation they had together."""
    old = weight.index_select(axis, drawn_F)
    fresh = old.mean() + old.std(correction=0) * torch.randn(old.shape, generator=generator)
    weight.index_copy_(axis, drawn_F, fresh)
