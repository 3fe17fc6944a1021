"""Growing a decoder: with which weights a wider or deeper one begins. What the transforms that grow models share.

Width. A map g leads from each new channel to an old one, c(j) new ones to the same. Rows of a matrix are copied, and
its columns divided among the copies of what they read, so a product is what it was: SUM_j W[o, g(j)] s[o, j] x[g(j)]
with SUM s = 1 over the copies of one channel. Norms divide by a mean over channels, which stays what it was only where
every channel of the residual stream has equally many copies: where its new width is a whole multiple of the old one.

    embedding, learned positions        columns copied (they are looked up, so nothing is summed over)
    norms, biases                       copied
    readers (queries, keys, values, gate, up, router, untied head)  columns divided
    writers (o_proj, down_proj)         rows copied, columns divided among copies of heads and inner channels
    tied head                           cannot divide its columns, so the gains (and biases) of the final norm are
    output multiplier of muP            what it shrinks by is made up for in the same place
    heads                               are added whole: their width, on which positions and scale depend, stays;
                                        query heads stay with the key and value head of their group

Symmetry. Copies that are divided evenly have the same gradients for ever, so a wider model would stay the narrow one.
Therefore s is drawn for each row and column: uniform in 1 -/+ spread, then divided by its sum over the copies.

Depth. A new layer is a copy of an old one. Where norms are scaled by their layer's number the gains make up for the
new number, so a copied block computes what its original did. A silent block writes nothing: its o_proj and down_proj
are 0, so the function is kept and both learn from the first step on.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

import torch
from annotated_types import Ge, Le, Lt
from torch import Tensor

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model.feed_forwards.experts import Experts
from seedbed.model.feed_forwards.swiglu import SwiGLU
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder
from seedbed.model.transforming import Transform

Axis: TypeAlias = Literal["model", "query", "key_value", "inner"]
"""What a row or a column of a weight stands for."""

_AXES: dict[str, tuple[Axis | None, Axis | None]] = {
    "embed_tokens": (None, "model"),
    "embed_positions": (None, "model"),
    "lm_head": (None, "model"),
    "norm": ("model", None),
    "input_layernorm": ("model", None),
    "post_attention_layernorm": ("model", None),
    "q_norm": (None, None),
    "k_norm": (None, None),
    "q_proj": ("query", "model"),
    "k_proj": ("key_value", "model"),
    "v_proj": ("key_value", "model"),
    "o_proj": ("model", "query"),
    "gate_proj": ("inner", "model"),
    "up_proj": ("inner", "model"),
    "down_proj": ("model", "inner"),
    "router": (None, "model"),
}
"""Module -> what its rows and columns stand for; None for what does not grow."""

_WRITERS = ("o_proj", "down_proj")


@dataclasses.dataclass(frozen=True)
class Growth(Transform):
    """A transform that makes a model larger.

    Args:
        width: factor on d_model, n_heads, n_kv_heads and d_ff, where those are not given themselves.
        depth: factor on n_layers, where that is not given itself.
        d_model, n_layers, n_heads, n_kv_heads, d_ff: new sizes; heads keep their width.
        spread: how unevenly columns are divided among copies, so that these part in training; 0 for evenly.
        allow_inexact: go on where the function cannot be kept though it was asked for.
    """

    width: Annotated[float, Ge(1), Le(64)] = 2.0
    depth: Annotated[float, Ge(1), Le(64)] = 2.0
    d_model: Annotated[int | None, Ge(2)] = None
    n_layers: Annotated[int | None, Ge(1)] = None
    n_heads: Annotated[int | None, Ge(1)] = None
    n_kv_heads: Annotated[int | None, Ge(1)] = None
    d_ff: Annotated[int | None, Ge(1)] = None
    spread: Annotated[float, Ge(0), Lt(1)] = 0.5
    allow_inexact: bool = False

    def grown(self, shape: ModelShape) -> ModelShape:
        """The shape that a model of this one grows to. Raises RecipeError naming the size that it cannot have."""
        d_model = self.d_model or self._times("width", self.width, "d_model", shape.d_model)
        heads = self.n_heads or self._times("width", self.width, "n_heads", shape.n_heads)
        layers = self.n_layers or self._times("depth", self.depth, "n_layers", shape.n_layers)
        kv_heads = self._kv_heads(shape, heads)
        inner = self.d_ff or round(self.width * shape.ff_width)
        sizes = (("d_model", d_model, shape.d_model), ("n_heads", heads, shape.n_heads),
                 ("n_kv_heads", kv_heads, shape.kv_heads), ("d_ff", inner, shape.ff_width),
                 ("n_layers", layers, shape.n_layers))  # fmt: skip
        for name, new, old in sizes:
            if new < old:
                raise RecipeError(
                    f"{self.name()}.{name}", f"{new} is below the model's {old}", "Models only grow here."
                )
        if heads % kv_heads or heads // kv_heads < shape.n_heads // shape.kv_heads:
            what = f"{kv_heads} groups of {heads} query heads cannot hold the model's groups of"
            mend = "Give n_heads and n_kv_heads so that a group is no smaller than the model's."
            raise RecipeError(f"{self.name()}.n_kv_heads", f"{what} {shape.n_heads // shape.kv_heads}", mend)
        return dataclasses.replace(
            shape,
            d_model=d_model,
            n_layers=layers,
            n_heads=heads,
            n_kv_heads=None if kv_heads == heads else kv_heads,
            d_ff=None if inner == shape.feed_forward.default_width(d_model) else inner,
            head_dim=None if heads * shape.head_width == d_model else shape.head_width,
        )

    def _times(self, field: str, factor: float, size: str, old: int) -> int:
        """A size that must come out whole."""
        new = factor * old
        if abs(new - round(new)) > 1e-6:
            what = f"{factor} times the model's {size} of {old} is {new:.6g}, no whole number"
            raise RecipeError(f"{self.name()}.{field}", what, f"Give {size} beside it.")
        return round(new)

    def _kv_heads(self, shape: ModelShape, heads: int) -> int:
        """As many as query heads where that was so; otherwise grown with the width where groups come out even."""
        if self.n_kv_heads is not None:
            return self.n_kv_heads
        if shape.kv_heads == shape.n_heads:
            return heads
        times = round(self.width * shape.kv_heads)
        return times if times == self.width * shape.kv_heads and heads % times == 0 else shape.kv_heads


def keeps_means(old: ModelShape, new: ModelShape) -> bool:
    """Whether every channel of the residual stream gets equally many copies, so that norms stay what they were."""
    return new.d_model % old.d_model == 0


def keeps_sight(old: ModelShape, new: ModelShape, sources: Sequence[int]) -> bool:
    """Whether the lowest copy of every layer sees as far as before: an attention may depend on its layer's number."""
    far, attention = old.context, old.attention
    lowest = {source: layer for layer, source in reversed(list(enumerate(sources)))}
    return new.attention == attention and all(
        attention.multiply_adds(old.heads, far, layer + 1) == attention.multiply_adds(old.heads, far, source + 1)
        for source, layer in lowest.items()
    )


