"""The questions the curate room asks of its methods.

Reader      which raw records lie in this file?
Extractor   what text is in this record?
Edit        what should the text be instead? (same documents)
Filter      which numbers describe a document, and which rules do they break?
Deduper     which documents are the same?
Survivor    which of the same documents is rather kept?
Passages    which passages stand elsewhere in the corpus already? (an Edit over the whole corpus)
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.arrow import Columns
from seedbed.core.errors import RecipeError
from seedbed.core.method import Method
from seedbed.core.nouns import SPANS, DocumentBatch, Signal, signals_schema
from seedbed.core.parameters import Json

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
HashArray = npt.NDArray[np.uint64]
FloatArray = npt.NDArray[np.float64]

PREFIX_BYTES = 1 << 16
"""So much of a record that is too large, or cannot be read, is taken for its content."""


@dataclasses.dataclass(frozen=True)
class Record:
    """One raw record of a source file.

    Args:
        offset: where it begins: a byte offset, or a line or row number; distinct within its file.
        content: the bytes the document's id is hashed from.
        kind: "html" goes to the extractor; "text" already is text; "drop" is no text (`reason` says why).
        text: the text of a "text" record.
        url, source, language: as far as the record knows them.
        date: when it was fetched or written, ISO 8601 in UTC.
        metadata: what else the record knew, a JSON object as text.
        charset: the declared encoding of an "html" record, or empty.
        reason: why a "drop" record is dropped: `not_a_response`, `not_html`, `http_status`, ...
        error: (type, message) of a record that could not be read; it is quarantined.
    """

    offset: int
    content: bytes
    kind: Literal["html", "text", "drop", "error"]
    text: str = ""
    url: str = ""
    source: str = ""
    language: str = ""
    date: str = ""
    metadata: str = ""
    charset: str = ""
    reason: str = ""
    error: tuple[str, str] | None = None


class Reader(Method):
    """Finds the records of one kind of file. Streams: memory is bounded by the largest record.

    A file broken in the middle gives the records before the break and then one "error" record for the rest;
    it never raises for bad content.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    """Lower-case file endings this reader takes, longest match wins: ".warc.gz"."""
    watched: ClassVar[bool] = True
    """Whether its records are read in a process of their own that can be ended: where a parser may never come back."""

    def records(self, file: Path) -> Iterator[Record]:
        """The records in file order."""
        raise NotImplementedError

    def check(self, file: Path) -> None:
        """Raise SeedbedError before anything runs where the file as a whole cannot be read (no text column)."""

    def companions(self, file: Path) -> tuple[Path, ...]:
        """Other files that are read along with this one: they are part of its content."""
        del file
        return ()


class Extractor(Method):
    """Turns the bytes of an HTML record into text."""

    def extract(self, record: Record) -> str:
        """The text, paragraphs separated by newlines; empty where there is none. Bounded on hostile input."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Edited:
    """What an edit made of a batch.

    Args:
        texts: the new text of every document, a large_string array.
        spans: passages cut or masked, in schema SPANS; rows count within the batch. None where the edit tells none.
    """

    texts: pa.Array[Any]
    spans: pa.Table | None = None

    @classmethod
    def of(cls, texts: list[str], spans: pa.Table | None = None) -> Edited:
        """From Python strings."""
        return cls(arrow.column(texts, pa.large_string()), spans)

    @classmethod
    def cut(
        cls,
        documents: DocumentBatch,
        rest: tuple[npt.NDArray[np.uint8], IntArray],
        spans: tuple[IntArray, IntArray, IntArray],
        kind: str,
    ) -> Edited:
        """From the rest of the texts as (bytes, offsets), and (row, start, end) of the cuts in the batch's bytes."""
        row, start, end = spans
        begins = documents.text_buffers()[1][row]
        kinds = arrow.named(np.zeros(len(row), np.int64), [kind])
        told = arrow.table({"row": row, "start": start - begins, "end": end - begins, "kind": kinds}, SPANS)
        return cls(arrow.text_column(*rest), told)

    def told(self) -> pa.Table:
        """The spans, an empty table where there are none."""
        return self.spans if self.spans is not None else arrow.concat([], SPANS)


