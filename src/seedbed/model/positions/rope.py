"""RoPE: queries and keys are turned by an angle that grows with their position.

What      Channel pairs of every query and key are rotated by position times a frequency of the pair, so that their
          product depends on the distance alone. Two published rules stretch the frequencies for longer contexts.
Source    Su et al. 2021, arXiv 2104.09864, section 3.2; pairs (i, i + D/2) as in Hugging Face's Llama. linear: Chen et
          al. 2023, arXiv 2306.15595, equation 4. llama3: the rule of the code released with Llama 3.1 (2024, arXiv
          2407.21783), Hugging Face's rope_type "llama3".
Formula   f_i = base^(-2i / D);  angle = t f_i
          linear: f_i / factor
          llama3: with wave = 2 pi / f_i, f_i where wave < original_context / high_freq_factor, f_i / factor where
          wave > original_context / low_freq_factor, and between the two (1 - s) f_i / factor + s f_i with
          s = (original_context / wave - low_freq_factor) / (high_freq_factor - low_freq_factor)
Shapes    x_BHTD -> y_BHTD
Units     angles in radians, computed in float64; contexts in tokens
Fidelity  Exact; compared with a rotation pair by pair, and the scaled frequencies with transformers'. The pairing
          differs from the paper's (2i, 2i + 1) by a permutation of channels, which training cannot see.
Errors    Heads of odd width raise RecipeError.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Any, ClassVar, Literal, cast

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from seedbed.core.errors import RecipeError
from seedbed.model.contract import Positions
from seedbed.model.kernels.passes import turn
from seedbed.model.layers import Places, Sight
from seedbed.model.tensors import apply


@dataclasses.dataclass(frozen=True)
class RoPE(Positions):
    """Rotary positions.

    Args:
        base: of the frequencies (theta).
        scaling: how frequencies are stretched for a longer context.
        factor: by how much.
        low_freq_factor, high_freq_factor: waves longer than original_context / low are stretched whole, waves shorter
            than original_context / high not at all; for llama3 alone.
        original_context: tokens the model was first trained on; for llama3 alone.
    """

    base: Annotated[float, Gt(0)] = 10000.0
    scaling: Literal["none", "linear", "llama3"] = "none"
    factor: Annotated[float, Ge(1)] = 8.0
    low_freq_factor: Annotated[float, Gt(0)] = 1.0
    high_freq_factor: Annotated[float, Gt(0)] = 4.0
    original_context: Annotated[int, Ge(1)] = 8192

    even_heads: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Raises RecipeError where the two ends of the stretch are the wrong way round."""
        super().__post_init__()
        if self.high_freq_factor <= self.low_freq_factor:
            what = f"{self.high_freq_factor} is not above low_freq_factor={self.low_freq_factor}"
            raise RecipeError(f"{self.name()}.high_freq_factor", what)

    def build(self, context: int, width: int, head_width: int) -> Places:
        """Tables of cosines and sines for every position of the context."""
        del width
        return Rotary(*rotary_tables(context, self.frequencies(head_width)))

    def parameters(self, context: int, width: int) -> int:
        """None."""
        del context, width
        return 0

    def frequencies(self, head_width: int) -> Tensor:
        """f_D, float64: radians a position, of each of head_width / 2 pairs."""
        f_D = self.base ** (-torch.arange(0, head_width, 2, dtype=torch.float64) / head_width)
        if self.scaling == "linear":
            return f_D / self.factor
        if self.scaling == "llama3":
            low, high = self.low_freq_factor, self.high_freq_factor
            kept_D = ((self.original_context * f_D / (2 * math.pi) - low) / (high - low)).clamp(0, 1)
            return (1 - kept_D) * f_D / self.factor + kept_D * f_D
        return f_D


class Rotary(Places):
    """Turns queries and keys."""

    cos: Tensor
    sin: Tensor

    def __init__(self, cos_TD: Tensor, sin_TD: Tensor) -> None:
        super().__init__()
        self.register_buffer("cos", cos_TD, persistent=False)
        self.register_buffer("sin", sin_TD, persistent=False)

    def turn(self, x_BHTD: Tensor, sight: Sight) -> Tensor:
        """Turn each head by the angle of its position."""
        here = slice(sight.first, sight.first + sight.length)
        return rotate(x_BHTD, self.cos[here], self.sin[here])


def rotary_tables(positions: int, frequency_D: Tensor) -> tuple[Tensor, Tensor]:
    """(cos_TD, sin_TD) of the angles t f_D, computed in float64."""
    angle_TD = torch.arange(positions, dtype=torch.float64)[:, None] * frequency_D
    return angle_TD.cos().float(), angle_TD.sin().float()


def rotate(x_BHTD: Tensor, cos_TD: Tensor, sin_TD: Tensor) -> Tensor:
    """Turn the pair (i, i + D/2) of every head by the angle of its position."""
    return apply(Rotation, x_BHTD, cos_TD, sin_TD)


class Rotation(torch.autograd.Function):
    """Turns pairs by angles; its gradient turns them back. Written out because each pass over memory counts here."""

    @staticmethod
    def forward(ctx: Any, x_BHTD: Tensor, cos_TD: Tensor, sin_TD: Tensor) -> Tensor:  # pyright: ignore
        """The turned pairs."""
        ctx.save_for_backward(cos_TD, sin_TD)
        return turn(x_BHTD, cos_TD, sin_TD, 1.0)

    @staticmethod
    def backward(ctx: Any, grad_BHTD: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore
        """A rotation's transpose is the rotation by the opposite angle."""
        cos_TD, sin_TD = cast("tuple[Tensor, Tensor]", ctx.saved_tensors)
        return turn(grad_BHTD, cos_TD, sin_TD, -1.0), None, None
