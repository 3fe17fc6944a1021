"""Word boundaries of UAX 29. Expected words are those of uniseg 0.10.1 that begin with a letter or digit."""

import pytest

from seedbed.core.nouns import DocumentBatch
from seedbed.text.words.uniseg import alphanumeric, uniseg_words

CASES = [
    ("", []),
    ("The quick (“brown”) fox can’t jump 32.3 feet, right?",
     ["The", "quick", "brown", "fox", "can’t", "jump", "32.3", "feet", "right"]),
    ("e.g. U.S.A. a.b: it's o'clock' 'tis", ["e.g", "U.S.A", "a.b", "it's", "o'clock", "tis"]),
    ("3,500.75 1.2.3 1, 2 3'4 5;6 7:8", ["3,500.75", "1.2.3", "1", "2", "3'4", "5;6", "7", "8"]),
    ("snake_case _x x_ 1_000 a1b2", ["snake_case", "x_", "1_000", "a1b2"]),
    ("צה״ל של׳ ״ש", ["צה״ל", "של׳", "ש"]),
    ("天地 かな カタカナ ー漢", ["天", "地", "か", "な", "カタカナ", "ー", "漢"]),
    ("e\u0301a\u0308b\u200dc \u0308d", ["e\u0301a\u0308b\u200dc", "d"]),
    ("a\r\nb\nc\x85d", ["a", "b", "c", "d"]),
    ("x\u2028\u0308y", ["x", "y"]),
    ("x²y ½ Ⅷ ①", ["x", "²", "y", "½", "Ⅷ", "①"]),
    ("🇩🇪🇫🇷a 👩\u200d🌾b ™\u200d™c", ["a", "b", "c"]),
    ("ไทย ລາວ", ["ไ", "ท", "ย", "ລ", "າ", "ວ"]),
    ("a:b a·b a\u2019 1\u20192 a\u02d7", ["a:b", "a·b", "a", "1\u20192", "a\u02d7"]),
    ("한국어 नमस्ते Ελλάδα", ["한국어", "नमस्ते", "Ελλάδα"]),
]  # fmt: skip


def found(text):
    documents = DocumentBatch.of([text])
    data, words = documents.text_buffers()[0].tobytes(), uniseg_words(documents)
    return [data[a:b].decode() for a, b in zip(words.start.tolist(), words.end.tolist(), strict=True)]


@pytest.mark.parametrize(("text", "words"), CASES)
def test_words(text, words):
    assert found(text) == words


def test_a_batch_is_its_documents():
    documents = DocumentBatch.of([text for text, _ in CASES])
    assert uniseg_words(documents).per_document.tolist() == [len(words) for _, words in CASES]


def test_alphanumeric_is_pythons():
    flags = alphanumeric()
    assert [code for code in range(0x110000) if chr(code).isalnum() != flags[code]] == []
