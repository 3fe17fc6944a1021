import json
import re

import numpy as np
import pytest
from scipy import stats as scipy_stats

from seedbed.core import arrow
from seedbed.core.cost import Cost
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.select.contract import Given, PoolText
from seedbed.select.run import choose
from seedbed.select.scorers import dataman
from seedbed.select.scorers.dataman import CRITERIA, DOMAINS, Dataman
from seedbed.select.selectors.top_k import TopK

STRANGE = ["", "a", " \n", "\x00" * 40, "🌱🌱 ok", "天地玄黄，宇宙洪荒。" * 200, "word " * 5000]
TOPICS = {name: [f"{name}{i}" for i in range(20)] for name in ("law", "coding", "medicine")}


def tokenised(texts):
    """A token a UTF-8 byte, and an end of text."""
    batch = DocumentBatch.of(texts)
    size_N = np.array([len(text.encode()) + 1 for text in texts], np.int64)
    return DocumentBatch(batch.rows, (np.zeros(size_N.sum(), np.int64), np.concatenate([[0], np.cumsum(size_N)])))


def truth(text):
    """(rating by the share of good words, domain by the words of topics)."""
    words = text.split()
    share = sum(word == "good" for word in words) / max(len(words), 1)
    domain = max(TOPICS, key=lambda name: sum(word.startswith(name) for word in words))
    return 1 + min(4, int(share * 5)), domain


class Scripted:
    """Rates by `truth`; the k-th criterion of odd number the other way round. Each `malformed`-th answer is cut."""

    cost = Cost()

    def __init__(self, malformed=0):
        self.prompts, self.malformed = [], malformed

    def answers(self, prompts, votes=1):
        self.prompts += prompts
        found = []
        for n, asked in enumerate(prompts):
            text = re.search(r"\[Document\]\n(.*)\n\[End of document\]", asked, re.DOTALL).group(1)
            rating, domain = truth(text)
            said = dataman.answer(
                {name: 6 - rating if k % 2 == 0 else rating for k, name in enumerate(CRITERIA)}, domain
            )
            found.append([said[:90] if self.malformed and n % self.malformed == 0 else said] * votes)
        return found


@pytest.fixture(scope="module")
def planted():
    rng = np.random.default_rng(4)
    texts = []
    for name in rng.choice(list(TOPICS), 300):
        share = rng.random()
        texts.append(" ".join("good" if rng.random() < share else str(rng.choice(TOPICS[name])) for _ in range(80)))
    return texts


def fit(texts, judge, **parameters):
    return Dataman(**parameters).fit(Given(pool=[tokenised(texts)], judge=judge))


RATINGS = {name: 1 + k % 5 for k, name in enumerate(CRITERIA)}


@pytest.mark.parametrize("domain", DOMAINS)
def test_an_answer_is_read_back_whole(domain):
    assert len(CRITERIA) == 14
    assert len(DOMAINS) == 15
    said = dataman.answer(RATINGS, domain)
    assert dataman.parse(said) == (RATINGS, domain)
    assert dataman.parse(json.dumps({**RATINGS, "domain": domain})) == (RATINGS, domain)
    assert dataman.parse("Sure!\n```\n" + said.title().replace("_", " ").replace(": 3", ": 3/5") + "\n```") == (
        RATINGS,
        domain,
    )
    assert dataman.parse(re.sub(r"(\w+):", r"- **\1**:", said)) == (RATINGS, domain)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *(
            ("accuracy: 1", f"accuracy: {value}")
            for value in ("", "6", "0", "1.5", "12", "good", "1\naccuracy: 2", "-1")
        ),
        ("accuracy: 1", ""),
        ("domain: law", ""),
        *(("domain: law", f"domain: {value}") for value in ("lawn", "law\ndomain: other", "3", "")),
    ],
)
def test_a_malformed_answer_is_none(old, new):
    said = dataman.answer(RATINGS, "law")
    assert old in said
    assert dataman.parse(said.replace(old, new)) is None


def test_an_answer_cut_anywhere_is_none_or_whole():
    said = dataman.answer(RATINGS, "law")
    assert [size for size in range(len(said) + 1) if dataman.parse(said[:size]) is not None] == [len(said)]


def test_every_document_gets_14_ratings_and_one_of_15_domains_as_the_judge_would_give(planted):
    fitted = fit(planted[:200], Scripted())
    table = fitted.measure(tokenised([*planted[200:], *STRANGE]))
    assert table.column_names == [*CRITERIA, "domain", "score"]
    for name in CRITERIA:
        rating_N = arrow.numpy(table, name)
        assert ((rating_N >= 1) & (rating_N <= 5)).all()
    domain = arrow.strings(table, "domain")
    assert set(domain) <= set(DOMAINS)
    rating, true = zip(*map(truth, planted[200:]), strict=True)
    clear = [i for i, text in enumerate(planted[200:]) if text.count("good") < 70]
    assert np.mean([domain[i] == true[i] for i in clear]) > 0.95
    for k, name in enumerate(CRITERIA):
        sign = -1 if k % 2 == 0 else 1
        assert sign * scipy_stats.spearmanr(arrow.numpy(table, name)[:100], rating).statistic > 0.9, name
    overall = arrow.numpy(table, "overall_score")[:100]
    assert np.mean(np.abs(overall - np.array(rating))) < 0.5


