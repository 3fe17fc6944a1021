"""Averages of models: one model whose weights are the weighted mean of those of several of one shape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seedbed.core.errors import SeedbedError
from seedbed.model.transformer import Decoder

FloatArray = npt.NDArray[np.float64]


def average(
    models: Sequence[Decoder],
    share_R: FloatArray,
    *,
    names: Sequence[str] = (),
    tokenizers: Sequence[str | None] = (),
) -> Decoder:
    """The model with parameters first + SUM_r share_r (model_r - first), summed in float64.

    Written so, identical models give themselves to the bit, whatever the shares. What is no floating-point number must
    be the same in all. Models with a share of 0 are not looked at.

    Args:
        models: of one shape; they are not changed.
        share_R: at least 0, with a sum above 0; divided by it.
        names: of the models, for errors.
        tokenizers: the definition of each one's tokenizer; they must be the same.

    Raises SeedbedError for shares that are none, and for models that differ in shape or tokenizer.
    """
    if (
        len(share_R) != len(models)
        or not np.isfinite(share_R).all()
        or min(share_R, default=-1) < 0
        or not share_R.any()
    ):
        what = f"{[float(s) for s in share_R]} are no shares of {len(models)} models"
        raise SeedbedError("merging", what, "Give each model a finite share of at least 0, and one above 0.")
    used = [r for r in range(len(models)) if share_R[r] > 0]
    called = [names[r] if names else f"model {r}" for r in range(len(models))]
    first = used[0]
    for r in used[1:]:
        _alike(called[first], called[r], models[first].shape == models[r].shape, "shape")
        if tokenizers:
            _alike(called[first], called[r], tokenizers[first] == tokenizers[r], "tokenizer")
    merged = Decoder(models[first].shape)
    states = [models[r].state_dict() for r in used]
    weights = (share_R[used] / share_R[used].sum()).tolist()
    merged.load_state_dict({name: _mean(name, [state[name] for state in states], weights) for name in states[0]})
    return merged


def _mean(name: str, tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    first = tensors[0]
    if not first.is_floating_point():
        if any(not torch.equal(first, other) for other in tensors[1:]):
            raise SeedbedError("merging", f"{name} is no floating-point number and differs between the models")
        return first
    total = first.double()
    for tensor, weight in zip(tensors[1:], weights[1:], strict=True):
        total = total + weight * (tensor.double() - first.double())
    return total.to(first.dtype)


def _alike(first: str, other: str, same: bool, what: str) -> None:
    if not same:
        mend = "Average only models that were trained from the same start with the same recipe."
        raise SeedbedError(other, f"has another {what} than {first}: their weights do not correspond", mend)
