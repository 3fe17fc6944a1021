"""How often a corpus says a thing: documents and occurrences of every concept, and the items about rare ones.

A concept is a word or a phrase. It is found where its plain words (text.repeats.overlap: lower case, punctuation off;
every smallest unit of writing a word in scripts without spaces) follow each other, so "York" is not in "Yorkshire",
and punctuation between two words does not part them. Words are compared by 64-bit hashes: a false hit needs a
collision, about (words of the corpus) * (concepts) / 2^64 in all; else counts are exact. The text is read once, the
hashes of its words once for every length of a concept in words; memory grows with the concepts, not with the corpus.
Occurrences may overlap, and a phrase counts for the concepts inside it too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.core.parameters import Json
from seedbed.evaluate.items import Line
from seedbed.text.kernel import Hashes, Ints
from seedbed.text.repeats.overlap import KnownGrams, PlainWords, ngrams, plain_words

CONCEPT_COUNTS = pa.schema(
    [
        arrow.field("concept", pa.large_string(), unit="as given"),
        arrow.field("n_words", pa.int64(), unit="plain words"),
        arrow.field("documents", pa.int64(), unit="documents that say it"),
        arrow.field("occurrences", pa.int64(), unit="times it is said"),
    ]
)
"""How often a concept is said."""

By: TypeAlias = Literal["documents", "occurrences"]


class Concepts:
    """Concepts that are looked for in texts.

    Args:
        concepts: words or phrases, in any script. Those that differ in case or punctuation alone count the same.
        where: they came from, for errors.

    Raises:
        SeedbedError: for a concept without a word (with its number), or none at all.
    """

    def __init__(self, concepts: Sequence[str], where: str = "concepts") -> None:
        if not concepts:
            raise SeedbedError(where, "there is no concept", "Write one word or phrase a line.")
        self.concepts = tuple(concepts)
        words = DocumentBatch.of(list(concepts)).derive(plain_words)
        self.n_words_C: Ints = np.diff(words.first)
        empty = np.flatnonzero(self.n_words_C == 0)
        if len(empty):
            at = int(empty[0])
            what = f"{concepts[at]!r} holds no word"
            raise SeedbedError(f"{where}, concept {at + 1}", what, "Give a concept a letter or digit, or leave it out.")
        self._lengths = [_Length(int(n), np.flatnonzero(self.n_words_C == n), words) for n in np.unique(self.n_words_C)]

    def __len__(self) -> int:
        return len(self.concepts)

    def found_in(self, documents: DocumentBatch) -> tuple[Ints, Ints]:
        """(document_F, concept_F) of every occurrence, concepts that read the same each with its own."""
        words = documents.derive(plain_words)
        found = [each.found_in(words) for each in self._lengths]
        document, concept = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return document, concept

    def count(self, pool: Iterable[DocumentBatch]) -> pa.Table:
        """A table of schema CONCEPT_COUNTS, a row a concept, in the order given."""
        documents_C, occurrences_C = np.zeros(len(self), np.int64), np.zeros(len(self), np.int64)
        for batch in pool:
            document_F, concept_F = self.found_in(batch)
            occurrences_C += np.bincount(concept_F, minlength=len(self))
            once = np.unique(document_F * len(self) + concept_F) % len(self)
            documents_C += np.bincount(once, minlength=len(self))
        columns = {
            "concept": list(self.concepts),
            "n_words": self.n_words_C,
            "documents": documents_C,
            "occurrences": occurrences_C,
        }
        return arrow.table(columns, CONCEPT_COUNTS)


class _Length:
    """The concepts of n words."""

    def __init__(self, n: int, concept_K: Ints, words: PlainWords) -> None:
        gram_G, row_G, _ = ngrams(words.first, words.hash, n)
        first = np.searchsorted(row_G, concept_K)  # a concept of n words has one n-gram, longer ones have more
        gram_K: Hashes = gram_G[first]
        self.n = n
        self.grams = KnownGrams(gram_K)
        order = np.argsort(self.grams.number_G, kind="stable")
        self.concept_K = concept_K[order]
        self.first_U1 = np.searchsorted(self.grams.number_G[order], np.arange(self.grams.size + 1))

    def found_in(self, words: PlainWords) -> tuple[Ints, Ints]:
        """(document_F, concept_F) of every occurrence."""
        row, _, number = self.grams.ngrams_in(words.first, words.hash, self.n)
        alike = self.first_U1[number + 1] - self.first_U1[number]
        before = np.cumsum(alike) - alike
        place = np.repeat(self.first_U1[number] - before, alike) + np.arange(int(alike.sum()))
        return np.repeat(row, alike), self.concept_K[place]


def long_tail(counts: pa.Table, below: float, by: By = "documents") -> pa.Table:
    """The rows of concepts that are said fewer than `below` times, rarest first, else in order."""
    count_C = arrow.numpy(counts, by)
    rare = np.flatnonzero(count_C < below)
    return arrow.take(counts, rare[np.argsort(count_C[rare], kind="stable")])


def tail_items(
    lines: Sequence[Line], counts: pa.Table, below: float, by: By = "documents", batch: int = 4096
) -> list[dict[str, Json]]:
    """The items that speak of a concept said fewer than `below` times, rarest first, else in order.

    An item speaks of what any of its texts says (lists too). Its fields stay; "concept" and "frequency" are those of
    the rarest concept in it. Where a line names its "concept", that one counts.
    """
    names, count_C = [name or "" for name in arrow.strings(counts, "concept")], arrow.numpy(counts, by)
    known, place = Concepts(names), {name: c for c, name in enumerate(names)}
    rarest_N = np.full(len(lines), -1, np.int64)
    for begin in range(0, len(lines), batch):
        part = lines[begin : begin + batch]
        item_F, concept_F = known.found_in(DocumentBatch.of(["\n".join(_texts(line.fields)) for line in part]))
        order = np.lexsort((concept_F, count_C[concept_F], item_F))
        item, first = np.unique(item_F[order], return_index=True)
        rarest_N[begin + item] = concept_F[order][first]
        for i, line in enumerate(part, begin):
            named = line.fields.get("concept")
            if isinstance(named, str) and named in place:
                rarest_N[i] = place[named]
    spoken = np.flatnonzero(rarest_N >= 0)
    chosen = spoken[count_C[rarest_N[spoken]] < below]
    found: list[dict[str, Json]] = []
    for i in chosen[np.argsort(count_C[rarest_N[chosen]], kind="stable")].tolist():
        line, c = lines[int(i)], int(rarest_N[i])
        found.append({**line.fields, "id": line.name, "concept": names[c], "frequency": int(count_C[c])})
    return found


def items_text(items: Iterable[Mapping[str, Json]]) -> str:
    """Items as JSON Lines, which a probe reads."""
    return "".join(json.dumps(dict(item), ensure_ascii=False) + "\n" for item in items)


def trend_rows(answers: pa.Table) -> pa.Table:
    """What the law concept_frequency is fitted to, from answers whose items tell their frequency: a row an item.

    Raises SeedbedError where none does.
    """
    frequency_N = arrow.numpy(answers, "frequency")
    told = np.flatnonzero(np.isfinite(frequency_N))
    if not len(told):
        raise SeedbedError("answers", "no item tells its frequency", 'Give the items a field "frequency".')
    names = arrow.strings(answers, "item")
    columns = {
        "concept": [names[i] for i in told.tolist()],
        "frequency": frequency_N[told],
        "accuracy": arrow.numpy(answers, "correct")[told],
    }
    return arrow.table(columns)


def _texts(fields: Mapping[str, Json]) -> Iterable[str]:
    for name, value in fields.items():
        if name in ("id", "concept"):
            continue
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (one for one in value if isinstance(one, str))
