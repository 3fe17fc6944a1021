"""Vocabulary trimming: the rows of scripts that are never written are taken out, and nothing else changes.

What      Keeps the tokens that the given texts use, and what those need; takes the other rows from the embedding and
          the head, and numbers the tokens that are left in their old order.
Source    Alabi et al. 2022 (MAFT, AfroXLMR), arXiv 2204.06487, section 3.3, on XLM-R: half the parameters; Abdaoui et
          al. 2020, "Load what you need", arXiv 2010.05609, for multilingual BERT.
Formula   kept = {special tokens} + {tokens t : count_t >= min_count} + {bytes} + {parts of what is kept}
Shapes    embedding (V, C) -> (K, C), and an untied head alike, K <= V
Units     count_t in occurrences in the texts
Fidelity  Adapted: closed under merges (BPE) and under characters (Unigram), which the published script does not ask:
          a text whose tokens all stay is cut as before, and its logits over them are the same numbers. Other texts are
          cut into smaller tokens, down to bytes where the tokenizer has them, and lose nothing; where it has none,
          characters that are gone become the unknown token. Unigram also keeps the piece of the lowest score, from
          which the score of the unknown is reckoned. Rows that no token has are taken out too.
Errors    SeedbedError without a tokenizer, for one that is neither BPE nor Unigram or does not fit the model, and where
          there is no text.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import torch
from annotated_types import Ge

from seedbed.core.errors import SeedbedError
from seedbed.model import vocabulary
from seedbed.model.transformer import Decoder
from seedbed.model.transforming import Checkpoint, Given, Promise, Transform

if TYPE_CHECKING:
    from seedbed.model.shape import ModelShape


@dataclasses.dataclass(frozen=True)
class TrimVocabulary(Transform):
    """See the module's docstring.

    Args:
        min_count: a token that the texts use so often stays.
    """

    needs_texts: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("tokenizers",)

    min_count: Annotated[int, Ge(1)] = 1

    def promise(self, shape: ModelShape) -> Promise:
        """The logits over the tokens that stay are the same."""
        del shape
        return "exact"

    def apply(self, checkpoint: Checkpoint, given: Given) -> Checkpoint:
        """The model without the other rows, and the tokenizer without the other tokens."""
        old, rows = checkpoint.tokenizer_json, checkpoint.decoder.shape.vocab_size
        if old is None:
            what = "the checkpoint has no tokenizer, so nobody knows which token is which"
            raise SeedbedError(self.name(), what, "Give the model folder with its tokenizer.json.")
        highest = vocabulary.highest_id(old)
        if highest >= rows:
            raise vocabulary.misfit(highest, rows)
        count_V = vocabulary.count_tokens(old, self._some(given.texts()), rows)
        used = set[int](np.flatnonzero(count_V >= self.min_count).tolist())
        used |= set() if checkpoint.end_of_text is None else {checkpoint.end_of_text}
        kept = vocabulary.closed(old, used)
        end = None if checkpoint.end_of_text is None else kept.index(checkpoint.end_of_text)
        return Checkpoint(_sliced(checkpoint.decoder, kept), vocabulary.without_others(old, kept), end)

    def _some(self, texts: Iterator[str]) -> Iterator[str]:
        """The texts. Raises SeedbedError where none has a letter."""
        any_text = False
        for text in texts:
            any_text = any_text or bool(text)
            yield text
        if not any_text:
            what = "there is no text, so no token is used"
            raise SeedbedError(self.name(), what, "Give text in the languages that are kept.")


def _sliced(old: Decoder, kept: Sequence[int]) -> Decoder:
    """The decoder with these rows alone."""
    state = {name: weight.clone() for name, weight in old.state_dict().items()}
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        if name in state:
            state[name] = state[name][torch.tensor(kept)]
    small = Decoder(dataclasses.replace(old.shape, vocab_size=len(kept)))
    small.load_state_dict(state)
    return small
