import json

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict.contract import Mixes
from seedbed.predict.laws.data_mixing_law import DataMixingLaw
from seedbed.stats.mixing_law import fitted
from seedbed.stats.simplex import grid
from tests.predict.law_examples import data_mixing_law as example
from tests.released_mixtures import needs_truth, published

SHARES = np.array([0.25, 0.375, 0.5, 0.625, 0.75])
RELEASED = {
    "Pile-CC": ([3.3660, 3.2936, 3.2300, 3.1921, 3.1634], (3.0823, 0.5371, -2.536)),
    "Github": ([1.2130, 1.1553, 1.1066, 1.0762, 1.0412], (0.9242, 0.4500, -1.778)),
}
"""160M at 30,000 steps: losses, and the (c, k, t) fitted to them, of the domain's own share."""


def fit(columns, **parameters):
    return DataMixingLaw(**{"n_bootstrap": 0, **parameters}).fit(arrow.table(columns))


def truth(shares):
    return example.C + example.K * np.exp(shares @ example.T)


def exact(n=30):
    shares = np.random.default_rng(3).dirichlet(np.ones(3), n)
    return {**dict(zip(example.NAMES, shares.T, strict=True)), "loss": truth(shares)}


def plan(shares):
    return dict(zip(example.NAMES, shares, strict=True))


@pytest.fixture(scope="module")
def noisy():
    return fit(example.runs(), n_bootstrap=40)


def test_exact_runs_give_their_law_back_with_a_mean_slope_of_0():
    found = fit(exact())
    told = {name: e.value for name, e in found.coefficients.items()}
    assert list(told) == ["c", "k", "t_code", "t_web", "t_books"]
    assert sum(list(told.values())[2:]) == pytest.approx(0, abs=1e-12)
    slopes = example.T - example.T.mean()
    expected = [example.C, example.K * np.exp(example.T.mean()), *slopes]
    assert list(told.values()) == pytest.approx(expected, rel=1e-4)
    assert found.facts["condition_number"] < 100, "the shift that shares cannot see is not searched"
    assert found.facts["starts_that_agree"] >= 10
    held = grid(3, 8)
    assert [found.predict(plan(row)) for row in held] == pytest.approx(truth(held), abs=1e-5)
    assert found.warnings == ()


def test_the_mixer_and_the_law_fit_the_same_law():
    runs = example.runs()
    shares = np.column_stack([runs[name] for name in example.NAMES])
    mixers = fitted(shares, np.array(runs["loss"]))
    told = [e.value for e in fit(runs).coefficients.values()]
    assert told == pytest.approx([mixers.c, mixers.k, *mixers.t_D], rel=1e-3)


def test_the_lowest_mixture_is_that_of_a_grid(noisy):
    assert isinstance(noisy, Mixes)
    points = grid(3, 20)
    values = np.array([noisy.predict(plan(row)) for row in points])
    for caps in ({}, {"share_code": 0.4}, {"share_code": 0.35, "share_web": 0.4}, {"share_code": 0.0}):
        found = noisy.mixture({}, caps)
        mine = [found[name].value for name in example.NAMES]
        assert sum(mine) == pytest.approx(1)
        assert all(found[name].value <= cap + 1e-12 for name, cap in caps.items())
        allowed = np.all([points[:, example.NAMES.index(n)] <= c + 1e-9 for n, c in caps.items()] or [True], axis=0)
        assert found["loss"].value == pytest.approx(values[np.broadcast_to(allowed, len(points))].min(), abs=1e-12)
        assert found["loss"].low < found["loss"].value < found["loss"].high
        assert all(found[name].low <= found[name].value <= found[name].high for name in example.NAMES)


def test_a_mixture_that_matters_little_is_told_by_its_interval():
    """Two domains of equal slope: which of them is filled is chance, and the interval says so."""
    shares = np.random.default_rng(0).dirichlet(np.ones(3), 24)
    loss = 2 + np.exp(shares @ [-1.0, -1.0, 1.0]) + 0.01 * np.random.default_rng(1).standard_normal(24)
    found = fit({**dict(zip(example.NAMES, shares.T, strict=True)), "loss": loss}, n_bootstrap=60).mixture({}, {})
    assert (found["share_code"].low, found["share_code"].high) == (0, 1)
    assert (found["share_books"].low, found["share_books"].high) == (0, 0)


def test_the_domains_may_stand_in_any_order():
    runs = example.runs()
    first = fit(runs)
    other = fit({name: runs[name] for name in (*reversed(example.NAMES), "loss")})
    for row in grid(3, 4):
        assert other.predict(plan(row)) == pytest.approx(first.predict(plan(row)), abs=1e-5)
    for name, e in first.coefficients.items():
        assert other.coefficients[name].value == pytest.approx(e.value, abs=2e-3)


