"""Every method over text, over a zoo of texts: finite, of its schema, blind to its neighbours, repeatable."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from seedbed import catalogue
from seedbed.core.method import Method
from seedbed.core.nouns import DocumentBatch, signals_schema
from seedbed.curate.contract import Deduper, Edit, Extractor, Filter, Record

PROSE = "The river rose in the night, and by the morning the lower meadows were under water. "
ZOO = {
    "empty": "",
    "one letter": "a",
    "one emoji": "\U0001f600",
    "white space": " \t\n\r\n \u00a0\u2003\u3000 ",
    "prose": PROSE * 3,
    "prose again": PROSE * 3,
    "100,000 characters": (PROSE * 1200)[:100_000],
    "100,000 emoji": "\U0001f469\u200d\U0001f33e" * 33_333,
    "one long word": "x" * 100_000,
    "many newlines": "\n" * 50_000,
    "many lines": "a b\n" * 5_000,
    "NUL": "a\0b\0\0\nc\0",
    "only NUL": "\0" * 100,
    "CJK": "天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。" * 20,
    "RTL": "\u202bשלום עולם\u202c مرحبا بالعالم، كيف حالكم؟\u200f",
    "combining": "e\u0301" * 500 + "\u0301" * 500,
    "control": "".join(map(chr, range(32))) + "\x7f\x80\x85\x9f\u2028\u2029\ufeff",
    "private and last": "\ue000\ufffd\uffff\U0010ffff",
    "punctuation": "... !!! ??? --- ### {}[]()<> “”‘’ … • - *\n" * 50,
    "markup": "<html><body><p>" + PROSE + "</p><script>lorem ipsum javascript {</script>",
    "numbers": "1 2,3 4.5 -6e7 ½ ² Ⅷ १२३ " * 40,
    "Turkish and German": "İstanbul ısı straße GROẞ ŐŰ ǅ ﬁ",
}
TEXTS = list(ZOO.values())
COUNT = len(TEXTS)


def of_kind(kind: type[Method]) -> list[str]:
    return [path for path in catalogue.all_paths() if issubclass(catalogue.load(path), kind)]


TEXT_METHODS = of_kind(Edit) + of_kind(Filter) + of_kind(Deduper)


def documents(texts: list[str]) -> DocumentBatch:
    return DocumentBatch.of(texts, url=[_url(text) for text in texts], language=["en"] * len(texts))


def _url(text: str) -> str:
    """The same for the same text, so that what is the same by text is the same by URL."""
    return f"http://a.example/{hashlib.sha256(text.encode()).hexdigest()}"


def result(method: Method, batch: DocumentBatch) -> pa.Table:
    if isinstance(method, Edit):
        return pa.table({"text": method.edit(batch).texts})
    if isinstance(method, Filter):
        return method.measure(batch)
    assert isinstance(method, Deduper)
    return method.signatures(batch)


def bits(rows: pa.Table) -> list[tuple[Any, ...]]:
    """Each row, to the bit: two NaN are equal, 0.0 and -0.0 are not."""
    columns = [
        [x.hex() if isinstance(x, float) else x for x in rows.column(name).to_pylist()] for name in rows.column_names
    ]
    return list(zip(*columns, strict=True))


def digest(batch: DocumentBatch) -> str:
    hashed = hashlib.sha256()
    for column in batch.rows.columns:
        for chunk in column.chunks:
            for buffer in chunk.buffers():
                hashed.update(buffer.to_pybytes() if buffer is not None else b"-")
    return hashed.hexdigest()


@pytest.mark.parametrize("path", TEXT_METHODS)
def test_results_have_their_schema_and_are_finite(path: str) -> None:
    method = catalogue.load(path)()
    rows = result(method, documents(TEXTS))
    assert rows.num_rows == COUNT
    if isinstance(method, Filter):
        assert rows.schema.equals(signals_schema(method.signals), check_metadata=True)
    if isinstance(method, Deduper):
        assert rows.schema.equals(signals_schema(method.signature_signals()), check_metadata=True)
    for field in rows.schema:
        values = rows.column(field.name)
        assert values.null_count == 0, field.name
        if pa.types.is_floating(field.type):
            assert np.isfinite(values.to_numpy()).all(), field.name
    if isinstance(method, Filter):
        for signal in method.signals:
            if signal.kind in ("float", "int"):
                values = rows.column(signal.name).to_numpy()
                assert ((values >= signal.low) & (values <= signal.high)).all(), signal.name


@pytest.mark.parametrize("path", TEXT_METHODS)
def test_no_documents_give_no_rows(path: str) -> None:
    method = catalogue.load(path)()
    assert result(method, documents([])).num_rows == 0
    if isinstance(method, Filter):
        assert all(len(broken) == 0 for broken in method.failures(result(method, documents([]))).values())
    if isinstance(method, Deduper):
        assert method.groups(result(method, documents([]))).shape == (0,)


@pytest.mark.parametrize("path", TEXT_METHODS)
def test_inputs_are_left_as_they_were_and_results_repeat(path: str) -> None:
    batch = documents(TEXTS)
    before = digest(batch)
    first = bits(result(catalogue.load(path)(), batch))
    assert digest(batch) == before
    assert bits(result(catalogue.load(path)(), batch)) == first, "the same batch again"
    assert bits(result(catalogue.load(path)(), documents(TEXTS))) == first, "the same documents again"


@pytest.mark.parametrize("path", TEXT_METHODS)
def test_a_document_does_not_see_its_neighbours(path: str) -> None:
    method = catalogue.load(path)()
    whole = bits(result(method, documents(TEXTS)))
    batch = documents(TEXTS)
    alone = [bits(result(method, batch.one(row)))[0] for row in range(COUNT)]
    assert alone == whole, "a slice of the batch"
    assert [bits(result(method, documents([text])))[0] for text in TEXTS] == whole, "a batch of its own"
    for row in range(COUNT):
        others = [PROSE[::-1], TEXTS[row], "\0" * 7]
        assert bits(result(method, documents(others)))[1] == whole[row], "other neighbours"


@pytest.mark.parametrize("path", TEXT_METHODS)
def test_the_order_of_documents_is_the_order_of_rows(path: str) -> None:
    method = catalogue.load(path)()
    whole = bits(result(method, documents(TEXTS)))
    order = np.random.default_rng(3).permutation(COUNT)
    shuffled = bits(result(method, documents([TEXTS[i] for i in order])))
    assert shuffled == [whole[i] for i in order]


@pytest.mark.parametrize("path", of_kind(Filter))
def test_failures_are_one_verdict_a_rule_and_document(path: str) -> None:
    method = catalogue.load(path)()
    assert isinstance(method, Filter)
    signals = method.measure(documents(TEXTS))
    verdicts = method.failures(signals)
    assert list(verdicts) == [rule.name for rule in method.rules if getattr(method, rule.name) is not None]
    assert all(broken.shape == (COUNT,) and broken.dtype == np.bool_ for broken in verdicts.values())
    assert {rule.signal for rule in method.rules} <= {signal.name for signal in method.signals}
    fields = {rule.name for rule in method.rules}
    assert fields <= set(method.measuring()["parameters"]) | set(method.identity()["parameters"])  # pyright: ignore


@pytest.mark.parametrize("path", of_kind(Deduper))
def test_groups_are_named_by_their_smallest_row_in_any_order(path: str) -> None:
    method = catalogue.load(path)()
    assert isinstance(method, Deduper)
    groups = method.groups(method.signatures(documents(TEXTS)))
    first = list(ZOO).index("prose")
    assert groups[first] == groups[first + 1] == first, "identical documents are one group"
    assert all(groups[group] == group and group <= row for row, group in enumerate(groups))
    order = np.random.default_rng(5).permutation(COUNT)
    shuffled = method.groups(method.signatures(documents([TEXTS[i] for i in order])))
    parted = {frozenset(np.flatnonzero(groups == group)) for group in groups}
    assert {frozenset(order[np.flatnonzero(shuffled == group)]) for group in shuffled} == parted


@pytest.mark.parametrize("path", of_kind(Edit))
def test_an_edit_can_be_stored(path: str) -> None:
    method = catalogue.load(path)()
    assert isinstance(method, Edit)
    for text in method.edit(documents(TEXTS)).texts.to_pylist():
        text.encode()


@pytest.mark.parametrize("path", of_kind(Extractor))
def test_an_extractor_gives_text_for_any_page(path: str) -> None:
    method = catalogue.load(path)()
    assert isinstance(method, Extractor)
    for text in TEXTS:
        for content in (text.encode(), f"<html><body><p>{text}</p></body></html>".encode(), text.encode("utf-16")):
            record = Record(0, content, "html")
            found = method.extract(record)
            found.encode()
            assert found == method.extract(record)
            assert record.content == content
    page = f"<html><body><article><p>{PROSE}</p><p>{PROSE}</p></article></body></html>"
    assert PROSE.strip() in method.extract(Record(0, page.encode(), "html"))


def test_the_comparison_of_bits_can_fail() -> None:
    assert bits(pa.table({"x": [0.0]})) != bits(pa.table({"x": [-0.0]}))
    assert bits(pa.table({"x": [0.1 + 0.2]})) != bits(pa.table({"x": [0.3]}))
