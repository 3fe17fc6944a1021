"""The section on continual training: what stands in the tables is told, and the verdict follows from the intervals."""

import dataclasses
import re

import numpy as np
import pytest

from seedbed.core.errors import SeedbedError
from seedbed.pipeline.reporting_continual import continual
from seedbed.report import continual_plots
from seedbed.report.continual import largest_change, lead
from seedbed.report.continual_data import StageCurve
from seedbed.report.data import ReportData
from seedbed.report.page import render
from tests.report.continual_pages import write_tables
from tests.report.test_page import HOSTILE, check


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("routes")
    write_tables(folder)
    return continual(folder)


def test_without_tables_there_is_nothing_to_tell(tmp_path):
    assert continual(tmp_path) is None
    assert "continual" not in render(ReportData("a page"))


def test_tables_are_read_back(told):
    assert told.baseline == "union"
    assert told.domains == ("english", "german", "finnish")
    by = {route.route: route for route in told.routes}
    assert by["re-warm"].stages == ("before", "english", "german")
    assert by["re-warm"].home == {"english": "english", "german": "german"}
    assert by["re-warm"].backward.domains["english"].value == pytest.approx(-0.42, abs=0.03)
    assert by["re-warm"].costs["update_flops_ratio"].value == pytest.approx(0.5)
    assert by["union"].backward.mean is None
    assert [(p.order, p.annealed) for p in by["infinite"].points] == [
        (0, False), (1, False), (1, True), (2, False), (2, True),
    ]  # fmt: skip
    assert len(told.curves) == 7 * 3
    assert told.curves[3].begins == (10000.0, 2010000.0)


def test_page_holds_the_section(told):
    page = render(ReportData("routes", continual=told))
    check(page)
    assert '<a href="#continual">Continual training</a>' in page
    assert page.count('class="heat"') == 7
    assert page.count("<svg") == 3 + 3 * 2
    shades = re.findall(r"color-mix\(in srgb, var\(--(kept|dropped)\) (\d+)%", page)
    assert {name for name, _ in shades} == {"kept", "dropped"}


def test_verdict_follows_from_the_intervals(told):
    said = " ".join(lead(told))
    assert re.search(r"re-warm, 25 % replay \(the update: 50.0 % of its compute\) matches union", said)
    assert re.search(r"re-warm \(the update: 50.0 % of its compute\), against union: .*worse on english by 0\.4", said)
    assert re.search(r"Forgot: .*re-warm \(0\.4\d\d bits per byte on english\)", said)
    assert "3 seeds a route: indicative, not settled." in said
    forgot = next(sentence for sentence in lead(told) if sentence.startswith("Forgot"))
    assert "25 %" not in forgot or "0.0" in forgot


def test_one_seed_matches_nothing(tmp_path):
    write_tables(tmp_path, seeds=1)
    said = " ".join(lead(continual(tmp_path)))
    assert "match" not in said
    assert "from one seed" in said


def test_shading_is_against_the_largest_change_after_the_first_stage(told):
    assert largest_change(told) == pytest.approx(0.92, abs=0.05)  # german, 2.75 to 1.83, not 8 to 1.84


def test_a_spike_stays_in_the_curve():
    loss = np.full(1000, 3.0)
    loss[500:520] = 5.0
    curve = StageCurve("a", 0, tuple(np.arange(1000.0)), tuple(loss), tuple(loss), (0.0,))
    tokens, merged, _ = continual_plots.merged([curve, curve])
    assert merged.max() == pytest.approx(5.0)
    assert len(tokens) == 1000


def test_foreign_names_stay_text(tmp_path):
    write_tables(tmp_path, seeds=1, word=HOSTILE[0])
    check(render(ReportData("routes", continual=continual(tmp_path))))


def test_a_missing_column_is_named(tmp_path):
    write_tables(tmp_path)
    file = tmp_path / "curves.csv"
    file.write_text(file.read_text(encoding="utf-8").replace("learning_rate", "rate", 1), encoding="utf-8")
    with pytest.raises(SeedbedError, match=r"curves\.csv: there is no column 'learning_rate'"):
        continual(tmp_path)


def test_without_curves_and_models_the_matrix_is_still_told(told):
    bare = dataclasses.replace(
        told, curves=(), routes=tuple(dataclasses.replace(route, points=()) for route in told.routes)
    )
    page = render(ReportData("routes", continual=bare))
    assert page.count("<svg") == 0
    assert page.count('class="heat"') == 7
