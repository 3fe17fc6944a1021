"""How much to replay: the law recovers planted losses, the share keeps the bound, and a whole run is checked."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from seedbed import pipeline
from seedbed.core.errors import RecipeError
from seedbed.pipeline.ratio import Run, best, fit, variant
from seedbed.recipe.continual import ContinualPlan, RatioPlan, Route
from seedbed.train.schedules.infinite import Infinite
from tests.pipeline.test_continual import NEW, OLD, STEP, recipe, rows_of

SHARES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5)


def planted(share: float, tokens: float) -> tuple[float, float]:
    """(old, new) losses of a law with known numbers."""
    old = 2.0 + 0.08 * share**0.3 / (tokens / 1e5) ** 0.3 + 0.05 / (share + 0.02) ** 0.6
    new = 2.5 + 0.4 * (1 - share) ** 0.5 / (tokens / 1e5) ** 0.3 + 0.1 / (1 - share + 0.1) ** 0.5
    return old, new


def trials() -> list[Run]:
    tokens = (50_000, 100_000, 200_000)
    return [Run("trial", 0, share, n, *planted(share, n), before=2.2) for share in SHARES for n in tokens]


def test_planted_losses_are_recovered_and_the_share_keeps_the_bound() -> None:
    laws, told = fit(trials(), 1e5, seed=0)
    assert told["old"]["heldout_r2"] > 0.95  # type: ignore[index,call-overload,operator]
    old_G, new_G = laws.forecast(np.array([0.15]), 200_000)
    assert old_G[0] == pytest.approx(planted(0.15, 200_000)[0], abs=0.005)
    assert new_G[0] == pytest.approx(planted(0.15, 200_000)[1], abs=0.005)
    bound = planted(0.15, 200_000)[0]
    share, reached = best(laws, 200_000, bound, SHARES)
    assert reached
    assert share == pytest.approx(0.15, abs=0.02)
    assert planted(share, 200_000)[0] <= bound + 0.005


def test_a_bound_that_no_share_keeps_gives_the_largest() -> None:
    laws, _ = fit(trials(), 1e5, seed=0)
    assert best(laws, 200_000, 1.0, SHARES) == (0.5, False)


@pytest.fixture(scope="module")
def route() -> Route:
    return Route("update", (OLD, dataclasses.replace(NEW, replay={"old": 0.1})))


def test_the_schedule_of_a_trial_is_as_short_as_the_trial(route: Route) -> None:
    long = Infinite(warmup_tokens=4 * STEP, cooldown_tokens=8 * STEP)
    made = variant(route, route.stages[1], {"old": 0.2}, 2 * STEP, long).stages[1]
    assert (made.tokens, made.replay) == (2 * STEP, {"old": 0.2})
    assert made.schedule == Infinite(warmup_tokens=STEP, cooldown_tokens=2 * STEP)
    assert variant(route, route.stages[1], {"old": 0.2}, NEW.tokens, long).stages[1].schedule is None


def test_a_whole_run_leaves_the_trials_the_law_and_the_check(tmp_path: Path, route: Route) -> None:
    asked = RatioPlan("update", "new", "new", "old", (0.1, 0.2, 0.4, 0.6), tokens=8 * STEP, max_old_increase=10.0)
    made = recipe(tmp_path, route)
    pipeline.run(dataclasses.replace(made, continual=ContinualPlan((route,), "update", 1, asked)), tmp_path / "out")
    rows = rows_of(tmp_path / "out" / "ratio.csv")
    assert [row["kind"] for row in rows].count("trial") == 12
    assert {float(row["replay"]) for row in rows if row["kind"] == "trial"} == set(asked.replay)
    told = json.loads((tmp_path / "out" / "ratio.json").read_text())
    assert told["within_bound"]
    assert told["replay"] == pytest.approx(0.1), "a bound that everything keeps asks for the least"
    checked = told["check"]
    assert [entry["is_the_choice"] for entry in checked.values()] == [False, True, False]
    assert all(entry["within_bound"] for entry in checked.values())
    assert len(list((tmp_path / "out" / "artifacts").glob("run-old-*"))) == 1, "all trials begin from one model"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"route": "updaet"}, "no route is called"),
        ({"stage": "old"}, "replays 0 sources"),
        ({"new": "nothing"}, "no held-out text"),
        ({"replay": (0.1, 0.2)}, "too few for nine numbers"),
    ],
)
def test_what_cannot_be_asked(tmp_path: Path, route: Route, change: dict[str, object], said: str) -> None:
    asked = RatioPlan("update", "new", "new", "old", (0.1, 0.2, 0.4, 0.6), tokens=8 * STEP)
    made = recipe(tmp_path, route)
    plan = ContinualPlan((route,), "update", 1, dataclasses.replace(asked, **change))  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=said):
        pipeline.run(dataclasses.replace(made, continual=plan), tmp_path / "out")
