"""Vocabulary expansion: tokens for a language that the tokenizer spells in pieces, with rows to begin from.

What      Goes on with the tokenizer's merges on new text, and gives every new token an input and an output row. Old
          tokens keep their ids and rows; text in which no new merge applies keeps its tokens.
Source    Mundra et al. 2024, "An empirical comparison of vocabulary expansion and initialization approaches for
          language models", arXiv 2407.05841, sections 2 and 3; as a recipe: Cui et al. 2023 (Chinese-LLaMA), arXiv
          2304.08177, section 3.1, who merge a second tokenizer's tokens in.
Formula   repeat: the most frequent pair of neighbouring tokens becomes token V + k, until `tokens` are made
          a row in the convex hull of the old output rows: max_new h.e <= max_old h.e for every h, so the likeliest
          token stays the likeliest (ties aside)
Shapes    embedding (V, C) -> (V + M, C), and an untied head alike; M <= tokens
Units     tokens; min_frequency in occurrences; max_bytes of UTF-8
Fidelity  Adapted: the cited work trains a second tokenizer and adds what the first lacks; here the first one's merges
          go on, so that every new token can be reached and none changes how old text is cut. A pair that spells a
          token that is there already is passed over. Tied tables stay tied and untied ones untied. Where a model has
          more rows than its tokenizer has tokens, new ids follow the rows.
Errors    SeedbedError without a tokenizer, for one that is no byte-level BPE or does not fit the model, where the texts
          hold no pair that occurs min_frequency times, and for rows of a wrong shape or that are not finite.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from annotated_types import Ge, Le

from seedbed.core.errors import SeedbedError
from seedbed.model import vocabulary
from seedbed.model.transformer import Decoder
from seedbed.model.transforming import Checkpoint, Given, Initializer, NewTokens, Promise, Transform

if TYPE_CHECKING:
    from torch import Tensor

    from seedbed.model.shape import ModelShape


@dataclasses.dataclass(frozen=True)
class ExpandVocabulary(Transform):
    """See the module's docstring.

    Args:
        tokens: how many enter at most.
        min_frequency: pairs that occur less often are left alone.
        max_bytes: of the texts that merges are learned from, from their beginning.
        initializer: the new rows. Training that enters through a transform begins with fresh moments for all rows, so
            the first steps of new ones are not taken at the step count of old ones.
    """

    needs_texts: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("tokenizers",)

    tokens: Annotated[int, Ge(1), Le(1 << 20)] = 1000
    min_frequency: Annotated[int, Ge(1)] = 2
    max_bytes: Annotated[int, Ge(1)] = 200_000_000
    initializer: Initializer = dataclasses.field(default_factory=vocabulary.usual_rows)

    def promise(self, shape: ModelShape) -> Promise:
        """Greedy decoding stays where every new row lies between old ones."""
        del shape
        return "greedy" if self.initializer.convex else "none"

    def apply(self, checkpoint: Checkpoint, given: Given) -> Checkpoint:
        """The model with the new rows, and the tokenizer that writes them."""
        old, rows = checkpoint.tokenizer_json, checkpoint.decoder.shape.vocab_size
        if old is None:
            what = "the checkpoint has no tokenizer, so there is none to go on with"
            raise SeedbedError(self.name(), what, "Give the model folder with its tokenizer.json.")
        highest = vocabulary.highest_id(old)
        if highest >= rows:
            raise vocabulary.misfit(highest, rows)
        texts = vocabulary.bounded(given.texts(), self.max_bytes)
        merges = vocabulary.next_merges(old, texts, self.tokens, self.min_frequency, rows)
        if not merges:
            what = f"no pair of tokens comes {self.min_frequency} times in the texts"
            raise SeedbedError(self.name(), what, "Give more text, or lower min_frequency.")
        definition = vocabulary.with_merges(old, merges, rows)
        pieces = vocabulary.pieces_of(merges, rows)
        new = NewTokens(checkpoint, definition, pieces, given.texts, given.seed)
        input_MC, output_MC = self.initializer.rows(new)
        _check(self.initializer.name(), checkpoint.decoder, len(merges), input_MC, output_MC)
        return Checkpoint(_grown(checkpoint.decoder, input_MC, output_MC), definition, checkpoint.end_of_text)


def _check(name: str, old: Decoder, n_new: int, input_MC: Tensor, output_MC: Tensor | None) -> None:
    shape = (n_new, old.shape.d_model)
    if (output_MC is None) != old.shape.tied_embeddings:
        told = "ties its output rows" if old.shape.tied_embeddings else "has output rows of its own"
        raise SeedbedError(
            name, f"the model {told}; the initializer gave {'no' if output_MC is None else 'further'} rows"
        )
    for what, rows in (("input", input_MC), ("output", output_MC)):
        if rows is None:
            continue
        if tuple(rows.shape) != shape:
            raise SeedbedError(name, f"its {what} rows are {tuple(rows.shape)} where {shape} are needed")
        if not bool(torch.isfinite(rows).all()):
            raise SeedbedError(name, f"some of its {what} rows are not finite")


def _grown(old: Decoder, input_MC: Tensor, output_MC: Tensor | None) -> Decoder:
    """The decoder with these rows behind its own."""
    state = {name: weight.clone() for name, weight in old.state_dict().items()}
    for name, rows in (("model.embed_tokens.weight", input_MC), ("lm_head.weight", output_MC)):
        if rows is not None:
            state[name] = torch.cat([state[name], rows.detach().to(state[name])])
    grown = Decoder(dataclasses.replace(old.shape, vocab_size=old.shape.vocab_size + len(input_MC)))
    grown.load_state_dict(state)
    return grown
