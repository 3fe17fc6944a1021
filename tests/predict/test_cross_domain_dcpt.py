import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict.laws.cross_domain_dcpt import CrossDomainDcpt, with_learnability
from seedbed.predict.laws.dcpt_law import DcptLaw
from seedbed.predict.shares import dcpt_form
from tests.predict.law_examples.cross_domain_dcpt import DOMAINS, GRID, LAW, law_loss, runs

NEW = 1.6
"""K of a domain that no run is of."""


def fit(columns, law=LAW):
    return law.fit(arrow.table(columns))


@pytest.fixture(scope="module")
def found():
    return fit(runs())


def test_a_domain_that_no_run_is_of_is_foretold_from_its_learnability(found):
    for N, D, r in GRID[1::5]:
        estimate = found.forecast({"params": N, "tokens": D, "share": r, "K": NEW}).value
        assert estimate == pytest.approx(law_loss(N, D, r, NEW), rel=0.01)


def test_K_is_worked_out_from_the_first_loss_and_its_decline():
    rows = np.array([(k1, k2, *row) for k1, k2 in DOMAINS.values() for row in GRID]).T
    columns = dict(zip(("k1", "k2", "params", "tokens", "share"), rows, strict=True))
    K = 0.5 / columns["k1"] + 2 * columns["k2"]
    columns["loss"] = law_loss(columns["params"], columns["tokens"], columns["share"], K)
    found = fit(columns, CrossDomainDcpt(w1=0.5, w2=2, n_starts=4, n_bootstrap=0))
    assert found.domain["K"] == (pytest.approx(K.min()), pytest.approx(K.max()))
    at = {"params": 1e7, "tokens": 1e9, "share": 0.3}
    by_K = found.forecast({**at, "K": 0.5 / 2 + 2 * 0.4}).value
    assert found.forecast({**at, "k1": 2, "k2": 0.4}).value == pytest.approx(by_K)
    wrong = {**columns, "k2": np.where(np.arange(len(K)) == 6, 0, columns["k2"])}
    with pytest.raises(SeedbedError, match="row 7, column 'k2'"):
        fit(wrong)
    with pytest.raises(SeedbedError, match="no column 'K'"):
        fit({name: values for name, values in columns.items() if name != "k2"})


def test_without_the_term_of_learnability_it_is_the_law_of_one_domain():
    rng = np.random.default_rng(0)
    points = {name: rng.normal(size=20) for name in ("params", "tokens", "K")} | {"share": rng.random(20)}
    params_P = np.array([-1.0, -1.2, 0.3, -0.9, 0.4, 0.7, -1.5, 0.5, -2.0])
    one = dcpt_form(("params", "tokens"), 1)
    both = with_learnability(one).value(np.append(params_P, (-700, 0.5)), points)[0]
    assert both == pytest.approx(one.value(params_P, points)[0], rel=1e-12)


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_runs_carry_a_fit_over_to_another_domain(n):
    source = np.array(GRID).T
    law = DcptLaw(n_starts=6, n_bootstrap=4)
    columns = dict(zip(("params", "tokens", "share"), source, strict=True))
    one = law.fit(arrow.table({**columns, "loss": law_loss(*source, 1.0) * (1 + 1e-4 * np.sin(source[0]))}))

    def other(N, D, r):
        return 0.35 + (1.15 if n == 2 else 1.0) * law_loss(N, D, r, 1.0)

    two = {"params": [1e7, 1e7][:n], "tokens": [1e9, 1e10][:n], "share": [0.1, 1.0][:n]}
    carried = one.carried({**two, "loss": other(*(np.array(two[name]) for name in two)).tolist()})
    assert carried.predict_all(columns) == pytest.approx(other(*source), rel=2e-3)
    at = {"params": 1e8, "tokens": 1e10, "share": 0.5}
    assert carried.forecast(at).low <= other(1e8, 1e10, 0.5) + 2e-3
    assert any(f"carried over to another domain by {n} runs" in each for each in carried.warnings)
    with pytest.raises(SeedbedError, match="floor is not above 0"):
        one.carried({"params": [1e7, 1e7], "tokens": [1e9, 1e9], "share": [0.1, 0.9], "loss": [3.0, 0.01]})


def test_two_domains_do_not_tell_the_terms_apart():
    columns = {name: np.array(values) for name, values in runs().items()}
    keep = columns["K"] > columns["K"].min()
    two = fit({name: values[keep] for name, values in columns.items()})
    assert any("2 values of K" in each for each in two.warnings)
    one = columns["K"] == columns["K"].min()
    with pytest.raises(SeedbedError, match="the same K"):
        fit({name: values[one] for name, values in columns.items()})
