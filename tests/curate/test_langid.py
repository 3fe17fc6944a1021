"""Langid against py3langid itself."""

import importlib.util

import numpy as np
import pytest

from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters import langid
from seedbed.curate.filters.langid import Langid
from tests.conftest import sample_texts
from tests.curate.test_language import SAMPLES

TEXTS = [
    *SAMPLES.values(),
    SAMPLES["en"].upper(),
    "cafe\u0301 creme bru\u0302le\u0301e",
    "Србија је држава у Европи. Srbija je država.",
    "1234 --- 5678",
    *(row["text"] for row in sample_texts()[:12]),
]


def test_py3langid_agrees():
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    theirs = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    found = Langid(first_bytes=1 << 40).measure(DocumentBatch.of(TEXTS)).to_pylist()
    for row, text in zip(found, TEXTS, strict=True):
        language, score = theirs.classify(text)
        assert row["language"] == language
        assert row["language_score"] == pytest.approx(score, abs=1e-3)


def test_a_sample_says_what_the_whole_says():
    batch = DocumentBatch.of([text * 40 for text in SAMPLES.values()])
    part = Langid().measure(batch).column("language").to_pylist()
    assert part == Langid(first_bytes=1 << 40).measure(batch).column("language").to_pylist() == list(SAMPLES)


def test_text_without_language():
    found = Langid().measure(DocumentBatch.of(["", "\x00\x01", "x"]))
    assert found.column("language").to_pylist()[:2] == ["", ""]
    assert found.column("language_score").to_pylist()[:2] == [0, 0]
    assert np.isfinite(found.column("language_score").to_numpy()).all()


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "py3langid" else find(name))
    for cached in (langid._model, langid._content):
        cached.cache_clear()
    with pytest.raises(SeedbedError, match=r'pip install "seedbed\[langid\]"'):
        Langid().measure(DocumentBatch.of(["x"]))
    assert Langid().identity()["model"] == "missing"
    for cached in (langid._model, langid._content):
        cached.cache_clear()