@dataclasses.dataclass(frozen=True)
class Copies:
    """Which old channel each new one is a copy of.

    Args:
        source_J: for each new channel, in order.
        old: number of old channels; each is a source, and first its own.
    """

    source_J: Tensor
    old: int

    @property
    def count_J(self) -> Tensor:
        """How many copies its source has."""
        return torch.bincount(self.source_J, minlength=self.old)[self.source_J]

    @property
    def later_J(self) -> Tensor:
        """Whether another copy of its source stands before it."""
        order_J = torch.argsort(self.source_J, stable=True)
        sorted_J = self.source_J[order_J]
        later_J = torch.zeros_like(sorted_J, dtype=torch.bool)
        later_J[order_J[1:]] = sorted_J[1:] == sorted_J[:-1]
        return later_J

    def shares(self, rows: int, spread: float, generator: torch.Generator) -> Tensor:
        """share_RJ in float64: of a column of a matrix, 1 in sum over the copies of one channel."""
        drawn_RJ = torch.ones(rows, len(self.source_J), dtype=torch.float64)
        if spread and len(self.source_J) > self.old:
            drawn_RJ.uniform_(1 - spread, 1 + spread, generator=generator)
        sum_RI = torch.zeros(rows, self.old, dtype=torch.float64).index_add_(1, self.source_J, drawn_RJ)
        return drawn_RJ / sum_RI[:, self.source_J]


def even_copies(old: int, new: int, generator: torch.Generator) -> Copies:
    """All channels as often as goes, and the rest drawn without replacement."""
    whole, rest = divmod(new, old)
    drawn = torch.randperm(old, generator=generator)[:rest].sort().values
    return Copies(torch.cat([torch.arange(old)] * whole + [drawn]), old)


def head_copies(old: ModelShape, new: ModelShape) -> tuple[Copies, Copies]:
    """Of query channels, and of key and value channels: whole heads, query heads inside copies of their group."""
    old_group, new_group = old.n_heads // old.kv_heads, new.n_heads // new.kv_heads
    kv_K = torch.arange(new.kv_heads) % old.kv_heads
    query_H = (kv_K[:, None] * old_group + torch.arange(new_group) % old_group).reshape(-1)
    D = old.head_width

    def channels(head_H: Tensor, heads: int) -> Copies:
        return Copies((head_H[:, None] * D + torch.arange(D)).reshape(-1), heads * D)

    return channels(query_H, old.n_heads), channels(kv_K, old.kv_heads)


