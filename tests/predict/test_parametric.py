"""What every law with a formula keeps: one example of runs a law, in law_examples/.

An example is a module named as the law with `runs()`, columns by name with little noise, and `LAW` without a bootstrap.
It may name in `OWN_UNIT` columns whose unit means something to the law, which are then left as they are.
"""

import dataclasses
import importlib
import json
import pkgutil
from pathlib import Path

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict import laws
from seedbed.predict.form import held
from seedbed.predict.parametric import Parametric
from tests.predict import law_examples


def load(name):
    return importlib.import_module(f"{law_examples.__name__}.{name}")


NAMES = sorted(found.name for found in pkgutil.iter_modules([str(Path(__file__).parent / "law_examples")]))
PARAMETRIC = [name for name in NAMES if isinstance(load(name).LAW, Parametric)]
UNITS = {"params": 1e-6, "flops": 1e-18}


def shelf():
    """The class of each law with a formula, by its file."""
    found = {}
    for each in pkgutil.iter_modules(laws.__path__):
        module = importlib.import_module(f"{laws.__name__}.{each.name}")
        for own in vars(module).values():
            if isinstance(own, type) and own.__module__ == module.__name__ and issubclass(own, Parametric):
                found[each.name] = own
    return found


def test_every_law_with_a_formula_has_an_example_here():
    assert set(shelf()) <= set(NAMES)
    for name, law in shelf().items():
        assert isinstance(load(name).LAW, law)


