"""Arithmetic on models of one shape: weighted means of them, and differences of two added to a third.

Sums are taken in float64 and rounded once. Tied weights are one tensor and are treated once. Rows of embedding and head
are those of a token, so between models with different tokenizers they are matched by token.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seedbed.core.errors import SeedbedError
from seedbed.model.shared_tokens import shared_tokens
from seedbed.model.tensors import from_numpy
from seedbed.model.transformer import Decoder
from seedbed.model.transforming import Checkpoint

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ROWS = ("model.embed_tokens.weight", "lm_head.weight")
"""The weights that have a row for each token."""


@dataclasses.dataclass(frozen=True)
class TaskVector:
    """What training changed: the weights of `tuned` minus those of `base`, times `scale`.

    Args:
        scale: lambda; below 0 it is taken away.
        tuned, base: before and after that training.
        name: of the vector, for errors.
    """

    scale: float
    tuned: Checkpoint
    base: Checkpoint
    name: str = "the tuned model"


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


def added(onto: Checkpoint, vectors: Sequence[TaskVector]) -> Checkpoint:
    """The model with parameters onto + SUM_i scale_i (tuned_i - base_i), with the tokenizer of `onto`.

    A vector of scale 1 on its own base is the tuned model to the bit, and one whose two ends are the same model changes
    no bit. Where tokenizers differ, a vector has only the rows of tokens that all three know; other rows stay those of
    `onto`. What is no floating-point number must be the same in all.

    Raises SeedbedError for models that differ in shape other than by the vocabulary, and for vocabularies of different
    size whose tokens are not known.
    """
    state = onto.decoder.state_dict()
    aligned = [(vector.scale, *_aligned(onto, vector, state)) for vector in vectors]
    merged = Decoder(onto.decoder.shape)
    merged.load_state_dict(
        {name: _sum(name, value, [(s, a[name], b[name]) for s, a, b in aligned]) for name, value in state.items()}
    )
    return Checkpoint(merged, onto.tokenizer_json, onto.end_of_text)


def _aligned(
    onto: Checkpoint, vector: TaskVector, state: Mapping[str, Tensor]
) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    """The weights of both ends of a vector, with rows in the order of `onto`, and its rows where either knows none."""
    ends = (vector.tuned, vector.base)
    rows = [_rows(onto, end, vector.name) for end in ends]
    known = (rows[0] >= 0) & (rows[1] >= 0)
    if not known.any():
        raise SeedbedError(vector.name, "knows not a single token that the model knows", "Merge relatives only.")
    here = from_numpy(np.flatnonzero(known))
    found: list[dict[str, Tensor]] = []
    for end, row_V in zip(ends, rows, strict=True):
        theirs = dict(end.decoder.state_dict())
        for name in ROWS:
            if name in theirs:
                table = state[name].clone()
                table[here] = theirs[name][from_numpy(row_V[known])]
                theirs[name] = table
        found.append(theirs)
    return found[0], found[1]


def _rows(onto: Checkpoint, other: Checkpoint, name: str) -> IntArray:
    """Of each row of `onto`, the row of the other model that is of the same token; -1 where there is none."""
    ours, theirs = onto.decoder.shape, other.decoder.shape
    if dataclasses.replace(theirs, vocab_size=ours.vocab_size) != ours:
        fields = [field.name for field in dataclasses.fields(ours) if field.name != "vocab_size"]
        field = next(field for field in fields if getattr(ours, field) != getattr(theirs, field))
        what = f"has {field} {getattr(theirs, field)} where the model has {getattr(ours, field)}"
        raise SeedbedError(name, f"{what}: their weights do not correspond", "Merge models of one base only.")
    if ours.vocab_size != theirs.vocab_size and None in (onto.tokenizer_json, other.tokenizer_json):
        what = f"has {theirs.vocab_size} tokens where the model has {ours.vocab_size}, and one has no tokenizer.json"
        raise SeedbedError(name, what, "Rows are matched by token: put each model's tokenizer.json beside it.")
    return shared_tokens(onto, other)


def _sum(name: str, value: Tensor, vectors: Sequence[tuple[float, Tensor, Tensor]]) -> Tensor:
    """value + SUM scale (tuned - base). A base that is `value` itself is weighed with it, so that nothing cancels."""
    if not value.is_floating_point():
        return _mean(name, [value, *(end for _, *ends in vectors for end in ends)], ())
    first = value.double()
    own, rest = 1.0, torch.zeros((), dtype=torch.float64)
    for scale, tuned, base in vectors:
        if torch.equal(base, value):
            own -= scale
            rest = rest + scale * tuned.double()
        else:
            rest = rest + scale * (tuned.double() - base.double())
    return (rest if own == 0 else own * first + rest).to(value.dtype)


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