def widened(decoder: Decoder, shape: ModelShape, *, from_above: bool, spread: float, seed: int) -> Decoder:
    """A decoder with the widths of `shape` and the layers it had.

    Args:
        decoder: stays as it is.
        shape: where to; its number of layers is not looked at.
        from_above: the rows that are new come from the layer above (the topmost has only its own).
        spread: of the division of columns.
        seed: of the channels copied once more than others, and of the division.

    Raises SeedbedError naming a weight of a part that is not known here.
    """
    generator = torch.Generator().manual_seed(seed)
    old, wide = decoder.shape, Decoder(dataclasses.replace(shape, n_layers=decoder.shape.n_layers))
    query, key_value = head_copies(old, shape)
    copies: dict[Axis, Copies] = {
        "model": even_copies(old.d_model, shape.d_model, generator),
        "query": query,
        "key_value": key_value,
        "inner": even_copies(old.ff_width, shape.ff_width, generator),
    }
    state = {name: tensor.detach() for name, tensor in decoder.state_dict().items()}
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        rows, columns = _axes(name)
        above = state[_above(name, old.n_layers)] if from_above and "_proj." in name else None
        grown = tensor.double() if rows is None else _copied(tensor, above, copies[rows])
        if columns is not None and grown.ndim == 2:
            grown = grown[:, copies[columns].source_J]
            if ".embed_" not in name:
                grown = grown * copies[columns].shares(len(grown), spread, generator)
        found[name] = grown
    _keep_scores(found, old, shape, copies["model"])
    wide.load_state_dict({name: tensor.float() for name, tensor in found.items()})
    return wide


def _keep_scores(found: dict[str, Tensor], old: ModelShape, new: ModelShape, copies: Copies) -> None:
    """Make up for what the new width does to logits: another output multiplier, and sums over copies of a tied head."""
    rule = old.parametrization
    ratio = rule.output_multiplier(old.d_model) / rule.output_multiplier(new.d_model)
    if not old.tied_embeddings:
        found["lm_head.weight"] = found["lm_head.weight"] * ratio
        return
    for name in ("model.norm.weight", "model.norm.bias"):
        if name in found:
            found[name] = found[name] * ratio / copies.count_J


def _copied(tensor: Tensor, above: Tensor | None, copies: Copies) -> Tensor:
    """Rows, the new ones from the layer above where there is one, in float64."""
    rows = tensor.double()[copies.source_J]
    if above is not None:
        later_J = copies.later_J
        rows[later_J] = above.double()[copies.source_J[later_J]]
    return rows


def _axes(name: str) -> tuple[Axis | None, Axis | None]:
    *_, module, kind = name.split(".")
    if module not in _AXES or kind not in ("weight", "bias"):
        what = f"{name} is a weight that is not known here, so it cannot be said how it grows"
        raise SeedbedError("growth", what, "Models of a part of your own cannot be widened.")
    return _AXES[module]


def _above(name: str, layers: int) -> str:
    """The same weight one layer higher, or in the topmost itself."""
    return re.sub(r"\.layers\.(\d+)\.", lambda found: f".layers.{min(int(found[1]) + 1, layers - 1)}.", name)


def deepened(decoder: Decoder, sources: Sequence[int], silent: Collection[int] = ()) -> Decoder:
    """A decoder whose layer i is a copy of layer sources[i] (from 0); those of `silent` write nothing."""
    shape = dataclasses.replace(decoder.shape, n_layers=len(sources))
    deep, state = Decoder(shape), decoder.state_dict()
    found = {name: tensor for name, tensor in state.items() if not name.startswith("model.layers.")}
    for layer, source in enumerate(sources):
        begin = f"model.layers.{source}."
        own = {name.removeprefix(begin): tensor for name, tensor in state.items() if name.startswith(begin)}
        factor = 1.0 if shape.depth_scaling is None else (
            shape.depth_scaling.factor(source + 1) / shape.depth_scaling.factor(layer + 1)
        )  # fmt: skip
        placed = _placed(own, factor, layer in silent)
        found |= {f"model.layers.{layer}.{name}": tensor for name, tensor in placed.items()}
    deep.load_state_dict(found)
    return deep


def _placed(block: Mapping[str, Tensor], factor: float, is_silent: bool) -> dict[str, Tensor]:
    """A block's weights at another depth."""
    found = dict(block)
    for name, tensor in block.items():
        module = name.split(".")[-2]
        if module in ("input_layernorm", "post_attention_layernorm") and factor != 1.0:
            found[name] = (tensor.double() * factor).float()
        elif module in _WRITERS and is_silent:
            found[name] = torch.zeros_like(tensor)
    return found


def stacked(old: int, new: int) -> list[int]:
    """0 1 2 0 1 2: the whole again on top of itself."""
    return [layer % old for layer in range(new)]


def interpolated(old: int, new: int) -> list[int]:
    """0 0 1 1 2 2: each copy right above its original."""
    return [layer * old // new for layer in range(new)]


def with_experts(shape: ModelShape, part: Mapping[str, float], where: str) -> ModelShape:
    """The shape with experts of the inner width it has, made with these parameters.

    Raises SeedbedError where its feed-forward is none that experts are made of.
    """
    if not isinstance(shape.feed_forward, SwiGLU):
        what = f"the model's feed_forward is {shape.feed_forward.name()}, and experts are copies of a swiglu"
        raise SeedbedError(where, what, "Upcycle a model that was trained with feed_forward=swiglu.")
    experts = Experts.from_parameters(dict(part), where)
    return dataclasses.replace(shape, feed_forward=experts, d_ff=shape.ff_width)
