import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.benchmark_overlap import ITEMS, BenchmarkOverlap, summary
from seedbed.text.repeats.leaks import numbers, ranges
from seedbed.text.repeats.overlap import plain_words

QUESTION = (
    "A train leaves the harbour town at nine o'clock, and stops twice before the river; how many passengers are still"
    " aboard when it reaches the old mill, if half of them get off at every stop along the line?"
)
RESPELLED = (
    "A TRAIN leaves the harbour town (at nine o’clock) and stops — twice — before the river: how many passengers are,"
    " still, aboard when it reaches “the old mill” if half, of them, get off at every stop; along the line."
)
PARAPHRASED = (
    "A tram leaves the harbour town at nine o'clock, and halts twice before the lake; how many travellers are still"
    " aboard when it arrives at the old mill, if half of them leave at every stop along the track?"
)
OTHER = "Nobody who reads the weather report in the morning expects that the same cloud will come back in the evening."


def prose(rng, n, vocabulary=5000):
    p = 1 / np.arange(1, vocabulary + 1)
    return " ".join(f"w{i}" for i in rng.choice(vocabulary, n, p=p / p.sum()))


@pytest.fixture
def folder(tmp_path):
    write(
        tmp_path / "quiz.jsonl", [{"id": 7, "question": QUESTION, "answer": "six"}, {"question": OTHER, "answer": "no"}]
    )
    write(tmp_path / "short.jsonl", [{"q": "Name the capital of the country."}])
    return tmp_path


def write(file: Path, records) -> None:
    file.write_text("".join(json.dumps(record) + "\n" for record in records))


def around(rng, text):
    return f"{prose(rng, 300)}\n{text}\n{prose(rng, 300)}"


def ask(items, texts, **parameters):
    method = BenchmarkOverlap(items=str(items), **parameters)
    batch = DocumentBatch.of(texts)
    signals = method.measure(batch)
    report = method.item_report([([key.hex() for key in batch.ids], signals["found"].to_pylist())])
    assert report.schema.equals(ITEMS, check_metadata=True)
    return signals, report.to_pylist(), batch


def test_each_form_of_a_leak_is_found_by_its_channel(folder):
    rng = np.random.default_rng(0)
    forms = {"exact": QUESTION, "normalised": RESPELLED, "paraphrase": PARAPHRASED, "clean": prose(rng, 40)}
    verdicts = {}
    for name, text in forms.items():
        _, report, _ = ask(folder / "quiz.jsonl", [around(rng, text)], fields=("question",))
        verdicts[name] = report[0]["verdict"]
        assert report[1]["verdict"] == "clean"
    assert verdicts == {name: name for name in forms}
    texts = [around(rng, forms[name]) for name in ("exact", "normalised", "paraphrase")]
    signals, _, _ = ask(folder / "quiz.jsonl", texts, fields=("question",))
    assert [share > 0 for share in signals["exact_hits"].to_pylist()] == [True, False, False]
    assert [share == 1 for share in signals["item_share"].to_pylist()] == [True, True, False]
    assert [share >= 0.5 for share in signals["likeness"].to_pylist()] == [True, True, True]


def test_the_report_tells_what_was_found_where_and_how_much(folder):
    rng = np.random.default_rng(1)
    words = QUESTION.split()
    texts = [
        prose(rng, 200),
        around(rng, " ".join(words[:20])),
        around(rng, " ".join(words[12:])),
        around(rng, QUESTION),
    ]
    _, report, batch = ask(folder, texts, fields=())
    item, other, short = report
    n_words = len(words) + 1  # and the answer
    assert (item["benchmark"], item["line"], item["n_words"], item["n_ngrams"]) == ("quiz", 1, n_words, n_words - 12)
    assert item["share"] == pytest.approx((len(words) - 12) / (n_words - 12))
    assert item["exact_share"] == pytest.approx(item["share"])
    assert item["documents"] == [batch.ids[row].hex() for row in (1, 2, 3)]
    assert item["n_documents"] == 3
    assert QUESTION.startswith(item["excerpt"])
    assert item["excerpt"].endswith("at every stop along the line")
    assert (other["verdict"], other["n_documents"], other["documents"], other["excerpt"]) == ("clean", 0, [], "")
    assert (short["benchmark"], short["verdict"], short["n_ngrams"]) == ("short", "untestable", 0)
    _, partial, _ = ask(folder, texts[:2])
    assert partial[0]["verdict"] == "partial"
    assert partial[0]["share"] == pytest.approx(8 / (n_words - 12))
    together, _, _ = ask(folder, [texts[1], texts[2], texts[0]])
    assert together["item"].to_pylist() == ["quiz:1", "quiz:1", ""]
    assert together["hits"].to_pylist() == [8, len(words) - 24, 0]


