import json

import numpy as np
import pytest
from scipy import stats

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict.contract import FittedLaw, Law
from seedbed.predict.laws.concept_frequency import ConceptFrequency

M, B = 0.2, 0.15


def made(seed=0, per_frequency=20, noise=0.03, m=M, b=B):
    """Concepts said 1 to 1,024 times, and some never said."""
    rng = np.random.default_rng(seed)
    frequency = np.repeat([0, *(2.0**k for k in range(11))], per_frequency)
    line = np.where(frequency > 0, b + m * np.log10(np.maximum(frequency, 1)), 0.1)
    return {"frequency": frequency, "accuracy": np.clip(line + noise * rng.standard_normal(len(line)), 0, 1)}


def fit(columns, **parameters):
    return ConceptFrequency(**parameters).fit(arrow.table(columns))


def said(columns):
    return {name: np.asarray(column)[np.asarray(columns["frequency"]) > 0] for name, column in columns.items()}


@pytest.fixture(scope="module")
def fitted():
    return fit(made())


def test_the_line_is_that_of_linregress(fitted):
    runs = said(made())
    trusted = stats.linregress(np.log10(runs["frequency"]), runs["accuracy"])
    m, b, r = (fitted.coefficients[name] for name in ("m", "b", "r"))
    assert m.value == pytest.approx(trusted.slope, rel=1e-12)
    assert b.value == pytest.approx(trusted.intercept, rel=1e-12)
    assert r.value == pytest.approx(trusted.rvalue, rel=1e-12)
    t = stats.t.ppf(0.975, len(runs["accuracy"]) - 2)
    assert m.high - m.value == pytest.approx(t * trusted.stderr, rel=1e-9)
    assert b.value - b.low == pytest.approx(t * trusted.intercept_stderr, rel=1e-9)
    interval = stats.pearsonr(np.log10(runs["frequency"]), runs["accuracy"]).confidence_interval(0.95)
    assert (r.low, r.high) == pytest.approx(tuple(interval), rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_the_p_of_a_weak_trend_is_that_of_linregress(seed):
    runs = made(seed, per_frequency=2, noise=0.15, m=0.03)
    trusted = stats.linregress(np.log10(said(runs)["frequency"]), said(runs)["accuracy"])
    assert fit(runs).facts["p_value"] == pytest.approx(trusted.pvalue, rel=1e-9)


def test_planted_trend_is_found_within_its_interval_as_often_as_promised():
    held = [low <= M <= high for _, low, high in (fit(made(seed, 4)).coefficients["m"] for seed in range(200))]
    assert 0.9 <= np.mean(held) <= 0.98


def test_a_new_concept_lies_in_its_interval_as_often_as_promised():
    held = []
    for seed in range(200):
        _, low, high = fit(made(seed, 2)).forecast({"frequency": 100.0})
        held.append(low <= B + M * 2 + 0.03 * np.random.default_rng(10_000 + seed).standard_normal() <= high)
    assert 0.9 <= np.mean(held) <= 0.98


def test_forecast_sample_and_interval_agree(fitted):
    value, low, high = fitted.forecast({"frequency": 32})
    assert value == pytest.approx(B + M * np.log10(32), abs=0.01)
    drawn = fit(made(), n_draws=20_000).sample({"frequency": 32})
    assert np.quantile(drawn, [0.025, 0.5, 0.975]) == pytest.approx([low, value, high], abs=0.003)
    assert np.array_equal(fitted.sample({"frequency": 32}), fitted.sample({"frequency": 32}))
    assert (fitted.answer, [v.name for v in fitted.variables]) == ("accuracy", ["frequency"])


def test_accuracy_ends_at_0_and_1():
    fitted = fit(made(noise=0.05))
    value, low, high = fitted.forecast({"frequency": 10_000})
    assert low < value < high == 1
    assert fitted.sample({"frequency": 10_000}).max() == 1


def test_concepts_never_said_are_left_out_and_summed_up_apart():
    runs = made()
    assert fit(said(runs)).coefficients == fit(runs).coefficients
    never = fit(runs).facts["never_said"]
    zero = runs["accuracy"][runs["frequency"] == 0]
    assert (never["concepts"], never["accuracy"]) == (20, pytest.approx(zero.mean()))
    assert never["low"] < zero.mean() < never["high"]
    assert fit(said(runs)).facts["never_said"] == {"concepts": 0}


def test_bins_hold_at_least_so_many_concepts_and_all_of_them():
    rng = np.random.default_rng(0)
    runs = {"frequency": np.floor(10 ** rng.uniform(0, 4, 97)), "accuracy": rng.uniform(0, 1, 97)}
    for least in (1, 5, 20):
        bins = fit(runs, min_per_bin=least).facts["bins"]
        counts = [one["concepts"] for one in bins]
        assert min(counts) >= least
        assert sum(counts) == 97
        places = [one["log10_frequency"] for one in bins]
        assert places == sorted(places)
        total = sum(one["accuracy"] * one["concepts"] for one in bins)
        assert total == pytest.approx(runs["accuracy"].sum())


def test_the_picture_of_a_planted_line_is_a_line_and_that_of_shuffled_frequencies_none(fitted):
    assert fitted.facts["binned_r2"] > 0.98
    assert fitted.warnings == ()
    runs = said(made())
    runs["frequency"] = np.random.default_rng(3).permutation(runs["frequency"])
    shuffled = fit(runs)
    assert abs(shuffled.coefficients["r"].value) < 0.15
    assert shuffled.coefficients["m"].low < 0 < shuffled.coefficients["m"].high
    assert any("show no trend" in warning for warning in shuffled.warnings)


def test_warnings_of_what_a_line_cannot_tell():
    assert any("falls" in w for w in fit(made(m=-0.04, b=0.6)).warnings)
    narrow = made()
    near = {name: column[(narrow["frequency"] >= 16) & (narrow["frequency"] <= 128)] for name, column in narrow.items()}
    assert any("a factor of 8, hardly a decade" in w for w in fit(near).warnings)
    top = made(m=0.5, b=0.8)
    assert any("at accuracy 1" in w for w in fit(top).warnings)


def test_rows_alike_are_different_concepts_and_order_does_not_matter():
    runs = {"frequency": [1, 1, 1, 10, 10, 10], "accuracy": [0.0, 0.0, 1.0, 1.0, 1.0, 0.0]}
    assert fit(runs).line.n == 6
    assert fit(runs).coefficients["m"].value == pytest.approx(1 / 3)
    assert fit({name: column[::-1] for name, column in runs.items()}) == fit(runs)
    doubled = fit({name: column * 2 for name, column in runs.items()})
    assert doubled.coefficients["m"].value == pytest.approx(1 / 3)
    assert fit(runs).warnings  # six concepts, no trend


def test_a_stored_fit_forecasts_the_same(fitted):
    told = json.loads(json.dumps(fitted.to_json(), allow_nan=False))
    again = ConceptFrequency().load(told)
    assert again.forecast({"frequency": 77}) == fitted.forecast({"frequency": 77})
    assert again.to_json() == fitted.to_json()
    assert (told["law"], told["answer"]) == ("predict.laws.concept_frequency", "accuracy")
    del told["line"]["slope"]
    with pytest.raises(SeedbedError, match="cannot be read"):
        ConceptFrequency().load(told)


def test_it_is_a_law_and_its_fit_a_fitted_law(fitted):
    assert isinstance(ConceptFrequency(), Law)
    typed: FittedLaw = fitted
    assert typed.outside({"frequency": 10240}) == {"frequency": pytest.approx(10)}
    assert typed.outside({"frequency": 5}) == {"frequency": 1}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"frequency": [1, -2, 4]}, r"row 2, column 'frequency': -2 is below 0"),
        ({"accuracy": [0.1, 30.0, 0.2]}, r"row 2, column 'accuracy'.*no share.*not percent"),
        ({"accuracy": [0.1, None, 0.2]}, "row 2, column 'accuracy'"),
        ({"frequency": [0, 0, 4]}, "1 concepts of 1 frequencies"),
        ({"frequency": [4, 4, 4]}, "3 concepts of 1 frequencies"),
        ({"frequency": [1, None, 4]}, "row 2, column 'frequency'"),
    ],
)
def test_bad_tables_are_errors_by_row_and_column(change, match):
    with pytest.raises(SeedbedError, match=match):
        fit({"frequency": [1, 2, 4], "accuracy": [0.1, 0.3, 0.2]} | change)


def test_missing_columns_and_plans_outside_are_refused(fitted):
    with pytest.raises(SeedbedError, match="no column 'frequency'"):
        fit({"frequencies": [1], "accuracy": [1]})
    for plan, match in (
        ({"frequency": 0}, "positive"),
        ({"freq": 3}, "needs frequency"),
        ({"frequency": 20_000}, "times beyond the rows"),
        ({"frequency": float("nan")}, "positive"),
    ):
        with pytest.raises(SeedbedError, match=match):
            fitted.forecast(plan)
