"""bert2BERT: a larger model begins with the weights of a trained smaller one, wider first and then deeper.

What      Channels, heads and inner channels are copied and what reads them is divided among the copies (FPI), or the
          rows that are new come from the layer above (AKI), which keeps the function less but lets copies part. The
          wider layers are then stacked on themselves. Chen et al. found AKI to need fewer steps than FPI.
Source    Chen et al. 2022, "bert2BERT: Towards reusable pretrained language models", ACL, arXiv 2110.07143, section 3
          (FPI, AKI, expansion in depth); copies that are divided go back to Net2Net (arXiv 1511.05641), stacking to
          Gong et al. 2019.
Formula   columns: W[o, j] = W[o, g(j)] s[o, j], SUM s = 1 over the copies of one channel
          rows: FPI W_l[g(i)];  AKI W_l[g(i)] for the first copy and W_(l+1)[g(i)] for the later ones
          depth: layer i of the new model is layer i mod L of the old
          what becomes of norms, a tied head, groups of heads and output multipliers: see model/growing.py
Shapes    a decoder of width C and L layers -> one of at least those
Units     sizes and factors; weights are computed in float64 and kept in float32
Fidelity  Adapted: two-stage training (first sub-models of random depth) is left out, and nothing is trained here. The
          authors divide evenly. These decoders have no dropout, so evenly divided copies would stay the same for ever:
          s is drawn within 1 -/+ spread (0 divides evenly), and the function is kept all the same. Channels are copied
          equally often as far as goes, where theirs are drawn. Norms are copied from their own layer under AKI too.
          The topmost layer has none above and takes its own rows. FPI alone is exact, with RMSNorm or LayerNorm, where
          the residual stream gets a whole multiple of its width and no layers.
Errors    Sizes below the model's, and heads that do not come out even, raise RecipeError; so does FPI to a d_model that
          is no whole multiple, unless allow_inexact. Weights of a part of your own raise SeedbedError.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from seedbed.core.errors import RecipeError
from seedbed.model.growing import Growth, deepened, keeps_means, stacked, widened
from seedbed.model.shape import ModelShape
from seedbed.model.transforming import Checkpoint, Given, Promise


@dataclasses.dataclass(frozen=True)
class Bert2BERT(Growth):
    """Wider by copies, deeper by stacking.

    Args:
        kind: "aki" takes new rows from the layer above, "fpi" from the same.
        width: factor on d_model, n_heads, n_kv_heads and d_ff, where those are not given themselves.
        depth: factor on n_layers, where that is not given itself.
        d_model, n_layers, n_heads, n_kv_heads, d_ff: new sizes; heads keep their width.
        spread: how unevenly columns are divided among copies, so that these part in training; 0 for evenly.
        allow_inexact: let "fpi" widen to what is no whole multiple.
    """

    kind: Literal["aki", "fpi"] = "aki"

    def promise(self, shape: ModelShape) -> Promise:
        """Exact for FPI in width alone, to a whole multiple."""
        grown = self.grown(shape)
        keeps = self.kind == "fpi" and keeps_means(shape, grown) and grown.n_layers == shape.n_layers
        return "exact" if keeps else "none"

    def apply(self, checkpoint: Checkpoint, given: Given) -> Checkpoint:
        """The larger model."""
        decoder = checkpoint.decoder
        shape = self.grown(decoder.shape)
        if self.kind == "fpi" and not keeps_means(decoder.shape, shape) and not self.allow_inexact:
            what = f"{shape.d_model} is no whole multiple of the model's {decoder.shape.d_model}"
            mend = "Norms would see other means. Choose a whole multiple, kind=aki, or allow_inexact=true."
            raise RecipeError(f"{self.name()}.d_model", what, mend)
        wide = widened(decoder, shape, from_above=self.kind == "aki", spread=self.spread, seed=given.seed)
        sources = stacked(decoder.shape.n_layers, shape.n_layers)
        return dataclasses.replace(checkpoint, decoder=deepened(wide, sources))
