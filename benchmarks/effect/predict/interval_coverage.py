"""Do the intervals of forecasts hold as many new runs as they say? Synthetic runs of a known law, many sets of them.

    OMP_NUM_THREADS=1 python benchmarks/effect/predict/interval_coverage.py [--out FILE.csv]

Each set is drawn from Chinchilla's law with the constants of Besiroglu et al. 2024 and noise, fitted, and asked for
forecasts at the corners of the runs and 3 to 10 times beyond them; 20 new noisy runs at each place are compared with
the interval at nominal 95 percent. Rows of the table:

    coverage    share of new runs inside, with Student's interval over the sets; per place and over all places
    width       of the interval of the forecast, relative, median over the sets
    se          of a coefficient as the bootstrap gives it, median over the sets, beside `sd`: how far the fitted
                coefficients truly spread over the sets (robust: from their quartiles)
    agree       share of the 72 starts that reached the lowest objective; seconds: of one fit without a bootstrap, and
                of 200 refits

Fits of the sets take 9 of the 72 starts, to save time; the timings take all.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seedbed.core import arrow
from seedbed.predict.form import Form
from seedbed.predict.laws.chinchilla import FORM, Chinchilla
from seedbed.stats.intervals import mean_interval

FloatArray = npt.NDArray[np.float64]
A, B, E, ALPHA, BETA = 482.01, 2085.43, 1.8172, 0.3478, 0.3658
NEW_RUNS = 20
COLUMNS = ("design", "runs", "bootstrap", "quantity", "of", "value", "low", "high", "sets")
COEFFICIENTS = ("alpha", "beta", "E", "a")


class FewStarts(Chinchilla):
    """The law from every eighth start."""

    def form(self, columns: Sequence[str]) -> Form:  # noqa: ARG002
        return dataclasses.replace(FORM, starts=lambda points, answer: FORM.starts(points, answer)[::8])


@dataclasses.dataclass(frozen=True)
class Design:
    """Which runs are made, and their noise: `sd` with `tails` degrees of freedom (0: normal), `outliers` a share."""

    runs: Callable[[np.random.Generator], tuple[FloatArray, FloatArray]]
    sd: float
    tails: float = 0.0
    outliers: float = 0.0

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
        plain = self.sd * rng.standard_normal(shape)
        if self.tails:
            plain = self.sd * rng.standard_t(self.tails, shape) / np.sqrt(self.tails / (self.tails - 2))
        worse = 8 * self.sd * np.abs(rng.standard_normal(shape))
        return np.where(rng.random(shape) < self.outliers, worse, plain)


def grid(n_sizes: int, n_lengths: int) -> Callable[[np.random.Generator], tuple[FloatArray, FloatArray]]:
    sizes, lengths = np.geomspace(1e7, 3e8, n_sizes), np.geomspace(2e8, 2e10, n_lengths)
    params, tokens = (axis.ravel() for axis in np.meshgrid(sizes, lengths))
    return lambda rng: (params, tokens)  # noqa: ARG005


def isoflop(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """245 runs on 7 budgets, 35 sizes each within a factor 3.3 around 20 tokens a parameter."""
    flops = np.repeat(np.geomspace(6e18, 3e21, 7), 35)
    params = np.sqrt(flops / 6 / 20) * np.exp(rng.uniform(-1.2, 1.2, len(flops)))
    return params, flops / 6 / params


DESIGNS = {
    "grid_4x4": Design(grid(4, 4), 0.003),
    "grid_3x3": Design(grid(3, 3), 0.003),
    "grid_4x4_noisy": Design(grid(4, 4), 0.02),
    "grid_4x4_outliers": Design(grid(4, 4), 0.004, tails=4, outliers=0.05),
    "grid_8x8_outliers": Design(grid(8, 8), 0.004, tails=4, outliers=0.03),
    "isoflop_245": Design(isoflop, 0.006, tails=4, outliers=0.02),
}


def loss(params: FloatArray, tokens: FloatArray) -> FloatArray:
    return E + A / params**ALPHA + B / tokens**BETA


def places(params: FloatArray, tokens: FloatArray) -> dict[str, tuple[float, float]]:
    n, d = float(params.max()), float(tokens.max())
    middle = float(np.exp(np.log(params).mean())), float(np.exp(np.log(tokens).mean()))
    corners = {"3x both": (3 * n, 3 * d), "10x both": (10 * n, 10 * d), "10x params": (10 * n, d)}
    return {"middle": middle, "largest": (n, d), **corners, "10x tokens": (n, 10 * d)}


def measured(design: Design, seed: int, bootstrap: str, refits: int) -> tuple[dict[str, float], dict[str, float]]:
    """Of one set: numbers by "quantity/of", and the coefficients."""
    rng = np.random.default_rng(seed)
    params, tokens = design.runs(rng)
    observed = loss(params, tokens) * np.exp(design.noise(rng, params.shape))
    law = FewStarts(bootstrap=bootstrap, n_bootstrap=refits, seed=seed, max_extrapolation=11)
    fitted = law.fit(arrow.table({"params": params, "tokens": tokens, "loss": observed}))
    found: dict[str, float] = {}
    for place, (n, d) in places(params, tokens).items():
        value, low, high = fitted.forecast({"params": n, "tokens": d})
        new = loss(np.array([n]), np.array([d])) * np.exp(design.noise(rng, (NEW_RUNS,)))
        found[f"coverage/{place}"] = float(np.mean((new >= low) & (new <= high)))
        found[f"width/{place}"] = (high - low) / value
    found["coverage/all places"] = float(np.mean([v for name, v in found.items() if name.startswith("coverage")]))
    found |= {f"se/{name}": fitted.standard_errors[name] for name in COEFFICIENTS}
    return found, {name: fitted.coefficients[name].value for name in COEFFICIENTS}


def rows(name: str, sets: int, bootstrap: str, refits: int) -> Iterable[dict[str, object]]:
    design = DESIGNS[name]
    n_runs = len(design.runs(np.random.default_rng(0))[0])
    found, best = zip(*(measured(design, seed, bootstrap, refits) for seed in range(sets)), strict=True)
    shared = {"design": name, "runs": n_runs, "bootstrap": bootstrap, "sets": sets}
    for key in found[0]:
        quantity, of = key.split("/")
        values = np.array([one[key] for one in found])
        if quantity == "coverage":
            about = mean_interval(values)
            yield {**shared, "quantity": quantity, "of": of, "value": about.value, "low": about.low, "high": about.high}
        else:
            yield {**shared, "quantity": quantity, "of": of, "value": float(np.median(values))}
    for of in COEFFICIENTS:
        first, third = np.quantile([one[of] for one in best], [0.25, 0.75])
        yield {**shared, "quantity": "sd", "of": of, "value": float(third - first) / 1.349}


def timings(name: str) -> Iterable[dict[str, object]]:
    """Of the whole law, 72 starts; with outliers, without, and with a smaller delta."""
    for outliers, delta in ((0.02, 1e-3), (0.0, 1e-3), (0.02, 1e-4)):
        design = dataclasses.replace(DESIGNS[name], outliers=outliers)
        rng = np.random.default_rng(0)
        params, tokens = design.runs(rng)
        table = arrow.table(
            {"params": params, "tokens": tokens, "loss": loss(params, tokens) * np.exp(design.noise(rng, params.shape))}
        )
        of = f"outliers {outliers:g} delta {delta:g}"
        shared = {"design": name, "runs": len(params), "bootstrap": "none", "of": of, "sets": 1}
        begun = time.perf_counter()
        fitted = Chinchilla(n_bootstrap=0, huber_delta=delta).fit(table)
        yield {**shared, "quantity": "seconds", "value": time.perf_counter() - begun}
        yield {**shared, "quantity": "agree", "value": fitted.n_agree / fitted.n_starts}
        begun = time.perf_counter()
        Chinchilla(n_bootstrap=200, huber_delta=delta).fit(table)
        yield {**shared, "bootstrap": "auto", "quantity": "seconds", "value": time.perf_counter() - begun}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--refits", type=int, default=200)
    parser.add_argument("--designs", nargs="*", default=list(DESIGNS), choices=list(DESIGNS))
    given = parser.parse_args()
    with given.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for name in given.designs:
            begun = time.perf_counter()
            kinds = ("auto", "noise") if name == "grid_8x8_outliers" else ("auto",)
            for kind in kinds:
                for row in rows(name, given.sets, kind, given.refits):
                    writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
                    file.flush()
            print(f"{name}: {time.perf_counter() - begun:.0f} s", flush=True)
        for row in timings("isoflop_245"):
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


if __name__ == "__main__":
    main()
