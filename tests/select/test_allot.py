import numpy as np
import pytest

from seedbed.core.errors import SeedbedError
from seedbed.select.allot import draw_by_shares, parts, weights_by_shares
from seedbed.select.contract import Scored
from seedbed.select.selectors.gumbel_top_k import GumbelTopK
from seedbed.select.selectors.top_k import TopK
from seedbed.stats.sampling import mix64


def scored(n, seed=0):
    rng = np.random.default_rng(seed)
    key = mix64(np.arange(n, dtype=np.uint64))
    return Scored(rng.normal(size=n), rng.integers(1, 40, n), key), rng.integers(0, 3, n)


def tokens_by_domain(pool, domain, copies):
    return np.bincount(domain, copies * pool.n_tokens_N, 3)


@pytest.mark.parametrize("selector", [TopK(), GumbelTopK()])
def test_each_domain_reaches_its_part_within_a_document(selector):
    pool, domain = scored(600)
    share = np.array([0.2, 0.5, 0.3])
    copies = weights_by_shares(selector, pool, domain, share, budget_tokens=5000, max_epochs=4, seed=1)
    over = tokens_by_domain(pool, domain, copies) - share * 5000
    assert (over >= 0).all()
    assert (over < 40).all()
    assert set(np.unique(copies)) == {0.0, 1.0}


def test_the_selector_chooses_within_the_domain():
    pool, domain = scored(600)
    copies = weights_by_shares(TopK(), pool, domain, np.array([0.0, 1.0, 0.0]), budget_tokens=800, max_epochs=4, seed=0)
    taken = copies > 0
    assert (domain[taken] == 1).all()
    assert pool.score_N[taken].min() > pool.score_N[(domain == 1) & ~taken].max()


def test_a_small_domain_is_read_again_and_what_it_cannot_give_goes_to_the_others_in_proportion():
    n_tokens = np.array([10, 10, 100, 100, 100, 100, 400, 400, 400])
    domain = np.array([0, 0, 1, 1, 1, 1, 2, 2, 2])
    pool = Scored(np.arange(9.0), n_tokens, mix64(np.arange(9, dtype=np.uint64)))
    share = np.array([0.5, 0.2, 0.3])
    assert parts(share, np.array([20, 400, 1200]), 1000, 2.5).tolist() == [50, 380, 570]
    copies = weights_by_shares(TopK(), pool, domain, share, budget_tokens=1000, max_epochs=2.5, seed=0)
    assert copies[:2].tolist() == [2, 3]  # 20 + 20 tokens, and 10 of the better one
    assert copies[2:6].tolist() == [1, 1, 1, 1]
    assert copies[6:].tolist() == [0, 1, 1]


def test_the_budget_is_kept_or_everything_is_read_as_often_as_allowed():
    share = np.array([0.3, 0.3, 0.4])
    for budget in (0, 1, 7, 999, 10**6):
        part = parts(share, np.array([100, 200, 50]), budget, 3.0)
        assert part.sum() == min(budget, 1050)
        assert (part <= np.array([300, 600, 150])).all()
    assert parts(np.array([1.0, 0, 0]), np.array([100, 200, 50]), 1000, 3.0).tolist() == [300, 0, 0]


def test_the_order_of_documents_does_not_matter():
    pool, domain = scored(300)
    share = np.array([0.1, 0.6, 0.3])
    copies = weights_by_shares(GumbelTopK(), pool, domain, share, budget_tokens=900, max_epochs=1, seed=5)
    order = np.random.default_rng(2).permutation(300)
    moved = Scored(pool.score_N[order], pool.n_tokens_N[order], pool.key_N[order])
    again = weights_by_shares(GumbelTopK(), moved, domain[order], share, budget_tokens=900, max_epochs=1, seed=5)
    assert (again == copies[order]).all()


def test_columns_go_with_their_documents():
    class ByColumn(TopK):
        def columns(self):
            return ("good",)

        def copies(self, scored, *, budget_tokens, seed):
            return np.asarray(scored.columns["good"], dtype=np.float64)

    pool, domain = scored(50)
    good = np.random.default_rng(3).integers(0, 2, 50)
    pool = Scored(pool.score_N, pool.n_tokens_N, pool.key_N, {"good": good})
    share = np.array([0.5, 0.5, 0.0])
    copies = weights_by_shares(ByColumn(), pool, domain, share, budget_tokens=20, max_epochs=1, seed=0)
    assert (copies == np.where(domain < 2, good, 0)).all()


def test_what_are_no_shares_is_refused():
    pool, domain = scored(20)
    for wrong in ([0.5, 0.4, 0.0], [1.5, -0.5, 0.0], [float("nan"), 0.5, 0.5]):
        with pytest.raises(SeedbedError, match="are no shares"):
            weights_by_shares(TopK(), pool, domain, np.array(wrong), budget_tokens=9, max_epochs=1, seed=0)


def draws(share, tokens, seeds):
    pool, domain = scored(600)
    return (
        pool,
        domain,
        [
            draw_by_shares(pool.key_N, pool.n_tokens_N, domain, np.array(share), tokens=tokens, seed=seed)
            for seed in seeds
        ],
    )


def test_a_draw_comes_to_its_shares_on_average_however_small_the_parts():
    share = [0.02, 0.9, 0.08]
    pool, domain, found = draws(share, 300, range(2000))
    read = np.mean([tokens_by_domain(pool, domain, copies) for copies in found], axis=0)
    assert read == pytest.approx(np.array(share) * 300, rel=0.08)
    off = [tokens_by_domain(pool, domain, copies) - np.array(share) * 300 for copies in found]
    assert np.abs(off).max() < 40


def test_what_is_drawn_of_a_domain_does_not_depend_on_the_others():
    _, domain, [both] = draws([0.5, 0.5, 0], 2000, [3])
    _, _, [alone] = draws([1.0, 0, 0], 1000, [3])
    assert (both[domain == 0] == alone[domain == 0]).all()


def test_a_draw_reads_a_small_domain_again_and_is_never_empty():
    pool, domain, [copies] = draws([1.0, 0, 0], 20_000, [0])
    size = int(pool.n_tokens_N[domain == 0].sum())
    assert set(np.unique(copies[domain == 0])) == {20_000 // size, 20_000 // size + 1}
    _, _, tiny = draws([0.4, 0.3, 0.3], 1, range(50))
    assert min(copies.sum() for copies in tiny) >= 1
