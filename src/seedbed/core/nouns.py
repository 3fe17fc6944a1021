"""The nouns: what one row is, which columns it has, in which unit. Every artifact holds tables of these schemas."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow

T = TypeVar("T")

ID = pa.binary(16)

DOCUMENTS = pa.schema(
    [
        arrow.field("id", ID, unit="128-bit hash of relative path, offset and bytes"),
        arrow.field("text", pa.large_string(), unit="UTF-8"),
        arrow.field("url", pa.large_string()),
        arrow.field("source", pa.large_string(), unit="file below the input root, or the record's own source"),
        arrow.field("language", pa.large_string(), unit="ISO 639 code, empty where not known"),
        arrow.field("date", pa.large_string(), unit="ISO 8601 in UTC, empty where not known"),
        arrow.field("file", pa.large_string(), unit="path below the input root"),
        arrow.field("offset", pa.int64(), unit="byte, line or row of the record in its file"),
        arrow.field("metadata", pa.large_string(), unit="JSON object of what else the record knew, or empty"),
    ]
)
"""A text. Shards keep the order of reading; signals share their row order."""

EVENTS = pa.schema(
    [
        arrow.field("id", ID),
        arrow.field("locator", pa.large_string(), unit="file:offset of the record"),
        arrow.field("kind", pa.large_string(), unit="dropped | errored"),
        arrow.field("reason", pa.large_string(), unit="rule or error type"),
        arrow.field("step", pa.large_string(), unit="method that said so"),
        arrow.field("message", pa.large_string()),
        arrow.field("traceback", pa.large_string()),
    ]
)
"""A record that did not become a document, or a document a method failed on."""

SPANS = pa.schema(
    [
        arrow.field("row", pa.int64(), unit="row of the document in its batch; in a stored shard, in the shard"),
        arrow.field("start", pa.int64(), unit="byte of the text before the edit"),
        arrow.field("end", pa.int64(), unit="byte of the text before the edit"),
        arrow.field("kind", pa.large_string(), unit="why: email, iban, duplicate_line, ..."),
    ]
)
"""A passage that an edit cut or masked: where it stood, never what it said."""

DECISIONS = pa.schema(
    [
        arrow.field("id", ID),
        arrow.field("kept", pa.bool_()),
        arrow.field("reason", pa.large_string(), unit="first failing rule in recipe order, empty when kept"),
        arrow.field("failures", pa.list_(pa.large_string()), unit="all failing rules"),
        arrow.field("duplicate_group", pa.int64(), unit="smallest row of the group, -1 outside any"),
        arrow.field("survivor", ID, unit="the kept document of the group"),
    ]
)
"""A verdict on one document, in the row order of all Documents shards one after the other."""

WEIGHTS = pa.schema(
    [
        arrow.field("id", ID),
        arrow.field("copies", pa.float64(), unit="readings an epoch, >= 0"),
        arrow.field("n_tokens", pa.int64(), unit="tokens"),
    ]
)
"""How often a document is read."""

TOKEN_INDEX = pa.schema(
    [
        arrow.field("id", ID),
        arrow.field("offset", pa.int64(), unit="tokens from the start of the shard"),
        arrow.field("n_tokens", pa.int64(), unit="tokens, with the end-of-text token"),
        arrow.field("n_bytes", pa.int64(), unit="UTF-8 bytes of the text"),
    ]
)
"""Where a tokenised document lies; the ids themselves are a flat little-endian file beside it."""

RUN = pa.schema(
    [
        arrow.field("step", pa.int64()),
        arrow.field("tokens", pa.int64(), unit="tokens trained on so far"),
        arrow.field("flops", pa.float64(), unit="FLOP so far"),
        arrow.field("learning_rate", pa.float64()),
        arrow.field("loss_nats_per_token", pa.float64(), unit="nats per token, training batch"),
        arrow.field("grad_norm", pa.float64()),
        arrow.field("skipped", pa.bool_(), unit="whether the step's update was left out"),
    ]
)
"""A logged training step."""

OUTCOMES = pa.schema(
    [
        arrow.field("item", pa.large_string(), unit="id of the scored item"),
        arrow.field("domain", pa.large_string()),
        arrow.field("log_likelihood_nats", pa.float64(), unit="nats, whole item"),
        arrow.field("n_tokens", pa.int64(), unit="tokens"),
        arrow.field("n_bytes", pa.int64(), unit="UTF-8 bytes"),
    ]
)
"""A scored item."""


class DocumentBatch:
    """Some documents, as methods see them: immutable columns, and a memory for what is derived from them.

    Args:
        rows: a table of schema DOCUMENTS.
        token_ids: flat token ids of all rows and offsets (rows + 1), where the documents are tokenised.
    """

    def __init__(
        self, rows: pa.Table, token_ids: tuple[npt.NDArray[np.integer[Any]], npt.NDArray[np.int64]] | None = None
    ) -> None:
        self.rows = rows
        self._token_ids = token_ids
        self._derived: dict[object, object] = {}

    def __len__(self) -> int:
        return self.rows.num_rows

    @classmethod
    def of(cls, texts: list[str], **columns: list[str] | list[int]) -> DocumentBatch:
        """Documents made from texts in memory, for tests and notebooks; ids hash position and text."""
        from seedbed.core.fingerprint import hash_bytes

        given: dict[str, Any] = {"text": texts, **columns}
        for name in ("url", "source", "language", "date", "file", "metadata"):
            given.setdefault(name, [""] * len(texts))
        given.setdefault("offset", list(range(len(texts))))
        encoded = (text.encode("utf-8", "surrogatepass") for text in texts)
        given["id"] = [hash_bytes(i.to_bytes(8, "little"), text) for i, text in enumerate(encoded)]
        return cls(arrow.table({name: given[name] for name in DOCUMENTS.names}, DOCUMENTS))

    @property
    def ids(self) -> list[bytes]:
        """Document ids, 16 bytes each."""
        return cast("list[bytes]", cast(Any, self.rows.column("id")).to_pylist())

    def text_buffers(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """(bytes, offsets): document i is bytes[offsets[i]:offsets[i+1]] in UTF-8."""
        return self.derive(_text_buffers)

    def texts(self) -> list[str]:
        """The texts as Python strings, where a library needs them."""
        return self.derive(_texts)

    def column(self, name: str) -> list[str]:
        """url, source, language, date, file or metadata as Python strings; missing values are empty."""
        return [value or "" for value in arrow.strings(self.rows, name)]

    @property
    def token_ids(self) -> tuple[npt.NDArray[np.integer[Any]], npt.NDArray[np.int64]]:
        """(ids, offsets): document i is ids[offsets[i]:offsets[i+1]]. Raises where the batch is not tokenised."""
        if self._token_ids is None:
            raise ValueError("these documents carry no tokens; the method must be asked over a tokenised pool")
        return self._token_ids

    def derive(self, function: Callable[[DocumentBatch], T]) -> T:
        """`function(self)`, computed once a batch and shared by all methods that ask for it."""
        if function not in self._derived:
            self._derived[function] = function(self)
        return cast(T, self._derived[function])

    def some(self, rows: npt.NDArray[np.int64]) -> DocumentBatch:
        """The documents at `rows`, in that order."""
        table = arrow.take(self.rows, rows)
        if self._token_ids is None:
            return DocumentBatch(table)
        ids, offsets = self._token_ids
        size_N = np.diff(offsets)[rows]
        end_N = np.cumsum(size_N)
        shift_N: npt.NDArray[np.int64] = offsets[:-1][rows] - (end_N - size_N)
        place = np.repeat(shift_N, size_N) + np.arange(int(size_N.sum()))
        return DocumentBatch(table, (ids[place], np.concatenate([[0], end_N]).astype(np.int64)))

    def one(self, row: int) -> DocumentBatch:
        """One document alone."""
        tokens = None
        if self._token_ids is not None:
            ids, offsets = self._token_ids
            piece = ids[offsets[row] : offsets[row + 1]]
            tokens = (piece, np.array([0, len(piece)], np.int64))
        return DocumentBatch(self.rows.slice(row, 1), tokens)


def _text_buffers(batch: DocumentBatch) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    return arrow.text_buffers(batch.rows, "text")


def _texts(batch: DocumentBatch) -> list[str]:
    return [text or "" for text in arrow.strings(batch.rows, "text")]


@dataclasses.dataclass(frozen=True)
class Signal:
    """One number (or short text) measured on a document.

    Args:
        name: column name.
        unit: words, bytes, fraction, nats per token, ...
        kind: "float", "int" or "text".
        low, high: the range it can take; a threshold outside can never fire, and the plan says so.
    """

    name: str
    unit: str
    kind: str = "float"
    low: float = float("-inf")
    high: float = float("inf")

    def field(self) -> pa.Field[Any]:
        """The Arrow column."""
        types = {"float": pa.float64(), "int": pa.int64(), "text": pa.large_string(), "hash": pa.uint64()}
        return arrow.field(self.name, types[self.kind], unit=self.unit)


def signals_schema(signals: tuple[Signal, ...]) -> pa.Schema:
    """The schema of a Signals table: `id` is left to the Documents shard of the same row order."""
    return pa.schema([signal.field() for signal in signals])
