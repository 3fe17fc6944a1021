"""Files of labels made elsewhere, by people or models: JSON lines, CSV or Parquet, a row a label.

Pairs      first, second, criterion, and probability (that the first is better) or votes_first and votes_second
Ratings    id, a column for each criterion (1 to 5), and domain

Documents are named by their id in hex, 32 digits or the first 8 and more of them.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import orjson

from seedbed.core import arrow
from seedbed.core.errors import RecipeError, SeedbedError, did_you_mean
from seedbed.core.fingerprint import hash_file
from seedbed.core.nouns import DOCUMENTS, DocumentBatch
from seedbed.core.parameters import Json
from seedbed.core.streams import BrokenStream, pieces
from seedbed.select.contract import Judge

FloatArray = npt.NDArray[np.float64]
Row = dict[str, object]
RowNumbers = npt.NDArray[np.int64]

LOW, HIGH = 1, 5
"""What a rating can be."""
_SHORTEST_ID, _WHOLE_ID = 8, 32


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Judgements on P pairs.

    Args:
        first, second: documents, by the start of their ids in hex.
        criterion: of each judgement.
        probability_P: that the first is better.
        names: the place of each row, for errors.
    """

    first: list[str]
    second: list[str]
    criterion: list[str]
    probability_P: FloatArray
    names: list[str]


@dataclasses.dataclass(frozen=True)
class Ratings:
    """Ratings of N documents by K criteria.

    Args:
        documents: by the start of their ids in hex.
        rating_NK: from 1 to 5.
        domain: of each.
        names: the place of each row, for errors.
    """

    documents: list[str]
    rating_NK: FloatArray
    domain: list[str]
    names: list[str]


def read_pairs(file: str, criteria: Sequence[str], where: str) -> Pairs:
    """The pairs of a file. Raises SeedbedError naming file, row and field; RecipeError at `where` for no such file."""
    found = Pairs([], [], [], np.zeros(0), [])
    probabilities: list[float] = []
    for place, row in _rows(file, where):
        found.first.append(_id(row, "first", place))
        found.second.append(_id(row, "second", place))
        if found.first[-1] == found.second[-1]:
            raise SeedbedError(place, "first and second are the same document")
        found.criterion.append(_one_of(row, "criterion", criteria, place))
        probabilities.append(_probability(row, place))
        found.names.append(place)
    return dataclasses.replace(found, probability_P=np.array(probabilities))


def read_ratings(file: str, criteria: Sequence[str], domains: Sequence[str], where: str) -> Ratings:
    """The ratings of a file. Raises as `read_pairs`, also for a document that is rated twice."""
    found = Ratings([], np.zeros((0, len(criteria))), [], [])
    ratings: list[list[float]] = []
    seen: dict[str, str] = {}
    for place, row in _rows(file, where):
        found.documents.append(_id(row, "id", place))
        if found.documents[-1] in seen:
            raise SeedbedError(place, f"this document is rated already at {seen[found.documents[-1]]}")
        seen[found.documents[-1]] = place
        ratings.append([_number(row, name, LOW, HIGH, place) for name in criteria])
        found.domain.append(_one_of(row, "domain", domains, place))
        found.names.append(place)
    return dataclasses.replace(found, rating_NK=np.array(ratings).reshape(-1, len(criteria)))


def labelled(
    pool: Iterable[DocumentBatch], wanted: Sequence[str], names: Sequence[str]
) -> tuple[DocumentBatch, RowNumbers]:
    """(the documents of the pool that are named, the row of each of `wanted` among them, -1 where it is not there).

    One pass; the documents come without tokens. Raises SeedbedError for the start of an id that two documents share,
    and where more than half are missing.
    """
    place = dict(zip(reversed(wanted), reversed(names), strict=True))
    lengths = sorted({len(start) for start in wanted})
    row_of: dict[str, int] = {}
    kept: list[DocumentBatch] = []
    for batch in pool:
        for at, key in enumerate(batch.ids):
            digits = key.hex()
            starts = [digits[:length] for length in lengths if digits[:length] in place]
            for start in starts:
                if start in row_of:
                    what = f"the id {start} is the start of more than one document's"
                    raise SeedbedError(place[start], what, "Write more of its 32 digits.")
                row_of[start] = len(kept)
            if starts:
                kept.append(batch.one(at))
    row_P = np.array([row_of.get(start, -1) for start in wanted], np.int64)
    missing = [at for at, row in enumerate(row_P.tolist()) if row < 0]
    if len(missing) * 2 > len(wanted):
        what = f"{len(missing)} of {len(wanted)} documents are not in the pool, such as {wanted[missing[0]]}"
        raise SeedbedError(names[missing[0]], what, "Labels must be of the pool that is chosen from.")
    return DocumentBatch(arrow.concat([batch.rows for batch in kept], DOCUMENTS)), row_P


