"""Benchmark overlap: does the document hold items of a benchmark, word for word, respelled, or paraphrased?

What      Compares documents with a folder of benchmark items by n-grams and by pairs of neighbouring words. Drops by
          default what shares an n-gram with an item; `item_report` turns the stored numbers into an audit of every
          item: what was found, where, how much of it, and how much would be found by chance.
Source    Brown et al. 2020, arXiv 2005.14165, appendix C (13 words, lower case, no punctuation, any hit). Items found
          in part: shares as in Chowdhery et al. 2022, PaLM, arXiv 2204.02311.
Formula   hits        n-grams of the document that are n-grams of some item, after folding (see Fidelity)
          exact_hits  those of them that are spelled as in the item, whitespace aside
          item_share  max over items of (its different n-grams in the document / its n-grams)
          likeness    max over items of (its pairs of words, up to 2 apart, in a passage twice as long / its pairs);
                      pairs that more than 8 items have do not count; below 0.25 it is told as 0
          item        the item of the largest item_share, then likeness, as file:line
          found       JSON of all: item, places of its n-grams found and of those spelled so, likeness
Shapes    documents_N -> six columns of N.
Units     n-grams, fractions.
Fidelity  Adapted: words are folded as in repeats.overlap (case and punctuation off), and every character of a script
          without spaces is one. GPT-3 drops n-grams that occur more than ten times in the corpus, and cuts 200
          characters around a hit; here the document goes as a whole. datatrove compares 12 words and counts those that
          reach into the answer only. n-grams are compared by 64-bit hash: a false hit needs a collision. likeness and
          its threshold are ours; a paraphrase that keeps few words beside one another is not found. Recall and false
          positives on planted items: benchmarks/results/decontamination.csv.
Errors    A missing folder, one without items, or an item that is no JSON raises before anything runs. Without `items`
          nothing is found. Items shorter than min_item_words are untestable, never clean.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Le

from seedbed.core import arrow
from seedbed.core.errors import RecipeError
from seedbed.core.nouns import DocumentBatch, Signal
from seedbed.core.parameters import Json
from seedbed.curate.contract import Filter, Rule
from seedbed.text.kernel import Ints
from seedbed.text.list_files import Stamp, stamp
from seedbed.text.repeats.items import content, read_items
from seedbed.text.repeats.leaks import Hits, ItemIndex, Likeness, numbers, ranges
from seedbed.text.repeats.overlap import plain_words

PARAPHRASE_LIKENESS = 0.5
"""From this likeness on, an item that is not found by n-grams counts as paraphrased."""
LEAKED_SHARE = 0.8
"""From this share of its n-grams on, an item counts as found; below, as found in part."""
MAX_DOCUMENTS = 10
"""Documents that the report names for an item."""
VERDICTS = ("exact", "normalised", "partial", "paraphrase", "clean", "untestable")

ITEMS = pa.schema(
    [
        arrow.field("benchmark", pa.large_string(), unit="file of items, without its ending"),
        arrow.field("line", pa.int64(), unit="line of the item in its file"),
        arrow.field("n_words", pa.int64(), unit="words"),
        arrow.field("n_ngrams", pa.int64(), unit="n-grams that are looked for; 0 where it is too short"),
        arrow.field("share", pa.float64(), unit="fraction of its n-grams found in any document"),
        arrow.field("exact_share", pa.float64(), unit="fraction found as it is spelled"),
        arrow.field("likeness", pa.float64(), unit="largest share of its pairs of words in one passage"),
        arrow.field(
            "verdict", pa.large_string(), unit="exact | normalised | partial | paraphrase | clean | untestable"
        ),
        arrow.field("n_documents", pa.int64(), unit="documents with any of it"),
        arrow.field("documents", pa.list_(pa.large_string()), unit="ids of the first ten"),
        arrow.field("excerpt", pa.large_string(), unit="the longest stretch found, as the item has it"),
        arrow.field("by_chance", pa.large_string(), unit="the verdict on the same words in another order"),
    ]
)
"""What the report says of one benchmark item."""


@dataclasses.dataclass(frozen=True)
class BenchmarkOverlap(Filter):
    """What is looked for, and how much of it a document may hold; a limit of None is off.

    Args:
        items: a folder of .jsonl, .jsonl.gz or .txt files, one benchmark each, one item a line; or one such file.
        fields: the fields of a record that make up an item; all texts in it where none is named.
        ngram: words of an n-gram.
        min_item_words: an item of fewer words than an n-gram is looked for whole if it has at least these; GPT-3 went
            down to 8.
    """

    looked_up: ClassVar[str] = "items"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("hits", "n-grams", "int", low=0),
        Signal("exact_hits", "n-grams", "int", low=0),
        Signal("item_share", "fraction of an item's n-grams", low=0, high=1),
        Signal("likeness", "fraction of an item's pairs of words", low=0, high=1),
        Signal("item", "file:line", "text"),
        Signal("found", "JSON", "text"),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("max_hits", "hits", "max"),
        Rule("max_exact_hits", "exact_hits", "max"),
        Rule("max_item_share", "item_share", "max"),
        Rule("max_likeness", "likeness", "max"),
    )

    items: str = ""
    fields: tuple[str, ...] = ()
    ngram: Annotated[int, Ge(2), Le(64)] = 13
    min_item_words: Annotated[int, Ge(1), Le(64)] = 13
    max_hits: Annotated[int | None, Ge(0)] = 0
    max_exact_hits: Annotated[int | None, Ge(0)] = None
    max_item_share: Annotated[float | None, Ge(0), Le(1)] = None
    max_likeness: Annotated[float | None, Ge(0), Le(1)] = None

    def fingerprinted(self) -> dict[str, Json]:
        """The items' content counts, not where they lie. Raises RecipeError where there are none."""
        found = dict[str, Json](content(Path(self.items), f"{self.name()}.items")) if self.items else {}
        return {**super().fingerprinted(), "items": found}

    def index(self) -> ItemIndex:
        """The items as they are searched for; kept in memory while their files stay as they are."""
        if not self.items:
            raise RecipeError(f"{self.name()}.items", "no benchmark items are named", "Name a folder of them.")
        return _index(self, stamp(self.items))

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """The six columns of every document."""
        n = len(documents)
        n_hits, share, alike = np.zeros((2, n), np.int64), np.zeros(n), np.zeros(n)
        names, found = [""] * n, [""] * n
        if self.items:
            index, words = self.index(), documents.derive(plain_words)
            hits, n_hits = index.hits(words)
            likeness = index.likeness(words)
            real = likeness.item < len(index.items.text_N)
            np.maximum.at(alike, likeness.row[real], likeness.share[real])
            for row, entries in _told(index, hits, likeness).items():
                found[row] = json.dumps([entry.to_json() for entry in entries], ensure_ascii=False)
                best = max(entries, key=lambda entry: (not entry.is_twin, entry.share, entry.likeness))
                names[row], share[row] = ("", 0.0) if best.is_twin else (best.name, best.share)
        columns = {"hits": n_hits[0], "exact_hits": n_hits[1], "item_share": share, "likeness": alike}
        return self.table({**columns, "item": names, "found": found})

    def item_report(self, shards: Iterable[tuple[Sequence[str], Sequence[str]]]) -> pa.Table:
        """A table of schema ITEMS, a row an item, from the ids and the column `found` of every shard of documents."""
        index = self.index()
        names = index.items.names()
        rows = {name: _Sum(index.n_ngrams_N[i]) for i, name in enumerate(names)}
        chance = {name: _Sum(index.n_ngrams_N[i]) for i, name in enumerate(names)}
        for ids, found in shards:
            for identifier, told in zip(ids, found, strict=True):
                for entry in cast("list[dict[str, Any]]", json.loads(told)) if told else []:
                    (chance if "by_chance" in entry else rows)[entry["item"]].add(identifier, entry)
        columns = {
            "benchmark": list(index.items.benchmark_N),
            "line": list(index.items.line_N),
            "n_words": index.n_words_N,
            "n_ngrams": index.n_ngrams_N,
            "share": [rows[name].share(rows[name].places) for name in names],
            "exact_share": [rows[name].share(rows[name].exact) for name in names],
            "likeness": [rows[name].likeness for name in names],
            "verdict": [_verdict(index, i, rows[name]) for i, name in enumerate(names)],
            "n_documents": [rows[name].n_documents for name in names],
            "documents": [rows[name].documents for name in names],
            "excerpt": [index.excerpt(i, sorted(rows[name].places)) for i, name in enumerate(names)],
            "by_chance": [_verdict(index, i, chance[name]) for i, name in enumerate(names)],
        }
        return arrow.table(columns, ITEMS)


