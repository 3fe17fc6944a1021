"""TransMI: a model that also reads its languages in Latin letters, without a training step.

What      Transliterates every piece of a Unigram vocabulary. A transliteration that is no piece yet becomes one, with
          the score and the rows of the pieces that it came from; the old pieces stay as they are.
Source    Liu, Ma, Ye, Schütze 2024, arXiv 2405.09913, section 3; their code: cisnlp/TransMI. Letters by uroman (Ulf
          Hermjakob, USC Information Sciences Institute, 2015-2020; Hermjakob, May and Knight 2018).
Formula   S(u) = {v in V : romanized(v) = u}, for all u that are not in V
          max: score_u = max score_v, row_u = row of the v it is from; min: the lowest; ties: the first in V
          average: score_u = SUM score_v / |S(u)|, row_u = SUM row_v / |S(u)|
Shapes    vocabulary of V pieces -> V + M; embedding (V, C) -> (V + M, C), and an untied head alike
Units     scores in nats
Fidelity  Adapted: as in the paper, average divides by the number of sources (the published code sums the rows), and
          max and min choose by score (the code takes the first and the last in the vocabulary). Output rows are
          treated like input rows, for models that do not tie them. Transliterated by uroman, as published. Special
          tokens, bytes and unknown are left alone; scores are not normalised again, as published.
          A text of old pieces whose words are no transliterations is cut as before, but the new tokens take their
          part of the probability, and Latin text may be cut into new pieces: nothing is promised.
          Text is asked in Latin letters as text.romanizing.romanized gives them.
Errors    SeedbedError without a tokenizer, for one that is not Unigram, where ids lie outside the model, and where the
          library `uroman` is missing. A vocabulary in Latin letters alone gives the same checkpoint.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from seedbed.core.errors import SeedbedError
from seedbed.model.transforming import Checkpoint, Given, Transform
from seedbed.text.romanizing import romanized

if TYPE_CHECKING:
    from torch import Tensor

    from seedbed.model.transformer import Decoder

Piece = tuple[str, float]
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


@dataclasses.dataclass(frozen=True)
class New:
    """A piece that enters.

    Args:
        text: its letters.
        score: its log-probability.
        sources: ids whose rows it is the mean of.
    """

    text: str
    score: float
    sources: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class TransMI(Transform):
    """See the module's docstring.

    Args:
        mode: whose score and row a transliteration of several pieces gets.
        language: ISO 639-3 code that the transliteration follows, or None for what is usual in each script.
    """

    libraries: ClassVar[tuple[str, ...]] = ("tokenizers", "uroman")

    mode: Literal["max", "min", "average"] = "max"
    language: str | None = None

    def apply(self, checkpoint: Checkpoint, given: Given) -> Checkpoint:
        """The model and its tokenizer, grown by the new pieces."""
        del given
        told = _unigram(checkpoint.tokenizer_json)
        vocabulary = [(str(piece), float(score)) for piece, score in told["model"]["vocab"]]
        _check_ids(told, len(vocabulary), checkpoint.decoder.shape.vocab_size)
        kept = {str(token["content"]) for token in _added(told)}
        if told["model"].get("unk_id") is not None:
            kept.add(vocabulary[int(told["model"]["unk_id"])][0])
        new = merged(vocabulary, kept, self.mode, self.language)
        told["model"]["vocab"] = [*vocabulary, *((piece.text, piece.score) for piece in new)]
        decoder = _grown(checkpoint.decoder, len(vocabulary), new)
        return Checkpoint(decoder, _written(told), checkpoint.end_of_text)


def merged(vocabulary: list[Piece], kept: set[str], mode: str, language: str | None) -> list[New]:
    """The new pieces, in the order of their first sources."""
    known = {piece for piece, _ in vocabulary}
    sources: dict[str, list[int]] = {}
    for number, (piece, _) in enumerate(vocabulary):
        if piece.isascii() or piece in kept or _BYTE.fullmatch(piece):
            continue
        latin = romanized(piece, language)
        if latin and " " not in latin and latin not in known:
            sources.setdefault(latin, []).append(number)
    return [_chosen(latin, ids, vocabulary, mode) for latin, ids in sources.items()]


def _chosen(latin: str, ids: list[int], vocabulary: list[Piece], mode: str) -> New:
    scores = [vocabulary[number][1] for number in ids]
    if mode == "average":
        return New(latin, sum(scores) / len(ids), tuple(ids))
    best = max(scores) if mode == "max" else min(scores)
    return New(latin, best, (ids[scores.index(best)],))


def _grown(decoder: Decoder, n_pieces: int, new: list[New]) -> Decoder:
    """With rows for the new pieces behind those of the vocabulary; rows that pad the model are overwritten."""
    from seedbed.model.transformer import Decoder

    rows = max(n_pieces + len(new), decoder.shape.vocab_size)
    grown = Decoder(dataclasses.replace(decoder.shape, vocab_size=rows))
    state = decoder.state_dict()
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        if name in state:
            state[name] = _with_rows(state[name], rows, n_pieces, new)
    grown.load_state_dict(state)
    return grown


def _with_rows(row_VC: Tensor, rows: int, n_pieces: int, new: list[New]) -> Tensor:
    made = row_VC.new_zeros((rows, row_VC.shape[1]))
    made[: len(row_VC)] = row_VC
    for at, piece in enumerate(new, n_pieces):
        made[at] = row_VC[list(piece.sources)].double().mean(0)
    return made


def _unigram(definition: str | None) -> dict[str, Any]:
    if definition is None:
        raise SeedbedError("transmi", "the checkpoint has no tokenizer", "Give one that was saved with its tokenizer.")
    told = cast("dict[str, Any]", json.loads(definition))
    if told["model"].get("type") != "Unigram":
        mend = "Train the model with tokenize.tokenizers.unigram, or expand its vocabulary instead."
        raise SeedbedError("transmi", f"needs a Unigram tokenizer, this one is {told['model'].get('type')}", mend)
    return told


def _added(told: dict[str, Any]) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", told.get("added_tokens") or [])


def _check_ids(told: dict[str, Any], n_pieces: int, rows: int) -> None:
    behind = [str(token["content"]) for token in _added(told) if int(token["id"]) >= n_pieces]
    if behind:
        mend = "Put them into the model's vocabulary first: new pieces take the ids behind it."
        raise SeedbedError("transmi", f"the tokens {', '.join(behind)} have ids behind the vocabulary", mend)
    if n_pieces > rows:
        raise SeedbedError("transmi", f"the tokenizer has {n_pieces} pieces, the model {rows} rows")


def _written(told: dict[str, Any]) -> str:
    from tokenizers import Tokenizer

    made: Any = Tokenizer.from_str(json.dumps(told))
    return cast(str, made.to_str())
