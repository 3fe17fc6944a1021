"""Two dialects of a filter on the same documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from seedbed import api
from seedbed.core.errors import RecipeError
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.gopher_quality import GopherQuality


def test_it_shows_the_documents_that_two_dialects_disagree_on(corpus: Path, asked: Path) -> None:
    found = api.compare_dialects("gopher_quality", "paper", "datatrove", corpus)
    parts = (found.kept_by_both, found.kept_by_first, found.kept_by_second, found.kept_by_none)
    assert sum(parts) == found.documents == 32
    assert found.agreement == (parts[0] + parts[3]) / 32
    assert parts[1] + parts[2] > 0, "these pages hold none that they disagree on"
    filters = {dialect: GopherQuality(dialect=dialect) for dialect in ("paper", "datatrove")}
    for example in found.examples:
        text = api.Corpus(asked).why(example.id).text if example.url else None
        if text is None:
            continue
        verdicts = {}
        for i, (dialect, asked_filter) in enumerate(filters.items()):
            signals = asked_filter.measure(DocumentBatch.of([text]))
            verdicts[dialect] = not any(broken[0] for broken in asked_filter.failures(signals).values())
            if example.values[i] is not None:
                assert signals.column(example.signal)[0].as_py() == pytest.approx(example.values[i])
        assert [dialect for dialect, kept in verdicts.items() if kept] == [example.kept_by]
    stored = api.compare_dialects("gopher_quality", "paper", "datatrove", asked)
    assert (stored.documents, stored.rules) == (found.documents, found.rules)
    assert api.compare_dialects("gopher_quality", "paper", "datatrove", asked, max_documents=7).documents == 7


@pytest.mark.parametrize(
    ("method", "dialect", "message"),
    [("size", "paper", "has no dialects.*gopher_quality"), ("gopher_quality", "dcml", "Did you mean 'dclm'")],
)
def test_what_cannot_be_compared_is_said(asked: Path, method: str, dialect: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        api.compare_dialects(method, dialect, "paper", asked)