def summary(items: pa.Table) -> dict[str, dict[str, int]]:
    """Benchmark -> items by verdict; `by_chance`: how many are found with their words shuffled."""
    found: dict[str, dict[str, int]] = {}
    columns = (arrow.strings(items, name) for name in ("benchmark", "verdict", "by_chance"))
    for benchmark, verdict, chance in zip(*columns, strict=True):
        counts = found.setdefault(str(benchmark), dict.fromkeys((*VERDICTS, "by_chance"), 0))
        counts[str(verdict)] += 1
        counts["by_chance"] += chance not in ("clean", "untestable")
    return found


class _Sum:
    """What all documents together hold of an item."""

    def __init__(self, n_ngrams: int) -> None:
        self._n_ngrams = int(n_ngrams)
        self.places, self.exact = set[int](), set[int]()
        self.likeness, self.n_documents, self.documents = 0.0, 0, list[str]()

    def add(self, identifier: str, entry: dict[str, Any]) -> None:
        self.places.update(numbers(entry.get("ngrams", "")))
        self.exact.update(numbers(entry.get("exact", "")))
        self.likeness = max(self.likeness, entry["likeness"])
        self.n_documents += 1
        self.documents += [identifier] if len(self.documents) < MAX_DOCUMENTS else []

    def share(self, places: set[int]) -> float:
        return len(places) / max(1, self._n_ngrams)


