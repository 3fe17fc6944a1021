"""What parts are made of: a matrix, a table, the two doors of positions, and what the layers of one pass share.

Axes: B sequences, T positions, S positions that can be seen, C width, H heads, D head width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from seedbed.model.kernels.products import linear


class Projection(nn.Module):
    """A matrix (out, in), as nn.Linear names it, and a bias where there is one."""

    bias: nn.Parameter | None

    def __init__(self, width_in: int, width_out: int, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width_out, width_in))
        self.bias = nn.Parameter(torch.zeros(width_out)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """x @ weight.T + bias."""
        return linear(x, self.weight, self.bias)


def project(x: Tensor, *projections: Projection) -> Tensor:
    """What several matrices make of the same input, side by side: one product, as small ones cost more than a copy."""
    weight = torch.cat(tuple(projection.weight for projection in projections))
    biases = tuple(projection.bias for projection in projections if projection.bias is not None)
    return linear(x, weight, torch.cat(tuple(biases)) if biases else None)


class Table(nn.Module):
    """A row a token. Unlike nn.Embedding it draws nothing from the global generator when made."""

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(rows, width))

    def forward(self, ids: Tensor) -> Tensor:
        """The rows of `ids`."""
        return functional.embedding(ids, self.weight)


class Places(nn.Module):
    """What positions do, at the two doors where they may act; each does nothing unless a part says otherwise."""

    def add(self, x_BTC: Tensor, sight: Sight) -> Tensor:
        """Embeddings that know their place."""
        del sight
        return x_BTC

    def turn(self, x_BHTD: Tensor, sight: Sight) -> Tensor:
        """Queries or keys that know their place."""
        del sight
        return x_BHTD


class Cache:
    """Keys and values of the tokens that were read, layer by layer, so that one more token costs one token.

    Attributes:
        length: tokens that were read.
    """

    def __init__(self) -> None:
        self.length = 0
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}

    def extend(self, layer: int, k_BHTD: Tensor, v_BHTD: Tensor) -> tuple[Tensor, Tensor]:
        """(k_BHSD, v_BHSD): what the layer kept with the new ones behind."""
        if layer in self._kept:
            k, v = self._kept[layer]
            k_BHTD, v_BHTD = torch.cat((k, k_BHTD), 2), torch.cat((v, v_BHTD), 2)
        self._kept[layer] = k_BHTD, v_BHTD
        return k_BHTD, v_BHTD


class Sight:
    """What the layers of one forward pass share: where its tokens stand, and who sees whom.

    Args:
        length: T, tokens of this pass.
        document_BT: number of the document of each token, where attention stays inside documents.
        cache: keys and values of the tokens before this pass.
    """

    def __init__(
        self, places: Places, length: int, device: torch.device, document_BT: Tensor | None, cache: Cache | None
    ) -> None:
        self.places, self.length, self.cache = places, length, cache
        self.first = 0 if cache is None else cache.length
        self._device, self._document_BT = device, document_BT
        self._masks: dict[int | None, Tensor | None] = {}
        self._begins: dict[int | None, Tensor] = {}

    @property
    def position_T(self) -> Tensor:
        """Places in the sequence, counted from 0."""
        return torch.arange(self.first, self.first + self.length, device=self._device)

    @property
    def place_BT(self) -> Tensor:
        """Places in the document, 0 for its first token in the sequence; (1, T) where there are no documents."""
        position_T = self.position_T
        if self._document_BT is None:
            return position_T[None]
        begins_BT = torch.ones_like(self._document_BT, dtype=torch.bool)
        begins_BT[:, 1:] = self._document_BT[:, 1:] != self._document_BT[:, :-1]
        return position_T - torch.where(begins_BT, position_T, 0).cummax(1).values

    def begin_BT(self, window: int | None) -> Tensor:
        """The first place each token sees; (1, T) where there are no documents. Not with a cache."""
        if window not in self._begins:
            begin_BT = self.position_T - self.place_BT
            self._begins[window] = begin_BT if window is None else begin_BT.maximum(self.position_T - (window - 1))
        return self._begins[window]

    def mask(self, window: int | None) -> Tensor | None:
        """(B or 1, 1, T, S), true where a query sees a key; None where every one sees all that is not behind it."""
        if window is not None and window >= self.first + self.length:
            window = None
        if window not in self._masks:
            self._masks[window] = self._mask(window)
        return self._masks[window]

    def _mask(self, window: int | None) -> Tensor | None:
        plain = window is None and self._document_BT is None
        if plain and (self.first == 0 or self.length == 1):
            return None
        query_T1, key_S = self.position_T[:, None], torch.arange(self.first + self.length, device=self._device)
        seen_TS = key_S <= query_T1
        if window is not None:
            seen_TS &= key_S > query_T1 - window
        if self._document_BT is None:
            return seen_TS[None, None]
        return (seen_TS & (self._document_BT[:, :, None] == self._document_BT[:, None, :]))[:, None]
