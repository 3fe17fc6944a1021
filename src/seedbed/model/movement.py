"""How far a transform moved the function: logits, likeliest tokens, bits per byte and sizes, before and after.

Both models read the same text, in the tokens of the old one; a text is cut where a token stands that the new one does
not know. A constant added to all logits of a place changes no probability, so each place's logits are compared after
their mean over the tokens that both know is taken off. Divergence is between the distributions over those tokens alone;
what goes to others is told beside it. Bits per byte are each model's with its own tokenizer.
Axes: N places, V tokens that both know.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from seedbed.core import parameters
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.core.parameters import Json
from seedbed.model.cross_entropy import tokens_at_a_time
from seedbed.model.language_model import LanguageModel
from seedbed.model.shared_tokens import shared_tokens
from seedbed.model.tensors import from_numpy
from seedbed.model.tokenizer import tokenizer_of
from seedbed.model.transformer import Decoder
from seedbed.model.transforming import Checkpoint, Promise
from seedbed.model.windows import rows_of

IntArray = npt.NDArray[np.int64]

ROUNDING = 1e-4
"""Logits that differ by no more than this share of their root mean square are the same, in float32."""
MOST_CHARACTERS = 32_768
"""Of text that is read; what comes behind is left out."""
RANDOM_ROWS, RANDOM_TOKENS = 16, 64
"""Size of what is read where there is no text."""


@dataclasses.dataclass(frozen=True)
class Movement:
    """What a transform did to a model.

    Args:
        promise: what it said it would keep.
        texts: that were read; 0 where random tokens were.
        places: positions that were compared.
        unknown_tokens: share of the texts' tokens that the new model does not know; texts are cut there.
        shared_tokens: that both models know.
        logit_scale: root mean square of the old model's logits, each place's mean taken off.
        max_logit_difference, mean_logit_difference: of the same, over all places and shared tokens.
        kl_nats: mean divergence of the new distribution from the old, KL(old || new), over shared tokens.
        same_likeliest: share of places where the likeliest of all tokens is the same one, ties aside.
        new_token_probability: mean probability that the new model gives to tokens that the old one does not know.
        lost_token_probability: mean probability that the old model gave to tokens that the new one does not know.
        bits_per_byte_before, bits_per_byte_after: on the texts; None without texts, or without an end-of-text token.
        tokens_per_byte_before, tokens_per_byte_after: on the texts; None without texts or tokenizer.
        parameters_before, parameters_after: numbers that are trained; a tied head is counted once.
        bytes_before, bytes_after: of all weights.
    """

    promise: Promise
    texts: int
    places: int
    unknown_tokens: float
    shared_tokens: int
    logit_scale: float
    max_logit_difference: float
    mean_logit_difference: float
    kl_nats: float
    same_likeliest: float
    new_token_probability: float
    lost_token_probability: float
    bits_per_byte_before: float | None
    bits_per_byte_after: float | None
    tokens_per_byte_before: float | None
    tokens_per_byte_after: float | None
    parameters_before: int
    parameters_after: int
    bytes_before: int
    bytes_after: int

    @property
    def logits_are_kept(self) -> bool:
        """Whether no logit moved by more than rounding."""
        return self.max_logit_difference <= ROUNDING * self.logit_scale

    @property
    def broken(self) -> str:
        """How the promise was broken; empty where it was kept."""
        if self.promise == "exact" and not self.logits_are_kept:
            return (
                f"the logits should be the same, and differ by up to {self.max_logit_difference:.3g} "
                f"where their scale is {self.logit_scale:.3g}"
            )
        if self.promise == "greedy" and self.same_likeliest < 1:
            return f"the likeliest token should be the same, and is so at {self.same_likeliest:.2%} of places"
        return ""

    def told(self) -> list[str]:
        """Lines for people."""
        of = f"{self.texts} texts" if self.texts else "random tokens, for want of text"
        promised = {"exact": "the same logits", "greedy": "the same likeliest tokens", "none": "nothing"}
        kept = "" if self.promise == "none" else "; broken" if self.broken else "; kept"
        lines = [
            f"promised {promised[self.promise]}{kept}; {self.places:,} places of {of}",
            f"logits moved by {self.mean_logit_difference:.3g} on average and {self.max_logit_difference:.3g} at most, "
            f"at a scale of {self.logit_scale:.3g}; divergence {self.kl_nats:.3g} nats",
            f"likeliest token the same at {self.same_likeliest:.2%} of places",
        ]
        if self.unknown_tokens:
            lines.append(f"{self.unknown_tokens:.2%} of the tokens read are not known any more: texts were cut there")
        if self.lost_token_probability:
            lines.append(f"tokens that are gone had {self.lost_token_probability:.3%} of the probability")
        if self.new_token_probability:
            lines.append(f"tokens that are new get {self.new_token_probability:.3%} of the probability")
        lines += _change("bits per byte", self.bits_per_byte_before, self.bits_per_byte_after)
        lines += _change("tokens per byte", self.tokens_per_byte_before, self.tokens_per_byte_after)
        lines.append(f"parameters {self.parameters_before:,} -> {self.parameters_after:,}, "
                     f"bytes {self.bytes_before:,} -> {self.bytes_after:,}")  # fmt: skip
        return lines

    def to_json(self) -> dict[str, Json]:
        """All numbers by name, and `broken`."""
        return {**parameters.encode_fields(self), "broken": self.broken}


def _change(what: str, before: float | None, after: float | None) -> list[str]:
    told = ["unknown" if value is None else f"{value:.4f}" for value in (before, after)]
    return [] if before is None and after is None else [f"{what} {told[0]} -> {told[1]}"]


def moved(before: Checkpoint, after: Checkpoint, texts: Sequence[str], promise: Promise) -> Movement:
    """Compare two models on texts, or on seeded random tokens where there are none or no tokenizer.

    Raises SeedbedError where they share no token, and where either gives logits that are no numbers.
    """
    new_V = shared_tokens(before, after)
    if not (new_V >= 0).any():
        raise SeedbedError("movement", "the two models do not know a single token in common")
    read = _shortened(texts) if before.tokenizer_json is not None else ()
    ids, offsets, unknown = _pieces(before, read, new_V)
    if not len(ids):
        read, (ids, offsets) = (), _random(new_V, min(before.decoder.shape.context, after.decoder.shape.context))
    compared = torch.cat(list(_compared(before, after, ids, offsets, new_V)))
    _check_numbers(compared)
    scale = math.sqrt(float(compared[:, 0].mean()))
    _, largest, mean, divergence, gap, gained, lost = compared.unbind(1)
    tallies = [_tally(side, read) for side in (before, after)]
    return Movement(
        promise=promise,
        texts=len(read),
        places=len(compared),
        unknown_tokens=unknown,
        shared_tokens=int((new_V >= 0).sum()),
        logit_scale=scale,
        max_logit_difference=float(largest.max()),
        mean_logit_difference=float(mean.mean()),
        kl_nats=float(divergence.mean()),
        same_likeliest=float((gap <= ROUNDING * scale).double().mean()),
        new_token_probability=float(gained.mean()),
        lost_token_probability=float(lost.mean()),
        bits_per_byte_before=tallies[0][0],
        bits_per_byte_after=tallies[1][0],
        tokens_per_byte_before=tallies[0][1],
        tokens_per_byte_after=tallies[1][1],
        parameters_before=sum(weight.numel() for weight in before.decoder.parameters()),
        parameters_after=sum(weight.numel() for weight in after.decoder.parameters()),
        bytes_before=_bytes(before.decoder),
        bytes_after=_bytes(after.decoder),
    )


def _shortened(texts: Sequence[str]) -> tuple[str, ...]:
    """The first texts, together at most MOST_CHARACTERS long."""
    found: list[str] = []
    left = MOST_CHARACTERS
    for text in texts:
        if left > 0 and text:
            found.append(text[:left])
            left -= len(text)
    return tuple(found)


def _pieces(old: Checkpoint, texts: Sequence[str], new_V: IntArray) -> tuple[IntArray, IntArray, float]:
    """(old ids, offsets, share that is unknown): the texts in old tokens, cut where the new model does not know one."""
    rows = [_encoded(old, text) for text in texts]
    ids = np.concatenate([np.zeros(0, np.int64), *rows])
    if not len(ids):
        return ids, np.zeros(1, np.int64), 0.0
    if int(ids.max()) >= len(new_V):
        what = f"the tokenizer gives token {ids.max()}, the model knows {len(new_V)}"
        raise SeedbedError("movement", what, "Use the tokenizer the model was trained with.")
    text_N = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    known_N = new_V[ids] >= 0
    piece_N = (text_N + np.cumsum(~known_N))[known_N]
    ends = np.flatnonzero(np.diff(piece_N, append=-1))
    return ids[known_N], np.concatenate([[0], ends + 1]).astype(np.int64), float(1 - known_N.mean())


def _encoded(side: Checkpoint, text: str) -> IntArray:
    tokenizer = _tokenizer(cast(str, side.tokenizer_json))
    return np.asarray(tokenizer.encode(text, add_special_tokens=False).ids, np.int64)


@lru_cache(maxsize=4)
def _tokenizer(definition: str) -> Any:
    return tokenizer_of(definition)


def _random(new_V: IntArray, context: int) -> tuple[IntArray, IntArray]:
    """(old ids, offsets) of rows of shared tokens, always the same ones."""
    known, length = np.flatnonzero(new_V >= 0), min(context, RANDOM_TOKENS)
    ids = np.random.default_rng(0).choice(known, RANDOM_ROWS * length)
    return ids.astype(np.int64), np.arange(RANDOM_ROWS + 1) * length


def _compared(
    before: Checkpoint, after: Checkpoint, ids: IntArray, offsets: IntArray, new_V: IntArray
) -> Iterator[Tensor]:
    """Rows (square, largest, mean, divergence, gap, gained, lost) of one place each; see `_columns`."""
    context = min(before.decoder.shape.context, after.decoder.shape.context)
    end = before.end_of_text
    start = end if end is not None and new_V[end] >= 0 else int(np.flatnonzero(new_V >= 0)[0])
    step = tokens_at_a_time(max(side.decoder.shape.vocab_size for side in (before, after)))
    mapped = from_numpy(new_V)
    with torch.inference_mode():
        for rows in rows_of(ids, offsets, context, start):
            taken = from_numpy(rows.scored_BT)
            old_NC = before.decoder.hidden(from_numpy(rows.inputs_BT))[taken]
            new_NC = after.decoder.hidden(from_numpy(new_V[rows.inputs_BT]))[taken]
            for at in range(0, len(old_NC), step):
                old_NV = functional.linear(old_NC[at : at + step], before.decoder.head_weight).double()
                new_NV = functional.linear(new_NC[at : at + step], after.decoder.head_weight).double()
                yield _columns(old_NV, new_NV, mapped)


def _columns(old_NV: Tensor, new_NV: Tensor, new_V: Tensor) -> Tensor:
    """(N, 7), of each place: mean square of the old logits, largest and mean difference, divergence, how far the token
    that was likeliest is now below the likeliest, and the probability of tokens that are new, and of those that went.
    """
    was = torch.nonzero(new_V >= 0)[:, 0]
    now = new_V[was]
    old, new = old_NV[:, was], new_NV[:, now]
    old_centred, new_centred = old - old.mean(1, keepdim=True), new - new.mean(1, keepdim=True)
    difference = (new_centred - old_centred).abs()
    old_log, new_log = old.log_softmax(1), new.log_softmax(1)
    divergence = (old_log.exp() * (old_log - new_log)).sum(1)
    first = new_V[old_NV.argmax(1)]
    there = new_NV.gather(1, first.clamp(min=0)[:, None])[:, 0]
    gap = torch.where(first >= 0, new_NV.amax(1) - there, torch.full_like(there, float("inf")))
    lost, gained = (_left_out(logits, kept) for logits, kept in ((old_NV, was), (new_NV, now)))
    return torch.stack(
        [old_centred.square().mean(1), difference.amax(1), difference.mean(1), divergence, gap, gained, lost], 1
    )


def _left_out(logits_NV: Tensor, kept: Tensor) -> Tensor:
    """The probability of all tokens but these; exactly 0 where there are no others."""
    others = torch.ones(logits_NV.shape[1], dtype=torch.bool)
    others[kept] = False
    return logits_NV.softmax(1)[:, others].sum(1)


def _check_numbers(compared: Tensor) -> None:
    square, difference = compared[:, 0], compared[:, 1]
    if not bool(torch.isfinite(square).all()):
        raise SeedbedError("movement", "the model gives logits that are no numbers", "Take an earlier checkpoint.")
    if not bool(torch.isfinite(difference).all()):
        mend = "Check the transform's parameters and the models that it was given."
        raise SeedbedError("movement", "the transform made a model whose logits are no numbers", mend)


def _tally(side: Checkpoint, texts: Sequence[str]) -> tuple[float | None, float | None]:
    """(bits, tokens) per byte of the texts, with the model's own tokenizer."""
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    if side.tokenizer_json is None or not size:
        return None, None
    if side.end_of_text is None:
        return None, sum(len(_encoded(side, text)) for text in texts) / size
    model = LanguageModel(side.decoder, side.end_of_text, side.tokenizer_json)
    nats_N, count_N = model.log_likelihoods(DocumentBatch.of(list(texts)))
    return float(-nats_N.sum()) / math.log(2) / size, int(count_N.sum()) / size


def _bytes(decoder: Decoder) -> int:
    return sum(weight.numel() * weight.element_size() for weight in decoder.state_dict().values())