def _verdict(index: ItemIndex, item: int, found: _Sum) -> str:
    if found.share(found.exact) >= LEAKED_SHARE:
        return "exact"
    if found.share(found.places) >= LEAKED_SHARE:
        return "normalised"
    if found.places:
        return "partial"
    if index.has_pairs_N[item] and found.likeness >= PARAPHRASE_LIKENESS:
        return "paraphrase"
    return "clean" if index.n_ngrams_N[item] > 0 else "untestable"


@dataclasses.dataclass(frozen=True)
class _Entry:
    """What one document holds of one item or twin."""

    name: str
    is_twin: bool
    share: float
    places: Ints
    exact: Ints
    likeness: float

    def to_json(self) -> dict[str, Json]:
        told: dict[str, Json] = {"item": self.name}
        if self.is_twin:
            told["by_chance"] = True
        if len(self.places):
            told |= {"ngrams": ranges(self.places), "exact": ranges(self.exact)}
        return {**told, "likeness": round(self.likeness, 4)}


def _told(index: ItemIndex, hits: Hits, likeness: Likeness) -> dict[int, list[_Entry]]:
    """Document -> its entries, in order of items."""
    n_items, names = len(index.items.text_N), index.items.names()
    columns = (column.tolist() for column in (likeness.row, likeness.item, likeness.share))
    alike = {(row, item): share for row, item, share in zip(*columns, strict=True)}
    bounds = np.flatnonzero(np.diff(hits.row, prepend=-1) | np.diff(hits.item, prepend=-1))
    pieces: dict[tuple[int, int], slice] = {}
    for start, stop in itertools.pairwise([*bounds.tolist(), len(hits.row)]):
        pieces[int(hits.row[start]), int(hits.item[start])] = slice(start, stop)
    told: dict[int, list[_Entry]] = {}
    for row, item in sorted(pieces.keys() | alike.keys()):
        piece = pieces.get((row, item), slice(0, 0))
        places, real = hits.place[piece], item % n_items
        share = len(places) / max(1, int(index.n_ngrams_N[real]))
        exact = places[hits.exact[piece]]
        entry = _Entry(names[real], item >= n_items, share, places, exact, alike.get((row, item), 0.0))
        told.setdefault(row, []).append(entry)
    return told


@lru_cache(maxsize=2)
def _index(method: BenchmarkOverlap, changed: Stamp) -> ItemIndex:  # noqa: ARG001 - `changed` is part of the key
    items = read_items(Path(method.items), method.fields, f"{method.name()}.items")
    return ItemIndex(items, method.ngram, min(method.min_item_words, method.ngram))
