import itertools
import json
import math
import re

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.special import expit

from seedbed.core import arrow
from seedbed.core.cost import Cost
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.select.contract import Given, Judge, PoolText
from seedbed.select.run import choose
from seedbed.select.scorers import qurating
from seedbed.select.scorers.qurating import CRITERIA, Qurating
from seedbed.select.selectors.gumbel_top_k import GumbelTopK

STRANGE = ["", "a", " \n", "\x00" * 40, "🌱🌱 ok", "天地玄黄，宇宙洪荒。" * 200, "word " * 5000, "x" * 9000]


def tokenised(texts):
    """A token a UTF-8 byte, and an end of text."""
    batch = DocumentBatch.of(texts)
    size_N = np.array([len(text.encode()) + 1 for text in texts], np.int64)
    return DocumentBatch(batch.rows, (np.zeros(size_N.sum(), np.int64), np.concatenate([[0], np.cumsum(size_N)])))


class Scripted:
    """Answers by a quality of the two excerpts, with the noise and the faults that the test asks for."""

    def __init__(self, quality, seed=0, slope=1.5, bias=0.0, nonsense=0.0):
        self.quality, self.rng = quality, np.random.default_rng(seed)
        self.slope, self.bias, self.nonsense = slope, bias, nonsense
        self.prompts = []

    cost = Cost()

    def answers(self, prompts, votes=1):
        self.prompts += prompts
        found = []
        for prompt in prompts:
            a, b = excerpts(prompt)
            p = expit(self.slope * (self.quality(b) - self.quality(a)) + self.bias)
            kinds = ["Hm.", "B", "Answer: A"]
            draws = [
                0 if self.rng.random() < self.nonsense else 1 if self.rng.random() < p else 2 for _ in range(votes)
            ]
            found.append([kinds[kind] for kind in draws])
        return found


def excerpts(prompt):
    return re.search(r"\[Text A\]\n(.*)\n\n\[Text B\]\n(.*)\n\nWhich", prompt, re.DOTALL).groups()


GOOD, BAD = [f"good{i}" for i in range(30)], [f"bad{i}" for i in range(30)]


def quality(text):
    """Between -3 and 3: log-odds of good words."""
    good, bad = len(re.findall(r"\bgood", text)), len(re.findall(r"\bbad", text))
    return max(-3.0, min(3.0, 2 * math.log((good + 0.5) / (bad + 0.5))))


@pytest.fixture(scope="module")
def planted():
    """(texts, their latent quality): words are good with probability sigmoid(latent)."""
    rng = np.random.default_rng(5)
    latent = rng.normal(size=300)
    texts = []
    for z in latent:
        good = rng.random(int(rng.integers(60, 400))) < 1 / (1 + np.exp(-z))
        texts.append(" ".join(np.where(good, rng.choice(GOOD, len(good)), rng.choice(BAD, len(good)))))
    return texts, latent


def fit(texts, judge, **parameters):
    law = Qurating(**{"judge": Judge(endpoint="http://x", model="m"), "pairs": 400, "votes": 5, **parameters})
    return law.fit(
        Given(
            pool=[tokenised(texts[:100]), tokenised(texts[100:])] if len(texts) > 100 else [tokenised(texts)],
            judge=judge,
        )
    )


def scores(fitted, texts, column="score"):
    return arrow.numpy(fitted.measure(tokenised(texts)), column)


def test_ratings_recover_the_judge_s_hidden_quality(planted):
    texts, latent = planted
    judge = Scripted(quality)
    fitted = fit(texts, judge, criteria=("educational_value",))
    score_N = scores(fitted, texts)
    assert scipy_stats.spearmanr(score_N, latent).statistic > 0.9
    assert [score_N.mean(), score_N.std()] == pytest.approx([0, 1], abs=0.05)
    rng = np.random.default_rng(1)
    held = [" ".join(rng.choice(GOOD if rng.random() < q else BAD) for _ in range(200)) for q in rng.random(60)]
    true_N, found_N = np.array([quality(text) for text in held]), scores(fitted, held)
    i, j = np.triu_indices(60, 1)
    apart = np.abs(true_N[i] - true_N[j]) > 0.5
    assert np.mean((true_N[i] > true_N[j])[apart] == (found_N[i] > found_N[j])[apart]) >= 0.85


def test_a_judge_that_leans_to_the_second_text_leaves_the_labels_unmoved():
    rng = np.random.default_rng(0)
    votes = [["B" if rng.random() < 0.8 else "A" for _ in range(1000)] for _ in range(2)]
    judge = type("Fixed", (), {"answers": lambda self, prompts, n: votes})()
    probability = Qurating(votes=1000)._votes(judge, "writing_style", ["x"], ["y"])
    assert probability == pytest.approx([0.5], abs=0.04)
    share = [sum(vote == "B" for vote in each) / 1000 for each in votes]
    assert probability == pytest.approx([(share[1] + 1 - share[0]) / 2])


