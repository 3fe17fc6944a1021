"""What other tools left: read as documents with their numbers, and the numbers as signals with thresholds."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.contract import Reader
from seedbed.curate.filters.imported import Imported
from seedbed.curate.readers.jsonl import Jsonl
from seedbed.curate.readers.parquet import Parquet


def gz(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return file


def documents(reader: Reader, file: Path) -> DocumentBatch:
    reader.check(file)
    records = list(reader.records(file))
    assert {record.kind for record in records} == {"text"}, [record.error for record in records]
    about = {name: [getattr(r, name) for r in records] for name in ("url", "language", "date", "metadata")}
    return DocumentBatch.of([record.text for record in records], **about)


TEXTS = ["First text.", "Second text, which is longer.", "Third."]


def dolma(folder: Path) -> Path:
    """As `dolma tag` writes: documents/ and attributes/NAME/ with the same file names, a line for a line."""
    rows = [
        {"id": f"d{i}", "text": text, "source": "cc", "added": "2024-05-01T00:00:00.000Z", "created": "2023-01-02"}
        for i, text in enumerate(TEXTS)
    ]
    scores = [0.9, 0.2, 0.6]
    tags = [
        {"id": f"d{i}", "attributes": {"exp__quality__doc": [[0, len(text), scores[i]]]}, "source": "cc"}
        for i, text in enumerate(TEXTS)
    ]
    spans = [[[0, 5, 1.0], [5, 10, 0.0]], [], [[0, 6, 0.25]]]
    toxic = [{"id": f"d{i}", "attributes": {"toxic__tox__span": spans[i]}, "source": "cc"} for i in range(3)]
    gz(folder / "attributes" / "exp" / "v0" / "0000.json.gz".replace("json", "jsonl"), tags)
    gz(folder / "attributes" / "toxic" / "v0" / "0000.jsonl.gz", toxic)
    return gz(folder / "documents" / "v0" / "0000.jsonl.gz", rows)


def test_dolma_attributes_become_signals(tmp_path: Path) -> None:
    reader = Jsonl(attributes=("exp", "toxic"), date_field="created")
    batch = documents(reader, dolma(tmp_path))
    assert batch.texts() == TEXTS
    assert batch.column("date") == ["2023-01-02"] * 3
    method = Imported(
        fields=("attributes.exp__quality__doc", "attributes.toxic__tox__span"),
        min_values=(0.5, None),
        max_values=(None, 0.4),
    )
    signals = method.measure(batch)
    assert signals.column("attributes_exp__quality__doc").to_pylist() == [0.9, 0.2, 0.6]
    assert signals.column("attributes_toxic__tox__span").to_pylist() == [0.5, 0.0, 0.25]
    assert signals.column("missing_mask").to_pylist() == [0, 2, 0], "no span is no number"
    broken = {name: verdict.tolist() for name, verdict in method.failures(signals).items()}
    assert broken == {
        "min_attributes_exp__quality__doc": [False, True, False],
        "max_attributes_toxic__tox__span": [True, False, False],
    }


def test_attributes_of_another_document_or_none_are_told(tmp_path: Path) -> None:
    file, reader = dolma(tmp_path), Jsonl(attributes=("exp",))
    rows = [{"id": f"d{i}", "attributes": {"x": [[0, 1, 1.0]]}} for i in (0, 2, 1)]
    gz(tmp_path / "attributes" / "exp" / "v0" / "0000.jsonl.gz", rows)
    records = list(reader.records(file))
    assert [record.error[0] if record.error else record.kind for record in records] == [
        "text",
        "other_document",
        "other_document",
    ]
    assert reader.companions(file) == (tmp_path / "attributes" / "exp" / "v0" / "0000.jsonl.gz",)
    with pytest.raises(SeedbedError, match="attributes are not there"):
        Jsonl(attributes=("gone",)).check(file)


def test_datatrove_jsonl_keeps_its_metadata(tmp_path: Path) -> None:
    """As datatrove's JsonlWriter writes: text, id and metadata, with the URL and the numbers of its filters inside."""
    told = {"url": "http://a.example/1", "date": "2024-05-01T10:20:30Z", "language": "en", "language_score": 0.97}
    rows = [
        {"text": text, "id": f"<urn:uuid:{i}>", "metadata": {**told, "token_count": i}} for i, text in enumerate(TEXTS)
    ]
    file = gz(tmp_path / "00000.jsonl.gz", rows)
    reader = Jsonl(url_field="metadata.url", date_field="metadata.date", language_field="metadata.language")
    batch = documents(reader, file)
    assert batch.column("url") == ["http://a.example/1"] * 3
    assert batch.column("date") == ["2024-05-01T10:20:30Z"] * 3
    assert batch.column("language") == ["en"] * 3
    signals = Imported(fields=("language_score", "token_count", "gone")).measure(batch)
    assert signals.column("token_count").to_pylist() == [0, 1, 2]
    assert signals.column("missing_mask").to_pylist() == [4, 4, 4]


