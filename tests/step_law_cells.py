"""The runs that the Step Law's authors released, the loss they show at a point, and the laws it is held against."""

import csv
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import LinearNDInterpolator

TRUTH = Path(__file__).parents[2] / "shared" / "truth" / "steplaw"
needs_truth = pytest.mark.skipif(not TRUTH.exists(), reason="published results are absent: ../shared/truth/steplaw")

LENGTH = 2048


def cells() -> dict[tuple[float, float], np.ndarray]:
    """(N, D) -> rows (ln rate, ln batch tokens, loss), sorted.

    Of a square of the grid either diagonal may be taken where losses are interpolated, and which one is depends on the
    order of rows: the published law's mean regret comes to 0.118 to 0.126 %, its largest to 0.220 or 0.244 %.
    """
    found = defaultdict(list)
    with (TRUTH / "dense_lr_bs_loss.csv").open() as file:
        for row in csv.DictReader(file):
            place = (math.log(float(row["lr"])), math.log(LENGTH * float(row["bs"])))
            found[float(row["N"]), float(row["D"])].append((*place, float(row["smooth loss"])))
    return {cell: np.array(sorted(rows)) for cell, rows in found.items()}


def fits() -> np.ndarray:
    """(ln factor, by ln N, by ln D) of the rate and (ln factor, by ln D) of the batch, of each released fit."""
    with (TRUTH / "1004_fitted_lr_bs_scaling_model_parameters.csv").open() as file:
        return np.array([[float(x) for x in row] for row in list(csv.reader(file))[1:]])


def regret(rows: np.ndarray, rate: float, batch: float) -> float:
    """Excess over the cell's best, as a fraction, of the losses interpolated at a point."""
    loss = LinearNDInterpolator(rows[:, :2], rows[:, 2])(math.log(rate), math.log(batch))
    return float(loss) / rows[:, 2].min() - 1


def regret_of_rate(rows: np.ndarray, rate: float) -> float:
    """At the best run's batch; NaN where the rate lies outside what was tried there."""
    return regret(rows, rate, math.exp(rows[rows[:, 2].argmin(), 1]))


def deepseek(parameters: float, tokens: float) -> tuple[float, float]:
    """Bi et al. 2024, arXiv 2401.02954: rate and batch from the compute."""
    compute = 6 * parameters * tokens
    return 0.3118 * compute**-0.125, 0.2920 * compute**0.3271


def kaplan_rate(parameters: float) -> float:
    """Kaplan et al. 2020, arXiv 2001.08361, appendix D.6."""
    return 0.003239 - 0.0001395 * math.log(parameters)
