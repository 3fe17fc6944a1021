import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.select.contract import Scored
from seedbed.select.selectors.bands import Bands
from seedbed.select.selectors.capped_epochs import CappedEpochs
from seedbed.select.selectors.gumbel_top_k import GumbelTopK
from seedbed.select.selectors.quotas import Quotas
from seedbed.select.selectors.repeat_to_budget import RepeatToBudget
from seedbed.select.selectors.threshold import Threshold
from seedbed.select.selectors.top_k import TopK
from tests.conftest import examples

SELECTORS = [TopK(), GumbelTopK(), GumbelTopK(temperature=3, noise="gumbel_min"), RepeatToBudget(min_score=-9)]


def scored(score, n_tokens=None, key=None):
    n = len(score)
    tokens = np.ones(n, np.int64) if n_tokens is None else np.asarray(n_tokens, np.int64)
    keys = np.arange(n, dtype=np.uint64) if key is None else np.asarray(key, np.uint64)
    return Scored(np.asarray(score, float), tokens, keys)


def sequential_inclusion(score, k):
    """Exact: draw k times without replacement from the softmax over what is left."""
    weight, found = np.exp(score), np.zeros(len(score))
    for order in itertools.permutations(range(len(score)), k):
        left, p = weight.sum(), 1.0
        for i in order:
            p *= weight[i] / left
            left -= weight[i]
        found[list(order)] += p
    return found


def inclusion(selector, score, k, draws):
    """Frequencies over `draws` independent worlds, in one call each."""
    return np.mean([selector.copies(scored(score), budget_tokens=k, seed=s) for s in range(draws)], axis=0)


def test_gumbel_top_k_is_sequential_sampling_without_replacement():
    score = np.array([2.0, 1.0, 0.2, -0.5, 0.0, 1.5, -1.0, 0.5])
    exact = sequential_inclusion(score, 3)
    assert np.abs(inclusion(GumbelTopK(), score, 3, 6000) - exact).max() <= 0.015
    hot = sequential_inclusion(score / 4, 3)
    assert np.abs(inclusion(GumbelTopK(temperature=4), score, 3, 6000) - hot).max() <= 0.015
    released = inclusion(GumbelTopK(noise="gumbel_min"), score, 3, 6000)
    assert np.abs(released - exact).max() > 0.03  # negating after the noise is another, greedier law


def test_gumbel_min_selects_greedier_at_the_same_temperature():
    score = np.random.default_rng(0).standard_normal(5000)
    for temperature in (0.5, 1, 2):
        means = [
            score[GumbelTopK(temperature, noise).copies(scored(score), budget_tokens=1000, seed=1) > 0].mean()
            for noise in ("gumbel", "gumbel_min")
        ]
        # the known values of this experiment are 1.141/.801/.433 and 1.236/1.035/.698, top-k 1.395
        expected = {0.5: (1.141, 1.236), 1: (0.801, 1.035), 2: (0.433, 0.698)}[temperature]
        assert means == pytest.approx(expected, abs=0.09)


def test_the_ends_of_temperature_are_top_k_and_uniform():
    score = np.arange(20.0)
    cold = GumbelTopK(temperature=0).copies(scored(score), budget_tokens=5, seed=3)
    assert np.array_equal(cold, TopK().copies(scored(score), budget_tokens=5, seed=3))
    assert cold[-5:].all()
    frequencies = inclusion(GumbelTopK(), np.zeros(10), 3, 3000)
    assert np.abs(frequencies - 0.3).max() < 0.03


@pytest.mark.parametrize("selector", SELECTORS)
def test_the_budget_holds_to_one_document(selector):
    rng = np.random.default_rng(2)
    n_tokens = rng.integers(1, 50, 200)
    pool = scored(rng.standard_normal(200), n_tokens, rng.integers(0, 2**63, 200))
    for budget in (1, 7, 500, int(n_tokens.sum())):
        copies = selector.copies(pool, budget_tokens=budget, seed=0)
        assert budget - 1e-6 <= copies @ n_tokens < budget + n_tokens.max()
    assert not selector.copies(pool, budget_tokens=0, seed=0).any()
    assert (TopK().copies(pool, budget_tokens=10**9, seed=0) == 1).all()


@pytest.mark.parametrize("selector", SELECTORS)
def test_order_does_not_matter_and_the_seed_does(selector):
    rng = np.random.default_rng(4)
    score, n_tokens, key = np.repeat([0.0, 1.0], 50), rng.integers(1, 9, 100), rng.integers(0, 2**63, 100)
    copies = selector.copies(scored(score, n_tokens, key), budget_tokens=60, seed=0)
    order = rng.permutation(100)
    shuffled = selector.copies(scored(score[order], n_tokens[order], key[order]), budget_tokens=60, seed=0)
    assert np.array_equal(shuffled, copies[order])
    other = selector.copies(scored(score, n_tokens, key), budget_tokens=60, seed=1)
    assert not np.array_equal(other, copies)  # ties fall differently
    assert selector.copies(scored([]), budget_tokens=5, seed=0).tolist() == []