def test_shares_of_several_documents_add_up(folder):
    rng = np.random.default_rng(2)
    words = QUESTION.split()
    halves = [around(rng, " ".join(words[:22])), around(rng, " ".join(words[10:]))]
    _, report, _ = ask(folder / "quiz.jsonl", halves, fields=("question",))
    assert report[0]["share"] == 1.0
    assert report[0]["verdict"] == "exact"


def test_hits_and_shares_equal_brute_force(tmp_path):
    rng = np.random.default_rng(3)
    texts = [prose(rng, 300, 12) for _ in range(20)] + ["", "w1"]
    items = [prose(rng, n, 12) for n in (3, 5, 8, 40)]

    def grams(text, n):
        words = text.split()
        return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]

    (tmp_path / "items.txt").write_text("\n".join(items) + "\n")
    signals, report, _ = ask(tmp_path, texts, ngram=4)
    known = {gram for item in items for gram in grams(item, 4)}
    assert signals["hits"].to_pylist() == [sum(gram in known for gram in grams(text, 4)) for text in texts]
    held = [set(grams(text, 4)) for text in texts]
    shares = [[sum(g in own for g in grams(item, 4)) / max(1, len(grams(item, 4))) for item in items] for own in held]
    assert signals["item_share"].to_pylist() == pytest.approx([max(row) for row in shares])
    pool = set().union(*held)
    whole = [sum(gram in pool for gram in grams(item, 4)) / max(1, len(grams(item, 4))) for item in items]
    assert [row["share"] for row in report] == pytest.approx(whole)
    assert report[0]["verdict"] == "untestable"


def test_short_items_are_looked_for_whole_where_that_is_asked(folder):
    rng = np.random.default_rng(4)
    texts = [around(rng, "name the capital, of the country"), around(rng, "Name the capital of the other country.")]
    signals, report, _ = ask(folder, texts, min_item_words=6)
    assert signals["hits"].to_pylist() == [1, 0]
    assert report[2]["verdict"] == "normalised"
    assert ask(folder, texts)[1][2]["verdict"] == "untestable"


def test_chance_is_told_apart(tmp_path):
    rng = np.random.default_rng(5)
    (tmp_path / "items.txt").write_text("".join(prose(rng, 60) + "\n" for _ in range(300)) + "na " * 40 + "\n")
    _, report, _ = ask(tmp_path, [prose(rng, 2000) for _ in range(20)] + ["na " * 50])
    told = summary(BenchmarkOverlap(items=str(tmp_path)).item_report([([], [])]))
    assert told == {
        "items": {
            "exact": 0,
            "normalised": 0,
            "partial": 0,
            "paraphrase": 0,
            "clean": 301,
            "untestable": 0,
            "by_chance": 0,
        }
    }
    assert [row["verdict"] for row in report] == ["clean"] * 300 + ["exact"]
    assert [row["by_chance"] for row in report][-1] == "normalised", "the same word over and over is found in any order"
    assert sum(row["by_chance"] != "clean" for row in report[:-1]) == 0


def test_scripts_without_spaces_are_tested_by_characters(tmp_path):
    (tmp_path / "zh.txt").write_text("一列火车早上九点从港口出发，在到达河边之前停了两次。\n")
    text = "昨天的新闻说：一列火车早上九点从港口出发 在到达河边之前停了两次，然后"
    _, report, _ = ask(tmp_path, [text, "今天天气很好，我们去公园散步，晚上再回家吃饭。"])
    assert report[0]["verdict"] == "normalised"
    assert report[0]["n_documents"] == 1


def test_defaults_drop_any_hit_and_find_nothing_without_items(folder):
    rng = np.random.default_rng(6)
    batch = DocumentBatch.of([around(rng, QUESTION), prose(rng, 50)])
    method = BenchmarkOverlap(items=str(folder))
    assert method.failures(method.measure(batch))["max_hits"].tolist() == [True, False]
    assert BenchmarkOverlap().measure(batch)["hits"].to_pylist() == [0, 0]
    with pytest.raises(RecipeError, match="no benchmark items are named"):
        BenchmarkOverlap().item_report([])


