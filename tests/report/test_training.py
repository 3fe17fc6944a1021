"""The section on a training run: what is drawn is what was logged, and foreign text stays text."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from seedbed.report import training
from seedbed.report.data import ReportData
from seedbed.report.page import render
from seedbed.report.training_data import Incident, Series, SourceShare, Training
from tests.report.test_page import HOSTILE, check

STEPS = 40


def series(n: int = STEPS) -> Series:
    at = np.arange(1, n + 1)
    return Series(tuple(1000.0 * at), tuple(3 + 5 / at), tuple(1e-3 * at), tuple(np.ones(n)), tuple(np.full(n, 5e4)))


def run(word: str = "web", n: int = STEPS) -> Training:
    shares = tuple(
        SourceShare(name, 0.7, 0.71, (0.9,) * (n // 2) + (0.5,) * (n - n // 2), (0.71,) * n) for name in (word, "books")
    )
    return Training(
        steps=n,
        total_steps=2 * n,
        tokens=1000 * n,
        total_tokens=2000 * n,
        params=12_345,
        series=series(n),
        final_loss=3.125,
        flops=4.2e12,
        seconds=80.0,
        waited_seconds=2.0,
        seed=7,
        shares=shares,
        incidents=(Incident(17, word, tuple(f"{i:032x}" for i in range(9))),),
        heldout=((word, 1.5, 2.5),),
        facts=(("torch", word),),
        plan_yaml=word,
    )


def page(of: Training) -> str:
    return render(ReportData("a run", training=of))


def test_everything_that_was_logged_is_told() -> None:
    told = page(run())
    for text in ("12,345 parameters, 40 steps of 80, seed 7", "4.2 TFLOP", "1 min 20 s", "500 tokens/s", "2.5 %"):
        assert text in told
    for text in ("70.00 %", "71.00 %", "1.5000", "and 3 more", "3.125", "40 k", "of 80 k planned"):
        assert text in told
    assert told.count("<svg") == 2 + 3 + 2
    assert '<a href="#training">Training</a>' in told
    assert told == page(run()), "not the same every time"


@pytest.mark.parametrize("word", HOSTILE)
def test_foreign_text_stays_text(word: str) -> None:
    assert check(page(run(word))).tags == check(page(run())).tags


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_short_run_is_drawn(n: int) -> None:
    check(page(run(n=n)))


def test_what_is_missing_is_left_out() -> None:
    bare = dataclasses.replace(run(), shares=(), incidents=(), heldout=(), facts=(), plan_yaml="")
    nothing = dataclasses.replace(series(), tokens_per_second=(math.nan,) * STEPS)
    told = page(dataclasses.replace(bare, series=nothing, seconds=None, waited_seconds=None))
    check(told)
    for heading in ("Sources", "Skipped steps", "Held-out text", "Waiting for data", "tokens a second"):
        assert heading not in told


def test_a_loss_that_is_no_number_does_not_hide_the_others() -> None:
    losses = (math.nan, *series().loss_nats_per_token[1:-1], math.inf)
    check(page(dataclasses.replace(run(), series=dataclasses.replace(series(), loss_nats_per_token=losses))))


def test_a_long_line_keeps_its_spikes_and_its_ends() -> None:
    at = np.arange(50_000.0)
    value = np.sin(at / 900)
    value[[12_345, 33_333]] = 9.0, -9.0
    thin_at, thin = training.thinned(at, value)
    assert len(thin) <= training.MOST_POINTS + 2
    assert (thin_at[0], thin_at[-1]) == (0, 49_999)
    assert thin.max() == 9.0
    assert thin.min() == -9.0
    assert (np.diff(thin_at) > 0).all()
    assert np.array_equal(value[thin_at.astype(int)], thin)
