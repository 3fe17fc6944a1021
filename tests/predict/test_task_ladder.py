import csv
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from seedbed import catalogue
from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict.contract import Law
from seedbed.predict.laws import task_ladder
from seedbed.predict.laws.chinchilla import Chinchilla
from seedbed.predict.laws.sigmoid import Sigmoid
from seedbed.predict.laws.task_ladder import TaskLadder, trailing_mean
from tests.predict.few_starts import few_starts  # noqa: F401

LADDER = Path(__file__).parents[2].parent / "shared" / "truth" / "olmo_ladder"
with_truth = pytest.mark.skipif(not LADDER.is_dir(), reason="needs ../shared/truth/olmo_ladder")
SIZES = {"190M": 190354176, "370M": 371262464, "760M": 758220288, "1B": 1279395840}  # without embeddings
LENGTHS = ("1xC", "2xC", "5xC", "10xC")
MMLU = {"stem": 0.215, "humanities": 0.335, "social_sciences": 0.219, "other": 0.231}
TARGET = {"params": 13202396160, "tokens": 5000088518656}
TASKS = ("mmlu_avg_test", "hellaswag_val", "arc_challenge_test", "arc_easy_test", "piqa_val", "csqa_val",
         "socialiqa_val", "openbookqa_test")  # fmt: skip


def quick(**parameters):
    loss_law = Chinchilla(n_bootstrap=0, max_extrapolation=30.0, params_count="non_embedding")
    return TaskLadder(**{"loss_law": loss_law, "accuracy_law": Sigmoid(n_bootstrap=0), **parameters})


def published(step):
    with (LADDER / f"published_{step}_main.csv").open() as file:
        return {row["Task"].removesuffix("_5shot"): row for row in csv.DictReader(file)}


def score(row, task, kind):
    start, end = {"loss": ("downstream_bpb", "bpb"), "accuracy": ("downstream", "len_norm")}[kind]
    if task.startswith("mmlu_avg"):
        split = task.rpartition("_")[2]
        return sum(w * float(row[f"eval/{start}/mmlu_{part}_{split}_rc_5shot_{end}"]) for part, w in MMLU.items())
    return float(row[f"eval/{start}/{task}_rc_5shot_{'acc' if task == 'boolq_val' and kind == 'accuracy' else end}"])


@cache
def released(run):
    with (LADDER / f"{run}.csv").open() as file:
        return list(csv.DictReader(file))


def checkpoints(task):
    rows = []
    for size, params in SIZES.items():
        for length in LENGTHS:
            for row in released(f"{size}-{length}"):
                tokens = float(row["throughput/total_tokens"])
                at = {"run": f"{size}-{length}", "params": params, "tokens": tokens, "step": int(row["_step"])}
                rows.append({**at, **{kind: score(row, task, kind) for kind in ("loss", "accuracy")}})
    return {name: [row[name] for row in rows] for name in rows[0]}


@with_truth
@pytest.mark.parametrize("task", TASKS)
def test_reproduces_the_published_forecasts_of_13b_on_5t_tokens(task):
    # Bhagia et al. 2024, arXiv 2412.04403: their released checkpoints of 190M to 1.3B, and their released forecasts
    found = quick().fit(arrow.table(checkpoints(task)))
    step, chained = published("step1")[task], published("chained")[task]
    loss, accuracy = found.between(TARGET).value, found.forecast(TARGET).value
    assert loss == pytest.approx(float(step["Pred"]), abs=5e-4)
    assert loss / float(step["Actual"]) - 1 == pytest.approx(float(step["Rel Error"]), abs=5e-4)
    assert accuracy == pytest.approx(float(chained["Pred"]), abs=5e-4)
    assert abs(accuracy / float(chained["Actual"]) - 1) == pytest.approx(float(chained["Rel Error"]), abs=5e-4)
    assert (len(found.first.runs["loss"]), len(found.second.runs["loss"])) == (16, 1402)
    on_bound = any(warning.startswith("loss: E ended on a bound") for warning in found.warnings)
    assert on_bound == (task == "csqa_val")


@with_truth
@pytest.mark.parametrize(
    ("task", "spread"), [("hellaswag_val", 0.0009), ("winogrande_val", 0.0075), ("boolq_val", 0.018)]
)
def test_the_noise_is_the_published_spread_of_the_last_checkpoints(task, spread):
    ladder, _ = task_ladder.ladder_of(arrow.table(checkpoints(task)))
    noise = task_ladder.noise_of(ladder)
    assert (noise["run"], noise["checkpoints"]) == ("1B-10xC", 10)
    assert noise["loss"] == pytest.approx(spread, rel=0.06)  # published with one or two digits