def test_votes_are_counted_and_an_order_without_a_majority_of_answers_says_nothing():
    assert qurating._share_of_b(["A", "B", "B", "Text B.", "**B**"]) == 0.8
    assert qurating._share_of_b(["A", "B", "A or B", "neither"][:3]) == 0.5
    for votes in (["A", ""], ["", "none"], ["A and B", "B", "?", "A/B"]):
        assert math.isnan(qurating._share_of_b(votes))


def test_both_orders_of_a_pair_are_asked_with_excerpts_of_one_length(planted):
    judge = Scripted(quality)
    fit(planted[0], judge, pairs=50, excerpt_tokens=200)
    assert len(judge.prompts) == 4 * 50 * 2
    for start in range(0, 400, 100):
        asked = [excerpts(prompt) for prompt in judge.prompts[start : start + 100]]
        assert [(b, a) for a, b in asked[:50]] == asked[50:]
        assert all(abs(len(a) - len(b)) <= 2 for a, b in asked)
    lengths = np.array([len(excerpts(prompt)[0]) for prompt in judge.prompts[:50]])
    assert lengths.max() <= 200
    assert 10 <= np.sum(lengths >= 198) <= 40
    assert np.sum(lengths < 98) <= 2


def test_all_pairs_of_few_documents_are_asked_once():
    texts = [f"good{i} bad{j} this and that" for i in range(3) for j in range(3)]
    judge = Scripted(quality)
    fit(texts, judge, criteria=("educational_value",), confidence=0)
    asked = {frozenset(excerpts(prompt)) for prompt in judge.prompts}
    assert len(judge.prompts) == 2 * 36
    assert len(asked) >= 34  # excerpts that lose the end can be alike


