import itertools
import json

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict.contract import Mixes
from seedbed.predict.laws.critical_ratio import PUBLISHED, CriticalRatio, critical
from tests.predict.law_examples.critical_ratio import LAW, runs

LENGTHS, SHARES = (1e9, 2e9, 4e9, 8e9, 16e9), (0.0, 0.1, 0.2, 0.4, 0.7, 1.0)


def general(R, T):
    """A general loss that rises with the share of domain text and falls with training: begins at 2.5."""
    return 2.35 + 0.5 * R**0.8 + 0.3 / (T / 1e9) ** 0.3 - 0.2


def made(noise=0.0):
    R, T = np.array(tuple(itertools.product(SHARES, LENGTHS))).T
    loss = general(R, T) + noise * np.random.default_rng(0).standard_normal(len(R))
    return {"share": R, "tokens": T, "loss": loss, "loss_before": np.full(len(R), 2.5)}


def bound_share(T, bound):
    return ((bound - general(0.0, T)) / 0.5) ** (1 / 0.8)


def fit(columns, **parameters):
    return CriticalRatio(**{"n_bootstrap": 0, **parameters}).fit(arrow.table(columns))


@pytest.mark.parametrize(("size", "share"), [("460M", 0.298), ("940M", 0.349), ("1.6B", 0.414), ("3.1B", 0.478)])
def test_the_published_ratios_after_20_billion_tokens(size, share):
    assert round(critical(100 * 2e8, *PUBLISHED[size]), 3) == share


def test_the_published_numbers_are_found_from_their_ratios():
    for size, (a, s, b) in PUBLISHED.items():
        tokens = np.geomspace(1e9, 2e10, 12)
        found = fit({"tokens": tokens, "share": [critical(each, a, s, b) for each in tokens]})
        assert [found.coefficients[name].value for name in "asb"] == pytest.approx([a, s, b], rel=1e-3), size
        assert found.forecast({"tokens": 4e10}).value == pytest.approx(critical(4e10, a, s, b), rel=1e-5)


def test_runs_at_several_shares_and_lengths_say_what_longer_training_allows():
    found = fit(made(1e-4), n_bootstrap=50, tolerance=0.05)
    for name, at in (("inside", 6e9), ("beyond", 4e10)):
        chosen = found.mixture({"tokens": at}, {})
        assert chosen["share"].value == pytest.approx(bound_share(at, 2.55), abs=0.01), name
        assert chosen["share"].low <= chosen["share"].value <= chosen["share"].high
        assert chosen["loss"].value == pytest.approx(2.55)
    assert isinstance(found, Mixes)
    assert found.mixture({"tokens": 4e10}, {"share": 0.2})["share"].value == 0.2
    with pytest.raises(SeedbedError, match="there is no share 'code'"):
        found.mixture({"tokens": 4e10}, {"code": 0.2})
    with pytest.raises(SeedbedError, match="times beyond the runs"):
        found.mixture({"tokens": 4e11}, {})


def test_longer_training_and_more_tolerance_allow_more():
    strict, lax = fit(made(), tolerance=0.03), fit(made(), tolerance=0.06)
    assert lax.forecast({"tokens": 1e10}).value > strict.forecast({"tokens": 1e10}).value
    assert strict.forecast({"tokens": 2e10}).value > strict.forecast({"tokens": 1e10}).value


def test_a_stored_fit_chooses_the_same():
    found = fit(made(1e-4), n_bootstrap=10)
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    again = CriticalRatio(**{**told["parameters"], "tie": ()}).load(told)
    assert again.mixture({"tokens": 2e10}, {}) == found.mixture({"tokens": 2e10}, {})
    assert again.coefficients == found.coefficients


def test_lengths_without_a_ratio_are_left_out_and_named():
    columns = made()
    more = {name: np.append(values, values[columns["tokens"] == 1e9]) for name, values in columns.items()}
    more["tokens"][-len(SHARES) :] = 1e8
    more["loss"][-len(SHARES) :] = 3.5 + 0.1 * np.array(SHARES)
    found = fit(more)
    assert any("no share ends at the bound at 1e+08 tokens" in each for each in found.warnings)
    assert found.domain["tokens"] == (pytest.approx(1e9), pytest.approx(1.6e10))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: {k: v for k, v in r.items() if k != "loss_before"}, "no column 'loss_before'"),
        (lambda r: {k: v[r["tokens"] > 3e9] for k, v in r.items()}, "3 lengths have a share"),
        (lambda r: {k: v[(r["share"] > 0.5) | (r["tokens"] > 1e9)] for k, v in r.items()}, "2 shares above 0 at 1e"),
        (lambda r: {**r, "share": np.where(np.arange(30) == 4, 1.2, r["share"])}, "row 5, column 'share'"),
    ],
)
def test_what_cannot_be_meant(change, said):
    with pytest.raises(SeedbedError, match=said):
        fit(change(made()))


def test_the_example_is_read_without_losses():
    assert LAW.fit(arrow.table(runs())).mixture({"tokens": 2e10}, {})["share"].value == pytest.approx(0.298, abs=0.005)
