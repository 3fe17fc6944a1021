"""What a report shows of a law: curves, residuals, equal compute, and the forecasts of the ledger."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from seedbed.core.artifact import Artifact
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import library_versions
from seedbed.pipeline.fitting import facts_of, load_fit
from seedbed.predict.contract import FittedLaw
from seedbed.predict.fitted import Fitted
from seedbed.predict.optimum import isoflop, optimum
from seedbed.report.data import Provenance, ReportData
from seedbed.report.law_data import Band, IsoFlop, LawCurve, LawFit, Outcome, Residual
from seedbed.stats.intervals import Interval

FloatArray = npt.NDArray[np.float64]

REACH = 4.0
"""Curves are drawn so many times beyond the largest run, as far as the law speaks."""

MOST_SIZES, BUDGETS, POINTS = 8, 4, 50
"""With more model sizes than that no curves are drawn; budgets of the curves of equal compute; points of a curve."""

LEDGER = "forecasts.jsonl"


def of_folder(forecast: Artifact, out: Path) -> LawFit:
    """The law of an output folder, with what its ledger holds."""
    return law_fit(load_fit(forecast.path / "fit.json"), out / LEDGER)


def page(fitted: FittedLaw, title: str, ledger: Path | None = None) -> str:
    """An HTML page of one fit."""
    from seedbed.report.page import render

    stored = fitted.to_json()
    asked = {name: stored[name] for name in ("law", "version", "parameters") if name in stored}
    versions = library_versions("seedbed", "numpy", "scipy")
    record = Provenance(json.dumps(asked, indent=1), tuple((name, str(said)) for name, said in versions.items()))
    return render(ReportData(title=title, law=law_fit(fitted, ledger), provenance=record))


def law_fit(fitted: FittedLaw, ledger: Path | None = None) -> LawFit:
    """Everything that is shown of it."""
    n_runs = int(cast("int | None", fitted.facts.get("runs")) or 0)
    told = LawFit(
        method=str(fitted.to_json()["law"]).rsplit(".", 1)[-1],
        answer=_words(fitted.answer),
        coefficients=tuple((name, Interval(*e, fitted.level, n_runs)) for name, e in fitted.coefficients.items()),
        level=fitted.level,
        facts=tuple(facts_of(fitted)),
        warnings=tuple(fitted.warnings),
        outcomes=_outcomes(ledger) if ledger is not None else (),
    )
    return _of_formula(told, fitted) if isinstance(fitted, Fitted) else told


def _of_formula(told: LawFit, fitted: Fitted) -> LawFit:
    runs = {name: np.array(values) for name, values in fitted.runs.items()}
    is_log = fitted.form.residual == "log"
    sizes, group_N = np.unique(runs["params"], return_inverse=True) if "params" in runs else (np.zeros(0), None)
    few = 0 < len(sizes) <= MOST_SIZES
    groups = group_N if few and group_N is not None else np.zeros(len(runs[fitted.answer]), np.int64)
    off = np.expm1(fitted.residuals) if is_log else fitted.residuals
    predicted = fitted.predict_all(runs)
    columns = zip(predicted.tolist(), off.tolist(), groups.tolist(), strict=True)
    told = dataclasses.replace(
        told, relative=is_log, residuals=tuple(Residual(at, far, int(group)) for at, far, group in columns)
    )
    if {v.name for v in fitted.variables} != {"params", "tokens"}:
        return told
    flops = runs["params"] * runs["tokens"] * fitted.flops_per_product
    return dataclasses.replace(
        told,
        curves=tuple(_curve(fitted, size, runs) for size in sizes.tolist()) if few else (),
        isoflops=tuple(found for flop in _budgets(flops) if (found := _isoflop(fitted, flop)) is not None),
        frontier=_frontier(fitted, flops),
        runs=tuple(zip(flops.tolist(), runs[fitted.answer].tolist(), (int(g) for g in groups), strict=True)),
    )


def _curve(fitted: Fitted, size: float, runs: Mapping[str, FloatArray]) -> LawCurve:
    mine = runs["params"] == size
    reach = min(REACH, fitted.law.max_extrapolation)
    tokens = _between(float(runs["tokens"].min()), reach * float(runs["tokens"].max()), POINTS)
    band = band_of(fitted, {"params": np.full(POINTS, size), "tokens": tokens}, tokens)
    return LawCurve(size, band, tuple(runs["tokens"][mine].tolist()), tuple(runs[fitted.answer][mine].tolist()))


def band_of(fitted: Fitted, columns: Mapping[str, FloatArray], at: FloatArray) -> Band:
    """What the law says of one new run at each of these plans."""
    value, sample_RG = fitted.predict_all(columns), fitted.sample_all(columns)
    each = [fitted.estimate(float(v), sample_RG[:, i]) for i, v in enumerate(value)]
    return Band(
        at=tuple(at.tolist()),
        value=tuple(e.value for e in each),
        low=tuple(e.low for e in each),
        high=tuple(e.high for e in each),
    )


def _budgets(flops_N: FloatArray) -> list[float]:
    """From a run in the middle to some times the largest."""
    least, most = float(flops_N.min()), float(flops_N.max())
    return [float(flop) for flop in _between((least * most) ** 0.5, REACH * most, BUDGETS)]


def _isoflop(fitted: Fitted, flops: float) -> IsoFlop | None:
    try:
        curve = isoflop(fitted, flops, POINTS)
    except SeedbedError:
        return None
    (least_n, most_n), (least_d, most_d) = fitted.domain["params"], fitted.domain["tokens"]
    near = (curve.params >= least_n / REACH) & (curve.params <= most_n * REACH)
    near &= (curve.tokens >= least_d / REACH) & (curve.tokens <= most_d * REACH)
    if near.sum() < 2:
        return None
    band = Band(*(tuple(each[near].tolist()) for each in (curve.params, curve.value, curve.low, curve.high)))
    try:
        best = optimum(fitted, flops)
    except SeedbedError:
        return IsoFlop(flops, band)
    n_runs = len(fitted.runs[fitted.answer])
    return IsoFlop(flops, band, Interval(*best["params"], fitted.level, n_runs), best[fitted.answer].value)


def _frontier(fitted: Fitted, flops_N: FloatArray) -> Band | None:
    """Along the best division, as far as the law speaks; None where there is no best division."""
    found: list[tuple[float, float, float, float]] = []
    for flops in _between(float(flops_N.min()), REACH**2 * float(flops_N.max()), 24).tolist():
        try:
            curve = isoflop(fitted, flops, POINTS)
            at = int(np.argmin(curve.value))
            if 0 < at < POINTS - 1:
                found.append((flops, float(curve.value[at]), float(curve.low[at]), float(curve.high[at])))
        except SeedbedError:
            continue
    return Band(*(tuple(column) for column in zip(*found, strict=True))) if len(found) > 1 else None


def _outcomes(ledger: Path) -> tuple[Outcome, ...]:
    """Forecasts in their order, with what came of them."""
    from seedbed.predict import ledger as books

    lines = books.read(ledger)
    came = {str(line["forecast"]): line for line in lines if line["kind"] == "outcome"}
    found: list[Outcome] = []
    for line in lines:
        if line["kind"] != "forecast":
            continue
        outcome = came.get(str(line["id"]), {})
        plan, value, low, high = line["plan"], line["value"], line["low"], line["high"]
        found.append(
            Outcome(
                plan=tuple(cast("dict[str, float]", plan).items()),
                value=cast(float, value),
                low=cast(float, low),
                high=cast(float, high),
                observed=tuple(cast("list[float]", outcome.get("observed", []))),
                inside=cast("bool | None", outcome.get("inside")),
                prospective=cast("bool | None", outcome.get("prospective")),
                law=str(line["law"]).rsplit(".", 1)[-1],
            )
        )
    return tuple(found)


def _between(first: float, last: float, n: int) -> FloatArray:
    return np.exp(np.linspace(math.log(first), math.log(last), n))


def _words(name: str) -> str:
    return name.replace("_", " ")
