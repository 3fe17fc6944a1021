import dataclasses
import itertools
import json

import numpy as np
import pytest
from scipy import optimize, stats

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict import design
from seedbed.predict.laws import chinchilla
from seedbed.predict.laws.chinchilla import Chinchilla
from seedbed.predict.planning import REPLICATED, Options, known_of, naive_grids, plan, simulate


@dataclasses.dataclass(frozen=True)
class Quick(Chinchilla):
    """From eight of the starts."""

    def form(self, columns):
        return dataclasses.replace(
            chinchilla.FORM, starts=lambda points, answer: chinchilla.starts(points, answer)[::9]
        )


LAW = Quick(n_bootstrap=0)
TARGET = {"params": 7e9, "tokens": 1.4e11}
COST = 6 * 7e9 * 1.4e11
BUDGETS = (8e18, 2e19, 6e19, 2.5e20)


@pytest.fixture(scope="module")
def prior():
    return design.Prior.of(LAW, REPLICATED, TARGET, 0.003)


@pytest.fixture(scope="module")
def planned():
    return [plan(LAW, REPLICATED, TARGET, budget_flops=budget) for budget in BUDGETS]


def loss(params, tokens):
    k = REPLICATED
    return k["E"] + k["A"] / params ** k["alpha"] + k["B"] / tokens ** k["beta"]


def runs_of(ladder):
    repeats = [rung.repeats for rung in ladder.rungs]
    return [np.repeat([getattr(rung, name) for rung in ladder.rungs], repeats) for name in ("params", "tokens")]


def test_the_half_width_is_that_of_the_delta_method_in_natural_coordinates(prior):
    N, D = (grid.ravel() for grid in np.meshgrid([7e7, 2e8, 7e8], [1.4e9, 4e9, 1.4e10]))
    natural = np.array(list(REPLICATED.values()))

    def log_loss(k, n, d):
        return np.log(k[2] + k[0] / n ** k[3] + k[1] / d ** k[4])

    steps = np.diag(natural) * 1e-5
    slope = np.stack([(log_loss(natural + s, N, D) - log_loss(natural - s, N, D)) / 2e-5 for s in steps], axis=1)
    at = (TARGET["params"], TARGET["tokens"])
    g = np.array([(log_loss(natural + s, *at) - log_loss(natural - s, *at)) / 2e-5 for s in steps])
    # Huber's estimate has the variance E psi^2 / (E psi')^2 of its noise: by numbers
    z = np.linspace(-9, 9, 200_001)
    density, clipped = stats.norm.pdf(z), np.clip(z, -1 / 3, 1 / 3)
    price = np.trapezoid(clipped**2 * density, z) / np.trapezoid((np.abs(z) < 1 / 3) * density, z) ** 2
    expected = stats.t.ppf(0.975, 9 - 5) * 0.003 * np.sqrt(1 + price * g @ np.linalg.inv(slope.T @ slope) @ g)
    assert prior.half_width(N, D) == pytest.approx(expected, rel=1e-3)
    assert prior.half_width(N[:5], D[:5]) == np.inf
    assert prior.half_width(np.full(9, 1e8), D) == np.inf
    assert design.huber_price(20.0) == 1.0
    assert design.huber_price(3.0) == pytest.approx(1.0, abs=0.02)


def test_the_delta_method_agrees_with_simulation(planned, prior):
    ladder = planned[2].ladder
    found = simulate(LAW, prior, ladder.rungs, 8, 40, seed=1)
    assert found.half_width == pytest.approx(ladder.half_width, rel=0.25)
    assert found.covered >= 0.7
    assert found == simulate(LAW, prior, ladder.rungs, 8, 40, seed=1)


def test_the_ladder_beats_naive_grids_of_equal_cost_and_one_decade_in_errors_too(planned, prior):
    ladder = planned[2].ladder
    one, two = naive_grids(prior, ladder.flops, Options())
    assert planned[2].naive == two
    assert (one.flops, two.flops) == pytest.approx((ladder.flops, ladder.flops), rel=1e-6)
    assert ladder.half_width < 0.8 * two.half_width < 0.8 * one.half_width
    end = loss(**TARGET)
    errors = []
    for each in (ladder, one):
        N, D = runs_of(each)
        found = []
        for seed in range(10):
            noise = 0.003 * np.random.default_rng(seed).standard_normal(len(N))
            columns = {"params": N, "tokens": D, "loss": loss(N, D) * np.exp(noise), "seed": np.arange(len(N))}
            found.append(LAW.fit(arrow.table(columns)).predict(TARGET) / end - 1)
        errors.append(np.sqrt(np.mean(np.square(found))))
    assert errors[0] < 0.6 * errors[1]


