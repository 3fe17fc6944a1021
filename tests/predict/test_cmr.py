import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict.laws.cmr import Cmr
from seedbed.stats.power import fit_power, power

LOSSES = {
    "460M": (1.4628, 1.4844, 1.5122, 1.5387, 1.5561),
    "940M": (1.3723, 1.3910, 1.4155, 1.4385, 1.4538),
    "1.6B": (1.3242, 1.3416, 1.3643, 1.3854, 1.3994),
    "3.1B": (1.2585, 1.2750, 1.2965, 1.3170, 1.3305),
}
"""Gu et al. 2024: domain losses at shares 1, 3/4, 1/2, 1/3 and 1/4 of domain text."""
SHARES = (1, 0.75, 0.5, 0.333, 0.25)


def fit(columns, **parameters):
    return Cmr(**{"n_bootstrap": 0, **parameters}).fit(arrow.table(columns))


@pytest.mark.parametrize("size", LOSSES)
def test_four_shares_foretell_the_fifth_that_was_published(size):
    found = fit({"share": SHARES[:4], "loss": LOSSES[size][:4]}, n_bootstrap=20)
    estimate = found.forecast({"share": 0.25})
    assert estimate.value == pytest.approx(LOSSES[size][4], abs=5e-4)  # asked for: within 0.005
    assert estimate.low <= LOSSES[size][4] <= estimate.high


def test_a_power_is_found_with_its_factor_and_constant():
    R = np.array([0.1, 0.2, 0.4, 0.7, 1.0])
    for a, s, b in ((0.5, -0.4, 1.0), (0.3, 1.5, 2.0), (-0.4, 0.2, 1.9)):
        found = fit({"share": R, "loss": a * R**s + b}).coefficients
        assert [found[name].value for name in "asb"] == pytest.approx([a, s, b], rel=1e-3)


def test_where_the_power_is_a_logarithm_the_curve_goes_on():
    x = np.log([0.1, 0.2, 0.4, 0.7, 1.0])
    for s in (0.0, 1e-5, -1e-5, 9e-4 / 2.3, 1.1e-3 / 2.3):
        assert power(1.5, 0.2, s, x)[0] == pytest.approx(1.5 + 0.2 * (x + s * x**2 / 2 + s**2 * x**3 / 6), rel=1e-9)
    level, slope, s = fit_power(x, 1.5 - 0.2 * x)
    assert (level, slope, s) == pytest.approx((1.5, -0.2, 0), abs=1e-4)
    found = fit({"share": np.exp(x), "loss": 1.5 - 0.2 * x})
    assert all(np.isfinite(each.value) for each in found.coefficients.values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tokens": [1e9, 1e9, 2e9, 2e9, 2e9]}, r"2 lengths.*--only tokens=2e\+09"),
        ({"share": [1, 0.75, 0.5, 0, 0.25]}, "row 4, column 'share'"),
        ({"share": [1, 75, 0.5, 0.1, 0.25]}, "row 2, column 'share'.*not percent"),
        ({"share": [0.5] * 5}, "same share"),
    ],
)
def test_what_cannot_be_meant(change, said):
    with pytest.raises(SeedbedError, match=said):
        fit({"share": SHARES, "loss": LOSSES["940M"], **change})
    with pytest.raises(SeedbedError, match="no value at share 0"):
        fit({"share": SHARES, "loss": LOSSES["940M"]}).forecast({"share": 0})
