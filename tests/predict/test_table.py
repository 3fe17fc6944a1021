import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict import table
from seedbed.predict.contract import PARAMS, TOKENS, Variable
from seedbed.predict.laws.chinchilla import Chinchilla

LOSS, SHARE, NUMBER = Variable("loss"), Variable("share_code", "share"), Variable("layer", "number")


def columns(**change):
    N, D = (grid.ravel() for grid in np.meshgrid([1e7, 3e7, 1e8, 3e8], [2e8, 1e9, 5e9, 2e10]))
    made = {"params": N, "tokens": D, "loss": 1.8 + 480 / N**0.35 + 2000 / D**0.37}
    return {**made, **{name: np.asarray(values) for name, values in change.items()}}


def with_cell(name, row, cell):
    made = columns(flops=6 * columns()["params"] * columns()["tokens"])
    made[name] = np.where(np.arange(16) == row, cell, made[name])
    return made


def read(made, variables=(PARAMS, TOKENS), answer=LOSS, **options):
    return table.read(arrow.table(made), variables, answer, **options)


def test_runs_come_in_an_order_of_their_own_and_unchanged():
    made = columns()
    order = np.random.default_rng(0).permutation(16)
    first, second = read(made), read({name: values[order] for name, values in made.items()})
    for name, values in made.items():
        assert first.column[name].tolist() == second.column[name].tolist()
        assert sorted(first.column[name]) == sorted(values)
    assert (len(first), first.n_rows, first.warnings) == (16, 16, ())


def test_repeated_rows_are_counted_once_and_named_but_seeds_are_not_repetitions():
    made = {name: np.concatenate([values, values[3:5]]) for name, values in columns().items()}
    found = read(made)
    assert (len(found), found.n_rows) == (16, 18)
    assert "row 17 repeats row 4, row 18 repeats row 5: counted once" in found.warnings[0]
    assert len(read({**made, "seed": np.arange(18)})) == 18


