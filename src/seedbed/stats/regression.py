"""Losses learned from shares: by trees or by a plane, kept as plain JSON, with the error on what was not seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from seedbed.core import optional
from seedbed.core.parameters import Json
from seedbed.stats.ranks import spearman

FloatArray = npt.NDArray[np.float64]
Regressor: TypeAlias = Literal["lightgbm", "linear"]

CHUNK = 20_000
"""Rows foretold at a time."""


@dataclasses.dataclass(frozen=True, eq=False)
class Plane:
    """loss = share . slope + constant, the constant last."""

    slope_P: FloatArray

    def __call__(self, share_RD: FloatArray) -> FloatArray:
        """loss_R."""
        return np.column_stack([share_RD, np.ones(len(share_RD))]) @ self.slope_P

    def to_json(self) -> dict[str, Json]:
        """Everything needed to foretell again."""
        return {"slope": self.slope_P.tolist()}


@dataclasses.dataclass(frozen=True, eq=False)
class Trees:
    """Boosted trees; `text` is lightgbm's own form of them."""

    text: str
    booster: Any

    def __call__(self, share_RD: FloatArray) -> FloatArray:
        """loss_R."""
        parts = [share_RD[at : at + CHUNK] for at in range(0, len(share_RD), CHUNK)]
        return np.concatenate([np.asarray(self.booster.predict(part, num_threads=1), np.float64) for part in parts])

    def to_json(self) -> dict[str, Json]:
        """Everything needed to foretell again."""
        return {"trees": self.text}


def regression(
    kind: Regressor, share_RD: FloatArray, loss_R: FloatArray, *, trees: int = 1000, learning_rate: float = 0.01
) -> Plane | Trees:
    """shares -> losses, learned from trials. Leaves hold at least min(20, R / 10) of them."""
    if kind == "linear":
        design = np.column_stack([share_RD, np.ones(len(share_RD))])
        slope_P = np.linalg.lstsq(design, loss_R, rcond=None)[0]  # of the many equal planes the one with least slope
        return Plane(np.asarray(slope_P, np.float64))
    lightgbm = _lightgbm()
    options = {
        "objective": "regression",
        "learning_rate": learning_rate,
        "min_data_in_leaf": max(2, min(20, len(loss_R) // 10)),
        "seed": 42,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    grown = lightgbm.train(options, lightgbm.Dataset(share_RD, loss_R), num_boost_round=trees)
    return Trees(grown.model_to_string(), grown)


def read(told: Mapping[str, Json]) -> Plane | Trees:
    """The inverse of to_json."""
    if "slope" in told:
        return Plane(np.array(told["slope"], np.float64))
    text = cast(str, told["trees"])
    return Trees(text, _lightgbm().Booster(model_str=text))


def out_of_fold(
    fit: Callable[[FloatArray, FloatArray], Callable[[FloatArray], FloatArray]],
    point_RP: FloatArray,
    loss_R: FloatArray,
    *,
    folds: int,
    seed: int,
) -> FloatArray:
    """foretold_R: every row by a fit to the other folds."""
    fold_R = np.random.default_rng(seed).permutation(len(loss_R)) % min(folds, len(loss_R))
    foretold_R = np.zeros(len(loss_R))
    for fold in np.unique(fold_R):
        mine = fold_R == fold
        foretold_R[mine] = fit(point_RP[~mine], loss_R[~mine])(point_RP[mine])
    return foretold_R


def agreement(foretold_R: FloatArray, loss_R: FloatArray) -> dict[str, float | None]:
    """Of forecasts for what was held out: mean error, correlation of ranks, share of the variance that is foretold.

    The last two are None where the losses, or the forecasts, do not vary.
    """
    off_R, spread = foretold_R - loss_R, float(((loss_R - loss_R.mean()) ** 2).sum())
    varies = spread > 0 and float(np.ptp(foretold_R)) > 0
    return {
        "heldout_error": float(np.abs(off_R).mean()),
        "heldout_spearman": spearman(foretold_R, loss_R) if varies else None,
        "heldout_r2": 1.0 - float((off_R**2).sum()) / spread if varies else None,
    }


def lowest_of_many(
    predict: Callable[[FloatArray], FloatArray], share_SD: FloatArray, best: int
) -> tuple[FloatArray, FloatArray]:
    """(mean_D, best_BD): the mixtures with the lowest foretold losses, and their mean. Raises ValueError for none."""
    if not len(share_SD):
        raise ValueError("there is no mixture to choose from")
    best_BD = share_SD[np.argsort(predict(share_SD), kind="stable")[:best]]
    return best_BD.mean(axis=0), best_BD


def _lightgbm() -> Any:
    return optional.load("lightgbm", "mix", "regression by trees")
