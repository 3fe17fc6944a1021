"""Each dialect gives what the code it is named after gave: datatrove 0.10.1, dolma 1.2.1, DCLM 361714b.

golden/dialects.json holds the peers' own numbers and verdicts on texts that they disagree on, written by
benchmarks/conformance/curate/freeze.py. The table here are the cases that a reader should know, with the same numbers.
"""

import json
from pathlib import Path

import pytest

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.fineweb_quality import FinewebQuality
from seedbed.curate.filters.gopher_quality import GopherQuality
from seedbed.curate.filters.gopher_repetition import GopherRepetition

FROZEN = json.loads(Path(__file__).with_name("golden").joinpath("dialects.json").read_text())
METHODS = {kind.name(): kind for kind in (GopherQuality, GopherRepetition, FinewebQuality)}
DIALECTS = ("paper", "datatrove", "dolma_v1", "dolma_v2", "dclm")
PAIRS = sorted({(method, d) for row in FROZEN["texts"] for d, told in row["answers"].items() for method in told})
BLANK = ("", " \n\t\n ")


@pytest.mark.parametrize(("method", "dialect"), PAIRS)
def test_every_number_is_the_peers(method, dialect):
    rows = [(row["text"], row["answers"][dialect][method]) for row in FROZEN["texts"]]
    measured = METHODS[method](dialect=dialect).measure(DocumentBatch.of([text for text, _ in rows])).to_pylist()
    compared = 0
    for (text, expected), row in zip(rows, measured, strict=True):
        numbers = {name: value for name, value in expected.items() if name != "dropped"}
        assert {name: row[name] for name in numbers} == pytest.approx(numbers, abs=1e-8), text
        compared += len(numbers)
    assert compared > 3 * len(rows)


@pytest.mark.parametrize(("method", "dialect"), [pair for pair in PAIRS if not pair[1].startswith("dolma")])
def test_every_verdict_is_the_peers(method, dialect):
    filter_ = METHODS[method](dialect=dialect)
    for row in FROZEN["texts"]:
        expected = row["answers"][dialect][method]["dropped"]
        broken = filter_.failures(filter_.measure(DocumentBatch.of([row["text"]])))
        if method == "gopher_repetition" and row["text"] in BLANK:
            continue  # dropped as empty there; min_words drops it here, see Fidelity
        assert any(column[0] for column in broken.values()) == bool(expected), row["name"]


SENTENCE = " ".join(f"word{chr(97 + k // 26)}{chr(97 + k % 26)}" for k in range(60))
DIALOGUE = '"No," he said. "Not to me, and not of that." ' * 10
BLANK_LINES = "\n\n".join(f"This is paragraph {k} of the text, and it is one line." for k in range(9))
BULLETS = "● one\n  ● two\n* three\n  * four\n- five\n  - six\n• seven\n  • eight\n– nine\nten"
ELLIPSES = "one...\ntwo…\nthree. . .\nfour... \nfive… \nsix . . . \nseven..\neight"
CHINESE = "天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。寒来暑往，秋收冬藏。" * 4

# (case, text, signal, numbers of: paper, datatrove, dolma_v1, dolma_v2, dclm)
CASES = [
    ("no text", "", "words", (0, 0, 0, 0, 0)),
    ("whitespace is lines to some", " \n\t\n ", "duplicate_lines", (0, 1 / 3, 2 / 3, 2 / 3, 0)),
    ("one word", "word", "words", (1, 1, 1, 1, 1)),
    ("a hyphen parts tokens", "twenty-three characters", "words", (2, 3, 2, 2, 2)),
    ("punctuation is tokens", DIALOGUE.strip(), "alphabetic_words", (1, 100 / 180, 1, 1, 1)),
    ("words that begin with a quote", DIALOGUE.strip(), "words", (100, 100, 100, 100, 80)),
    ("the median is no mean", DIALOGUE.strip(), "average_word_length", (3.5, 2.7, 3, 3, 3.5)),
    ("blank lines are duplicates", BLANK_LINES, "duplicate_lines", (0, 0, 8 / 17, 0, 0)),
    ("occurrences or different ones", "the the the", "stop_words", (3, 1, 3, 3, 3)),
    ("case of stop words", "The Be To", "stop_words", (3, 0, 0, 0, 3)),
    ("nothing repeats", SENTENCE, "top_2gram_chars", (0, 13 / 419, 12 / 360, 12 / 360, 0)),
    ("equal counts", "aa bb x aa bb y cccc dddd z cccc dddd", "top_2gram_chars",
     (16 / 27, 10 / 37, 8 / 27, 8 / 27, 16 / 27)),
    ("overlapping 5-grams", "a b c d e a b c d e a b c d e", "repeated_5gram_chars", (1, 10 / 29, 1, 1, 1)),
    ("overlapping 9-grams", "a b c d e a b c d e a b c d e", "repeated_9gram_chars",
     (1, 9 / 29, 4 / 7, 4 / 7, 1)),
    ("bullets", BULLETS, "bullet_lines", (0.8, 0.4, 0.2, 0.2, 0.8)),
    ("ends of lines", ELLIPSES, "ellipsis_lines", (6 / 8, 4 / 8, 1 / 8, 1 / 8, 6 / 8)),
    ("hashes and ellipses", "# a… b # c... d", "symbol_ratio", (2 / 6, 2 / 8, 3 / 6, 3 / 6, 4 / 6)),
    ("Chinese is one word", CHINESE, "words", (1, 1, 1, 1, 1)),
    ("uniseg parts ideographs", CHINESE, "top_2gram_chars", (0, 121 / 120, 0, 0, 8 / 96)),
]  # fmt: skip


@pytest.mark.parametrize("place", range(len(DIALECTS)), ids=DIALECTS)
@pytest.mark.parametrize(("text", "signal", "numbers"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_known_cases(text, signal, numbers, place):
    kind = GopherQuality if signal in {known.name for known in GopherQuality.signals} else GopherRepetition
    row = kind(dialect=DIALECTS[place]).measure(DocumentBatch.of([text])).to_pylist()[0]
    assert row[signal] == pytest.approx(numbers[place], abs=1e-9)


def test_a_line_with_a_space_at_its_end_does_not_end_like_a_sentence_for_datatrove():
    documents = DocumentBatch.of(["A line ends here. \nAnother one. \nA third one.\n" * 4])
    ends = [FinewebQuality(dialect=d).measure(documents)["terminal_punctuation"][0].as_py() for d in DIALECTS[:2]]
    assert ends == pytest.approx([1, 1 / 3])


def test_words_of_scripts_without_spaces_can_be_counted():
    documents = DocumentBatch.of([CHINESE])
    assert GopherQuality(words="scripts").measure(documents)["words"][0].as_py() == 96
    assert GopherRepetition(words="scripts").measure(documents)["repeated_10gram_chars"][0].as_py() == 1
