"""Passages cut over a corpus: against plain Python, whatever the shards, and the first occurrence stays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core import arrow
from seedbed.core.artifact import Store
from seedbed.core.nouns import DocumentBatch
from seedbed.curate import passages
from seedbed.curate.contract import PassageDeduper
from seedbed.curate.dedup.exact_substring import ExactSubstring
from seedbed.curate.dedup.line import Line
from seedbed.curate.dedup.paragraph import Paragraph
from seedbed.curate.extractors.all_text import AllText
from seedbed.curate.plan import CuratePlan
from seedbed.curate.readers.jsonl import Jsonl
from seedbed.curate.run import Curated, curate
from seedbed.engine.local import LocalEngine
from tests.conftest import examples


def cut(method: PassageDeduper, *texts: str) -> list[str]:
    """What each text becomes where it is the whole corpus."""
    return method.edit(DocumentBatch.of(list(texts))).texts.to_pylist()


def run(
    folder: Path, texts: list[str], *steps: PassageDeduper, shard_bytes: int = 8 << 20, workers: int = 1
) -> Curated:
    """A curation of one JSONL file a text."""
    source = folder / "in"
    source.mkdir(parents=True, exist_ok=True)
    for i, text in enumerate(texts):
        (source / f"{i:04d}.jsonl").write_text(json.dumps({"text": text}) + "\n")
    plan = CuratePlan((Jsonl(),), AllText(), steps, shard_bytes=shard_bytes)
    return curate(plan, [source], Store(folder / f"out{shard_bytes}"), LocalEngine(workers))


def texts_of(curated: Curated) -> list[str]:
    return [text for text in arrow.strings(curated.final.table(["text"]), "text") if text is not None]


def reference(texts: list[str], ids: list[bytes], keys_of: object) -> list[list[bool]]:
    """Which passages are repeats: plain Python over all documents in the order of ids."""
    seen: set[object] = set()
    flags: list[list[bool]] = [[] for _ in texts]
    for d in sorted(range(len(texts)), key=lambda d: int.from_bytes(ids[d][:8], "little")):
        for key in keys_of(texts[d]):  # type: ignore[operator]
            flags[d].append(key in seen)
            seen.add(key)
    return flags


LINES = ["Home | About", "A story begins here.", "  It goes on,", "and it ends.", "Imprint", "(c) 2024", "x"]


@examples(60)
@given(st.lists(st.lists(st.sampled_from([*LINES, ""]), max_size=8), min_size=1, max_size=6))
def test_lines_that_stay_are_whole_and_in_order(documents: list[list[str]]) -> None:
    texts = ["\n".join(lines) for lines in documents]
    batch = DocumentBatch.of(texts)
    method = Line()
    found = method.passages(batch)
    repeated = np.random.default_rng(len(found.key)).random(len(found.key)) < 0.5
    left = method.cut(batch, repeated).texts.to_pylist()
    for d, text in enumerate(texts):
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        flags = repeated[found.first[d] : found.first[d + 1]]
        stays = [line for line, gone in zip(lines, flags, strict=True) if not gone]
        assert [line.strip() for line in left[d].split("\n") if line.strip()] == stays
        assert flags.any() or left[d] == text


def test_gaps_around_cut_lines() -> None:
    method = Line()
    assert cut(method, "a\nb\na\nc") == ["a\nb\nc"]
    assert cut(method, "a\n\nb\na\n\nc") == ["a\n\nb\n\nc"]
    assert cut(method, "a\n\na\n\n  c") == ["a\n\n  c"]
    assert cut(method, "b\na\na", "a\na\n") == ["b\na", "a"]
    assert cut(Line(keep_first=False), "a\na\nc\n", "a\na") == ["c\n", ""]


def test_paragraphs_are_parted_by_blank_lines() -> None:
    assert cut(Paragraph(), "one\ntwo\n\nthree\n\none\ntwo\n\n\nfour") == ["one\ntwo\n\nthree\n\n\nfour"]
    assert cut(Paragraph(), "one\ntwo\n\none") == ["one\ntwo\n\none"]


def test_folded_lines_and_short_ones() -> None:
    text = "Posted on 3 May\nposted on 17 MAY!\nshort\nshort\n--\n--"
    assert cut(Line(folded=True, min_chars=6), text) == ["Posted on 3 May\nshort\nshort\n--\n--"]
    assert cut(Line(folded=True), text) == ["Posted on 3 May\nshort\n--"]


def test_spans_tell_the_bytes_that_went() -> None:
    batch = DocumentBatch.of(["ä\nb\nb\nc", "d"])
    edited = Line().edit(batch)
    assert edited.told().to_pylist() == [{"row": 0, "start": 5, "end": 7, "kind": "duplicate_line"}]
    data = "ä\nb\nb\nc".encode()
    assert data[:5] + data[7:] == edited.texts.to_pylist()[0].encode()


WORDS = ["alpha", "beta", "gamma", "delta", "Eps", ",", "語", "9"]


@examples(150)
@given(
    st.lists(st.lists(st.sampled_from(WORDS), max_size=14), min_size=1, max_size=4),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_windows_are_equal_where_their_tokens_are(documents: list[list[str]], n: int, chance: object) -> None:
    texts = [" ".join(tokens) for tokens in documents]
    method = ExactSubstring(min_tokens=n)
    found = method.passages(DocumentBatch.of(texts))
    expected = [tuple(tokens[i : i + n]) for tokens in documents for i in range(len(tokens) - n + 1)]
    assert len(found.key) == len(expected)
    assert (
        len(set(zip(expected, found.key.tolist(), strict=True))) == len(set(expected)) == len(set(found.key.tolist()))
    )
    repeated = np.array([chance.random() < 0.3 for _ in expected], np.bool_)  # type: ignore[attr-defined]
    left = method.cut(DocumentBatch.of(texts), repeated).texts.to_pylist()
    for d, tokens in enumerate(documents):
        grams, flags = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)], []
        flags = repeated[found.first[d] : found.first[d + 1]].tolist()
        gone: set[int] = set()
        kept_at = {gram: i for i, gram in reversed(list(enumerate(grams))) if not flags[i]}
        last_kept = {gram: i for i, gram in enumerate(grams) if not flags[i]}
        if kept_at != last_kept:  # the room leaves one occurrence of a window at most
            continue
        for i, gram in enumerate(grams):
            if flags[i]:
                first = kept_at.get(gram, i)
                gone |= set(range(max(i, first + n) if first < i else i, i + n))
        assert left[d].split() == [token for i, token in enumerate(tokens) if i not in gone]
        assert "  " not in left[d]
        assert left[d] == left[d].strip()


def test_a_word_said_over_and_over_is_left_once() -> None:
    assert cut(ExactSubstring(min_tokens=3), "no " * 20 + "yes") == ["no no no yes"]
    assert cut(ExactSubstring(min_tokens=3), "a b c d\n\na b c, e") == ["a b c d\n\n, e"]
    assert cut(ExactSubstring(min_tokens=3, keep_first=False), "a b c d\n\na b c, e") == ["d\n\n, e"]


def corpus(rng: np.random.Generator) -> list[str]:
    pool = [" ".join(f"{w}{chr(97 + i)}" for w in ("The", "tide", "came", "in", "by", "my", "pier")) for i in range(12)]
    return ["\n".join(pool[i] for i in rng.integers(0, 12, rng.integers(0, 6))) for _ in range(24)]


@pytest.mark.parametrize("method", [Line(), Paragraph(), ExactSubstring(min_tokens=7)], ids=lambda m: m.name())
def test_the_corpus_is_cut_alike_whatever_the_shards_and_runs(
    method: PassageDeduper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [text.replace("\n", "\n\n") for text in corpus(np.random.default_rng(3))]
    whole = run(tmp_path, texts, method)
    assert len(whole.read.shards()) == 1
    monkeypatch.setattr(passages, "RUN_PASSAGES", 15)
    many = run(tmp_path, texts, method, shard_bytes=600)
    assert len(many.read.shards()) > 3
    assert texts_of(many) == texts_of(whole) != texts
    assert not list((tmp_path / "out600" / "artifacts").glob("passages-*"))


def test_the_first_occurrence_in_the_order_of_ids_stays(tmp_path: Path) -> None:
    texts = corpus(np.random.default_rng(4))
    done = run(tmp_path, texts, Line(), shard_bytes=900)
    ids = DocumentBatch(done.read.table()).ids
    flags = reference(texts, ids, lambda text: [line for line in text.split("\n") if line])
    expected = [
        "\n".join(line for line, gone in zip([x for x in text.split("\n") if x], flags[d], strict=True) if not gone)
        for d, text in enumerate(texts)
    ]
    assert texts_of(done) == expected
    spans = done.final.table(stem="spans")
    assert spans.num_rows > 10
    lost = sum(len(text) for text in texts) - sum(len(text) for text in expected)
    assert int((arrow.numpy(spans, "end") - arrow.numpy(spans, "start")).sum()) == lost


def test_without_a_first_all_occurrences_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = corpus(np.random.default_rng(5))
    monkeypatch.setattr(passages, "RUN_PASSAGES", 15)
    done = run(tmp_path, texts, Line(keep_first=False), shard_bytes=900)
    counts: dict[str, int] = {}
    for line in "\n".join(texts).split("\n"):
        counts[line] = counts.get(line, 0) + 1
    expected = ["\n".join(line for line in text.split("\n") if counts[line] == 1) for text in texts]
    assert texts_of(done) == expected


class Poison(Line):
    def passages(self, documents: DocumentBatch):
        if any("POISON" in text for text in documents.texts()):
            raise ZeroDivisionError("poison")
        return super().passages(documents)

    def cut(self, documents: DocumentBatch, repeated_P):
        self.passages(documents)
        return super().cut(documents, repeated_P)


def test_a_poison_document_is_quarantined_alone(tmp_path: Path) -> None:
    texts = ["a\nb", "POISON\na", "a\nb\nc", "b\nd"]
    done = run(tmp_path, texts, Poison())
    assert done.ledger["errored"] == {"ZeroDivisionError": 1}
    left = texts_of(done)
    assert left[1] == ""
    assert sorted("\n".join(left).split()) == ["a", "b", "c", "d"]


def test_what_was_published_keeps_its_passages_when_more_comes(tmp_path: Path) -> None:
    texts = corpus(np.random.default_rng(6))
    old = run(tmp_path, texts[::2], Line())
    before = dict(zip(DocumentBatch(old.read.table()).ids, texts_of(old), strict=True))
    for published in (None, old.decisions):
        for i, text in enumerate(texts[1::2]):
            (tmp_path / "in" / f"more{i}.jsonl").write_text(json.dumps({"text": text}) + "\n")
        plan = CuratePlan((Jsonl(),), AllText(), (Line(),))
        done = curate(plan, [tmp_path / "in"], Store(tmp_path / "more"), LocalEngine(1), published)
        after = dict(zip(DocumentBatch(done.read.table()).ids, texts_of(done), strict=True))
        assert (before.items() <= after.items()) == (published is not None)
