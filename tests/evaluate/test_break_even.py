"""What choosing may cost before it stops paying, worked by hand and found again on the curves."""

import numpy as np
import pytest

from seedbed.core.errors import SeedbedError
from seedbed.evaluate.break_even import AXES, BreakEven, Price, curve_rows, point_rows
from seedbed.evaluate.rows import csv_text
from seedbed.evaluate.summary import SpeedUp
from seedbed.stats.intervals import Interval


def speed(value, low=None, high=None, bound=""):
    return SpeedUp(Interval(value, low, high, 0.95, 5), bound, 0)


# training 100; auxiliary models of half the size cost 20 to train and 40 to read a pool of 8 times the selection with
PRICE = Price(training=100.0, auxiliary=20.0, scoring=40.0, size_ratio=0.5, pool_ratio=8.0)


def test_worked_by_hand():
    found = BreakEven("m", speed(2.0, 1.8, 2.2), PRICE)
    assert found.own.value == pytest.approx(2 / 1.6)
    assert (found.own.low, found.own.high) == pytest.approx((1.8 / 1.6, 2.2 / 1.6))
    assert found.point("size_ratio").at == pytest.approx(0.5 * 100 / 60)  # 60 may become 100
    assert found.point("pool_ratio").at == pytest.approx(8 * 80 / 40)  # what is read may cost 80
    assert found.point("reuse").verdict == "pays"
    dear = BreakEven("m", speed(1.2), PRICE)
    assert dear.own.value < 1
    assert dear.point("reuse").at == pytest.approx(60 / 20)
    assert dear.point("pool_ratio").verdict == "never pays"  # training the auxiliary models costs the whole gain
    assert dear.point("size_ratio").at == pytest.approx(0.5 * 20 / 60)


@pytest.mark.parametrize("value", [1.1, 1.3, 2.0, 6.0])
@pytest.mark.parametrize("reuse", [1.0, 3.0])
def test_at_the_break_even_point_the_curve_is_one(value, reuse):
    found = BreakEven("m", speed(value), Price(100.0, 2.0, 40.0, 0.5, 8.0, reuse))
    met = 0
    for axis in AXES:
        if (at := found.point(axis).at) is not None:
            met += 1
            assert found.at(found.price.moved(axis, at)).value == pytest.approx(1.0)
    assert met >= 2 or value == 6.0


def test_what_scales_with_what():
    # 6 N T for auxiliary training, 2 N a token for reading: both with N, only the second with the pool
    n, tokens, pool = 1e5, 1e6, 8e6
    bigger = PRICE.moved("size_ratio", 1.0)
    assert (bigger.auxiliary, bigger.scoring) == (40.0, 80.0)
    wider = Price(6 * n * tokens, 6 * n / 2 * tokens, 2 * n / 2 * pool, 0.5, pool / tokens).moved("pool_ratio", 16.0)
    assert wider.auxiliary == 6 * n / 2 * tokens
    assert wider.scoring == pytest.approx(2 * n / 2 * 16e6)
    assert PRICE.moved("reuse", 4.0).share == pytest.approx(0.15)


def test_the_own_point_lies_on_every_curve_and_curves_fall_or_rise():
    found = BreakEven("m", speed(2.0, 1.8, 2.2), Price(100.0, 20.0, 40.0, 3.0, 200.0))
    for axis, falls in (("size_ratio", True), ("pool_ratio", True), ("reuse", False)):
        curve = found.curve(axis)
        values = np.array([value.value for _, value in curve])
        assert np.all(np.diff(values) < 0) == falls
        own = dict(curve)[getattr(found.price, axis)]
        assert own == found.own
    rows = curve_rows([found]).to_pylist()
    assert sum(row["is_own"] for row in rows) == 3


def test_free_methods_and_those_without_a_model():
    free = BreakEven("dsir", speed(1.5), Price(100.0, 0.0, 0.0, 0.0, 8.0))
    assert (free.own.value, free.axes()) == (1.5, [])
    assert {free.point(axis).verdict for axis in AXES} == {"pays"}
    assert BreakEven("bad", speed(0.9), PRICE).point("reuse").verdict == "never pays"
    judged = BreakEven("judge", speed(1.5), Price(100.0, 10.0, 10.0, 0.0, 8.0))
    assert judged.axes() == ["pool_ratio", "reuse"]
    assert judged.at(judged.price.moved("size_ratio", 2.0)) == judged.own
    assert judged.point("size_ratio").verdict == "pays"


def test_tables_and_bounds():
    found = [BreakEven("m", speed(8.0, None, None, "at least"), PRICE)]
    text = csv_text(curve_rows(found))
    assert text.startswith("method,axis,at,speedup_equal_cost,low,high,bound,is_own\nm,size_ratio,0.015625,")
    assert ",,,at least," in text
    assert csv_text(point_rows(found)).count("\n") == 4
    assert csv_text(curve_rows([])).count("\n") == 1


def test_a_price_that_is_none_is_refused():
    with pytest.raises(SeedbedError, match="no price"):
        Price(0.0, 1.0, 1.0)
