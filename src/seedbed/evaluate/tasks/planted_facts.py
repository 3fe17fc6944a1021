"""Planted facts: does the model recall invented facts, and how often must it have read them?

What      Facts about names that exist nowhere are written into the pool a known number of times (facts.py makes and
          words them). The answer is ranked among the other answers of its kind; results are grouped by frequency.
Source    Udandarao et al. 2024, arXiv 2404.04125 (performance grows with the logarithm of a concept's frequency);
          Allen-Zhu and Li 2023, arXiv 2309.14316 (invented biographies).
Formula   correct = 1 if log p(answer | prompt) > log p(d | prompt) for all distractors d; rank = 1 + how many are
          likelier; ties are shared.
Shapes    N facts of C candidates -> a row of answers each
Units     nats an answer; frequency: times the pool says it; chance (1 / C): fraction.
Fidelity  Adapted: the text analogue of the first source, which counts concepts in captions. An answer that is likelier
          anyway would be recalled unread: as facts.py plants them, every answer is said equally often at every
          frequency, so preferring some answers gains nothing.
Errors    SeedbedError naming file, line and field for a missing prompt, answer or frequency, no distractor, or the
          answer among them. Fields: "prompt", "answer", "distractors", "frequency"; optional "id".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pyarrow as pa

from seedbed.evaluate.answers import answers, ask
from seedbed.evaluate.contract import Probe, TextModel
from seedbed.evaluate.items import Item, Line


@dataclasses.dataclass(frozen=True)
class PlantedFacts(Probe):
    """How the answer is put.

    Args:
        delimiter: stands between prompt and answer.
    """

    delimiter: str = " "

    def item(self, line: Line) -> Item:
        """The answer is the first choice; the group says the frequency."""
        answer, others = line.filled("answer"), line.texts("distractors", at_least=1)
        if answer in others:
            raise line.wrong("distractors", "holds the answer", "Leave it out.")
        frequency = line.number_of("frequency")
        group = f"read {frequency:g} times"
        return Item(line.name, group, line.filled("prompt"), (answer, *others), frequency=frequency)

    def score(self, model: TextModel, items: Sequence[Item]) -> pa.Table:
        """A table of schema ANSWERS."""
        asked = ask(model, items, self.delimiter)
        return answers(items, asked, asked.nats_K)
