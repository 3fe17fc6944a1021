"""Unigram: a tokenizer that writes a text with its likeliest pieces, losing no byte of any text.

What      Learns pieces and their log-probabilities from the pool's text; a text is cut into the pieces whose
          probabilities have the highest product. Characters that are no piece are written as their UTF-8 bytes.
Source    Kudo 2018, arXiv 1804.10959, section 3.2; word-boundary mark, dummy prefix and byte fallback: Kudo and
          Richardson 2018 (SentencePiece), arXiv 1808.06226.
Formula   score_v = log p_v by expectation maximisation over all segmentations of a word, pruned by the loss that each
          piece's absence would bring; segmentation = argmax SUM score over the ways to write the text.
Shapes    N texts -> one vocabulary of vocab_size entries: the end-of-text token, 256 bytes, pieces by falling score.
Units     vocab_size tokens, max_piece_characters characters, max_train_bytes UTF-8 bytes, scores in nats.
Fidelity  Adapted, as made by the `tokenizers` library. Words are parted at blanks and at ends of lines; text is not
          normalised, so that nothing is lost: a word-boundary mark that stands in the text is escaped. Printable ASCII
          is always in the vocabulary, other characters take at most half of what is left. The library sums in an
          order that changes from run to run: scores are rounded to 1e-6 and the last tenth of the pieces is cut here,
          ties by the piece; pieces whose absence costs exactly the same may still change places in its pruning.
Errors    A pool that is too small gives fewer entries, an empty one the bytes and ASCII. vocab_size below 512 raises.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, cast

import numpy as np
from annotated_types import Ge, Le

from seedbed.tokenize.contract import END_OF_TEXT, TokenizerMaker

Piece = tuple[str, float]
MARK, ESCAPE = "\u2581", "\ufdd0"
"""The word boundary; and what a mark or an escape that the text itself holds is written with."""
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
ASCII = ("\t", "\n", MARK, *map(chr, range(0x21, 0x7F)))
NEVER = -1000.0
"""Score of what no text may be written with by its name: the name in ASCII characters is always likelier."""


@dataclasses.dataclass(frozen=True)
class Unigram(TokenizerMaker):
    """See the module's docstring.

    Args:
        vocab_size: entries, end-of-text and bytes included.
        shrinking_factor: of the pieces, kept by each pruning.
        max_piece_characters: longest piece.
        max_train_bytes: of the pool, in shard order, that is learned from.
    """

    libraries: ClassVar[tuple[str, ...]] = ("tokenizers",)

    vocab_size: Annotated[int, Ge(512)] = 32768
    shrinking_factor: Annotated[float, Ge(0.1), Le(0.99)] = 0.75
    max_piece_characters: Annotated[int, Ge(1), Le(64)] = 16
    max_train_bytes: Annotated[int, Ge(1)] = 200_000_000

    def make(self, texts: Iterator[str]) -> str:
        """A tokenizer.json."""
        from tokenizers import Tokenizer, models, trainers

        tokenizer: Any = Tokenizer(models.Unigram())
        _dress(tokenizer)
        trainer = cast(Any, trainers.UnigramTrainer)(
            vocab_size=self.vocab_size * 11 // 10,
            shrinking_factor=self.shrinking_factor,
            max_piece_length=self.max_piece_characters,
            show_progress=False,
        )
        tokenizer.train_from_iterator(_covered(list(self._bounded(texts)), self._characters), trainer)
        told = cast("dict[str, Any]", json.loads(tokenizer.to_str()))
        learned = [(piece, round(score, 6)) for piece, score in told["model"]["vocab"]]
        pieces = _chosen(_levelled(learned), self.vocab_size - len(BYTES) - 1)
        told["model"]["vocab"] = [(END_OF_TEXT, NEVER), *((byte, NEVER) for byte in BYTES), *pieces]
        told["model"] |= {"unk_id": 0, "byte_fallback": True}  # bytes stand in for all that is unknown
        made: Any = Tokenizer.from_str(json.dumps(told))
        made.add_special_tokens([END_OF_TEXT])
        return cast(str, made.to_str())

    @property
    def _characters(self) -> int:
        """How many characters beside ASCII may be pieces."""
        return (self.vocab_size - 1 - len(BYTES) - len(ASCII)) // 2

    def _bounded(self, texts: Iterator[str]) -> Iterator[str]:
        left = self.max_train_bytes
        yield "".join(ASCII[3:])  # so that there is always something to learn from
        for text in texts:
            if left <= 0:
                return
            left -= len(text.encode())
            yield text


def _dress(tokenizer: Any) -> None:
    """How text is brought to words and pieces back to text; the second undoes the first, whatever the text."""
    from tokenizers import Regex, decoders, normalizers, pre_tokenizers

    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(ESCAPE, ESCAPE + "b"),
            normalizers.Replace(MARK, ESCAPE + "a"),
            normalizers.Prepend(MARK),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            cast(Any, pre_tokenizers.Split)(Regex("[\r\n]+"), behavior="isolated"),
            cast(Any, pre_tokenizers.Metaspace)(replacement=MARK, prepend_scheme="never", split=True),
        ]
    )
    tokenizer.decoder = cast(Any, decoders.Sequence)(
        [
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(MARK, 1, 0),
            decoders.Replace(MARK, " "),
            decoders.Replace(ESCAPE + "a", MARK),
            decoders.Replace(ESCAPE + "b", ESCAPE),
        ]
    )


def _covered(texts: list[str], most: int) -> Iterator[str]:
    """The texts, with ends of lines for all but their `most` most frequent characters beside ASCII."""
    count_C = np.zeros(0x110000, np.int64)
    for text in texts:
        codes, counts = np.unique(np.frombuffer(text.encode("utf-32-le"), np.uint32), return_counts=True)
        count_C[codes] += counts
    count_C[:128] = 0
    rare = np.argsort(-count_C, kind="stable")[most : np.count_nonzero(count_C)]
    out = dict.fromkeys(rare.tolist(), "\n")
    return (text.translate(out) for text in texts) if out else iter(texts)


def _levelled(learned: list[Piece]) -> list[Piece]:
    """With one score for all characters that won no place by themselves: the library numbers them as they come."""
    lowest = min(score for _, score in learned)
    level = lowest + 1e-4 * sum(len(piece) == 1 for piece, _ in learned)
    return [(piece, lowest if len(piece) == 1 and score <= level else score) for piece, score in learned]


def _chosen(learned: list[Piece], room: int) -> list[Piece]:
    """All characters, then the likeliest pieces; by falling score."""
    lowest = min(score for _, score in learned)
    score_of = dict(learned)
    kept = {character: score_of.get(character, lowest - 1) for character in ASCII}
    reserved = {END_OF_TEXT, *BYTES}
    ranked = sorted((piece for piece in learned if piece[0] not in reserved), key=_rank)
    kept |= {piece: score for piece, score in ranked if len(piece) == 1}
    more = [piece for piece in ranked if len(piece[0]) > 1]
    kept |= dict(more[: room - len(kept)])
    return sorted(kept.items(), key=_rank)


def _rank(piece: Piece) -> tuple[float, str]:
    return -piece[1], piece[0]
