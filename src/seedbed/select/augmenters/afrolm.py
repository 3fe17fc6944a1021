"""AfroLM: models trained round by round on a corpus that grows by their own endings of held-out documents.

What      Each round splits every language at random, trains a fresh model on the larger part, lets it write the ends of
          documents of the smaller part anew, and adds the results to the corpus. It is called self-active learning, but
          nothing is acquired: no score says which documents are worth having, and nobody is asked. It is self-training,
          and here to be compared with, at equal compute. `select.scorers.own_loss` chooses by the model's own loss.
Source    Dossou, Tonja, Yousuf, Osei, Oppong, Shode, Awoyomi, Emezue 2022, arXiv 2211.03263, section 3; reference code
          bonaventuredossou/MLM_AL.
Formula   of n words the last ceil(dropped n) go; the model writes at most ceil(dropped T) tokens in their place, each
          the likeliest after those before it, T being the document's tokens
Shapes    corpus -> use_N; documents -> a text each
Units     words as in `text.words.scripts`; tokens of the corpus's tokenizer.
Fidelity  Adapted: rounds, shares, bounds in words, the limits on how many documents are continued, and models trained
          from scratch are the release's. There masked language models fill one mask a dropped word; here a causal
          model goes on from the beginning, so that nothing but the beginning is seen. A tenth of each language is
          frozen: in the release the split is drawn anew in every round, so that text of the part a round is measured
          on is read in the next. Documents are drawn without replacement (greedy text of the same beginning is the same
          text). The release's unit is the sentence; here it is a document, so long ones are better cut before.
Errors    RecipeError for parameters out of bounds. A document too short to have a beginning, or one whose end the model
          leaves empty, gives nothing. A language with too few documents for a share has none frozen or held out.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Le, Lt

from seedbed.core.nouns import DocumentBatch
from seedbed.select.augmenting import BEGUN, FROZEN, HELD_OUT, READ, Augmenter, Corpus, Writer
from seedbed.stats.sampling import hashed
from seedbed.text.words.scripts import script_words

UNREADABLE = "\N{REPLACEMENT CHARACTER}"
"""What stands for the bytes of a character that was not written to its end."""


@dataclasses.dataclass(frozen=True)
class AfroLM(Augmenter):
    """Parameters of the rounds.

    Args:
        rounds: how many.
        group: what is split by itself: each language, or each source.
        frozen: share of each group's documents that no round reads or continues.
        held_out: share of the others that a round puts aside.
        dropped: share of a document's words that the model writes anew.
        min_words: documents with fewer are not continued.
        max_words: nor those with so many, or more.
        all_up_to: where a group has at most so many documents to continue, all of them are.
        most: else so many, drawn at random.
    """

    rounds: Annotated[int, Ge(1), Le(100)] = 3
    group: Literal["language", "source"] = "language"
    frozen: Annotated[float, Ge(0), Lt(1)] = 0.1
    held_out: Annotated[float, Gt(0), Lt(1)] = 0.2
    dropped: Annotated[float, Gt(0), Lt(1)] = 0.15
    min_words: Annotated[int, Ge(2)] = 5
    max_words: Annotated[int, Ge(3)] = 256
    all_up_to: Annotated[int, Ge(0)] = 10_000
    most: Annotated[int, Ge(0)] = 2_000

    def split(self, corpus: Corpus, *, number: int, seed: int) -> npt.NDArray[np.int8]:
        """use_N: group by group, by chance from (seed, number, id)."""
        use_N = np.full(len(corpus.key_N), READ, np.int8)
        frozen_word_N, word_N = (hashed(_seed(seed, stream), corpus.key_N) for stream in (0, number))
        fits_N = (corpus.n_words_N >= self.min_words) & (corpus.n_words_N < self.max_words)
        for group in np.unique(corpus.group_N.astype(str)):
            mine_N = corpus.group_N == group
            use_N[_first(mine_N & ~corpus.synthetic_N, self.frozen, frozen_word_N)] = FROZEN
            put_aside = _first(mine_N & (use_N != FROZEN), self.held_out, word_N)
            use_N[put_aside] = HELD_OUT
            fitting = put_aside[fits_N[put_aside]]
            use_N[fitting if len(fitting) <= self.all_up_to else fitting[: self.most]] = BEGUN
        return use_N

    def propose(self, documents: DocumentBatch, writer: Writer) -> list[str]:
        """Each document's beginning with the writer's end."""
        prefixes = self._beginnings(documents)
        rows = [row for row, prefix in enumerate(prefixes) if prefix]
        size_N = np.diff(documents.token_ids[1]) - 1  # without the token that ends the text
        n_tokens = [max(1, _part(self.dropped, int(size_N[row]))) for row in rows]
        proposed = [""] * len(prefixes)
        for row, end in zip(rows, writer.write([prefixes[row] for row in rows], n_tokens), strict=True):
            written = end.rstrip(UNREADABLE)
            proposed[row] = prefixes[row] + written if written.strip() else ""
        return proposed

    def _beginnings(self, documents: DocumentBatch) -> list[str]:
        """The text before the dropped words, without the blanks between; empty where nothing is left."""
        data, offsets = documents.text_buffers()
        words = documents.derive(script_words)
        found: list[str] = []
        for row, n_words in enumerate(words.per_document.tolist()):
            kept = n_words - _part(self.dropped, n_words)
            end = words.start[words.first[row] + kept] if kept else offsets[row]
            found.append(data[offsets[row] : end].tobytes().decode().rstrip())
        return found


def _part(share: float, n: int) -> int:
    """share * n, rounded up; a product that is whole but for its last bits is whole."""
    return math.ceil(share * n - 1e-9)


def _first(among_N: npt.NDArray[np.bool_], share: float, word_N: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """That share of the rows, rounded down, in the order of their words."""
    rows = np.flatnonzero(among_N)
    return rows[np.argsort(word_N[rows], kind="stable")][: int(share * len(rows) + 1e-9)].astype(np.int64)


def _seed(seed: int, stream: int) -> int:
    """A seed of its own for what is drawn once (stream 0) and for each round."""
    return int(hashed(seed, np.array([stream], np.uint64))[0])
