"""Multiple choice: behind this question, which of these answers does the model find likeliest?

What      Scores every choice behind the question, as a text and not as a letter, which small models cannot use. Sums
          favour short choices; the other normalisations take length, or how likely a choice is anyway, out of it.
Source    lm-evaluation-harness 0.4 (Gao et al.): acc (none), acc_norm (characters), acc_bytes (bytes) and
          acc_mutual_info (pmi); per token as in Brown et al. 2020, arXiv 2005.14165, section 2.4; pmi: Holtzman, West,
          Shwartz, Choi, Zettlemoyer 2021, arXiv 2104.08315.
Formula   score_c = log p(c | question) [none]; / length of c in characters, UTF-8 bytes or tokens; or
          log p(c | question) - log p(c | unconditional) [pmi]; the choice is argmax_c score_c, ties share it.
Shapes    N items of C choices -> a row of answers each
Units     nats, or nats a character, byte or token; correct, chance (1 / C): fraction; margin: unit of the score.
Fidelity  Exact: question and choice are tokenised together and parted as lm-evaluation-harness does; lengths leave the
          delimiter out, tokens count it. Ties are shared where it takes the first.
Errors    SeedbedError naming file, line and field for fewer than two choices, an empty or repeated one, or an answer
          that is none of them. Fields: "question" (or "context"), "choices", "answer" (index from 0, or the choice
          itself); optional "group" (else the file's name), "id".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import pyarrow as pa

from seedbed.evaluate.answers import Asked, FloatArray, answers, ask
from seedbed.evaluate.contract import Probe, TextModel
from seedbed.evaluate.items import Item, Line


@dataclasses.dataclass(frozen=True)
class MultipleChoice(Probe):
    """How choices are put and compared.

    Args:
        normalise: none (acc), characters (acc_norm), bytes, tokens or pmi.
        delimiter: stands between question and choice.
        unconditional: the context of pmi's second log-likelihood; empty is the end of another text.
    """

    normalise: Literal["none", "characters", "bytes", "tokens", "pmi"] = "none"
    delimiter: str = " "
    unconditional: str = ""

    def item(self, line: Line) -> Item:
        """Choices in their order."""
        choices = line.texts("choices", at_least=2)
        given = line.fields.get("answer")
        if isinstance(given, str) and given in choices:
            answer = choices.index(given)
        elif isinstance(given, int) and not isinstance(given, bool) and 0 <= given < len(choices):
            answer = given
        else:
            mend = f"Give an index from 0 to {len(choices) - 1}, or the choice itself."
            raise line.wrong("answer", "is none of the choices" if "answer" in line.fields else "is missing", mend)
        group = line.text("group", missing=line.stem)
        return Item(line.name, group, line.filled("question", "context"), choices, answer)

    def score(self, model: TextModel, items: Sequence[Item]) -> pa.Table:
        """A table of schema ANSWERS."""
        asked = ask(model, items, self.delimiter)
        return answers(items, asked, self._scores(model, items, asked))

    def _scores(self, model: TextModel, items: Sequence[Item], asked: Asked) -> FloatArray:
        if self.normalise == "pmi":
            return asked.nats_K - ask(model, items, self.delimiter, context=self.unconditional).nats_K
        sizes = {"characters": asked.characters_K, "bytes": asked.bytes_K, "tokens": asked.tokens_K}
        return asked.nats_K / sizes[self.normalise] if self.normalise in sizes else asked.nats_K