def test_the_worst_are_dropped_whatever_the_order_of_equal_ones():
    made = columns(loss=[9.0, 9.0, *columns()["loss"][2:]])
    first = read(made, drop_worst=1)
    second = read({name: values[::-1] for name, values in made.items()}, drop_worst=1)
    assert len(first) == 15
    assert [v.tolist() for v in first.column.values()] == [v.tolist() for v in second.column.values()]
    assert len(read(columns(loss=[900.0, *columns()["loss"][1:]]), drop_worst=1)) == 15


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (with_cell("params", 4, 10.0), "row 5, column 'params': 10 beside .* a factor of 1e\\+06, as where units"),
        (with_cell("tokens", 6, 1e-3), "row 7, column 'tokens': 0.001 beside"),
        (with_cell("params", 4, 3e4), "row 5, column 'flops': flops / .* in another unit there"),
        (with_cell("tokens", 4, 3e14), "row 5, column 'tokens': 3e\\+14 beside"),
        (with_cell("flops", 9, 1e3), "row 10, column 'flops'"),
        (with_cell("loss", 2, 300.0), "row 3, column 'loss': 300 beside .* leave the row out"),
        (with_cell("loss", 2, 0.0), "row 3, column 'loss': 0.0 is not a positive"),
        (with_cell("loss", 2, -1.0), "row 3, column 'loss': -1.0 is not a positive"),
        (columns(params=[None, *columns()["params"][1:]]), "row 1, column 'params': there is no number. Fill it in"),
        (columns(params=["1e7"] * 5 + ["30M"] * 2 + ["1e8"] * 9), "row 6, column 'params': '30M' is .*2 such .* 3e7"),
        (columns(loss=[True] * 16), "row 1, column 'loss': True is not"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_row_and_column(made, said):
    made = {n: values.tolist() for n, values in made.items()}
    with pytest.raises(SeedbedError, match=said):
        read(made)


def test_percent_for_fractions_and_numbers_that_are_none():
    made = columns(share_code=np.linspace(0, 100, 16), layer=np.arange(16.0))
    with pytest.raises(SeedbedError, match=r"row 2, column 'share_code'.*Give fractions, not percent"):
        read(made, (PARAMS, SHARE))
    made["layer"][5] = np.inf
    with pytest.raises(SeedbedError, match="row 6, column 'layer'"):
        read(made, (PARAMS, NUMBER))
    assert read(columns(layer=-np.arange(16.0)), (NUMBER,)).column["layer"].min() == -15


def test_columns_that_look_swapped_or_scaled_are_warned_about():
    made = columns()
    assert "swapped" in read({**made, "params": made["tokens"] * 20, "tokens": made["params"]}).warnings[0]
    assert "same unit" in read({**made, "params": made["params"] / 1e6}).warnings[0]


def test_flop_per_product_is_as_measured_and_carries_the_unit():
    made = columns()
    assert table.flops_per_product(arrow.table(made)) == 6.0
    made["params"] = made["params"] / 1e6
    made["flops"] = 7.0 * made["params"] * made["tokens"] * 1e6
    assert table.flops_per_product(arrow.table(made)) == pytest.approx(7e6)
    found = Chinchilla(n_bootstrap=0).fit(arrow.table(made))
    in_millions, plain = found.optimum(1e19), Chinchilla(n_bootstrap=0).fit(arrow.table(columns())).optimum(6e19 / 7)
    assert in_millions["params"].value * 1e6 == pytest.approx(plain["params"].value, rel=1e-5)
    assert any("same unit" in warning for warning in found.warnings)


def test_a_fit_is_of_one_domain():
    made = columns(domain=["code", "web"] * 8)
    with pytest.raises(SeedbedError, match="Choose one with --only domain=code"):
        Chinchilla(n_bootstrap=0).fit(arrow.table(made))
    Chinchilla(n_bootstrap=0).fit(arrow.table(columns(domain=["web"] * 16)))


def test_too_few_rows_and_columns_of_one_value():
    with pytest.raises(SeedbedError, match=r"16 runs cannot carry 20 numbers.*at least 17"):
        table.enough(read(columns()), 17, "20 numbers")
    with pytest.raises(SeedbedError, match="all runs have the same tokens"):
        table.varied(read(columns(tokens=np.full(16, 1e9))), ["params", "tokens"])


@pytest.mark.parametrize(
    ("name", "row", "times"), [("tokens", 15, 1e-3), ("tokens", 15, 1e-6), ("params", 11, 1e-3), ("tokens", 0, 1e3)]
)
def test_a_run_in_another_unit_is_named_though_no_gap_tells_it(name, row, times):
    made = columns()
    made[name] = np.where(np.arange(16) == row, times, 1.0) * made[name]
    with pytest.raises(SeedbedError, match=f"row {row + 1}, column '{name}'.*where units are mixed"):
        read(made)


def test_a_run_among_the_others_that_another_unit_would_explain_is_warned_about():
    N, D = np.repeat(np.geomspace(1e7, 1e9, 6), 10), np.tile(np.geomspace(1e8, 1e12, 10), 6)
    made = {"params": N, "tokens": D, "loss": 1.8 + 480 / N**0.35 + 2000 / D**0.37}
    assert read(made).warnings == ()
    made["tokens"] = np.where(np.arange(60) == 59, 1e9, D)
    assert "row 60, column 'tokens': 1e+09 makes" in read(made).warnings[0]


@pytest.mark.parametrize("times", [0.7, 1.5, 3.0])
def test_a_run_that_went_wrong_is_not_taken_for_a_mix_up(times):
    N, D = np.repeat(np.geomspace(1e7, 1e9, 6), 10), np.tile(np.geomspace(1e8, 1e12, 10), 6)
    loss = (1.8 + 480 / N**0.35 + 2000 / D**0.37) * np.exp(0.003 * np.random.default_rng(0).standard_normal(60))
    for row in (0, 9, 33, 50, 59):
        told = np.where(np.arange(60) == row, times, 1.0) * loss
        assert read({"params": N, "tokens": D, "loss": told}).warnings == ()


def test_missing_columns_are_named_together_with_what_they_may_be_called():
    made = columns()
    renamed = {"N": made["params"], "Training FLOP": made["params"] * made["tokens"] * 6, "loss": made["loss"]}
    said = r"no columns 'params', 'tokens'\. Rename N to params\. .*tokens are about flops / \(6 \* params\)"
    with pytest.raises(SeedbedError, match=said):
        read(renamed)