def test_no_ladder_is_better_than_the_bound_of_continuous_designs(planned, prior):
    # Elfving 1952: the least variance a FLOP buys, as a linear program over all candidates
    among = design.candidates(prior, np.geomspace(0.1, 1e-3, 13), 30.0, 6.0, 24, 4)
    points = among.jacobian_CF / np.sqrt(among.flops_C / COST)[:, None]
    scale = np.abs(points).max(axis=0)
    found = optimize.linprog(
        np.ones(2 * len(points)),
        A_eq=np.hstack([(points / scale).T, -(points / scale).T]),
        b_eq=prior.target_F / scale,
    )
    least = found.fun**2
    for each in planned:
        t = stats.t.ppf(0.975, each.ladder.n_runs - 5)
        variance = ((each.ladder.half_width / (t * 0.003)) ** 2 - 1) / prior.huber
        assert variance * each.ladder.flops / COST >= least
        jacobian = prior.at(*runs_of(each.ladder))[1]
        direct = prior.target_F @ np.linalg.inv(jacobian.T @ jacobian) @ prior.target_F
        assert variance == pytest.approx(direct, rel=1e-6)


def test_the_search_comes_near_the_best_of_all_designs_of_a_small_case(prior):
    among = design.candidates(prior, (0.1, 0.02, 0.004), 1e3, 6.0, 8, 3)
    budget = 1e20
    mine = min(among.half_width(c) for c in among.path() if among.flops(c) <= budget)
    best = np.inf
    for counts in itertools.product(range(4), repeat=9):
        c = np.array(counts)
        if c.sum() == 8 and among.flops(c) <= budget:
            information = (among.jacobian_CF * c[:, None]).T @ among.jacobian_CF
            if np.linalg.matrix_rank(information) == 5:
                v = prior.target_F @ np.linalg.solve(information, prior.target_F)
                best = min(best, prior.half_of(np.array([v]), 8)[0])
    assert best <= mine * (1 + 1e-9)
    assert mine <= best * 1.1


def test_a_bigger_budget_is_never_a_wider_interval():
    wide = dataclasses.replace(Options(), per_decade=3)
    budgets = np.geomspace(6e18, 4e20, 9)
    found = [plan(LAW, REPLICATED, TARGET, budget_flops=b, options=wide).ladder for b in budgets]
    assert all(later.half_width <= earlier.half_width for earlier, later in itertools.pairwise(found))
    assert all(ladder.flops <= b for ladder, b in zip(found, budgets, strict=True))
    assert found[-1].half_width < found[0].half_width / 2


def test_the_rules_of_a_ladder_hold(planned):
    for each in planned:
        N, D = runs_of(each.ladder)
        assert 6 <= len(N) <= 48
        assert max(rung.repeats for rung in each.ladder.rungs) <= 4
        for sizes, name in ((N, "params"), (D, "tokens")):
            assert TARGET[name] / 10 <= sizes.max() <= TARGET[name] / 9.9
            assert sizes.max() / sizes.min() >= 9.9
            assert len(set(sizes)) >= 2
        assert sum(r.flops * r.repeats for r in each.ladder.rungs) == pytest.approx(each.ladder.flops)
        noiseless = LAW.fit(arrow.table({"params": N, "tokens": D, "loss": loss(N, D), "seed": np.arange(len(N))}))
        assert noiseless.forecast(TARGET).value == pytest.approx(loss(**TARGET), rel=1e-4)  # it is not refused


def test_a_run_more_is_worth_what_the_whole_inverse_says(prior):
    among = design.candidates(prior, (0.1, 0.03, 0.01, 0.003), 1e3, 6.0, 24, 4)
    information = among.jacobian_CF.T @ among.jacobian_CF
    g = prior.target_F
    expected = [g @ np.linalg.inv(information + np.outer(j, j)) @ g for j in among.jacobian_CF]
    assert among._with_one_more(information) == pytest.approx(expected, rel=1e-6)


def test_an_exchange_never_gives_up_the_ends(prior):
    among = design.candidates(prior, (0.1, 0.03, 0.009), 1e3, 6.0, 24, 4)
    counts = np.zeros(9, np.int64)
    counts[[2, 6, 8]] = 1  # the greatest length at the smallest size, the largest size, the smallest run
    at_top = {2: among.tokens_C == 1.4e10, 6: among.params_C == 7e8}
    for taken, ends in at_top.items():
        assert np.array_equal(among._spans(counts, taken), ends)
    assert among._spans(counts, 8).all()  # the two others are small in the other column
    counts[[2, 8]] = 0, 0
    counts[[0, 5]] = 1  # without run 5 no size is a decade below the largest; run 6 keeps the lengths
    assert np.array_equal(among._spans(counts, 5), among.params_C == 6.3e7)
    assert among._spans(counts, -1).all()