def test_nemo_parquet_columns_become_metadata(tmp_path: Path) -> None:
    """As NeMo Curator writes: a column a score beside the text."""
    columns = {"text": TEXTS, "id": ["a", "b", "c"], "url": ["http://a/"] * 3, "quality_score": [0.1, None, 2.5]}
    columns |= {"is_toxic": [True, False, True], "spans": [[1, 2], [], [3]]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    batch = documents(Parquet(metadata_columns=("*",)), tmp_path / "a.parquet")
    assert json.loads(batch.column("metadata")[0]) == {
        "id": "a",
        "quality_score": 0.1,
        "is_toxic": True,
        "spans": [1, 2],
    }
    method = Imported(fields=("quality_score", "is_toxic"), min_values=(0.5,), max_values=(None, 0.5), missing="fails")
    signals = method.measure(batch)
    assert signals.column("is_toxic").to_pylist() == [1, 0, 1]
    assert [v.tolist() for v in method.failures(signals).values()] == [[True, True, False], [True, False, True]]
    few = documents(Parquet(metadata_columns=("quality_score",)), tmp_path / "a.parquet")
    assert json.loads(few.column("metadata")[2]) == {"quality_score": 2.5}
    assert documents(Parquet(), tmp_path / "a.parquet").column("metadata") == [""] * 3


def test_other_fields_of_jsonl_can_join_the_metadata(tmp_path: Path) -> None:
    file = gz(tmp_path / "a.jsonl.gz", [{"text": "x", "url": "u", "score": 3, "metadata": {"a": 1}, "n": {"b": 2}}])
    for names, told in (
        ((), {"a": 1}),
        (("score",), {"a": 1, "score": 3}),
        (("*",), {"a": 1, "score": 3, "n": {"b": 2}}),
    ):
        assert json.loads(documents(Jsonl(metadata_fields=names), file).column("metadata")[0]) == told


@pytest.mark.parametrize("value", ["null", '"7"', "[]", "{}", "[[0, 1]]", "1e999", '[["a", "b", "c"]]', "NaN"])
def test_what_is_no_finite_number_is_missing(value: str) -> None:
    batch = DocumentBatch.of(["a", "b", "c"], metadata=[f'{{"x": {value}}}', "", "no json"])
    signals = Imported(fields=("x",)).measure(batch)
    assert signals.column("missing_mask").to_pylist() == [1, 1, 1]
    assert signals.column("x").to_pylist() == [0, 0, 0]


def test_a_field_whose_name_has_dots_is_found() -> None:
    batch = DocumentBatch.of(["a"], metadata=['{"a.b": 1, "c": {"d.e": 2, "f": {"g": 3}}}'])
    signals = Imported(fields=("a.b", "c.d.e", "c.f.g")).measure(batch)
    assert [signals.column(i)[0].as_py() for i in range(3)] == [1, 2, 3]


def test_thresholds_are_no_part_of_the_measurement() -> None:
    strict, loose = Imported(fields=("x",), min_values=(5.0,)), Imported(fields=("x",), max_values=(5.0,))
    assert strict.measuring() == loose.measuring() != Imported(fields=("y",)).measuring()
    assert [rule.name for rule in strict.rules] == ["min_x"]
    assert Imported.from_parameters(strict.to_json(), "imported") == strict


def test_parameters_that_cannot_be_meant_are_refused() -> None:
    for wrong in ({"fields": ("a.b", "a_b")}, {"fields": ("a",), "min_values": (1.0, 2.0)}, {"min_values": (1.0,)}):
        with pytest.raises(RecipeError, match="fields"):
            Imported(**wrong)  # type: ignore[arg-type]
