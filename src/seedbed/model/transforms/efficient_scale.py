"""EfficientScale: a larger model begins with a smaller one's weights, each new layer right above the one it copies.

What      The scale-up of AquilaMoE: width by AKI-Pro (new rows from the layer above, query heads inside their group),
          depth by interpolation. Or, keeping the function, width by plain copies and new layers that write nothing at
          first. Their scale-out, experts from one feed-forward, is the transform `upcycle`.
Source    Zhang et al. 2024, "AquilaMoE", arXiv 2408.06567, section 3 (Scale-Up); AKI: Chen et al. 2022, arXiv
          2110.07143, section 3; layers that begin as the identity: Net2Net, Chen et al. 2016, arXiv 1511.05641.
Formula   width: see model/growing.py
          depth: layer i of the new model is layer floor(i L / L') of the old;  identity: of the copies of a layer the
          first is kept, and the others have o_proj = down_proj = 0
Shapes    a decoder of width C and L layers -> one of at least those
Units     sizes and factors; weights are computed in float64 and kept in float32
Fidelity  Adapted: as the description has it, not their code. 1.25 times the width, as from their 7B to 16B, gives norms
          other means, so nothing is promised there, whatever the kind. Columns are divided unevenly (spread) since
          copies divided evenly would never part without dropout; 0 divides evenly.
Errors    Sizes below the model's, and heads that do not come out even, raise RecipeError; so do width=copy and
          depth_kind=identity where they cannot keep the function, unless allow_inexact: a d_model that is no whole
          multiple, and windows that depend on the layer's number. Weights of a part of your own raise SeedbedError.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from seedbed.core.errors import RecipeError
from seedbed.model.growing import Growth, deepened, interpolated, keeps_means, keeps_sight, widened
from seedbed.model.shape import ModelShape
from seedbed.model.transforming import Checkpoint, Given, Promise


@dataclasses.dataclass(frozen=True)
class EfficientScale(Growth):
    """Wider by copies, deeper by interpolation.

    Args:
        width_kind: "aki_pro" takes new rows from the layer above; "copy" from the same, which can keep the function.
        depth_kind: "interpolate" copies layers whole; "identity" lets the copies write nothing at first.
        width: factor on d_model, n_heads, n_kv_heads and d_ff, where those are not given themselves.
        depth: factor on n_layers, where that is not given itself.
        d_model, n_layers, n_heads, n_kv_heads, d_ff: new sizes; heads keep their width.
        spread: how unevenly columns are divided among copies, so that these part in training; 0 for evenly.
        allow_inexact: go on where "copy" or "identity" cannot keep the function.
    """

    width_kind: Literal["aki_pro", "copy"] = "aki_pro"
    depth_kind: Literal["interpolate", "identity"] = "interpolate"

    def promise(self, shape: ModelShape) -> Promise:
        """Exact for plain copies to a whole multiple of the width, and new layers that write nothing."""
        grown = self.grown(shape)
        widens = self.width_kind == "copy" or _same_width(shape, grown)
        deepens = self.depth_kind == "identity" or grown.n_layers == shape.n_layers
        return "exact" if widens and deepens and not _hindrance(shape, grown) else "none"

    def apply(self, checkpoint: Checkpoint, given: Given) -> Checkpoint:
        """The larger model."""
        decoder = checkpoint.decoder
        shape = self.grown(decoder.shape)
        self._check(decoder.shape, shape)
        from_above = self.width_kind == "aki_pro"
        wide = widened(decoder, shape, from_above=from_above, spread=self.spread, seed=given.seed)
        sources = interpolated(decoder.shape.n_layers, shape.n_layers)
        copies = {layer for layer in range(1, len(sources)) if sources[layer] == sources[layer - 1]}
        silent = copies if self.depth_kind == "identity" else set[int]()
        return dataclasses.replace(checkpoint, decoder=deepened(wide, sources, silent))

    def _check(self, old: ModelShape, new: ModelShape) -> None:
        """Raises RecipeError where the function was to be kept and cannot be."""
        hindrance = _hindrance(old, new)
        if not hindrance or self.allow_inexact:
            return
        field, what = hindrance
        asked = self.width_kind == "copy" if field == "d_model" else self.depth_kind == "identity"
        if asked:
            mend = "Choose other sizes or kinds, or allow_inexact=true."
            raise RecipeError(f"{self.name()}.{field}", what, mend)


def _same_width(old: ModelShape, new: ModelShape) -> bool:
    return (new.heads, new.ff_width) == (old.heads, old.ff_width)


def _hindrance(old: ModelShape, new: ModelShape) -> tuple[str, str] | None:
    """(field, what) that stands in the way of keeping the function."""
    if not keeps_means(old, new):
        return (
            "d_model",
            f"{new.d_model} is no whole multiple of the model's {old.d_model}: norms would see other means",
        )
    if not keeps_sight(old, new, interpolated(old.n_layers, new.n_layers)):
        return "n_layers", f"attention={old.attention.name()} sees another window in layers that move up"
    return None
