"""How flat the loss lies around a model: the trace of its Hessian, by its own samples and by random directions.

Where a model predicts what it reads, the Hessian of its loss is its Fisher information, whose trace is the mean square
of the gradient of -log p(y | x), with y drawn from the model itself and not from the text (Kunstner et al. 2019, arXiv
1905.12558, on what goes wrong otherwise). Gradients of drawn labels have mean 0 and do not depend on each other, so the
square of ONE gradient of the mean loss over M tokens, times M, has that trace as its mean: the flatness by which Liu et
al. (2022, arXiv 2210.14199) compare models of equal loss.

The second way needs no such argument: v' H v, v of random signs, has mean Tr H (Hutchinson 1990). H v is the difference
of two gradients, at the weights moved a little along v and against it, in float64, so any layer will do. This is the
Hessian of the text's own loss, which differs from the Fisher where the fit is not perfect.

All is computed in float64, without dropout, on a copy. Gains of norms and biases (all weights of one axis) are left out
of the trace and told apart: their scale is as free as their number is small. The trace is no invariant: it compares
models of one architecture, parametrization and tokenizer, at one loss.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.model.runtime import Runtime, prepare
from seedbed.model.tensors import from_numpy
from seedbed.model.tokenizer import tokenizer_of
from seedbed.model.transformer import Decoder
from seedbed.model.windows import rows_of

IntArray = npt.NDArray[np.int64]
Batches: TypeAlias = Callable[[], Iterator[tuple[Tensor, Tensor]]]
"""Gives, batch by batch, (logits_NV, target_N) of the tokens that are scored, anew each time, with their graph."""

STEP = 1e-4
"""Of a weight in H v by differences: in float64 both rounding and the next order are below 1e-6 of the result."""


@dataclasses.dataclass(frozen=True)
class Trace:
    """A trace as estimated, in nats per token over squared weight.

    Args:
        value: mean over the draws.
        error: standard error of that mean; NaN for one draw.
        gains: the same of weights of one axis alone, which `value` leaves out.
        loss: of the text, in nats per token.
        draws: how many.
        tokens: in each.
        weights: how many the trace runs over.
    """

    value: float
    error: float
    gains: float
    loss: float
    draws: int
    tokens: int
    weights: int

    def to_json(self) -> dict[str, Json]:
        """Numbers by name; what there is none of is null."""
        told: dict[str, Json] = dataclasses.asdict(self)
        return told | {"error": self.error if math.isfinite(self.error) else None}


def sampled_fisher(batches: Batches, weights: Mapping[str, Tensor], *, draws: int = 16, seed: int = 0) -> Trace:
    """The trace by labels drawn from the model: mean of M |gradient of the mean loss|^2."""
    found, tokens, nats = list[Mapping[str, float]](), 0, 0.0
    for draw in range(_checked(draws)):
        generator = torch.Generator().manual_seed(_mixed(seed, draw))
        gradient, tokens, nats = _gradient(batches, weights, generator)
        found.append({name: float(g.square().sum()) / tokens for name, g in gradient.items()})
    return _trace(found, weights, nats / tokens, tokens)


def hutchinson(batches: Batches, weights: Mapping[str, Tensor], *, draws: int = 16, seed: int = 0) -> Trace:
    """The trace by random signs v: mean of v' H v, H being of the text's own mean loss. The weights come back."""
    kept = {name: weight.detach().clone() for name, weight in weights.items()}
    _, tokens, nats = _gradient(batches, weights, None)
    found: list[Mapping[str, float]] = []
    for draw in range(_checked(draws)):
        generator = torch.Generator().manual_seed(_mixed(seed, draw))
        signs = {name: torch.randint(0, 2, w.shape, generator=generator).to(w) * 2 - 1 for name, w in weights.items()}
        _set(weights, kept, signs, STEP)
        above = _gradient(batches, weights, None)[0]
        _set(weights, kept, signs, -STEP)
        below = _gradient(batches, weights, None)[0]
        _set(weights, kept, signs, 0.0)
        bend = {name: float((v * (above[name] - below[name])).sum()) for name, v in signs.items()}
        found.append({name: value / (2 * STEP) / tokens for name, value in bend.items()})
    return _trace(found, weights, nats / tokens, tokens)


def is_gain(weight: Tensor) -> bool:
    """Whether it is a gain or a bias, which the trace leaves out."""
    return weight.ndim < 2


def decoder_trace(
    decoder: Decoder,
    end_of_text: int,
    ids: npt.NDArray[np.integer[Any]],
    offsets: IntArray,
    *,
    draws: int = 16,
    seed: int = 0,
    most_tokens: int = 16_384,
    method: Callable[..., Trace] = sampled_fisher,
    runtime: Runtime | None = None,
) -> Trace:
    """Of a decoder on documents ids[offsets[i]:offsets[i+1]]: the first ones that together have `most_tokens`.

    A document that is longer is read whole. Raises SeedbedError for documents without tokens, or of another vocabulary.
    """
    size_N = offsets - offsets[0]
    taken = max(int(np.searchsorted(size_N, most_tokens, "right")) - 1, int(np.searchsorted(size_N, 0, "right")))
    used = ids[offsets[0] : offsets[min(taken, len(offsets) - 1)]]
    if not len(used):
        raise SeedbedError("flatness", "the documents have no tokens", "Give documents with text.")
    if not 0 <= int(used.min()) <= int(used.max()) < decoder.shape.vocab_size:
        what = f"token ids run from {used.min()} to {used.max()}, the model knows {decoder.shape.vocab_size}"
        raise SeedbedError("flatness", what, "Give documents with the tokenizer the model was trained with.")
    runtime = runtime or Runtime()
    prepare(runtime)
    device = runtime.torch_device
    model = copy.deepcopy(decoder).double().eval().requires_grad_().to(device)
    rows = list(rows_of(ids, offsets[: taken + 1], decoder.shape.context, end_of_text))

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for each in rows:
            inputs, targets, scored = (
                from_numpy(part).to(device) for part in (each.inputs_BT, each.targets_BT, each.scored_BT)
            )
            yield functional.linear(model.hidden(inputs)[scored], model.head_weight), targets[scored]

    with torch.enable_grad(), torch.autocast(device.type, enabled=False):
        return method(batches, dict(model.named_parameters()), draws=draws, seed=seed)


def text_trace(
    decoder: Decoder, end_of_text: int, tokenizer_json: str, texts: Sequence[str], *, draws: int = 16, seed: int = 0
) -> Trace:
    """Of a decoder on texts, by labels drawn from it: see `decoder_trace`."""
    tokenizer = tokenizer_of(tokenizer_json)
    pieces = [np.asarray(tokenizer.encode(text, add_special_tokens=False).ids, np.int64) for text in texts]
    offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])]).astype(np.int64)
    ids = np.concatenate([np.zeros(0, np.int64), *pieces])
    return decoder_trace(decoder, end_of_text, ids, offsets, draws=draws, seed=seed)


def _gradient(
    batches: Batches, weights: Mapping[str, Tensor], generator: torch.Generator | None
) -> tuple[dict[str, Tensor], int, float]:
    """(gradient of the SUM of the tokens' losses, tokens, nats of the text); with a generator labels are drawn."""
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    tokens, nats = 0, 0.0
    for logits_NV, target_N in batches():
        log_p_NV = functional.log_softmax(logits_NV, -1)
        nats -= float(log_p_NV.detach().gather(1, target_N[:, None]).sum())
        label_N = target_N if generator is None else _drawn(log_p_NV.detach(), generator)
        loss = -log_p_NV.gather(1, label_N[:, None]).sum()
        slopes = torch.autograd.grad(loss, list(weights.values()), allow_unused=True, materialize_grads=True)
        for name, slope in zip(weights, slopes, strict=True):
            total[name] += slope
        tokens += len(target_N)
    return total, tokens, nats


def _drawn(log_p_NV: Tensor, generator: torch.Generator) -> Tensor:
    """A label for every row, on the processor, so that every device draws the same."""
    probability = log_p_NV.double().exp().cpu()
    return torch.multinomial(probability, 1, generator=generator).squeeze(1).to(log_p_NV.device)


def _trace(found: Sequence[Mapping[str, float]], weights: Mapping[str, Tensor], loss: float, tokens: int) -> Trace:
    gains = {name for name, weight in weights.items() if is_gain(weight)}
    value_D = np.array([sum(v for name, v in one.items() if name not in gains) for one in found])
    gain_D = np.array([sum(v for name, v in one.items() if name in gains) for one in found])
    error = float(value_D.std(ddof=1)) / math.sqrt(len(found)) if len(found) > 1 else float("nan")
    size = sum(weight.numel() for name, weight in weights.items() if name not in gains)
    return Trace(float(value_D.mean()), error, float(gain_D.mean()), loss, len(found), tokens, size)


def _set(weights: Mapping[str, Tensor], kept: Mapping[str, Tensor], along: Mapping[str, Tensor], step: float) -> None:
    """The weights kept, moved along a direction."""
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(kept[name] + step * along[name])


def _mixed(seed: int, draw: int) -> int:
    """A seed of its own for every draw."""
    return int(np.random.SeedSequence([seed, draw]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _checked(draws: int) -> int:
    if draws < 1:
        raise SeedbedError(
            "flatness.draws", f"{draws} draws give no trace", "Take at least one; several tell an error."
        )
    return draws
