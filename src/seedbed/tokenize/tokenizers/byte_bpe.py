"""Byte-level BPE: a tokenizer learned from the pool, losing no byte of any text.

What      Learns merges of frequent byte pairs from the pool's text, and encodes with them.
Source    Sennrich et al. 2016, arXiv 1508.07909 (BPE); Radford et al. 2019, section 2.2 (on bytes, with pre-splitting).
Formula   start from 256 bytes; repeat: merge the most frequent adjacent pair inside pre-split words, until vocab_size.
Shapes    N texts -> one vocabulary of vocab_size entries, one of them the end-of-text token.
Units     vocab_size tokens, min_frequency occurrences, max_train_bytes UTF-8 bytes.
Fidelity  Exact, as made by the `tokenizers` library: the first max_train_bytes of the pool in shard order are learned.
Errors    An empty pool gives the 256 bytes and the end-of-text token. vocab_size below 257 raises.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, cast

from annotated_types import Ge

from seedbed.tokenize.contract import END_OF_TEXT, TokenizerMaker


@dataclasses.dataclass(frozen=True)
class ByteBpe(TokenizerMaker):
    """See the module's docstring."""

    libraries: ClassVar[tuple[str, ...]] = ("tokenizers",)

    vocab_size: Annotated[int, Ge(257)] = 32768
    min_frequency: Annotated[int, Ge(1)] = 2
    max_train_bytes: Annotated[int, Ge(1)] = 200_000_000

    def make(self, texts: Iterator[str]) -> str:
        """A tokenizer.json."""
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        tokenizer: Any = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = cast(Any, trainers.BpeTrainer)(
            vocab_size=self.vocab_size,
            min_frequency=self.min_frequency,
            special_tokens=[END_OF_TEXT],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(self._bounded(texts), trainer)
        return cast(str, tokenizer.to_str())

    def _bounded(self, texts: Iterator[str]) -> Iterator[str]:
        left = self.max_train_bytes
        for text in texts:
            if left <= 0:
                return
            left -= len(text.encode())
            yield text