class Edit(Method):
    """Changes text. The same documents come out in the same order; only the text column may differ."""

    libraries: ClassVar[tuple[str, ...]] = ("unicodedata",)

    def edit(self, documents: DocumentBatch) -> Edited:
        """The new text of every document, and which passages went."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Rule:
    """One column of verdicts of a filter.

    Args:
        name: the parameter that holds the threshold, and the reason a dropped document gets.
        signal: the number it looks at.
        side: "min" breaks below the threshold, "max" above it; "in" breaks where the text is none of the threshold's.
        languages: ISO 639 codes of the languages whose text it was made for; empty for any. The plan warns otherwise.
    """

    name: str
    signal: str
    side: Literal["min", "max", "in"]
    languages: tuple[str, ...] = ()


class Filter(Method):
    """Measures documents; rules over the measurements are a second, cheap pass, so that thresholds replay."""

    libraries: ClassVar[tuple[str, ...]] = ("unicodedata",)
    signals: ClassVar[tuple[Signal, ...]] = ()
    rules: ClassVar[tuple[Rule, ...]] = ()
    """Of the class: all there are. Of an instance: without those that its dialect is `lacking`."""
    columns: ClassVar[tuple[str, ...]] = ()
    """Columns of Documents that it looks at besides the text; the plan warns where the input leaves them empty."""
    looked_up: ClassVar[str] = ""
    """The parameter that names what is searched for; the plan warns where it is empty, for then all measures 0."""

    def __post_init__(self) -> None:
        """Narrows `signals` and `rules` to what is measured, so that nobody asks for a column that is not there."""
        super().__post_init__()
        if lacking := self.lacking():
            object.__setattr__(self, "signals", tuple(s for s in self.signals if s.name not in lacking))
            object.__setattr__(self, "rules", tuple(r for r in self.rules if r.signal not in lacking))

    def check_words(self, words: str, dialect: str) -> None:
        """Raise RecipeError for a choice of words in a dialect that is not the paper's: it has words of its own."""
        if words != "whitespace" and dialect != "paper":
            raise RecipeError(f"{self.path()}.words", f"the dialect {dialect!r} has words of its own", "Leave it out.")

    def lacking(self) -> frozenset[str]:
        """Signals that these parameters do not measure. Their rules never fire; the plan says so."""
        return frozenset()

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """A table of `signals`, one row a document, finite, blind to the neighbours in the batch."""
        raise NotImplementedError

    def failures(self, signals: pa.Table) -> dict[str, BoolArray]:
        """Rule -> which rows break it, in rule order. A threshold of None switches its rule off."""
        found: dict[str, BoolArray] = {}
        for rule in self.rules:
            threshold = getattr(self, rule.name)
            if threshold is None:
                continue
            if rule.side == "in":
                found[rule.name] = ~arrow.is_in(signals, rule.signal, threshold)
            elif rule.side == "min":
                found[rule.name] = np.asarray(arrow.numpy(signals, rule.signal) < threshold, np.bool_)
            else:
                found[rule.name] = np.asarray(arrow.numpy(signals, rule.signal) > threshold, np.bool_)
        return found

    def measuring(self) -> dict[str, Json]:
        """The identity of the measurement: without the parameters that are only thresholds."""
        thresholds = {rule.name for rule in type(self).rules}
        kept: dict[str, Json] = {name: value for name, value in self.fingerprinted().items() if name not in thresholds}
        return {**self.identity(), "parameters": kept}

    def table(self, columns: dict[str, Any]) -> pa.Table:
        """The measured columns as a table of this filter's schema."""
        return arrow.table(columns, signals_schema(self.signals))


class Deduper(Method):
    """Finds documents that are the same. Which of them survives is decided later, among those that pass the rules."""

    libraries: ClassVar[tuple[str, ...]] = ("unicodedata",)
    columns: ClassVar[tuple[str, ...]] = ()
    """Columns of Documents that it looks at besides the text; the plan warns where the input leaves them empty."""
    signals: ClassVar[tuple[Signal, ...]] = ()
    """Columns of a signature, usually of kind "hash". Fixed by the parameters; see `signature_signals`."""

    def signature_signals(self) -> tuple[Signal, ...]:
        """The columns for these parameters."""
        return self.signals

    def signatures(self, documents: DocumentBatch) -> pa.Table:
        """A table of `signature_signals`, one row a document, blind to the neighbours."""
        raise NotImplementedError

    def learns(self) -> bool:
        """Whether signatures depend on what is frequent in the corpus: then `learn` is asked first."""
        return False

    def learn(self, sample: Iterable[DocumentBatch]) -> HashArray:
        """What has to be known of the corpus, from a sample of its documents."""
        raise NotImplementedError

    def signatures_after(self, documents: DocumentBatch, learned: HashArray) -> pa.Table:
        """`signatures` of a deduper that learns."""
        raise NotImplementedError

    def groups(self, signatures: Columns) -> IntArray:
        """group_N: the smallest row of the group a row is in; its own row for a document that is alone.

        Ask for one column at a time: a corpus of signatures need not fit into memory.
        """
        raise NotImplementedError


class Survivor(Method):
    """Says which of several duplicates is rather kept, from columns that are stored: text is not read again."""

    def reads(self) -> tuple[str, ...]:
        """The columns it looks at: `url`, `date`, `source`, `language` or `file`, or a signal as `filter.signal`."""
        raise NotImplementedError

    def worth(self, candidates: pa.Table) -> FloatArray:
        """worth_M of documents that have duplicates, finite: the highest of a group survives."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Passages:
    """Passage p of document d: first[d] <= p < first[d + 1].

    Args:
        first: index of each document's first passage (documents + 1).
        key: 64-bit hash of what the passage says; equal keys are the same passage, and 0 is like no other.
    """

    first: IntArray
    key: HashArray


@dataclasses.dataclass(frozen=True)
class PassageDeduper(Edit):
    """Cuts passages that stand in more than one place. The room collects the keys of all passages of the corpus, finds
    which are repeats, and asks for the cut; bounded memory, the same whatever the shards.

    Args:
        keep_first: whether the first occurrence stays, in the order of document ids; else every occurrence goes.
    """

    keep_first: bool = True

    def passages(self, documents: DocumentBatch) -> Passages:
        """The passages of every document in order of text, blind to the neighbours."""
        raise NotImplementedError

    def cut(self, documents: DocumentBatch, repeated_P: BoolArray) -> Edited:
        """The documents without the passages that are repeats; their spans tell what was cut."""
        raise NotImplementedError

    def edit(self, documents: DocumentBatch) -> Edited:
        """What becomes of each document where it is the whole corpus."""
        found = self.passages(documents)
        repeated_P = np.zeros(len(found.key), np.bool_)
        for start, stop in itertools.pairwise(found.first.tolist()):
            _, once, place, n = np.unique(
                found.key[start:stop], return_index=True, return_inverse=True, return_counts=True
            )
            repeated_P[start:stop] = (n[place] > 1) & (found.key[start:stop] != 0)
            if self.keep_first:
                repeated_P[start + once] = False
        return self.cut(documents, repeated_P)


CurateStep = Edit | Filter | Deduper
