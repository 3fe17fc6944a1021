"""Minimal pairs: of two sentences that differ in one place, does the model find the acceptable one likelier?

What      Scores both sentences whole, each behind an end of text, and counts how often the good one is likelier.
Source    Warstadt, Parrish, Liu, Mohananey, Peng, Wang, Bowman 2020, BLiMP, arXiv 1912.00582, section 3 (67 paradigms
          of 1,000 pairs, full-sentence scoring); Marvin and Linzen 2018, arXiv 1808.09031.
Formula   correct = 1 if log p(good | context) > log p(bad | context), 1/2 if they are equal, else 0; log p is the sum
          over tokens.
Shapes    N items -> a row of answers each
Units     nats a sentence; correct, chance: fraction; margin: nats.
Fidelity  Exact for BLiMP's full-sentence method, but for ties: taking the first of two equals, the good one, would give
          a model without an opinion full marks. BLiMP's two prefix methods are left out. Sums favour the shorter
          sentence where the two differ in length: the length baseline beside each result says by how much.
Errors    SeedbedError naming file, line and field for a sentence that is missing or empty. A pair of the same sentence,
          of which BLiMP holds a few, is a tie.
          Fields: "good", "bad" (BLiMP's "sentence_good", "sentence_bad"); optional "paradigm" (or "UID", else the
          file's name), "family" (or "linguistics_term"), "context", "id".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pyarrow as pa

from seedbed.evaluate.answers import answers, ask
from seedbed.evaluate.contract import Probe, TextModel
from seedbed.evaluate.items import Item, Line


@dataclasses.dataclass(frozen=True)
class MinimalPairs(Probe):
    """How the sentences are put.

    Args:
        delimiter: stands between the context and a sentence, where there is a context.
    """

    delimiter: str = " "

    def item(self, line: Line) -> Item:
        """Good is the first choice."""
        good, bad = line.filled("good", "sentence_good"), line.filled("bad", "sentence_bad")
        group = line.text("paradigm", "UID", missing=line.stem)
        family = line.text("family", "linguistics_term", missing="")
        return Item(line.name, group, line.text("context", missing=""), (good, bad), 0, family)

    def score(self, model: TextModel, items: Sequence[Item]) -> pa.Table:
        """A table of schema ANSWERS."""
        asked = ask(model, items, self.delimiter)
        return answers(items, asked, asked.nats_K)