def test_one_column_and_two_are_the_same_law():
    share = np.linspace(0.1, 0.9, 9)
    loss = 2.5 + 0.6 * np.exp(-2 * share) + 0.002 * np.random.default_rng(0).standard_normal(9)
    one = fit({"share": share, "loss": loss})
    two = fit({"share_a": share, "share_b": 1 - share, "loss": loss})
    for r in (0.0, 0.3, 0.95):
        pair = two.predict({"share_a": r, "share_b": 1 - r})
        assert one.predict({"share": r}) == pytest.approx(pair, abs=1e-4)
    t = two.coefficients
    assert one.coefficients["t"].value == pytest.approx(t["t_a"].value - t["t_b"].value, rel=1e-2)
    assert one.mixture({}, {"share": 0.8})["share"].value == 0.8
    assert two.mixture({}, {"share_a": 0.8})["share_b"].value == pytest.approx(0.2)


def test_a_stored_fit_chooses_the_same(noisy):
    again = DataMixingLaw(n_bootstrap=40).load(json.loads(json.dumps(noisy.to_json(), allow_nan=False)))
    assert again.mixture({}, {"share_code": 0.5}) == noisy.mixture({}, {"share_code": 0.5})
    assert again.coefficients == noisy.coefficients


@needs_truth
def test_the_released_runs_of_two_domains():
    """Eight fits of five mixtures each: two sizes, two domains, two steps (at earlier ones the runs are noisier)."""
    found = {}
    for size in ("70M", "160M"):
        for (step, domain), losses in published(size).items():
            if step in (20_000, 30_000):
                first = np.array(sorted(losses))
                loss = np.array([losses[share] for share in first])
                law = fit({"share_a": first, "share_b": 1 - first, "loss": loss})
                found[size, step, domain] = float(np.abs(law.residuals).max())
    assert len(found) == 8
    assert max(found.values()) <= 0.006


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("domain", list(RELEASED))
def test_foretells_what_the_fits_of_the_released_losses_foretell(domain, flipped):
    losses, (c, k, t) = RELEASED[domain]
    found = fit({"share_a": SHARES, "share_b": 1 - SHARES, "loss": losses} if flipped else
                {"share": SHARES, "loss": losses})  # fmt: skip
    for share, loss in zip(SHARES, losses, strict=True):
        mine = found.predict({"share_a": share, "share_b": 1 - share} if flipped else {"share": share})
        assert mine == pytest.approx(c + k * np.exp(t * share), abs=0.002)
        assert mine == pytest.approx(loss, abs=0.006)


def test_what_is_refused(noisy):
    runs = example.runs()
    with pytest.raises(SeedbedError, match="there is no column of shares"):
        fit({"loss": [1.0, 2.0]})
    with pytest.raises(SeedbedError, match="one column of shares, 'share_code'"):
        fit({"share_code": runs["share_code"], "loss": runs["loss"]})
    with pytest.raises(SeedbedError, match=r"row 1: the shares share_code, share_web sum to .*not to 1"):
        fit({name: runs[name] for name in ("share_code", "share_web", "loss")})
    with pytest.raises(SeedbedError, match=r"row 4, column 'loss': 0 is not above 0"):
        fit({**runs, "loss": [0.0 if i == 3 else x for i, x in enumerate(runs["loss"])]})
    with pytest.raises(SeedbedError, match="no column 'loss'"):
        fit({name: runs[name] for name in example.NAMES})
    percent = {name: [100 * x for x in runs[name]] for name in example.NAMES}
    with pytest.raises(SeedbedError, match="fractions, not percent"):
        fit({**percent, "loss": runs["loss"]})
    with pytest.raises(SeedbedError, match=r"sum to 0.9, not to 1"):
        noisy.forecast({"share_code": 0.3, "share_web": 0.3, "share_books": 0.3})
    with pytest.raises(SeedbedError, match=r"leave room for 0\.6"):
        noisy.mixture({}, dict.fromkeys(example.NAMES, 0.2))
    with pytest.raises(SeedbedError, match="share_webb"):
        noisy.mixture({}, {"share_webb": 0.2})
    narrow = {"share_a": np.linspace(0.4, 0.5, 8), "share_b": np.linspace(0.6, 0.5, 8)}
    law = fit({**narrow, "loss": 2 + np.exp(-narrow["share_a"])})
    with pytest.raises(SeedbedError, match="beyond the runs"):
        law.forecast({"share_a": 0.9, "share_b": 0.1})