def test_the_content_of_the_items_is_the_identity(folder, tmp_path):
    before = BenchmarkOverlap(items=str(folder)).identity()
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for file in folder.glob("*.jsonl"):
        (copy / file.name).write_bytes(file.read_bytes())
    for file in copy.glob("*"):
        assert file.name in before["parameters"]["items"]
    assert BenchmarkOverlap(items=str(copy)).measuring() == BenchmarkOverlap(items=str(copy), max_hits=3).measuring()
    assert BenchmarkOverlap(items=str(copy)).identity() == before
    rng = np.random.default_rng(7)
    text = around(rng, QUESTION)
    assert ask(copy, [text])[0]["hits"].to_pylist()[0] > 0
    write(copy / "quiz.jsonl", [{"question": OTHER}])
    assert BenchmarkOverlap(items=str(copy)).identity() != before
    assert ask(copy, [text])[0]["hits"].to_pylist() == [0], "the changed file is read anew"


def test_items_that_cannot_be_read_say_so(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(RecipeError, match=r"benchmark_overlap\.items.*no benchmark items"):
            BenchmarkOverlap(items=str(path)).identity()
    (tmp_path / "x.jsonl").write_text('{"a": "b"}\n{broken\n')
    with pytest.raises(SeedbedError, match=r"x\.jsonl:2: is no JSON"):
        BenchmarkOverlap(items=str(tmp_path)).measure(DocumentBatch.of(["text"]))
    (tmp_path / "x.jsonl").write_text('{"a": "b"}\n')
    with pytest.raises(SeedbedError, match=r"x\.jsonl:1: has no field 'q'"):
        BenchmarkOverlap(items=str(tmp_path), fields=("q",)).measure(DocumentBatch.of(["text"]))


def test_plain_words():
    def words(text):
        found = plain_words(DocumentBatch.of([text]))
        return [
            found.data[s:e].tobytes().decode() for s, e in zip(found.start, found.end, strict=True)
        ], found.hash.tolist()

    assert words("Don't, U.S. 3,000 well-known—x (y)z.")[0] == ["Don't", "U.S", "3,000", "well", "known", "x", "y", "z"]
    assert words("DON’T us 3000")[1] == words("don't U.S. 3,000")[1]
    assert words("été")[1] == words("ÉTÉ")[1] != words("ete")[1]
    assert words("")[0] == words("…!? -- '")[0] == []


def test_ranges_are_read_back():
    for places in ([], [0], [0, 1, 2], [3, 4, 9, 11, 12, 13]):
        assert list(numbers(ranges(np.array(places, np.int64)))) == places
    assert ranges(np.array([0, 1, 2, 7], np.int64)) == "0-2,7"


@pytest.mark.skipif(
    "SEEDBED_TRUTH" not in os.environ, reason="SEEDBED_TRUTH does not name the folder with blimp/BLiMP.zip"
)
def test_blimp_is_found_in_a_page_that_quotes_it(tmp_path):
    with zipfile.ZipFile(Path(os.environ["SEEDBED_TRUTH"]) / "blimp" / "BLiMP.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jsonl")][:5]
        for name in names:
            (tmp_path / Path(name).name).write_bytes(archive.read(name))
        quoted = [
            json.loads(line)["sentence_good"] for line in io.BytesIO(archive.read(names[0])).read().splitlines()[:50]
        ]
    rng = np.random.default_rng(8)
    texts = [prose(rng, 500), around(rng, "\n".join(quoted))]
    _, report, _ = ask(tmp_path, texts, fields=("sentence_good",), min_item_words=8)
    mine = [row for row in report if row["benchmark"] == Path(names[0]).stem and row["line"] <= 50]
    testable = [row for row in mine if row["verdict"] != "untestable"]
    assert len(report) == 5000
    assert len(testable) >= 10
    assert all(row["verdict"] == "exact" for row in testable)
    others = [row for row in report if row["benchmark"] != Path(names[0]).stem]
    assert sum(row["verdict"] in ("exact", "normalised") for row in others) == 0
