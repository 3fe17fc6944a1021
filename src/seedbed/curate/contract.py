"""The questions the curate room asks of its methods.

Reader      which raw records lie in this file?
Extractor   what text is in this record?
Edit        what should the text be instead? (same documents)
Filter      which numbers describe a document, and which rules do they break?
Deduper     which documents are the same?
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.method import Method
from seedbed.core.nouns import SPANS, DocumentBatch, Signal, signals_schema
from seedbed.core.parameters import Json

BoolArray = npt.NDArray[np.bool_]


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

    def records(self, file: Path) -> Iterator[Record]:
        """The records in file order."""
        raise NotImplementedError

    def check(self, file: Path) -> None:
        """Raise SeedbedError before anything runs where the file as a whole cannot be read (no text column)."""


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
    """

    name: str
    signal: str
    side: Literal["min", "max", "in"]


class Filter(Method):
    """Measures documents; rules over the measurements are a second, cheap pass, so that thresholds replay."""

    libraries: ClassVar[tuple[str, ...]] = ("unicodedata",)
    signals: ClassVar[tuple[Signal, ...]] = ()
    rules: ClassVar[tuple[Rule, ...]] = ()

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
            values = arrow.numpy(signals, rule.signal)
            if rule.side == "min":
                found[rule.name] = np.asarray(values < threshold, np.bool_)
            elif rule.side == "max":
                found[rule.name] = np.asarray(values > threshold, np.bool_)
            else:
                found[rule.name] = np.asarray(~np.isin(values.astype(str), list(threshold)), np.bool_)
        return found

    def measuring(self) -> dict[str, Json]:
        """The identity of the measurement: without the parameters that are only thresholds."""
        identity = self.identity()
        thresholds = {rule.name for rule in self.rules}
        parameters = identity["parameters"]
        assert isinstance(parameters, dict)
        return {**identity, "parameters": {k: v for k, v in parameters.items() if k not in thresholds}}

    def table(self, columns: dict[str, Any]) -> pa.Table:
        """The measured columns as a table of this filter's schema."""
        return arrow.table(columns, signals_schema(self.signals))


class Deduper(Method):
    """Finds documents that are the same. Which of them survives is decided later, among those that pass the rules."""

    libraries: ClassVar[tuple[str, ...]] = ("unicodedata",)
    signals: ClassVar[tuple[Signal, ...]] = ()
    """Columns of a signature, usually of kind "hash". Fixed by the parameters; see `signature_signals`."""

    def signature_signals(self) -> tuple[Signal, ...]:
        """The columns for these parameters."""
        return self.signals

    def signatures(self, documents: DocumentBatch) -> pa.Table:
        """A table of `signature_signals`, one row a document, blind to the neighbours."""
        raise NotImplementedError

    def groups(self, signatures: pa.Table) -> npt.NDArray[np.int64]:
        """group_N: the smallest row of the group a row is in; its own row for a document that is alone."""
        raise NotImplementedError


CurateStep = Edit | Filter | Deduper