def test_top_k_takes_the_best_and_is_blind_to_monotone_rescaling():
    score = np.array([0.3, -1.0, 2.0, 0.9])
    copies = TopK().copies(scored(score, [4, 4, 4, 4]), budget_tokens=9, seed=0)
    assert copies.tolist() == [1, 0, 1, 1]
    assert np.array_equal(TopK().copies(scored(np.exp(score), [4] * 4), budget_tokens=9, seed=0), copies)


def test_repeat_to_budget_shares_it_equally_and_stops_at_the_cap():
    pool = scored([1, 0, 1, 0], [10, 99, 30, 99])
    assert RepeatToBudget().copies(pool, budget_tokens=100, seed=0).tolist() == [2.5, 0, 2.5, 0]
    assert RepeatToBudget().copies(pool, budget_tokens=1000, seed=0).tolist() == [4, 0, 4, 0]
    assert RepeatToBudget(max_copies=50).copies(pool, budget_tokens=1000, seed=0).tolist() == [25, 0, 25, 0]
    assert RepeatToBudget().copies(scored([0, 0]), budget_tokens=5, seed=0).tolist() == [0, 0]
    few = RepeatToBudget().copies(scored([1, 0, 1, 1], [5, 5, 5, 5]), budget_tokens=6, seed=0)
    assert few.sum() == 2
    assert few[1] == 0


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(SeedbedError, match="entry 1 is nan"):
        scored([0.0, np.nan])


# The new selectors -------------------------------------------------------------------------------------------------


def test_threshold_reads_one_side_of_the_bound_once():
    pool = scored([-1, 0, 0.5, 2], [5, 5, 5, 5])
    assert Threshold().copies(pool, budget_tokens=100, seed=0).tolist() == [0, 1, 1, 1]
    assert Threshold(side="below", bound=0.5).copies(pool, budget_tokens=100, seed=0).tolist() == [1, 1, 1, 0]
    assert Threshold(bound=9).copies(pool, budget_tokens=100, seed=0).tolist() == [0, 0, 0, 0]
    part = Threshold().copies(pool, budget_tokens=8, seed=0)
    assert part.sum() == 2
    assert part[0] == 0


def test_what_passes_a_threshold_is_drawn_evenly_whatever_its_score():
    frequencies = inclusion(Threshold(bound=1), np.array([9.0, 1.0, 1.5, 3.0, 0.0]), 2, 3000)
    assert frequencies[:4] == pytest.approx([0.5] * 4, abs=0.04)
    assert frequencies[4] == 0


def test_a_threshold_by_share_is_the_top_share_by_tokens_or_by_bytes():
    rng = np.random.default_rng(0)
    score, tokens, size = rng.normal(size=300), rng.integers(1, 50, 300), rng.integers(1, 50, 300).astype(float)
    pool = Scored(score, tokens, np.arange(300, dtype=np.uint64), {"n_bytes": size})
    for share in (0.1, 0.5, 1.0):
        for by, weight in (("tokens", tokens), ("bytes", size)):
            selector = Threshold(share=share, by=by)
            kept = selector.copies(pool, budget_tokens=10**9, seed=0) > 0
            assert share * weight.sum() <= weight[kept].sum() < share * weight.sum() + weight.max()
            assert kept.all() or score[kept].min() > score[~kept].max()
            assert selector.columns() == (("n_bytes",) if by == "bytes" else ())
    lowest = Threshold(share=0.1, side="below").copies(pool, budget_tokens=10**9, seed=0) > 0
    assert score[lowest].max() < score[~lowest].min()


def test_a_threshold_can_read_another_signal():
    pool = Scored(np.zeros(3), np.ones(3, np.int64), np.arange(3, dtype=np.uint64), {"p": np.array([0.1, 0.95, 0.9])})
    selector = Threshold(bound=0.9, signal="p")
    assert selector.columns() == ("p",)
    assert selector.copies(pool, budget_tokens=9, seed=0).tolist() == [0, 1, 1]
    broken = Scored(np.zeros(1), np.ones(1, np.int64), np.zeros(1, np.uint64), {"p": np.array([np.nan])})
    with pytest.raises(SeedbedError, match="'p' is not finite"):
        selector.copies(broken, budget_tokens=9, seed=0)


