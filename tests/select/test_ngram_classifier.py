import numpy as np
import pytest

import seedbed as sb
from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.select.contract import Given, PoolText, Scored, TargetText, Texts
from seedbed.select.scorers.ngram_classifier import NgramClassifier
from seedbed.select.selectors.threshold import Threshold
from seedbed.stats.auc import rank_auc


def tokenised(texts):
    """Documents whose tokens are their words."""
    offsets = np.cumsum([0, *(len(text.split()) for text in texts)]).astype(np.int64)
    return DocumentBatch(DocumentBatch.of(texts).rows, (np.zeros(offsets[-1], np.int64), offsets))


def fit(target, pool, seed=0, **parameters):
    return NgramClassifier(**parameters).fit(Given(target=[tokenised(target)], pool=[tokenised(pool)], seed=seed))


def scores(fitted, texts):
    return arrow.numpy(fitted.measure(tokenised(texts)), "score")


VOCABULARY = np.array([f"word{i}" for i in range(400)])


def words(rng, p, n, length=40):
    return [" ".join(rng.choice(VOCABULARY, length, p=p)) for _ in range(n)]


@pytest.fixture(scope="module")
def planted():
    """(target, pool, held-out texts, whether those are of the target): four topics of overlapping vocabulary."""
    rng = np.random.default_rng(5)
    mixes = [0.6 * rng.dirichlet(np.full(400, 0.2)) + 0.4 / 400 for _ in range(4)]
    pool = [text for p in mixes for text in words(rng, p, 80)]
    held = [text for p in mixes for text in words(rng, p, 60)]
    return words(rng, mixes[0], 150), pool, held, np.repeat(np.arange(4), 60) == 0


@pytest.mark.parametrize("how", [{}, {"scale": "l2", "l2": 1e-4}, {"scale": "none", "l2": 1e-3}, {"ngrams": 1}])
def test_held_out_auc_of_a_planted_target(planted, how):
    target, pool, held, good = planted
    assert rank_auc(scores(fit(target, pool, **how), held), good) > 0.95


def test_with_permuted_labels_it_knows_nothing(planted):
    target, pool, held, good = planted
    rng, auc = np.random.default_rng(0), []
    for _ in range(8):
        mixed = [(*target, *pool)[i] for i in rng.permutation(len(target) + len(pool))]
        auc.append(rank_auc(scores(fit(mixed[:150], mixed[150:]), held), good))
    assert np.mean(auc) == pytest.approx(0.5, abs=0.1)
    assert max(auc) < 0.8


def test_equals_scikit_learn_on_the_same_features(planted):
    linear_model = pytest.importorskip("sklearn.linear_model")
    sparse = pytest.importorskip("scipy.sparse")
    target, pool, held, _ = planted
    method = NgramClassifier(scale="l2", l2=1e-3, buckets=2000)
    x = method.features(tokenised([*target, *pool]))
    matrix = sparse.csr_matrix((x.value.astype(float), x.index, x.indptr_N1), shape=(len(x), 2000))
    label = np.repeat([1, 0], [150, 320])
    weight = np.repeat([0.5 / 150, 0.5 / 320], [150, 320])
    model = linear_model.LogisticRegression(C=1e3, tol=1e-9, max_iter=5000).fit(matrix, label, sample_weight=weight)
    y = method.features(tokenised(held))
    held_matrix = sparse.csr_matrix((y.value.astype(float), y.index, y.indptr_N1), shape=(len(y), 2000))
    found = scores(fit(target, pool, scale="l2", l2=1e-3, buckets=2000), held)
    assert found == pytest.approx(model.decision_function(held_matrix), abs=1e-3)


def test_word_pairs_are_seen_in_their_order():
    target, pool = ["red green blue"] * 20, ["blue green red"] * 20
    fitted = fit(target, pool, ngrams=2)
    assert scores(fitted, target[:1])[0] > 0.5
    assert scores(fitted, pool[:1])[0] < -0.5
    assert abs(scores(fit(target, pool, ngrams=1), target[:1])[0]) < 1e-6


def test_files_take_the_place_of_target_and_pool():
    files = NgramClassifier(positives=("good/*.txt",), negatives=("bad.txt",))
    assert files.needs() == (Texts("positives", ("good/*.txt",)), Texts("negatives", ("bad.txt",)))
    assert NgramClassifier().needs() == (TargetText(), PoolText())
    given = Given(texts={"positives": [tokenised(["good fine"])], "negatives": [tokenised(["bad worse"])]})
    found = files.fit(given).measure(tokenised(["fine", "worse", ""]))
    score, probability = arrow.numpy(found, "score"), arrow.numpy(found, "probability")
    assert score[0] > score[2] > score[1]
    assert probability == pytest.approx(1 / (1 + np.exp(-score)))
    assert score[2] == pytest.approx(0, abs=1e-3)  # classes weigh alike


def test_sides_of_unequal_size_weigh_alike_and_an_empty_one_is_an_error():
    few, many = ["good fine"], ["bad worse"] * 200
    score = scores(fit(few, many), ["good fine", "bad worse", "other"])
    assert score[0] == pytest.approx(-score[1], rel=0.05)
    assert score[2] == pytest.approx(0, abs=0.1)
    with pytest.raises(SeedbedError, match="ngram_classifier, positives"):
        fit([""], ["a"])
    with pytest.raises(SeedbedError, match="ngram_classifier, negatives"):
        fit(["a"], [])


