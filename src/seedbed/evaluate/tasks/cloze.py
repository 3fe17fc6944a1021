"""Cloze: behind this context, would the model have written just this answer?

What      Scores the answer behind its context. It counts as right where each of its tokens is the likeliest one, which
          is what greedy decoding would write; the log-likelihood is kept beside it and moves long before that does.
Source    Paperno et al. 2016, LAMBADA, arXiv 1606.06031; scored as lm-evaluation-harness's lambada tasks are:
          accuracy by is_greedy.
Formula   log p = SUM_t log p(answer_t | context, answer_<t); correct = 1 if answer_t = argmax p(. | context, answer_<t)
          for all t, else 0.
Shapes    N items -> a row of answers each
Units     nats an answer; correct: fraction. rank and margin are NaN: there are no other choices.
Fidelity  Exact. Chance is put at 0: the answer is free.
Errors    SeedbedError naming file, line and field for a context or answer that is missing or empty.
          Fields: "context", "answer"; optional "group" (else the file's name), "id".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pyarrow as pa

from seedbed.evaluate.answers import ask, free_answers
from seedbed.evaluate.contract import Probe, TextModel
from seedbed.evaluate.items import Item, Line


@dataclasses.dataclass(frozen=True)
class Cloze(Probe):
    """How the answer is put.

    Args:
        delimiter: stands between context and answer.
    """

    delimiter: str = " "

    def item(self, line: Line) -> Item:
        """The answer is the only choice."""
        group = line.text("group", missing=line.stem)
        return Item(line.name, group, line.filled("context"), (line.filled("answer"),))

    def score(self, model: TextModel, items: Sequence[Item]) -> pa.Table:
        """A table of schema ANSWERS."""
        return free_answers(items, ask(model, items, self.delimiter))