def test_bands_partition_the_pool_by_tokens():
    rng = np.random.default_rng(1)
    score, tokens = rng.normal(size=400), rng.integers(1, 30, 400)
    thirds = [
        Bands(low, high).copies(scored(score, tokens), budget_tokens=10**9, seed=0) > 0
        for low, high in ((0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1))
    ]
    for third in thirds:
        assert tokens.sum() / 3 <= tokens[third].sum() < tokens.sum() / 3 + 2 * tokens.max()
    assert score[thirds[0]].max() <= score[thirds[1]].min()
    assert score[thirds[1]].max() <= score[thirds[2]].min()
    assert np.logical_or.reduce(thirds).all()
    assert (Bands(0, 1).copies(scored(score, tokens), budget_tokens=10**9, seed=0) == 1).all()
    with pytest.raises(RecipeError, match=r"bands\.low"):
        Bands(0.5, 0.5)
    # of tokens, not of documents: one long document is half of the pool
    assert Bands(0.5, 1).copies(scored([0, 1, 2], [30, 15, 15]), budget_tokens=99, seed=0).tolist() == [0, 1, 1]


def test_capped_epochs_repeats_the_best():
    pool = scored([3, 1, 2, 0], [10, 10, 10, 10])
    assert CappedEpochs().copies(pool, budget_tokens=95, seed=0).tolist() == [4, 2, 4, 0]
    assert CappedEpochs(max_copies=1).copies(pool, budget_tokens=25, seed=0).tolist() == [1, 1, 1, 0]
    assert CappedEpochs().copies(pool, budget_tokens=1000, seed=0).tolist() == [4, 4, 4, 4]
    assert CappedEpochs(max_copies=2.5).copies(pool, budget_tokens=27, seed=0).tolist() == [2.5, 0, 1, 0]
    assert CappedEpochs().copies(scored([1, 0], [0, 7]), budget_tokens=7, seed=0).tolist() == [1, 1]


def by(groups, score=None, n_tokens=None, key=None, **more):
    groups = np.array(groups, dtype=object)
    base = scored(np.zeros(len(groups)) if score is None else score, n_tokens, key)
    return Scored(base.score_N, base.n_tokens_N, base.key_N, {"source": groups, **more})


def tokens_of(selector, pool, budget):
    read = selector.copies(pool, budget_tokens=budget, seed=0) * pool.n_tokens_N
    names = pool.columns["source"]
    return {name: float(read[names == name].sum()) for name in sorted(set(names))}


def test_quotas_by_share_of_the_pool_and_equal():
    pool = by(["a"] * 600 + ["b"] * 300 + ["c"] * 100)
    assert tokens_of(Quotas(), pool, 100) == {"a": 60, "b": 30, "c": 10}
    assert tokens_of(Quotas(shares="equal"), pool, 90) == {"a": 30, "b": 30, "c": 30}


def test_what_a_value_cannot_give_the_others_give():
    pool = by(["a"] * 600 + ["b"] * 300 + ["c"] * 10)
    assert tokens_of(Quotas(shares="equal"), pool, 90) == {"a": 40, "b": 40, "c": 10}
    assert tokens_of(Quotas(shares="equal"), pool, 710) == {"a": 400, "b": 300, "c": 10}


def test_within_a_value_the_best_are_read():
    rng = np.random.default_rng(2)
    score = rng.normal(size=90)
    pool = by(["a", "b", "c"] * 30, score)
    kept = Quotas().copies(pool, budget_tokens=30, seed=0) > 0
    for name in "abc":
        mine = pool.columns["source"] == name
        assert kept[mine].sum() == 10
        assert score[mine & kept].min() > score[mine & ~kept].max()


def test_nested_quotas_fill_back_within_the_outer_value_first():
    site = np.array((["x"] * 5 + ["y"] * 100) + ["z"] * 100, dtype=object)
    pool = by(["a"] * 105 + ["b"] * 100, site=site)
    read = Quotas(("source", "site"), "equal").copies(pool, budget_tokens=80, seed=0)
    assert [read[site == name].sum() for name in "xyz"] == [5, 35, 40]
    flat = Quotas(("site",), "equal").copies(pool, budget_tokens=80, seed=0)
    assert abs(flat[site == "y"].sum() - flat[site == "z"].sum()) <= 1


def test_a_temperature_samples_within_a_value_from_the_softmax():
    # one value whose quota is 3 of its 8 documents: sequential sampling without replacement, exactly
    score = np.array([2.0, 1.0, 0.2, -0.5, 0.0, 1.5, -1.0, 0.5])
    pool = by(["a"] * 8 + ["b"] * 8, np.concatenate([score, 50 + score[::-1]]))
    selector = Quotas(temperature=1.0)
    found = np.mean([selector.copies(pool, budget_tokens=6, seed=seed) for seed in range(4000)], axis=0)
    exact = sequential_inclusion(score, 3)
    assert np.abs(found - np.concatenate([exact, exact[::-1]])).max() <= 0.025


