"""Gradients of a decoder: of documents one by one, of their Kronecker factors, and of any loss as one flat vector.

A layer's weight W (O, I) meets the inputs x_t of a document and gives y_t = W x_t. With d_t the gradient of the
document's summed loss by y_t, the gradient by W is SUM_t d_t x_t^T, so one backward pass over many documents gives the
gradient of each. The weights are lent to the model as tensors that note what they are multiplied with, whatever part of
the model does so and however many of them it lays side by side.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from seedbed.core.cost import Cost
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.model import counts
from seedbed.model.cross_entropy import linear_cross_entropy
from seedbed.model.hugging_face import open_model_folder
from seedbed.model.runtime import Runtime, prepare
from seedbed.model.tensors import from_numpy
from seedbed.model.transformer import Decoder
from seedbed.model.windows import Rows, rows_of

Array = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]

EXPERTS = ".experts."
"""In the names of matrices that read only the positions that are routed to them."""
PARTS = {"attention": (".self_attn.",), "feed_forward": (".mlp.",), "all": (".self_attn.", ".mlp.")}
"""What can be asked for -> where its layers lie in a block."""


def open_gradients(folder: Path) -> DecoderGradients:
    """Of the model in a folder with its tokenizer. Raises SeedbedError where none says which token ends a text."""
    found = open_model_folder(folder)
    if found.end_of_text is None:
        mend = "Copy tokenizer.json there, with special.json beside it."
        raise SeedbedError(str(folder), "holds no tokenizer that says which token ends a text", mend)
    return DecoderGradients(found.decoder, found.end_of_text)


class DecoderGradients:
    """A decoder that is asked for gradients of its linear layers. It counts its own FLOP and changes nothing.

    Args:
        decoder: the model; moved to the runtime's device.
        end_of_text: id of the token that ends every document.
        runtime: device and threads.
    """

    def __init__(self, decoder: Decoder, end_of_text: int, runtime: Runtime | None = None) -> None:
        self._runtime = runtime or Runtime()
        self._decoder = decoder.to(self._runtime.torch_device)
        self._end_of_text = end_of_text
        self._cost = Cost()
        if not 0 <= end_of_text < decoder.shape.vocab_size:
            raise SeedbedError("gradients.end_of_text", f"{end_of_text} is outside the vocabulary")

    @property
    def cost(self) -> Cost:
        """FLOP of all passes so far, padding included, and seconds. Backward counts as two forward passes."""
        return self._cost

    def layers(self, which: str) -> tuple[str, ...]:
        """Names of the linear layers: which is "attention", "feed_forward" or "all"."""
        if which not in PARTS:
            raise SeedbedError("gradients.layers", f"{which!r} is not known", f"Choose one of {', '.join(PARTS)}.")
        if which != "attention" and any(EXPERTS in name for name, _ in self._decoder.named_parameters()):
            what = "an expert reads only some positions, so its gradients cannot be told apart by document"
            raise SeedbedError("gradients.layers", what, "Choose attention for a model with experts.")
        return tuple(name for name in _matrices(self._decoder) if any(part in name for part in PARTS[which]))

    def gradients(self, documents: DocumentBatch, layers: Sequence[str]) -> Mapping[str, Array]:
        """layer -> gradient_NOI of each document's mean loss by the layer's weight; 0 for one without tokens."""
        size_N = np.diff(documents.token_ids[1])
        matrices = self._asked(layers)
        found = {name: np.zeros((len(size_N), *matrices[name].shape), np.float32) for name in layers}
        for rows, seen in self._passes(documents, layers):
            for name, (x_BTI, d_BTO) in seen.items():
                summed = torch.bmm(d_BTO.transpose(1, 2), x_BTI).cpu().numpy()
                for row, document in enumerate(rows.document_B.tolist()):
                    if document >= 0:
                        found[name][document] += summed[row]
        for gradient_NOI in found.values():
            gradient_NOI /= np.maximum(size_N, 1).astype(np.float32)[:, None, None]
        return found

    def factors(self, documents: DocumentBatch, layers: Sequence[str]) -> Mapping[str, tuple[FloatArray, FloatArray]]:
        """layer -> (input_II, output_OO): mean over tokens of x x^T, and of d d^T with d the loss's gradient there.

        The loss is that of the documents' own tokens, summed over a document: the empirical Fisher's factors.
        """
        n = int(np.diff(documents.token_ids[1]).sum())
        if not n:
            raise SeedbedError("gradients.factors", "the documents have no tokens", "Give documents with text.")
        found: dict[str, tuple[FloatArray, FloatArray]] = {}
        for rows, seen in self._passes(documents, layers):
            scored_BT = from_numpy(rows.scored_BT).to(self._runtime.torch_device)
            for name, (x_BTI, d_BTO) in seen.items():
                two = (_second_moment(x_BTI[scored_BT]), _second_moment(d_BTO[scored_BT]))
                before = found.get(name)
                found[name] = two if before is None else (before[0] + two[0], before[1] + two[1])
        return {name: (inputs / n, outputs / n) for name, (inputs, outputs) in found.items()}

    def embeddings(self, documents: DocumentBatch) -> Array:
        """mean_NC of the last hidden state over each document's tokens; 0 for a document without any."""
        begun, flops = time.perf_counter(), 0.0
        shape, size_N = self._decoder.shape, np.diff(documents.token_ids[1])
        found = np.zeros((len(size_N), shape.d_model), np.float32)
        for rows in self._rows(documents):
            with torch.inference_mode(), self._runtime.autocast():
                hidden_BTC = self._decoder.hidden(self._moved(rows.inputs_BT)).float()
                summed = (hidden_BTC * self._moved(rows.scored_BT)[..., None]).sum(1).cpu().numpy()
            whole = rows.document_B >= 0
            np.add.at(found, rows.document_B[whole], summed[whole])
            flops += counts.forward_flops(shape, *rows.inputs_BT.shape)
        self._cost += Cost(flops_forward=flops, seconds=time.perf_counter() - begun)
        return found / np.maximum(size_N, 1).astype(np.float32)[:, None]

    def _passes(
        self, documents: DocumentBatch, layers: Sequence[str]
    ) -> Iterator[tuple[Rows, dict[str, tuple[Tensor, Tensor]]]]:
        """Batch by batch: its rows, and layer -> (x_BTI, d_BTO)."""
        matrices = self._asked(layers)
        for rows in self._rows(documents):
            begun = time.perf_counter()
            seen = self._seen(rows, matrices)
            flops = counts.forward_flops(self._decoder.shape, *rows.inputs_BT.shape)
            backward = flops * (counts.TRAINING_FACTOR - 1)
            yield rows, {name: seen[name] for name in layers}
            self._cost += Cost(flops, backward, seconds=time.perf_counter() - begun)

    def _seen(self, rows: Rows, matrices: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """layer -> what it was given, and the gradient of the summed loss by what it gave."""
        meetings: list[_Meeting] = []
        lent = {f"decoder.{name}.weight": _lent(name, weight, meetings) for name, weight in matrices.items()}
        inputs, targets, scored = (self._moved(part) for part in (rows.inputs_BT, rows.targets_BT, rows.scored_BT))
        with torch.enable_grad(), self._runtime.autocast():
            loss_BT = _called(_TokenLosses(self._decoder), lent, (inputs, targets))
            total = (loss_BT * scored).sum()
        slopes = torch.autograd.grad(total, [meeting.given for meeting in meetings])
        found: dict[str, tuple[Tensor, Tensor]] = {}
        for meeting, slope in zip(meetings, slopes, strict=True):
            parts = cast("tuple[Tensor, ...]", cast(Any, slope).split(meeting.sizes, -1))
            for name, part in zip(meeting.names, parts, strict=True):
                found[name] = meeting.taken.detach().float(), part.float()
        for name in matrices.keys() - found.keys():
            raise SeedbedError(name, "is not multiplied with its input, so its gradient cannot be taken apart")
        return found

    def _asked(self, layers: Sequence[str]) -> dict[str, Tensor]:
        """All matrices of the blocks, the asked ones among them."""
        matrices = _matrices(self._decoder)
        for name in layers:
            if name not in matrices:
                raise SeedbedError("gradients.layers", f"there is no layer {name!r}", "Ask `layers` for their names.")
        return matrices

    def _rows(self, documents: DocumentBatch) -> Iterator[Rows]:
        prepare(self._runtime)
        ids, offsets = documents.token_ids
        known, vocabulary = ids[offsets[0] : offsets[-1]], self._decoder.shape.vocab_size
        if len(known) and not 0 <= int(known.min()) <= int(known.max()) < vocabulary:
            what = f"token ids run from {known.min()} to {known.max()}, the model knows {vocabulary}"
            raise SeedbedError("gradients", what, "Give documents with the tokenizer the model was trained with.")
        return rows_of(ids, offsets, self._decoder.shape.context, self._end_of_text)

    def _moved(self, array: npt.NDArray[np.generic]) -> Tensor:
        return from_numpy(array).to(self._runtime.torch_device)


def gradient_of(decoder: nn.Module, loss: Tensor) -> Tensor:
    """gradient_P of a loss by all parameters, flat, in the order of `named_parameters`; 0 where none reaches.

    The graph of the loss is used up; no parameter's own `.grad` changes.
    """
    parameters = [parameter for _, parameter in decoder.named_parameters()]
    slopes = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    return torch.cat([slope.detach().reshape(-1) for slope in slopes])


@dataclasses.dataclass(frozen=True)
class _Meeting:
    """One product of an input with one or several weights side by side."""

    names: tuple[str, ...]
    sizes: list[int]
    taken: Tensor
    given: Tensor


class _Lent(Tensor):
    """A weight, or several side by side, that notes what it is multiplied with."""

    names: tuple[str, ...]
    sizes: list[int]
    meetings: list[_Meeting]

    @classmethod
    def __torch_function__(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Torch's own answer, noted where it is a product, still noting where weights are joined."""
        if func is torch.cat and all(_notes(part) for part in args[0]):
            parts = cast("Sequence[_Lent]", args[0])
            names = tuple(name for part in parts for name in part.names)
            sizes = [size for part in parts for size in part.sizes]
            return _noting(torch.cat([_plain(part) for part in parts]), names, sizes, parts[0].meetings)
        if func is functional.linear and _notes(args[1]):
            x, weight = cast("tuple[Tensor, _Lent]", args[:2])
            given = functional.linear(x, _plain(weight), *args[2:])
            weight.meetings.append(_Meeting(weight.names, weight.sizes, x, given))
            return given
        return cast(Any, super()).__torch_function__(func, types, args, kwargs or {})


def _lent(name: str, weight: Tensor, meetings: list[_Meeting]) -> _Lent:
    return _noting(weight.detach().requires_grad_(), (name,), [len(weight)], meetings)


def _noting(weight: Tensor, names: tuple[str, ...], sizes: list[int], meetings: list[_Meeting]) -> _Lent:
    lent = cast(_Lent, cast(Any, weight).as_subclass(_Lent))
    lent.names, lent.sizes, lent.meetings = names, sizes, meetings
    return lent


def _notes(weight: object) -> bool:
    """A tensor that torch made of a lent one by another operation notes nothing."""
    return isinstance(weight, _Lent) and "meetings" in vars(weight)


def _plain(weight: Tensor) -> Tensor:
    return cast(Tensor, cast(Any, weight).as_subclass(Tensor))


class _TokenLosses(nn.Module):
    """A decoder as a module that gives losses, so that it can be called with other weights."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
        """loss_BT in nats."""
        return linear_cross_entropy(self.decoder.hidden(inputs_BT), self.decoder.head_weight, targets_BT)


def _called(module: nn.Module, weights: Mapping[str, Tensor], inputs: tuple[Tensor, ...]) -> Tensor:
    """What the module gives with these weights in the place of its own."""
    return cast(Tensor, cast(Any, torch).func.functional_call(module, dict(weights), inputs))


def _matrices(decoder: Decoder) -> dict[str, Tensor]:
    """Layer -> its weight, for every matrix of the blocks that reads all positions: an expert reads some."""
    found: dict[str, Tensor] = {}
    for name, parameter in decoder.named_parameters():
        if (
            name.startswith("model.layers.")
            and name.endswith(".weight")
            and parameter.ndim == 2
            and EXPERTS not in name
        ):
            found[name.removesuffix(".weight")] = parameter
    return found


def _second_moment(x_NC: Tensor) -> FloatArray:
    return (x_NC.T @ x_NC).double().cpu().numpy()
