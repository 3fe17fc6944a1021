"""The measured error of near-duplicate search against brute force over all pairs."""

import itertools
import json

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.artifact import Store
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.dedup.minhash import Minhash
from seedbed.curate.dedup_quality import Sampling, measure_quality
from seedbed.curate.extractors.all_text import AllText
from seedbed.curate.plan import CuratePlan
from seedbed.curate.readers.jsonl import Jsonl
from seedbed.curate.run import curate
from seedbed.engine.local import LocalEngine

THRESHOLD = 0.8
METHOD = Minhash(ngram=2, bands=7, rows=6)


def corpus():
    """Pairs of every similarity, twenty copies of one text, and thirty texts that slide over one another."""
    rng = np.random.default_rng(0)
    letters = rng.integers(97, 123, (9000, 8), dtype=np.uint8)
    words = [row.tobytes().decode() for row in letters]
    texts = []
    for _ in range(260):
        one = rng.integers(0, 3000, 80)
        other = one.copy()
        other[rng.random(80) < rng.uniform(0, 0.2)] = 5
        texts += [one, other]
    copies = rng.integers(3000, 6000, 80)
    texts += [copies] * 20 + [np.arange(6000 + 4 * i, 6100 + 4 * i) for i in range(30)]
    return [" ".join(words[i] for i in text) for text in texts]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quality")
    texts = corpus()
    (folder / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    store, engine = Store(folder / "out"), LocalEngine(1)
    done = curate(CuratePlan((Jsonl(),), AllText(), (METHOD,)), [folder / "in.jsonl"], store, engine)
    made = (done.read, done.signals["minhash"], done.groups["minhash"])
    found = measure_quality(METHOD, *made, store, engine, Sampling(THRESHOLD, n_pairs=20_000))
    assert json.loads((found.path / "quality.json").read_text()) == found.about
    assert measure_quality(METHOD, *made, store, engine, Sampling(THRESHOLD, n_pairs=20_000)).path == found.path
    return texts, done, found.about


def brute(texts, done):
    """(pairs, Jaccard similarity, linked, together) over all pairs."""
    first, found = METHOD.shingles(DocumentBatch.of(texts))
    sets = [set(found[a:b].tolist()) for a, b in itertools.pairwise(first)]
    table = done.signals["minhash"].table()
    keys = np.stack([table.column(name).to_numpy() for name in table.column_names])
    group = METHOD.groups(table)
    pairs = np.array(list(itertools.combinations(range(len(texts)), 2)))
    i, j = pairs.T
    likeness = np.array([len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for a, b in pairs.tolist()])
    return likeness, (keys[:, i] == keys[:, j]).any(axis=0), group[i] == group[j]


def holds(interval, truth):
    return interval["low"] <= truth <= interval["high"]


def test_precision_and_recall_are_those_of_all_pairs(told):
    texts, done, about = told
    likeness, linked, together = brute(texts, done)
    alike = likeness >= THRESHOLD
    assert 0.5 < alike[linked].mean() < 0.99
    assert holds(about["precision"], alike[linked].mean())
    assert 0.8 < together[alike].mean() < 0.9999
    assert abs(about["recall"]["value"] - together[alike].mean()) < 0.03
    assert abs(about["similar_pairs"] / alike.sum() - 1) < 0.1
    for stratum in about["strata"]:
        here = (likeness >= stratum["low"]) & ((likeness < stratum["high"]) | (stratum["high"] == 1))
        if stratum["low"] >= 0.5 and here.sum() > 20:
            assert abs(stratum["linked"]["value"] - linked[here].mean()) < 0.12
            assert abs(stratum["expected_linked"] - linked[here].mean()) < 0.2


def test_a_chain_is_told_from_copies(told):
    _, _, about = told
    by_size = {group["documents"]: group for group in about["groups"]}
    copies = next(g for g in about["groups"] if g["group"] == 520)
    assert copies["documents"] == 20
    assert not copies["chained"]
    assert copies["unlike"]["value"] == 0
    chain = by_size[max(by_size)]
    assert chain["chained"]
    assert chain["unlike"]["low"] > 0.5
    (said,) = [said for said in about["warnings"] if f"{chain['documents']} documents is chained" in said]
    assert "raise `rows`" in said
    assert len(about["warnings"]) == 1


def test_a_corpus_without_duplicates_has_nothing_to_tell(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "one text of a few words"}\n{"text": "and quite another one"}\n')
    store, engine = Store(tmp_path / "out"), LocalEngine(1)
    done = curate(CuratePlan((Jsonl(),), AllText(), (Minhash(),)), [tmp_path / "in.jsonl"], store, engine)
    about = measure_quality(Minhash(), done.read, done.signals["minhash"], done.groups["minhash"], store, engine).about
    assert about["precision"] is None
    assert about["recall"] is None
    assert about["groups"] == about["warnings"] == []
    assert arrow.numpy(done.groups["minhash"].table(), "row").tolist() == []