def test_the_score_is_the_overall_rating_or_the_mean_of_all(planted):
    batch = tokenised(planted)
    table = fit(planted, Scripted()).measure(batch)
    assert np.array_equal(arrow.numpy(table, "score"), arrow.numpy(table, "overall_score"))
    table = fit(planted, Scripted(), score="mean").measure(batch)
    mean = sum(arrow.numpy(table, name) for name in CRITERIA) / 14
    assert arrow.numpy(table, "score") == pytest.approx(mean)


def test_whole_ratings_tie_and_ties_are_broken_evenly_by_chance(planted):
    score_N = arrow.numpy(fit(planted, Scripted(), whole=True).measure(tokenised(planted)), "score")
    assert set(score_N) <= {1, 2, 3, 4, 5}
    tied = np.flatnonzero(score_N == 4)[:20]
    ids = [tokenised(planted).ids[i] for i in tied]
    drawn = np.zeros(len(tied))
    for seed in range(1000):
        drawn += arrow.numpy(choose(TopK(), ids, score_N[tied], np.ones(len(tied), np.int64), 5, seed), "copies")
    assert len(tied) == 20
    statistic = np.sum((drawn - 250) ** 2) / (250 * 0.75) * 19 / 20
    assert statistic < scipy_stats.chi2.ppf(0.9999, 19)


def test_malformed_answers_are_left_out_and_counted_and_too_many_are_an_error(planted):
    assert fit(planted, Scripted()).malformed == 0
    fitted = fit(planted, Scripted(malformed=3))
    assert fitted.malformed == 100
    assert np.isfinite(arrow.numpy(fitted.measure(tokenised(planted)), "score")).all()
    with pytest.raises(SeedbedError, match=r"dataman: 300 of 300 answers are malformed, such as 'accuracy: "):
        fit(planted, Scripted(malformed=1))


def test_long_documents_are_shown_by_head_and_tail():
    judge, text = Scripted(), "ä" + "m" * 500 + "天" * 100 + "the end"
    fit([text, "short law1 law2"], judge, excerpt_tokens=101)
    shown = [re.search(r"\[Document\]\n(.*)\n\[End", asked, re.DOTALL).group(1) for asked in judge.prompts]
    head, tail = next(s for s in shown if "[...]" in s).split("\n[...]\n")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert [len(head.encode()), len(tail.encode())] == pytest.approx([50, 50], abs=3)
    assert "short law1 law2" in shown


def write_ratings(file, texts, pool):
    ids = [key.hex() for key in pool.ids]
    rows = []
    for text, key in zip(texts, ids, strict=True):
        rating, domain = truth(text)
        rows.append({"id": key, **dict.fromkeys(CRITERIA, rating), "domain": domain})
    file.write_text("\n".join(map(json.dumps, rows)))
    return str(file)


def test_labels_take_the_judge_s_place(planted, tmp_path):
    pool = tokenised(planted)
    labels = write_ratings(tmp_path / "x.jsonl", planted[:150], pool.some(np.arange(150)))
    law = Dataman(labels=labels)
    assert law.needs() == (PoolText(),)
    table = law.fit(Given(pool=[pool.some(np.arange(99)), pool.some(np.arange(99, 300))])).measure(pool)
    rating = [truth(text)[0] for text in planted]
    assert scipy_stats.spearmanr(arrow.numpy(table, "score")[150:], rating[150:]).statistic > 0.9
    before = law.identity()
    write_ratings(tmp_path / "x.jsonl", planted[:99], pool.some(np.arange(99)))
    assert law.identity() != before


def test_strange_documents_are_rated_and_blind_to_their_neighbours(planted):
    fitted = fit([*planted, *STRANGE], Scripted())
    table = fitted.measure(tokenised(STRANGE))
    score_N, domain = arrow.numpy(table, "score"), arrow.strings(table, "domain")
    assert [score_N[0], domain[0], score_N[2], domain[2]] == [1, "other", 1, "other"]
    for i, text in enumerate(STRANGE):
        alone = fitted.measure(tokenised([text]))
        assert arrow.numpy(alone, "score")[0] == pytest.approx(score_N[i], abs=1e-12)
        assert arrow.strings(alone, "domain") == [domain[i]]
    assert fitted.measure(tokenised([])).num_rows == 0


def test_what_cannot_be_learnt_is_said():
    with pytest.raises(SeedbedError, match=r"neither a judge nor a file of labels"):
        fit(["a"], None)
    with pytest.raises(SeedbedError, match="the pool has no text"):
        fit([], Scripted())
    assert fit(["law1 law2"], Scripted()).measure(tokenised(["law1"])).num_rows == 1
