"""Untie the Knots: long context from documents that are cut, tagged and strewn over the sequence.

What      In some sequences documents are cut into chunks and the chunks of all documents shuffled, so that going on
          with a text means finding its earlier chunks far back among others. Tags mark the cuts; behind the chunk of a
          document that stands last the model names the document's chunks in their true order (backtracking).
Source    Tian et al. 2025 (ACL), "Untie the Knots: An Efficient Data Augmentation Strategy for Long-Context
          Pre-Training in Language Models", arXiv 2409.04774, section 3; compared with rgtjf/Untie-the-Knots
          (gpt_dataset_utk.py).
Formula   chunk i of n: [<D> id </D>] [head_i] tokens [tail_i] [<S> id_1 <s> ... <s> id_n </S>]
          head_i where i > 1, tail_i where i < n, <S>..</S> behind the document's last placed chunk; the sequence's own
          last chunk stays last. Not trained on: tags, ids in front of chunks, and whatever follows a tag; trained on:
          all other text, and the ids, <s> and </S> of an answer.
Shapes    tokens (S,) -> inputs (T,), targets (T,), weight (T,), S = T + 1 - room; inputs_BT, targets_BT -> loss_BT
Units     loss: nats per token; probability: a fraction of sequences; room, lengths and ids: tokens
Fidelity  Adapted: room for the tags is left free (the release cuts the end off), so at most `documents` documents are
          cut, the longest; what is left over is padding of weight 0. Ids never repeat within a sequence. For the last
          document the release names a wrong id in the answer; here it is the right one. Untouched sequences keep the
          order of their documents. The first token of a reading was trained on as the last of the one before: it has
          weight 0.
Errors    RecipeError where tags are too few, or repeat, or leave less than half of the context for text. Fewer than two
          tokens raise ValueError; a document shorter than `chunks` tokens stays whole.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Annotated, Literal, cast

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from seedbed.core.errors import RecipeError
from seedbed.stats.sampling import hashed, permuted, uniforms
from seedbed.train.contract import Batch, Example, IntArray, Objective, Reading

if TYPE_CHECKING:
    import torch

    from seedbed.model.transformer import Decoder

_TIE, _SPLIT, _PLACE, _NAME = range(4)
_TEXT, _TAG, _ANSWER = range(3)
_LETTERS = (*range(16, 26), *range(33, 59), *range(65, 91))


@dataclasses.dataclass(frozen=True)
class UntieTheKnots(Objective):
    """Chunks of documents, shuffled. The default ids of tags belong to bytes that no UTF-8 text has, and those of
    letters to 0-9, A-Z and a-z, in a vocabulary made by tokenize.tokenizers.byte_bpe; for another, choose ids there.

    Args:
        probability: of a sequence to be tied.
        chunks: of a document that is cut.
        lengths: of the chunks: "random" cuts anywhere, "equal" into equal parts.
        keep_order: chunks of one document stay in their order (the paper's partial order).
        documents: cut in one sequence at most, the longest first; room for their tags is left in every sequence.
        backtracking: ids in front of chunks, and the answers.
        id_length: letters of an id.
        chunk_tags: tail of the first chunk, head and tail of the second, ..., head of the last: 2 (chunks - 1) ids.
        backtracking_tags: <D>, </D>, <S>, <s>, </S>.
        letters: token ids that ids of chunks are made of; they may occur in text.
    """

    probability: Annotated[float, Ge(0), Le(1)] = 0.3
    chunks: Annotated[int, Ge(2), Le(64)] = 3
    lengths: Literal["random", "equal"] = "random"
    keep_order: bool = False
    documents: Annotated[int, Ge(1)] = 8
    backtracking: bool = True
    id_length: Annotated[int, Ge(1), Le(12)] = 6
    chunk_tags: tuple[int, ...] = (125, 126, 178, 179)
    backtracking_tags: tuple[int, ...] = (180, 181, 182, 183, 184)
    letters: tuple[int, ...] = _LETTERS

    def __post_init__(self) -> None:
        """Raises RecipeError naming the first field that cannot be meant."""
        super().__post_init__()
        if len(self.chunk_tags) != 2 * (self.chunks - 1):
            what = f"{self.chunks} chunks need {2 * (self.chunks - 1)} tags, here are {len(self.chunk_tags)}"
            raise RecipeError(f"{self.name()}.chunk_tags", what, "Name token ids that no text holds.")
        if len(self.backtracking_tags) != 5:
            what = f"backtracking needs 5 tags, here are {len(self.backtracking_tags)}"
            raise RecipeError(f"{self.name()}.backtracking_tags", what, "Name token ids that no text holds.")
        tags = (*self.chunk_tags, *self.backtracking_tags, *self.letters)
        if len(set(tags)) != len(tags) or min(tags) < 0:
            raise RecipeError(f"{self.name()}.chunk_tags", "tags and letters must be different ids >= 0")
        if self.backtracking and len(self.letters) ** self.id_length < 2 * self.documents * self.chunks:
            what = f"{len(self.letters)} letters give too few ids of length {self.id_length}"
            raise RecipeError(f"{self.name()}.letters", what, "Name more letters, or make ids longer.")

    @property
    def room(self) -> int:
        """Positions left free for tags in every sequence."""
        answers = self.chunks * (2 * self.id_length + 3) + 1 if self.backtracking else 0
        return self.documents * (len(self.chunk_tags) + answers)

    def reads(self, context: int) -> int:
        """Tokens of text in a sequence, and the one that is only a target."""
        left = context - self.room
        if left < max(1, context // 2):
            what = f"tags of {self.documents} documents take {self.room} of {context} positions"
            mend = "Cut fewer documents a sequence, choose shorter ids, or train at a longer context."
            raise RecipeError(f"{self.name()}.documents", what, mend)
        return left + 1

    def example(self, reading: Reading, key: int) -> Example:
        """S tokens -> T = S - 1 + room inputs, the tokens that follow them, and what is trained on."""
        size = len(reading.tokens)
        if size < 2:
            raise ValueError("an example needs at least two tokens")
        tokens, trained = reading.tokens, np.arange(size) > 0
        if uniforms(key, _keys(_TIE, 1))[0] < self.probability:
            tokens, trained = self._tied(reading, key)
        padding = size + self.room - len(tokens)
        tokens = np.append(tokens, np.full(padding, self.chunk_tags[0]))  # no sequence ends with this tag by itself
        weight = np.pad(trained, (0, padding)).astype(np.float32)
        return Example(tokens[:-1], tokens[1:], weight[1:])

    def losses(self, model: Decoder, batch: Batch) -> torch.Tensor:
        """loss_BT in nats, float32."""
        from seedbed.model.cross_entropy import linear_cross_entropy

        hidden = model.hidden(batch.inputs_BT, batch.document_BT)
        return linear_cross_entropy(hidden, model.head_weight, batch.targets_BT)

    def _tied(self, reading: Reading, key: int) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """The knotted tokens, and which of them are trained on."""
        end_P = np.append(reading.begin_P[1:], len(reading.tokens))
        chunks = self._chunks(reading.begin_P, end_P, key)
        placed = self._placed(chunks, key)
        ids = self._ids(placed, key) if self.backtracking else {}
        stands_last = {chunk.piece: chunk for chunk in placed}
        laid = _Laid([], [], [])
        for chunk in placed:
            cut = chunk.of > 1
            if cut and self.backtracking:
                laid.add([self.backtracking_tags[0], *ids[chunk.piece, chunk.ordinal], self.backtracking_tags[1]], _TAG)
            if cut and chunk.ordinal > 0:
                laid.add([self.chunk_tags[2 * chunk.ordinal - 1]], _TAG)
            laid.add(reading.tokens[chunk.begin : chunk.end], _TEXT, chunk.begin)
            if cut and chunk.ordinal < chunk.of - 1:
                laid.add([self.chunk_tags[2 * chunk.ordinal]], _TAG)
            if cut and self.backtracking and stands_last[chunk.piece] is chunk:
                named = [ids[chunk.piece, ordinal] for ordinal in range(chunk.of)]
                _, _, begin, between, end = self.backtracking_tags
                laid.add([begin], _TAG)
                for ordinal, letters in enumerate(named):
                    laid.add([*letters, between if ordinal < len(named) - 1 else end], _ANSWER)
        return laid.done()

    def _chunks(self, begin_P: IntArray, end_P: IntArray, key: int) -> list[_Chunk]:
        """All chunks in the order of the text; a document that is not cut is one chunk."""
        size_P = end_P - begin_P
        longest = np.argsort(-size_P, kind="stable")[: self.documents]
        cut = {int(piece) for piece in longest if size_P[piece] >= self.chunks}
        word_P = hashed(key, _keys(_SPLIT, len(size_P)))
        found: list[_Chunk] = []
        for piece, (begin, size) in enumerate(zip(begin_P.tolist(), size_P.tolist(), strict=True)):
            borders = self._borders(size, int(word_P[piece])) if piece in cut else []
            edges = [0, *borders, size]
            pairs = enumerate(itertools.pairwise(edges))
            found += [_Chunk(piece, i, len(edges) - 1, begin + low, begin + high) for i, (low, high) in pairs]
        return found

    def _borders(self, size: int, word: int) -> list[int]:
        if self.lengths == "equal":
            return [size // self.chunks * i for i in range(1, self.chunks)]
        return sorted(1 + permuted(i, size - 1, word) for i in range(self.chunks - 1))

    def _placed(self, chunks: list[_Chunk], key: int) -> list[_Chunk]:
        """The chunks in their new order; the last one stays last."""
        *rest, final = chunks
        slots: list[int] = np.argsort(hashed(key, _keys(_PLACE, len(rest)))).tolist()
        if self.keep_order:  # chunks lie by piece and ordinal: each piece keeps its slots, in ascending order
            by_piece = sorted(range(len(rest)), key=lambda i: (rest[i].piece, slots[i]))
            slots = [slots[i] for i in by_piece]
        placed = dict(zip(slots, rest, strict=True))
        return [*(placed[slot] for slot in range(len(rest))), final]

    def _ids(self, placed: list[_Chunk], key: int) -> dict[tuple[int, int], tuple[int, ...]]:
        """Letters of each cut chunk, no two alike."""
        cut = [(chunk.piece, chunk.ordinal) for chunk in placed if chunk.of > 1]
        base, draws = len(self.letters), 2 * len(cut)
        most = int(base**self.id_length)
        numbers: list[int] = []
        while len(numbers) < len(cut):
            words = cast("list[int]", hashed(key, _keys(_NAME, draws)).tolist())
            numbers = list(dict.fromkeys(word % most for word in words))
            draws *= 2
        return {
            chunk: tuple(self.letters[digit] for digit in _digits(number, base, self.id_length))
            for chunk, number in zip(cut, numbers, strict=False)
        }


@dataclasses.dataclass(frozen=True)
class _Chunk:
    """Tokens [begin, end) of a reading: part `ordinal` of the `of` parts of a piece."""

    piece: int
    ordinal: int
    of: int
    begin: int
    end: int


@dataclasses.dataclass(frozen=True)
class _Laid:
    """Tokens as they are laid, what each is, and where text comes from (-1: from nowhere)."""

    tokens: list[IntArray]
    kinds: list[IntArray]
    origins: list[IntArray]

    def add(self, tokens: list[int] | IntArray, kind: int, begin: int = -1) -> None:
        self.tokens.append(np.asarray(tokens, np.int64))
        self.kinds.append(np.full(len(tokens), kind))
        self.origins.append(np.arange(begin, begin + len(tokens)) if kind == _TEXT else np.full(len(tokens), -1))

    def done(self) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """(tokens, which of them are trained on): text behind text, and answers."""
        kind, origin = np.concatenate(self.kinds), np.concatenate(self.origins)
        behind_text = np.append(False, kind[:-1] == _TEXT)
        return np.concatenate(self.tokens), (kind == _ANSWER) | ((kind == _TEXT) & behind_text & (origin > 0))


def _keys(purpose: int, count: int) -> npt.NDArray[np.uint64]:
    """Words that tell the draws of one sequence apart."""
    return (np.uint64(purpose) << np.uint64(32)) + np.arange(count, dtype=np.uint64)


def _digits(number: int, base: int, count: int) -> list[int]:
    """Lowest first."""
    found: list[int] = []
    for _ in range(count):
        number, digit = divmod(number, base)
        found.append(digit)
    return found