def origin(labels: str, judge: Judge, where: str) -> dict[str, Json]:
    """What a fingerprint covers of where labels come from: the file's content, or what shapes a judge's answers."""
    if labels:
        return {"labels": hash_file(_existing(labels, where)), "judge": None}
    told: dict[str, Json] = {"model": judge.model, "temperature": judge.temperature, "max_tokens": judge.max_tokens}
    return {"labels": "", "judge": told}


def _existing(file: str, where: str) -> Path:
    path = Path(file)
    if not path.is_file():
        raise RecipeError(where, f"there is no file {file!r}", "Give a file of labels: .jsonl, .csv or .parquet.")
    return path


def _rows(file: str, where: str) -> Iterator[tuple[str, Row]]:
    """(place of the row for errors, its fields)."""
    path = _existing(file, where)
    suffix = Path(path.stem).suffix if path.suffix in (".gz", ".zst", ".bz2") else path.suffix
    if suffix == ".parquet":
        rows = enumerate(cast("list[Row]", cast(Any, arrow.read_parquet(path)).to_pylist()), start=1)
    elif suffix == ".csv":
        rows = _csv_rows(path)
    elif suffix in (".jsonl", ".ndjson"):
        rows = _json_rows(path)
    else:
        raise RecipeError(where, f"{file!r} is no .jsonl, .csv or .parquet file", "Name the file after its format.")
    first = next(iter_rows := iter(rows), None)
    if first is None:
        raise SeedbedError(file, "there is no label in it", "Give a file with a row a label.")
    for number, row in itertools.chain([first], iter_rows):
        yield f"{path.name}, row {number}", row


def _csv_rows(path: Path) -> Iterator[tuple[int, Row]]:
    try:
        reader = csv.DictReader(io.StringIO(_text(path), newline=""))
        yield from enumerate((cast(Row, dict(row)) for row in reader), start=1)
    except csv.Error as error:
        raise SeedbedError(path.name, f"this is no CSV: {error}") from None


def _json_rows(path: Path) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row: object = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise SeedbedError(f"{path.name}, row {number}", f"this is no JSON: {error}") from None
        if not isinstance(row, dict):
            raise SeedbedError(f"{path.name}, row {number}", "this is no JSON object", "Write one object a line.")
        yield number, cast(Row, row)


def _text(path: Path) -> str:
    try:
        return b"".join(pieces(path)).decode("utf-8-sig")
    except (BrokenStream, UnicodeDecodeError) as error:
        raise SeedbedError(path.name, f"it cannot be read: {error}") from None


def _id(row: Row, field: str, place: str) -> str:
    value = _field(row, field, place)
    digits = value.hex() if isinstance(value, bytes) else str(value).strip().lower()
    if not _SHORTEST_ID <= len(digits) <= _WHOLE_ID or digits.strip("0123456789abcdef"):
        mend = f"An id is {_WHOLE_ID} hex digits, or the first {_SHORTEST_ID} and more of them."
        raise SeedbedError(place, f"{field} is {value!r}, no document's id", mend)
    return digits


def _probability(row: Row, place: str) -> float:
    if row.get("probability") not in (None, ""):
        return _number(row, "probability", 0.0, 1.0, place)
    if "votes_first" not in row and "votes_second" not in row:
        raise SeedbedError(place, "probability is missing", "Give it, or votes_first and votes_second.")
    votes = [_number(row, field, 0.0, float("inf"), place) for field in ("votes_first", "votes_second")]
    if sum(votes) == 0:
        raise SeedbedError(place, "votes_first and votes_second are both 0", "Leave out pairs without a vote.")
    return votes[0] / sum(votes)


def _number(row: Row, field: str, low: float, high: float, place: str) -> float:
    value = _field(row, field, place)
    try:
        number = float("nan") if isinstance(value, bool) else float(cast(Any, value))
    except (TypeError, ValueError):
        number = float("nan")
    if not low <= number <= high or number == float("inf"):
        allowed = f"from {low:g} to {high:g}" if high < float("inf") else f"of at least {low:g}"
        raise SeedbedError(place, f"{field} is {value!r}", f"Give a number {allowed}.")
    return number


def _one_of(row: Row, field: str, known: Sequence[str], place: str) -> str:
    value = str(_field(row, field, place)).strip()
    if value not in known:
        raise SeedbedError(place, f"{field} is {value!r}", did_you_mean(value, known))
    return value


def _field(row: Row, field: str, place: str) -> object:
    value = row.get(field)
    if value is None or value == "":
        raise SeedbedError(place, f"{field} is missing", f"Its fields are: {', '.join(map(str, row))}.")
    return value
