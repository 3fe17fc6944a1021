"""Task ladder: forecasts the accuracy of a large model on a task from checkpoints of a ladder of small ones.

What      Two steps: size and length to the loss on the task's right answers, from the end of each run; that loss to
          accuracy, from the checkpoints of all runs. One task a table.
Source    Bhagia et al. 2024, arXiv 2412.04403.
Formula   step 1, a run a point: loss = E + A / N^alpha + B / D^beta by Huber losses of logarithms (delta 1e-3), of the
          mean loss of its last 5 checkpoints. Step 2, a checkpoint a point: accuracy = a / (1 + exp(-k (loss - x0))) +
          b by least squares; of each run the first ceil(10 %) checkpoints are left out, then loss and accuracy are the
          means of the last 5 so far; the point (loss 0, accuracy 1) is added.
Shapes    run_N, params_N, tokens_N, loss_N, accuracy_N, a row a checkpoint -> 9 numbers; (params, tokens) ->
          (value, low, high)
Units     params in parameters without embeddings, tokens read so far, loss in bits per byte of the right answer,
          accuracy as a fraction, noise as a fraction of the mean loss.
Fidelity  Adapted: same points, formulas and objectives; step 1 descends from 72 starts instead of one, and its
          factors are bounded from below at e^-12 of a typical loss instead of at 1. The source reports the spread of
          the last 10 checkpoints a task and leaves the judgement to the reader; here `noisy` makes it a warning. The
          interval is by bootstrap of both steps; neighbouring checkpoints share their means, so that the second
          step's part of it is narrow.
Errors    SeedbedError for a missing column, a number that is impossible (with its row), a run of several sizes, fewer
          than 6 runs, a step that fails (named), and forecasts too far from the runs: the published ones lie 20 times
          beyond, so the first step goes up to 30. Coefficients on a bound are said in `warnings`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, cast

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Lt

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.core.parameters import Json
from seedbed.predict import chaining, table
from seedbed.predict.chaining import FittedChain
from seedbed.predict.contract import PARAMS, TOKENS, FloatArray, Law, Variable

LOSS_LAW: Mapping[str, Json] = {"max_extrapolation": 30.0, "params_count": "non_embedding"}
NOISE_CHECKPOINTS = 10


@dataclasses.dataclass(frozen=True)
class TaskLadder(Law):
    """Loss of size and length, accuracy of loss.

    Args:
        loss_law: the first step, of params and tokens to loss.
        accuracy_law: the second step, of loss to accuracy.
        last: so many checkpoints at the end of a run are averaged for the first step.
        dropped: share of each run's checkpoints, from its beginning, that the second step leaves out.
        smoothing: so many checkpoints are averaged for each point of the second step.
        certain_at_zero: whether the point (loss 0, accuracy 1) is added.
        noisy: a larger spread of the last checkpoints' loss, as a share of its mean, is warned of.
    """

    loss_law: Law = dataclasses.field(default_factory=partial(chaining.usual_law, "chinchilla", LOSS_LAW))
    accuracy_law: Law = dataclasses.field(default_factory=partial(chaining.usual_law, "sigmoid", {}))
    last: Annotated[int, Ge(1)] = 5
    dropped: Annotated[float, Ge(0), Lt(1)] = 0.1
    smoothing: Annotated[int, Ge(1)] = 5
    certain_at_zero: bool = True
    noisy: Annotated[float, Gt(0)] = 0.005

    def fit(self, runs: pa.Table) -> FittedChain:
        """Both steps. Raises SeedbedError where the checkpoints cannot carry them."""
        ladder, said = ladder_of(runs)
        found = chaining.fit_chain(self, self.loss_law, self.accuracy_law, (self.ends(ladder), self.points(ladder)))
        noise = noise_of(ladder)
        if noise["loss"] > self.noisy:
            what = f"the loss of the last checkpoints of {noise['run']} spreads by {noise['loss']:.2g} of its mean"
            said = (*said, f"{what}, more than {self.noisy:g}: forecasts on this task are uncertain")
        return dataclasses.replace(
            found, own_facts={f"noise.{name}": value for name, value in noise.items()}, said=said
        )

    def load(self, fitted: Mapping[str, Json]) -> FittedChain:
        """The inverse of FittedChain.to_json."""
        return chaining.load_chain(self, self.loss_law, self.accuracy_law, fitted)

    def ends(self, ladder: Sequence[Checkpoints]) -> pa.Table:
        """Points of the first step."""
        columns = {
            "run": [run.name for run in ladder],
            "params": [run.params for run in ladder],
            "tokens": [float(run.tokens_T[-1]) for run in ladder],
            "loss": [float(run.loss_T[-self.last :].mean()) for run in ladder],
        }
        return arrow.table(columns)

    def points(self, ladder: Sequence[Checkpoints]) -> pa.Table:
        """Points of the second step."""
        loss = [trailing_mean(run.loss_T[self.skipped(run) :], self.smoothing) for run in ladder]
        accuracy = [trailing_mean(run.accuracy_T[self.skipped(run) :], self.smoothing) for run in ladder]
        if self.certain_at_zero:
            loss, accuracy = [*loss, np.zeros(1)], [*accuracy, np.ones(1)]
        columns = {"loss": np.concatenate(loss), "accuracy": np.concatenate(accuracy)}
        return arrow.table({"point": np.arange(len(columns["loss"])), **columns})

    def skipped(self, run: Checkpoints) -> int:
        """How many checkpoints at the beginning of the run the second step leaves out."""
        return int(np.ceil(self.dropped * len(run.loss_T)))


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """Those of one run, in the order of their tokens."""

    name: str
    params: float
    tokens_T: FloatArray
    loss_T: FloatArray
    accuracy_T: FloatArray


def ladder_of(runs: pa.Table) -> tuple[list[Checkpoints], tuple[str, ...]]:
    """The runs of a table of checkpoints, by name, and what reading it found."""
    if "run" not in runs.column_names:
        mend = did_you_mean("run", runs.column_names) or "It names the run that a checkpoint belongs to."
        raise SeedbedError("runs", "there is no column 'run'", mend)
    cells = [str(cell) for cell in cast("list[object]", cast(Any, runs.column("run")).to_pylist())]
    names = sorted(set(cells))
    at = {name: float(i) for i, name in enumerate(names)}
    numbered = runs.set_column(runs.column_names.index("run"), "run", pa.array([at[cell] for cell in cells]))
    variables = (Variable("run", "number"), TOKENS, PARAMS, Variable("loss"))
    read = table.read(numbered, variables, Variable("accuracy", "share"))
    found: list[Checkpoints] = []
    for name in names:
        own = read.column["run"] == at[name]
        params = np.unique(read.column["params"][own])
        if len(params) > 1:
            what = f"run {name!r} has {len(params)} sizes, {params[0]:.6g} and {params[1]:.6g} among them"
            raise SeedbedError("runs, column 'params'", what, "Give each run a name of its own.")
        rest = (read.column[column][own] for column in ("tokens", "loss", "accuracy"))
        found.append(Checkpoints(name, float(params[0]), *rest))
    return found, read.warnings


def trailing_mean(values_T: FloatArray, width: int) -> FloatArray:
    """mean_T of each value and up to width - 1 before it."""
    total = np.concatenate([[0.0], np.cumsum(values_T)])
    until = np.arange(1, len(values_T) + 1)
    since = np.maximum(0, until - width)
    return (total[until] - total[since]) / (until - since)


def noise_of(ladder: Sequence[Checkpoints]) -> dict[str, Any]:
    """Spread of the last checkpoints of the run of most compute: of the loss by its mean, and of accuracy."""
    longest = max(ladder, key=lambda run: (run.params * float(run.tokens_T[-1]), run.name))
    loss, accuracy = longest.loss_T[-NOISE_CHECKPOINTS:], longest.accuracy_T[-NOISE_CHECKPOINTS:]
    sd = float(np.std(loss)) / float(np.mean(loss)), float(np.std(accuracy))
    return {"run": longest.name, "checkpoints": len(loss), "loss": sd[0], "accuracy": sd[1]}
