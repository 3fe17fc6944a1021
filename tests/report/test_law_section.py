"""The section on a law: what is drawn is what the fit says, and hostile words stay words."""

import dataclasses
import json

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.fingerprint import hash_file
from seedbed.pipeline import reporting_law
from seedbed.predict import ledger, outcomes
from seedbed.predict.laws.chinchilla import Chinchilla
from seedbed.report.data import ReportData
from seedbed.report.law_data import LawFit, Outcome
from seedbed.report.page import render
from tests.report.test_page import HOSTILE, check

GRID = [(n, d) for n in (2e7, 1e8, 5e8) for d in (4e8, 2e9, 1e10)]


def loss(n, d):
    return 1.8 + 480 / n**0.35 + 2000 / d**0.37


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    values = [loss(n, d) * np.exp(0.003 * rng.standard_normal()) for n, d in GRID]
    runs = arrow.table({"params": [n for n, _ in GRID], "tokens": [d for _, d in GRID], "loss": values})
    return Chinchilla(n_bootstrap=40).fit(runs)


def test_what_is_drawn_is_what_the_fit_says(fitted):
    told = reporting_law.law_fit(fitted)
    assert [curve.params for curve in told.curves] == [2e7, 1e8, 5e8]
    band = told.curves[1].band
    for i in (0, 20, -1):
        expected = fitted.forecast({"params": 1e8, "tokens": band.at[i]})
        assert (band.value[i], band.low[i], band.high[i]) == pytest.approx(tuple(expected), rel=1e-9)
    observed = np.array(fitted.runs["loss"])
    assert [each.fitted * (1 + each.off) for each in told.residuals] == pytest.approx(observed.tolist())
    assert [each.group for each in told.residuals] == sorted([0, 1, 2] * 3)
    best = [each for each in told.isoflops if each.params is not None]
    assert best
    for budget in best:
        assert budget.value == pytest.approx(min(budget.band.value), rel=1e-3)
        assert budget.params.low <= budget.params.value <= budget.params.high
        lowest = budget.band.at[int(np.argmin(budget.band.value))]
        assert budget.params.value == pytest.approx(lowest, rel=0.2)
    assert np.all(np.diff(told.frontier.value) < 0)


def test_forecasts_of_the_ledger_stand_beside_what_came(fitted, tmp_path):
    runs, fit = tmp_path / "runs.csv", tmp_path / "fit.json"
    runs.write_text("stand-in")
    fit.write_text(json.dumps({**fitted.to_json(), "data_hash": hash_file(runs)}))
    book = tmp_path / "forecasts.jsonl"
    lines = [ledger.register(book, fitted, {"params": n, "tokens": 2e10}, fit_file=fit) for n in (6e8, 1e9)]
    outcomes.score(book, lines[0]["id"], [loss(6e8, 2e10), 1.001 * loss(6e8, 2e10)])
    first, second = reporting_law.law_fit(fitted, book).outcomes
    assert first.observed == (loss(6e8, 2e10), 1.001 * loss(6e8, 2e10))
    assert first.error == pytest.approx(first.value / (1.0005 * loss(6e8, 2e10)) - 1)
    assert second.observed == ()
    assert second.error is None
    assert first.law == "chinchilla"
    page = reporting_law.page(fitted, "a law", book)
    assert "Forecasts made before the run" in page
    assert "open" in page


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_stay_words(fitted, word):
    told = reporting_law.law_fit(fitted)
    came = (Outcome(((word, 1e9), ("tokens", 2e10)), 2.5, 2.4, 2.6, (2.45, 2.5), True, law=word),)
    told = dataclasses.replace(
        told, method=word, answer=word, warnings=(word,), facts=((word, word),), groups=(word,), outcomes=came
    )
    check(render(ReportData(title="t", law=told)))


def test_a_law_without_a_picture_still_has_its_numbers():
    page = render(ReportData(title="t", law=LawFit("regmix", "loss", (), 0.95, warnings=("few trials",))))
    assert "few trials" in page
    assert "Equal compute" not in page
