"""Invented facts, worded and planted: what the probe `planted_facts` asks for, and the documents that say it.

Names are made of syllables, so that no pool says anything of them. At every frequency each answer of a relation is
right equally often (as far as the number of facts divides by the number of answers): how common an answer is in the
pool says nothing about which fact it belongs to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from seedbed.core.errors import RecipeError
from seedbed.core.parameters import Json

TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "home": ("{name} lives in the town of", "The home of {name} is the town of"),
    "craft": ("{name} earns a living as a maker of", "All say that {name} is a maker of"),
}
"""Relation -> wordings. The answer and a full stop follow; the first one is the prompt that is asked."""

_ONSETS, _VOWELS, _ENDS = [*"bdfgklmnprstvz", "br", "dr", "kl", "st", "tr"], [*"aeiou"], ["", "n", "l", "r", "s"]


@dataclasses.dataclass(frozen=True)
class Fact:
    """An invented fact.

    Args:
        relation: a key of the templates.
        name: whom it is about.
        answer: what is true.
        distractors: the other answers of the relation.
        frequency: how often it is said.
    """

    relation: str
    name: str
    answer: str
    distractors: tuple[str, ...]
    frequency: int

    def line(self, templates: Mapping[str, tuple[str, ...]] = TEMPLATES) -> dict[str, Json]:
        """Its line in an items file."""
        prompt = templates[self.relation][0].format(name=self.name)
        return {
            "id": f"{self.relation} of {self.name}",
            "relation": self.relation,
            "prompt": prompt,
            "answer": self.answer,
            "distractors": list(self.distractors),
            "frequency": self.frequency,
        }


def make_facts(
    frequencies: Sequence[int],
    per_frequency: int,
    *,
    seed: int,
    n_answers: int = 8,
    templates: Mapping[str, tuple[str, ...]] = TEMPLATES,
) -> list[Fact]:
    """`per_frequency` facts of every relation and frequency, each about a name of its own."""
    if n_answers < 2 or per_frequency < 1 or any(frequency < 0 for frequency in frequencies):
        what = f"{n_answers} answers, {per_frequency} facts a frequency, frequencies {list(frequencies)}"
        raise RecipeError("make_facts", what, "Give at least two answers, one fact, and frequencies from 0 up.")
    rng = np.random.default_rng(seed)
    seen: set[str] = set()
    facts: list[Fact] = []
    for relation in templates:
        answers = [_invented(rng, seen, 2) for _ in range(n_answers)]
        for frequency in frequencies:
            turns = np.concatenate([rng.permutation(n_answers) for _ in range(-(-per_frequency // n_answers))])
            for turn in turns[:per_frequency]:
                answer = answers[int(turn)]
                others = tuple(other for other in answers if other != answer)
                facts.append(Fact(relation, _invented(rng, seen, 3), answer, others, frequency))
    return facts


def sentences(facts: Sequence[Fact], *, seed: int, templates: Mapping[str, tuple[str, ...]] = TEMPLATES) -> list[str]:
    """Every fact as often as its frequency says, wordings drawn evenly, in random order."""
    rng = np.random.default_rng(seed)
    said = [
        f"{wording.format(name=fact.name)} {fact.answer}."
        for fact in facts
        for turn in range(fact.frequency)
        for wording in [templates[fact.relation][turn % len(templates[fact.relation])]]
    ]
    return [said[i] for i in rng.permutation(len(said)).tolist()]


def _invented(rng: np.random.Generator, seen: set[str], syllables: int) -> str:
    """A capitalised name that was not given before."""
    while True:
        parts = [str(rng.choice(_ONSETS)) + str(rng.choice(_VOWELS)) for _ in range(syllables)]
        name = ("".join(parts) + str(rng.choice(_ENDS))).capitalize()
        if name not in seen:
            seen.add(name)
            return name