def made(noise=0.0, seed=0, per_run=20):
    """A ladder whose accuracy is a curve of the loss, and that is still bad at its first checkpoints."""
    rng, rows = np.random.default_rng(seed), []
    for params in (1e7, 3e7, 1e8, 3e8):
        for per in (5, 20, 80):
            for step in range(1, per_run + 1):
                tokens = params * per * step / per_run
                loss = (0.5 + 300 / params**0.4 + 500 / tokens**0.4) * np.exp(noise * rng.standard_normal())
                rows.append(
                    (f"{params:g}-{per}", params, tokens, step, loss, curve(loss) + noise * rng.standard_normal())
                )
    names = ("run", "params", "tokens", "step", "loss", "accuracy")
    return {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def curve(loss):
    return -0.75 / (1 + np.exp(-6 * (loss - 0.8))) + 1.0


@pytest.fixture(scope="module")
def noisy():
    law = TaskLadder(
        Chinchilla(n_bootstrap=30, max_extrapolation=30.0, params_count="non_embedding"), Sigmoid(n_bootstrap=30)
    )
    return law.fit(arrow.table(made(0.003)))


def test_a_made_ladder_foretells_the_next_size():
    found = quick(last=1, smoothing=1).fit(arrow.table(made()))
    expected = curve(0.5 + 300 / 3e9**0.4 + 500 / 6e10**0.4)
    assert found.forecast({"params": 3e9, "tokens": 6e10}).value == pytest.approx(expected, abs=2e-3)


def test_the_points_are_made_as_published():
    law, table = TaskLadder(), made(0.01, per_run=23)
    ladder, _ = task_ladder.ladder_of(arrow.table(table))
    ends, points = (made_of(ladder).to_pydict() for made_of in (law.ends, law.points))
    run = [i for i, name in enumerate(table["run"]) if name == "1e+08-20"]
    at = ends["run"].index("1e+08-20")
    assert (ends["params"][at], ends["tokens"][at]) == (1e8, 2e9)
    assert ends["loss"][at] == pytest.approx(np.mean([table["loss"][i] for i in run[-5:]]))
    kept = run[3:]  # without the first 10 % of 23, rounded up
    for i in range(len(kept)):
        means = {name: np.mean([table[name][j] for j in kept[max(0, i - 4) : i + 1]]) for name in ("loss", "accuracy")}
        row = int(np.argmin(np.abs(np.array(points["loss"]) - means["loss"])))
        assert (points["loss"][row], points["accuracy"][row]) == pytest.approx(tuple(means.values()))
    assert len(points["loss"]) == 12 * 20 + 1
    assert (points["loss"][-1], points["accuracy"][-1]) == (0, 1)
    assert 0.0 not in TaskLadder(certain_at_zero=False).points(ladder)["loss"].to_pylist()


def test_trailing_mean():
    assert trailing_mean(np.array([1.0, 2, 3, 4, 5]), 3).tolist() == [1, 1.5, 2, 3, 4]
    assert trailing_mean(np.array([1.0, 2]), 5).tolist() == [1, 1.5]


def test_order_of_rows_does_not_matter(noisy):
    table = made(0.003)
    order = np.random.default_rng(0).permutation(len(table["run"]))
    shuffled = noisy.law.fit(arrow.table({name: [column[i] for i in order] for name, column in table.items()}))
    assert shuffled.to_json() == noisy.to_json()


def test_a_stored_ladder_forecasts_the_same(noisy):
    told = json.loads(json.dumps(noisy.to_json(), allow_nan=False))
    again = catalogue.build(Law, {told["law"]: told["parameters"]}, "law").load(told)
    plan = {"params": 1e9, "tokens": 5e10}
    assert again.forecast(plan) == noisy.forecast(plan)
    assert (again.facts, again.warnings) == (noisy.facts, noisy.warnings)
    assert noisy.forecast(plan).low < noisy.forecast(plan).value < noisy.forecast(plan).high


def test_noise_of_the_last_checkpoints_is_warned_of():
    wild = made(0.02)
    found = quick().fit(arrow.table(wild))
    assert found.facts["noise.run"] == "3e+08-80"
    assert any("the last checkpoints of 3e+08-80 spreads by 0.0" in warning for warning in found.warnings)
    calm = quick(noisy=0.5).fit(arrow.table(made(0.02)))
    assert not any("spreads by" in warning for warning in calm.warnings)


def test_the_usual_ladder_reaches_the_published_target():
    law = catalogue.build(Law, "predict.laws.task_ladder", "law")
    assert isinstance(law, TaskLadder)
    assert law.loss_law == Chinchilla(max_extrapolation=30.0, params_count="non_embedding")
    assert law.accuracy_law == Sigmoid()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: {k: v for k, v in t.items() if k != "run"}, "no column 'run'"),
        (lambda t: {**t, "params": [2e7, *t["params"][1:]]}, "run '1e[+]07-5' has 2 sizes"),
        (lambda t: {**t, "accuracy": [52.0, *t["accuracy"][1:]]}, "row 1, column 'accuracy'.*Give fractions"),
        (lambda t: {**t, "loss": [None, *t["loss"][1:]]}, "row 1, column 'loss'"),
        (lambda t: {k: v[:60] for k, v in t.items()}, "the first step, chinchilla"),
    ],
)
def test_checkpoints_that_make_no_ladder_are_refused(change, said):
    with pytest.raises(SeedbedError, match=said):
        quick().fit(arrow.table(change(made())))