def test_learning_does_not_see_the_order_of_documents_or_batches(planted):
    target, pool, held, _ = planted
    whole = scores(fit(target, pool, max_negatives=100), held)
    shuffled = tokenised(pool).some(np.random.default_rng(0).permutation(len(pool)))
    halves = [shuffled.some(np.arange(150)), shuffled.some(np.arange(150, len(pool)))]
    again = NgramClassifier(max_negatives=100).fit(Given(target=[tokenised(target)], pool=halves))
    assert np.array_equal(scores(again, held), whole)
    assert not np.array_equal(scores(fit(target, pool, seed=1, max_negatives=100), held), whole)


# EvalWeb: rules, a model of Chinese, a threshold from the sweep of its score -----------------------------------------

WORDS = """
今天早上 去年冬天 每个星期 很久以前 昨天晚上 上个月 春天来的时候 下雨的日子
老师 学生 医生 农民 工人 作家 科学家 司机 母亲 孩子 邻居 画家 工程师 记者 校长 渔民
在学校里 在河边 在城市中心 在图书馆 在医院门口 在山上的村子里 在办公室 在火车站
认真地写完了 慢慢地读着 高兴地讲起 仔细地检查了 终于找到了 耐心地解释了 小心地修理着 静静地看着
一本关于历史的书 那封长信 家里的旧机器 自己的工作计划 村里的老房子 孩子们的作业 一张发黄的照片 新的研究报告
免费 点击 下载 优惠 抢购 注册 返利
"""
*SENTENCE, SALE = [
    line.split() for line in WORDS.strip().splitlines()
]  # when, who, where, does, what; a seller's words


def chinese(rng, n):
    """Half are sentences; the others hold the same words in any order, and here and there one of a seller's."""
    good = rng.random(n) < 0.5
    texts = []
    for is_good in good:
        parts = [[rng.choice(part) for part in SENTENCE] for _ in range(int(rng.integers(14, 20)))]
        if not is_good:
            loose = [word for part in parts for word in part]
            at = rng.permutation(len(loose))[: int(rng.integers(len(loose) // 2, len(loose)))]
            loose = np.array(loose)
            loose[np.sort(at)] = loose[at]
            loose[rng.integers(0, len(loose), 3)] = rng.choice(SALE, 3)
            parts = loose.reshape(-1, 5).tolist()
        texts.append("。\n".join("".join(part) for part in parts) + "。")
    return texts, good


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """(texts that the rules keep, whether each is prose): Chinese pages, and pages the rules are there to drop."""
    texts, good = chinese(np.random.default_rng(2), 500)
    folder = tmp_path_factory.mktemp("pages")
    (folder / "in").mkdir()
    others = ["The quick brown fox is not Chinese at all. " * 20, "太短了。", "看看吧" * 200]
    for i, text in enumerate([*texts, *others]):
        body = "".join(f"<p>{line}</p>" for line in text.split("\n"))
        page = f"<html><head><meta charset='utf-8'></head><body><article>{body}</article></body></html>"
        (folder / "in" / f"{i:04}.html").write_text(page, encoding="utf-8")
    corpus = sb.curate(str(folder / "in" / "*.html"), out=folder / "out", recipe="web_zh", workers=1)
    rows = corpus.documents().to_pylist()
    number = [int(row["file"][:4]) for row in rows]
    assert max(number) < 500, "what is no Chinese prose at all is gone"
    return [row["text"] for row in rows], good[number]


def test_a_threshold_from_the_sweep_is_right_nine_times_in_ten(pages):
    texts, good = pages
    assert len(texts) > 450
    order = np.random.default_rng(0).permutation(len(texts))
    texts, good = [texts[i] for i in order], good[order]
    books = [text for text, is_good in zip(texts[:120], good[:120], strict=True) if is_good]
    fitted = fit(books, texts[120:200], unit="characters")
    probability = arrow.numpy(fitted.measure(tokenised(texts)), "probability")
    sweep, audit = slice(200, 300), slice(300, None)

    def kept(bound, part):
        n = len(probability[part])
        scored = Scored(np.zeros(n), np.ones(n, np.int64), np.arange(n, dtype=np.uint64), {"p": probability[part]})
        return Threshold(bound=bound, signal="p").copies(scored, budget_tokens=n, seed=0) > 0

    bounds = np.linspace(0, 1, 101)
    share = [kept(bound, sweep).mean() for bound in bounds]
    assert (np.diff(share) <= 0).all()
    assert share[0] == 1
    right = np.array([good[sweep][kept(b, sweep)].mean() if kept(b, sweep).any() else 0.0 for b in bounds])
    bound = bounds[int(np.argmax(right >= 0.9))]
    assert good[audit].mean() < 0.6, "without it, half are no prose"
    fifty = np.flatnonzero(kept(bound, audit))[:50]
    assert len(fifty) == 50
    assert good[audit][fifty].mean() >= 0.9