def test_a_wanted_half_width_is_met_at_the_least_cost_on_the_way(planned):
    wanted = planned[1].ladder.half_width * 1.001
    found = plan(LAW, REPLICATED, TARGET, half_width=wanted, flops_per_second=1e14)
    assert found.ladder.half_width <= wanted
    assert found.ladder.flops <= planned[1].ladder.flops
    assert found.hours == pytest.approx(found.ladder.flops / 1e14 / 3600)
    assert found.target_flops == pytest.approx(COST)
    halves = [ladder.half_width for ladder in found.frontier]
    assert 3 <= len(halves) <= 5
    assert halves == sorted(halves, reverse=True)
    with_budget = plan(LAW, REPLICATED, TARGET, half_width=wanted, budget_flops=BUDGETS[0])
    assert with_budget.ladder == planned[0].ladder
    assert "it would take" in with_budget.warnings[0]
    assert any("best of at most 48 runs" in w for w in plan(LAW, REPLICATED, TARGET, half_width=0.001).warnings)


def test_more_noise_costs_more():
    quiet, loud = (plan(LAW, REPLICATED, TARGET, half_width=0.02, noise=noise).ladder for noise in (0.001, 0.003))
    assert quiet.flops < loud.flops


def test_a_fit_is_planned_from_and_units_do_not_matter():
    N, D = (grid.ravel() for grid in np.meshgrid([1e7, 3e7, 1e8], [2e8, 1e9, 5e9]))
    noisy = loss(N, D) * np.exp(0.002 * np.random.default_rng(0).standard_normal(9))
    known, noise = known_of(LAW.fit(arrow.table({"params": N, "tokens": D, "loss": noisy})))
    assert 0.0005 < noise < 0.006
    found = plan(LAW, known, TARGET, half_width=0.05, noise=noise)
    millions, thousands = {"params": 7e3, "tokens": 1.4e8}, dict(known)
    thousands["A"] *= 1e-6 ** known["alpha"]
    thousands["B"] *= 1e-3 ** known["beta"]
    again = plan(LAW, thousands, millions, half_width=0.05, noise=noise)
    assert [r.repeats for r in again.ladder.rungs] == [r.repeats for r in found.ladder.rungs]
    assert again.ladder.half_width == pytest.approx(found.ladder.half_width, rel=1e-6)


def test_what_is_held_need_not_be_found_out():
    held = Quick(n_bootstrap=0, fix={"alpha": REPLICATED["alpha"], "beta": REPLICATED["beta"]})
    free, easier = (plan(law, REPLICATED, TARGET, budget_flops=2e19).ladder for law in (LAW, held))
    assert easier.half_width < free.half_width / 1.5


def test_warnings_say_what_is_wrong():
    far = plan(LAW, REPLICATED, TARGET, budget_flops=1e19, options=Options(largest=0.03))
    assert any("times beyond the largest run in params" in w for w in far.warnings)
    assert any("published coefficients" in w for w in far.warnings)
    easy = plan(LAW, REPLICATED, TARGET, budget_flops=4e21, options=Options(largest=1.0))
    assert any("own noise" in w for w in easy.warnings)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "neither a budget nor a half-width"),
        ({"budget_flops": 1e15}, "buy no ladder: the cheapest"),
        ({"budget_flops": -1.0}, "positive"),
        ({"half_width": 0.01, "noise": float("nan")}, "positive"),
        ({"half_width": 0.01, "target": {"params": 7e9}}, "tokens 0"),
        ({"half_width": 0.01, "known": {"A": 1.0}}, "coefficient B is not known"),
        ({"half_width": 0.01, "known": {**REPLICATED, "E": -1.0}}, "coefficient E"),
        ({"half_width": 0.01, "options": Options(smallest=0.5)}, "not below largest"),
        ({"half_width": 0.01, "options": Options(smallest=0.09, per_decade=2)}, "do not identify"),
        ({"half_width": 0.01, "options": Options(max_runs=3)}, "max_runs"),
    ],
)
def test_what_cannot_be_planned_is_refused(change, said):
    with pytest.raises(SeedbedError, match=said):
        plan(**{"law": LAW, "known": REPLICATED, "target": TARGET, **change})


def test_a_plan_is_told_in_json_and_in_rows(planned):
    told = json.loads(json.dumps(planned[0].to_json(), allow_nan=False))
    assert told["ladder"]["share_of_target"] == pytest.approx(planned[0].ladder.flops / COST)
    assert len(told["ladder"]["runs"]) == len(planned[0].rows()[1])
    assert "of what the target costs" in planned[0].summary()[0]
    proved = plan(LAW, REPLICATED, TARGET, budget_flops=1e19, options=Options(n_simulations=2, n_bootstrap=10))
    assert "simulated ladders" in proved.summary()[-1]