class Example:
    def __init__(self, name):
        self.module = load(name)
        self.law = self.module.LAW
        self.columns = {name: np.array(values) for name, values in self.module.runs().items()}
        self.fitted = fit(self.law, self.columns)
        self.middle = self.plan(len(self.fitted.runs[self.fitted.answer]) // 2)

    def plan(self, row, fitted=None):
        fitted = fitted or self.fitted
        return {v.name: fitted.runs[v.name][row] for v in fitted.variables}

    def plans(self, fitted=None):
        return [self.plan(row, fitted) for row in (0, len(self.columns[self.fitted.answer]) // 2, -1)]

    def in_the_table(self, kind):
        return [v.name for v in self.fitted.variables if v.kind == kind and v.name in self.columns]

    def near(self, **change):
        """The law with few starts, one of them the fit: for fits that are known to end near it."""
        best, law = np.array(self.fitted.params), self.law

        class Near(type(law)):
            def whole_form(self, columns):
                return dataclasses.replace(super().whole_form(columns), starts=lambda p, a: [best, best + 0.05])

        return Near(**{f.name: getattr(law, f.name) for f in dataclasses.fields(law)} | change)


def fit(law, columns):
    return law.fit(arrow.table(columns))


@pytest.fixture(scope="module", params=PARAMETRIC)
def example(request):
    return Example(request.param)


def forecasts(fitted, plans):
    return [fitted.predict(plan) for plan in plans]


def test_the_example_is_fitted_from_many_starts_that_agree(example):
    assert len(example.fitted.runs[example.fitted.answer]) >= 8
    assert example.law.n_bootstrap == 0
    assert example.fitted.n_agree >= 0.2 * example.fitted.n_starts
    assert example.fitted.forecast(example.middle).low == example.fitted.predict(example.middle)


def test_the_analytic_gradient_is_the_finite_difference(example):
    fitted = example.fitted
    points = {
        v.name: np.log(fitted.runs[v.name]) - fitted.centre[v.name]
        if v.kind == "size"
        else np.array(fitted.runs[v.name])
        for v in fitted.variables
    }
    for shift in (0.0, 0.02):  # at the fit, and beside it
        params_P = np.array(fitted.params) + shift
        jacobian = fitted.form.value(params_P, points)[1]
        assert jacobian.shape == (len(fitted.runs[fitted.answer]), len(params_P))
        for i, step in enumerate(np.eye(len(params_P)) * 1e-5):
            up, down = (fitted.form.value(params_P + s, points)[0] for s in (step, -step))
            assert np.allclose((up - down) / 2e-5, jacobian[:, i], rtol=1e-6, atol=1e-8), fitted.form.names[i]


def test_the_order_of_rows_does_not_matter(example):
    order = np.random.default_rng(1).permutation(len(example.columns[example.fitted.answer]))
    shuffled = fit(example.law, {name: values[order] for name, values in example.columns.items()})
    assert shuffled.to_json() == example.fitted.to_json()


def test_repeated_rows_are_counted_once_and_named(example):
    doubled = fit(example.law, {name: np.tile(values, 2) for name, values in example.columns.items()})
    assert doubled.params == example.fitted.params
    assert any("repeats row 1" in warning for warning in doubled.warnings)
    assert not any("repeats" in warning for warning in example.fitted.warnings)


def test_units_do_not_matter(example):
    def unit(name):
        if name in getattr(example.module, "OWN_UNIT", ()):
            return 1.0
        return UNITS.get(name, 1e-9 if "tokens" in name else 0.125 if name in sizes else 1.0)

    sizes = {v.name for v in example.fitted.variables if v.kind == "size"}
    bits = 1 / np.log(2) if example.fitted.form.residual == "log" else 1.0
    columns = {name: values * unit(name) for name, values in example.columns.items()}
    columns[example.fitted.answer] = example.columns[example.fitted.answer] * bits
    other = fit(example.law, columns)
    in_unit = [{name: value * unit(name) for name, value in plan.items()} for plan in example.plans()]
    expected = np.array(forecasts(example.fitted, example.plans())) * bits
    assert forecasts(other, in_unit) == pytest.approx(expected, rel=1e-6)


def test_a_stored_fit_forecasts_the_same(example):
    noisy = fit(example.near(n_bootstrap=4), example.columns)
    told = json.loads(json.dumps(noisy.to_json(), allow_nan=False))
    again = dataclasses.replace(example.law, n_bootstrap=4).load(told)
    assert again.forecast(example.middle) == noisy.forecast(example.middle)
    assert again.coefficients == noisy.coefficients
    assert noisy.forecast(example.middle).low < noisy.forecast(example.middle).high
    del told["draws"]
    with pytest.raises(SeedbedError, match="cannot be read"):
        example.law.load(told)


def test_a_coefficient_held_at_its_fitted_value_changes_nothing(example):
    form, fitted = example.fitted.form, example.fitted
    natural = dict(zip(form.names, form.natural(np.array([fitted.params]), fitted.centre)[0], strict=True))
    for name, value in natural.items():
        if name in example.law.fix or any(name in pair for pair in example.law.tie):
            continue
        fixed = fit(example.near(fix={**example.law.fix, name: float(value)}), example.columns)
        stored = form.natural(np.array([fixed.params]), fixed.centre)[0][form.index(name)]
        assert stored == pytest.approx(value, rel=1e-9), name
        assert forecasts(fixed, example.plans()) == pytest.approx(forecasts(fitted, example.plans()), rel=1e-6), name


def test_tied_exponents_are_one(example):
    form = example.fitted.form
    exponents = [c.name for c in form.coefficients if any(c.name in other.per.values() for other in form.coefficients)]
    if len(exponents) < 2 or example.law.fix or example.law.tie:
        pytest.skip("no two exponents")
    tied = fit(example.near(tie=((exponents[0], exponents[1]),)), example.columns)
    natural = form.natural(np.array([tied.params]), tied.centre)[0]
    assert natural[form.index(exponents[0])] == pytest.approx(natural[form.index(exponents[1])], rel=1e-9)
    assert tied.objective >= example.fitted.objective * (1 - 1e-9)


def test_forecasts_are_refused_too_far_away(example):
    limit = example.law.max_extrapolation
    for variable in example.fitted.variables:
        if variable.kind == "size":
            low, high = example.fitted.domain[variable.name]
            for far in (high * limit * 1.01, low / limit / 1.01):
                with pytest.raises(SeedbedError):
                    example.fitted.forecast({**example.middle, variable.name: far})
        for wrong in (float("nan"), float("inf")):
            with pytest.raises(SeedbedError, match=variable.name):
                example.fitted.forecast({**example.middle, variable.name: wrong})


def test_a_plan_that_lacks_a_number_is_told_which(example):
    for variable in example.fitted.variables:
        plan = {name: value for name, value in example.middle.items() if name != variable.name}
        with pytest.raises(SeedbedError, match=variable.name):
            example.fitted.forecast(plan)


def test_bad_cells_are_named_by_row_and_column(example):
    answer = [example.fitted.answer] if example.fitted.form.residual == "log" else []
    for name in (*example.in_the_table("size"), *answer):
        for wrong in (-1.0, None, float("nan"), "many"):
            cells = list(example.columns[name])
            cells = [str(cell) for cell in cells] if isinstance(wrong, str) else cells
            cells[2] = wrong
            with pytest.raises(SeedbedError, match=rf"row 3, column '{name}'"):
                fit(example.law, {**example.columns, name: arrow.table({name: cells}).column(name)})


def test_a_missing_column_is_named(example):
    def supplied(columns, variable):
        try:
            return variable in example.law.derived(arrow.table(columns)).column_names
        except SeedbedError:
            return False

    for variable in (*(v.name for v in example.fitted.variables), example.fitted.answer):
        columns = {name: values for name, values in example.columns.items() if name != variable}
        needed = {v.name for v in example.law.whole_form(list(columns)).variables} | {example.fitted.answer}
        if variable in needed and not supplied(columns, variable):
            with pytest.raises(SeedbedError, match=variable):
                fit(example.law, columns)


def test_a_column_of_one_value_is_named(example):
    for name in example.in_the_table("size"):
        same = np.full(len(example.columns[name]), float(np.median(example.columns[name])))
        with pytest.raises(SeedbedError, match=name):
            fit(example.law, {**example.columns, name: same})


def test_too_few_runs_are_refused(example):
    few = {name: values[:2] for name, values in example.columns.items()}
    with pytest.raises(SeedbedError):
        fit(example.law, few)


def test_what_is_held_is_solved_in_natural_coordinates(example):
    form, centre = example.fitted.form, example.fitted.centre
    names = [c.name for c in form.coefficients if c.is_log][:2]
    rng = np.random.default_rng(0)
    for fix in [{name: 0.37} for name in names] + [dict.fromkeys(names, 2.5)]:
        if len(fix) >= len(form.names):
            continue
        hold = held(form, centre, fix, ())
        natural = form.natural(hold.full(rng.standard_normal(len(hold.free)))[None], centre)[0]
        for name, value in fix.items():
            assert natural[form.index(name)] == pytest.approx(value, rel=1e-9)
