import json

import numpy as np

from seedbed.core.artifact import Store
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.dedup.minhash import Minhash
from seedbed.curate.extractors.all_text import AllText
from seedbed.curate.plan import CuratePlan
from seedbed.curate.readers.jsonl import Jsonl
from seedbed.curate.run import curate
from seedbed.engine.local import LocalEngine


def words_of_letters(n, rng):
    """n different words; digits would all fold to 0."""
    letters = rng.integers(97, 123, 16 * n, dtype=np.uint8).tobytes().decode()
    return [letters[at : at + 16] for at in range(0, len(letters), 16)]


def groups(*texts, **parameters):
    method = Minhash(**parameters)
    return method.groups(method.signatures(DocumentBatch.of(list(texts)))).tolist()


def test_shingles_are_a_set_of_five_words_of_folded_text():
    text = "The Café was built in 1923, by three brothers of the town; it closed."
    alike = "the cafe was built in 7\n\nby THREE brothers -- of the town: it closed"
    again = text + " " + text + " " + text
    assert groups(text, alike, "a completely other text with more than five words in it") == [0, 0, 2]
    assert groups(again, text + " " + text) == [0, 0]
    assert groups("a b c d e", "e d c b a") == [0, 1]


def test_short_and_empty_documents():
    texts = ["", "two words", "...", "Two, words!", "two", " \n"]
    assert groups(*texts) == [0, 1, 2, 1, 4, 5]


def test_links_chain_to_the_smallest_row():
    words = words_of_letters(3000, np.random.default_rng(0))
    slides = [" ".join(words[start : start + 2000]) for start in (300, 200, 100, 0)]
    assert groups("other words entirely, more than five of them", *slides) == [0, 1, 1, 1, 1]


def test_signature_depends_on_seed_and_not_on_neighbours():
    batch = DocumentBatch.of(["some words that make a text of their own", "x", ""])
    one = Minhash().signatures(batch)
    assert one.slice(1, 1).equals(Minhash().signatures(batch.one(1)))
    assert one.num_columns == 14
    assert not one.equals(Minhash(seed=2).signatures(batch))


def test_scripts_without_spaces_have_shingles_of_characters():
    text = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜金生丽水玉出昆冈" * 3
    assert groups(text, text.replace("金", "银"), text[::-1], rows=2) == [0, 0, 2]


def boilerplate_corpus(tmp_path):
    """Two hundred different articles under one long notice, two of them near duplicates, and one notice alone."""
    rng = np.random.default_rng(5)
    notice = " ".join(words_of_letters(300, rng))
    articles = [" ".join(words_of_letters(60, rng)) for _ in range(200)]
    articles[7] = articles[90].rpartition(" ")[0]
    texts = [f"{article} {notice}" for article in articles] + [notice, notice.upper()]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return tmp_path / "in.jsonl"


def test_shingles_that_are_everywhere_link_nothing(tmp_path):
    file = boilerplate_corpus(tmp_path)
    store, engine = Store(tmp_path / "out"), LocalEngine(1)
    plain = curate(CuratePlan((Jsonl(),), AllText(), (Minhash(),)), [file], store, engine)
    assert plain.groups["minhash"].rows > 190
    guarded = Minhash(max_document_share=0.1)
    done = curate(CuratePlan((Jsonl(),), AllText(), (guarded,)), [file], store, engine)
    assert done.groups["minhash"].table().to_pydict() == {"row": [7, 90, 200, 201], "group": [7, 7, 200, 200]}
    whole = curate(CuratePlan((Jsonl(),), AllText(), (Minhash(max_document_share=1.0),)), [file], store, engine)
    assert whole.groups["minhash"].table().equals(plain.groups["minhash"].table())