def write_pairs(file, texts, probability, criterion="educational_value"):
    ids = [key.hex() for key in tokenised(texts).ids]
    rows = [
        {"first": ids[i], "second": ids[j][:12], "criterion": criterion, "probability": p}
        for (i, j), p in probability.items()
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    return str(file)


def test_two_documents_without_a_word_in_common_differ_by_the_logit_of_the_votes(tmp_path):
    texts = ["one two three", "four five six"]
    fitted = fit(texts, None, labels=write_pairs(tmp_path / "x.jsonl", texts, {(0, 1): 0.8}), confidence=0, l2=1e-9)
    rating_NC, _ = qurating._ratings(fitted.law, fitted.rater, tokenised(texts))
    at = CRITERIA.index("educational_value")
    assert rating_NC[0, at] - rating_NC[1, at] == pytest.approx(math.log(0.8 / 0.2), abs=1e-3)
    assert scores(fitted, texts) == pytest.approx([1, -1])


def test_swapped_pairs_with_the_opposite_probability_give_the_same_ratings(planted, tmp_path):
    texts = planted[0][:60]
    rng = np.random.default_rng(2)
    p = {(i, i + 1): float(rng.choice([0.1, 0.9])) for i in range(59)}
    swapped = {(j, i): 1 - value for (i, j), value in p.items()}
    one, two = (
        fit(texts, None, labels=write_pairs(tmp_path / f"{n}.jsonl", texts, x)) for n, x in enumerate((p, swapped))
    )
    assert scores(one, texts) == pytest.approx(scores(two, texts), abs=1e-5)


def test_a_document_s_rating_is_the_mean_of_its_chunks_by_their_tokens(planted):
    fitted = fit(planted[0], Scripted(quality), chunk_tokens=100)
    text = ("good1 bad2 é天 " * 40)[:230]
    data = text.encode()
    cuts = [0, *(next(at for at in range(len(data) * k // (len(data) + 1), len(data)) if data[at] & 0xC0 != 0x80)
                 for k in range(100, len(data) + 1, 100)), len(data)]  # fmt: skip
    pieces = [data[a:b].decode() for a, b in itertools.pairwise(cuts)]
    assert "".join(pieces) == text
    weights = [min(100, len(data) + 1 - 100 * k) for k in range(len(pieces))]
    alone = []
    for piece in pieces:
        encoded = np.frombuffer(piece.encode(), np.uint8)
        alone.append(fitted.rater.predict(fitted.law.features(encoded, np.array([0, len(encoded)])))[0])
    rating_NC, _ = qurating._ratings(fitted.law, fitted.rater, tokenised([planted[0][0], text]))
    assert len(pieces) == len(weights) >= 3
    assert rating_NC[1] == pytest.approx(np.average(alone, axis=0, weights=weights), abs=1e-9)


def test_pairs_without_a_clear_winner_teach_nothing(planted, tmp_path):
    texts = planted[0][:20]
    sure = {(i, i + 1): float(quality(texts[i]) > quality(texts[i + 1])) for i in range(10)}
    unsure = {(i, i + 1): 0.7 - 0.3 * (i % 2) for i in range(10, 19)}
    one, both = (fit(texts, None, labels=write_pairs(tmp_path / f"{n}.jsonl", texts, p), confidence=0.5)
                 for n, p in enumerate((sure, sure | unsure)))  # fmt: skip
    assert scores(one, texts) == pytest.approx(scores(both, texts), abs=1e-6)
    with pytest.raises(SeedbedError, match="no pair of 9 is clearly better"):
        fit(texts, None, labels=write_pairs(tmp_path / "c.jsonl", texts, unsure))


def test_the_sum_is_that_of_the_criteria_and_normalised(planted, tmp_path):
    texts = planted[0]
    fitted = fit(texts, Scripted(quality, nonsense=0.1), score="sum", criteria=("writing_style", "facts_and_trivia"))
    table = fitted.measure(tokenised(texts))
    columns = np.array([arrow.numpy(table, name) for name in CRITERIA])
    assert not columns[2:].any()
    score_N = arrow.numpy(table, "score")
    assert columns.sum(axis=0) / columns.sum(axis=0).std() == pytest.approx(score_N)
    assert [score_N.mean(), score_N.std()] == pytest.approx([0, 1], abs=1e-6)


def test_a_higher_temperature_keeps_less_of_the_best(planted):
    texts, _ = planted
    score_N = scores(fit(texts, Scripted(quality)), texts)
    ids, n = DocumentBatch.of(texts).ids, np.full(300, 10)
    kept = []
    for temperature in (0.0, 1.0, 2.0, 1e6):
        draws = [
            arrow.numpy(choose(GumbelTopK(temperature=temperature), ids, score_N, n, 600, s), "copies")
            for s in range(20)
        ]
        kept.append(np.mean([score_N[draw > 0].mean() for draw in draws]))
    assert kept[0] > kept[1] + 0.1 > kept[2] + 0.2 > kept[3]


def test_strange_documents_are_rated_and_blind_to_their_neighbours(planted):
    fitted = fit(planted[0], Scripted(quality))
    together = scores(fitted, STRANGE)
    assert np.isfinite(together).all()
    assert together[0] == together[2] == 0
    assert [scores(fitted, [text])[0] for text in STRANGE] == pytest.approx(together.tolist(), abs=1e-12)
    assert fitted.measure(tokenised([])).num_rows == 0
    assert np.isfinite(scores(fit([*STRANGE, *STRANGE], Scripted(quality), confidence=0), STRANGE)).all()


def test_the_order_of_the_pool_is_of_no_account(planted):
    pool = tokenised(planted[0][:80])
    judges = [Scripted(quality, slope=1e9) for _ in range(2)]
    law = Qurating(pairs=100, votes=1, criteria=("educational_value",))
    orders = [np.arange(80), np.random.default_rng(0).permutation(80)]
    found = [law.fit(Given(pool=[pool.some(o)], judge=j, seed=3)) for o, j in zip(orders, judges, strict=True)]
    assert judges[0].prompts == judges[1].prompts
    one, two = (arrow.numpy(fitted.measure(pool), "score") for fitted in found)
    assert one == pytest.approx(two, abs=1e-9)


def test_what_cannot_be_learnt_is_said(planted, tmp_path):
    texts = planted[0][:10]
    with pytest.raises(SeedbedError, match=r"neither a judge nor a file of labels\. Give judge\.endpoint"):
        fit(texts, None)
    with pytest.raises(SeedbedError, match="less than two texts"):
        fit(["a", *[]], Scripted(quality))
    with pytest.raises(
        SeedbedError, match=r"most answers to the question of writing_style name neither text, such as 'Hm\.'"
    ):
        fit(texts, Scripted(quality, nonsense=1.0))
    labels = write_pairs(tmp_path / "x.jsonl", texts, {(0, 1): 1.0}, "writing_style")
    with pytest.raises(SeedbedError, match=r"qurating\.score: 'educational_value' is not among what was judged"):
        fit(texts, None, labels=labels)
    with pytest.raises(RecipeError, match=r"qurating\.labels: there is no file"):
        Qurating(labels="none.jsonl").identity()


def test_labels_take_the_judge_s_place_in_needs_and_fingerprint(tmp_path, planted):
    labels = write_pairs(tmp_path / "x.jsonl", planted[0], {(0, 1): 1.0})
    law = Qurating(labels=labels)
    assert law.needs() == (PoolText(),)
    assert law.identity() == Qurating(labels=labels, judge=Judge(model="m")).identity()
    (tmp_path / "x.jsonl").write_text("{}")
    assert law.identity() != Qurating(labels=write_pairs(tmp_path / "y.jsonl", planted[0], {(0, 1): 1.0})).identity()
    judge = Judge(endpoint="http://x/v1", model="m")
    assert Qurating(judge=judge).needs() == (PoolText(), judge)
    assert Qurating.from_parameters(Qurating(judge=judge).to_json(), "x") == Qurating(judge=judge)