def test_quotas_over_numbers_and_a_column_that_is_not_there():
    pool = Scored(np.zeros(6), np.ones(6, np.int64), np.arange(6, dtype=np.uint64), {"cluster": np.array([0.0, 7] * 3)})
    read = Quotas(("cluster",)).copies(pool, budget_tokens=4, seed=0)
    assert read.reshape(3, 2).sum(axis=0).tolist() == [2, 2]
    with pytest.raises(SeedbedError, match="no column 'source'"):
        Quotas().copies(pool, budget_tokens=4, seed=0)


# Laws --------------------------------------------------------------------------------------------------------------

ONCE = [TopK(), GumbelTopK(), Threshold(), Threshold(share=0.3), Threshold(bound=1.0, side="below"), Bands(),
        Quotas(), Quotas(("source", "site"), "equal"), Quotas(temperature=2.0)]  # fmt: skip
EVERY = [*ONCE, CappedEpochs(), CappedEpochs(max_copies=2.5), RepeatToBudget(min_score=-9)]
documents = st.lists(
    st.tuples(
        st.floats(-5, 5, width=16), st.integers(0, 40), st.integers(0, 2**64 - 1), st.sampled_from("abc"),
        st.sampled_from(["", "x", "y"]),
    ),
    max_size=40, unique_by=lambda row: row[2],
)  # fmt: skip
laws = examples(40)


def pool_of(rows):
    score, n_tokens, key, source, site = zip(*rows, strict=True) if rows else ((),) * 5
    columns = {"source": np.array(source, dtype=object), "site": np.array(site, dtype=object)}
    return Scored(np.array(score, float), np.array(n_tokens, np.int64), np.array(key, np.uint64), columns)


@pytest.mark.parametrize("selector", EVERY)
@laws
@given(rows=documents, budget=st.integers(0, 900), seed=st.integers(0, 3), chance=st.randoms(use_true_random=False))
def test_the_budget_is_passed_by_less_than_a_document_and_the_order_is_of_no_account(
    selector, rows, budget, seed, chance
):
    pool = pool_of(rows)
    copies = selector.copies(pool, budget_tokens=budget, seed=seed)
    assert copies.shape == (len(rows),)
    assert (copies >= 0).all()
    read = copies @ pool.n_tokens_N
    assert read == 0 or read < budget + pool.n_tokens_N.max() * (1 + 1e-9)
    if selector in ONCE:
        assert set(copies.tolist()) <= {0.0, 1.0}
    if isinstance(selector, TopK | GumbelTopK | Quotas):
        assert read >= min(budget, pool.n_tokens_N.sum())
    if isinstance(selector, CappedEpochs):
        assert read >= min(budget, selector.max_copies * pool.n_tokens_N.sum()) - 1e-6
    shuffled = chance.sample(rows, len(rows))
    again = selector.copies(pool_of(shuffled), budget_tokens=budget, seed=seed)
    by_key = {row[2]: value for row, value in zip(shuffled, again, strict=True)}
    assert [by_key[row[2]] for row in rows] == copies.tolist()


RANKED = [TopK(), Threshold(share=0.3), Bands(), Quotas(), Quotas(("source", "site"), "equal"), CappedEpochs()]


@pytest.mark.parametrize("selector", RANKED)
@laws
@given(rows=documents, budget=st.integers(0, 900))
def test_selectors_by_rank_are_blind_to_monotone_rescaling(selector, rows, budget):
    pool = pool_of(rows)
    bent = dataclasses.replace(pool, score_N=3 * pool.score_N**3 + pool.score_N - 7)
    copies = [selector.copies(given, budget_tokens=budget, seed=0) for given in (pool, bent)]
    assert np.array_equal(*copies)


@pytest.mark.parametrize("make", [GumbelTopK, lambda temperature: Quotas(temperature=temperature)])
def test_the_mean_score_selected_falls_with_the_temperature(make):
    score = np.random.default_rng(3).normal(size=4000)
    pool = by(["a", "b"] * 2000, score)
    means = [
        np.mean([score[make(t).copies(pool, budget_tokens=800, seed=s) > 0].mean() for s in range(5)])
        for t in (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 16.0)
    ]
    assert (np.diff(means) < 0).all()
    assert means[0] == pytest.approx(1.395, abs=0.06)  # the best fifth of a normal
    assert means[-1] == pytest.approx(0, abs=0.12)
