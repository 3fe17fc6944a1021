"""The forgetting matrix: what every stage of training gained and lost on every domain, beside what it cost.

Source    Lopez-Paz and Ranzato, "Gradient Episodic Memory for Continual Learning" (arXiv 1706.08840): the matrix R,
          backward and forward transfer. Chaudhry et al., "Riemannian Walk for Incremental Learning" (arXiv 1801.10112):
          forgetting. Riemer et al. (arXiv 1810.11910): learning accuracy.
Formula   R[i, j]: the score on domain j of the model after stage i of T; row 0 is the model before the first stage.
          With s = -1 where lower is better (bits per byte), 1 where higher is (a share of right answers):
            backward transfer  mean over domains i taught before stage T of s (R[T, i] - R[i, i])
            forward transfer   mean over domains i first taught by a stage from 2 on of s (R[i-1, i] - R[0, i])
            forgetting         mean over domains i taught before stage T of max over 1 <= l < T of s (R[l, i] - R[T, i])
            learned            mean over taught domains of R[i, i]
            gain               mean over all domains of s (R[T, j] - R[0, j])
          So POSITIVE TRANSFER IS BETTER, also in bits per byte: backward transfer above 0 says that older domains got
          better, and forgetting above 0 that something was lost since the best model on the way.
Shapes    score_NKD: N seeds, K = T + 1 models, D domains.
Units     Bits per byte, or what the scores are in; FLOP, seconds and tokens as given.
Fidelity  Exact where every stage teaches one domain of its own. A domain that is taught twice counts at its last stage
          in backward transfer, forgetting and learned, at its first in forward transfer; a stage that teaches no one
          domain (a union) counts as T and in no other way. A given model has its own domain under the name of row 0,
          and then is a stage that taught. The papers give no intervals; here every number is computed for each seed,
          and carries Student's t over seeds.
Errors    SeedbedError naming route, seed, stage and domain for a cell that is missing, twice there, or not finite.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.stats.intervals import Interval, mean_interval

FloatArray = npt.NDArray[np.float64]
Better: TypeAlias = Literal["lower", "higher"]

FORGETTING = pa.schema(
    [
        arrow.field("route", pa.large_string()),
        arrow.field("domain", pa.large_string(), unit="`mean`: over the domains that the measure is defined on"),
        arrow.field("stage", pa.large_string(), unit="empty: the whole route"),
        arrow.field("measure", pa.large_string()),
        arrow.field("value", pa.float64(), unit="mean over seeds, in `unit`"),
        arrow.field("low", pa.float64(), unit="Student's t; null with one seed"),
        arrow.field("high", pa.float64()),
        arrow.field("seeds", pa.int64()),
        arrow.field("unit", pa.large_string()),
    ]
)
"""The table of `forgetting.csv`."""


@dataclasses.dataclass(frozen=True)
class Score:
    """One model on one domain.

    Args:
        stage, order: the last stage it went through, counted from 1; 0 is the model before the first one.
        bits_per_byte: of the domain; or the share of right answers, in rows of `probe_scores`.
        flops, seconds, tokens: spent along the route up to this model, its own annealing included; 0 for what was
            given.
        annealed: whether it is the branch whose rate came down; it then stands in the matrix for its stage.
        probes: (probe, share of right answers), on any one of the model's rows.
    """

    route: str
    seed: int
    stage: str
    order: int
    domain: str
    bits_per_byte: float
    flops: float
    seconds: float
    tokens: int
    annealed: bool = False
    probes: tuple[tuple[str, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class Measured:
    """One measure of a route: the mean over domains, and each domain. None and empty where it is not defined."""

    mean: Interval | None
    domains: Mapping[str, Interval]


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a route spent: all of it, and the update alone, which leaves out what was there before."""

    flops: Interval
    seconds: Interval
    tokens: Interval
    update_flops: Interval
    update_seconds: Interval
    update_tokens: Interval
    flops_ratio: Interval | None
    """Of all FLOP to those of the baseline."""
    update_flops_ratio: Interval | None


@dataclasses.dataclass(frozen=True)
class RouteResult:
    """One route.

    Args:
        stages: names of rows 0 to T; row 0 is empty where the model before was not evaluated.
        score_NKD: R for each seed; NaN in row 0 where that is empty.
        matrix: R as means with intervals, a row a stage; an empty row 0 where there is none.
        better_than_baseline: of the last models, in pairs; above 0 this route is better. Not for the baseline.
    """

    route: str
    seeds: tuple[int, ...]
    stages: tuple[str, ...]
    domains: tuple[str, ...]
    score_NKD: FloatArray
    matrix: tuple[tuple[Interval, ...], ...]
    backward_transfer: Measured
    forward_transfer: Measured
    forgetting: Measured
    learned: Measured
    gain: Measured
    better_than_baseline: Measured
    cost: Cost


@dataclasses.dataclass(frozen=True)
class Forgetting:
    """Every route, in the order of the rows."""

    routes: tuple[RouteResult, ...]
    baseline: str
    better: Better
    level: float


def forgetting(
    rows: Sequence[Score],
    *,
    baseline: str = "",
    home: Mapping[str, str] | None = None,
    held: Mapping[str, int] | None = None,
    better: Better = "lower",
    level: float = 0.95,
) -> Forgetting:
    """The matrix and what follows from it.

    Args:
        rows: every route, seed, stage and domain once, the annealed branches beside the stages.
        baseline: the route that the others are compared with, over the seeds that both have; empty: none.
        home: stage -> the domain it taught.
        held: route -> how many stages were there before the update; the update costs what came after. By default the
            first stage was, in a route of several.
        better: which way the scores go.

    Raises:
        SeedbedError: for a cell that is missing, twice there or not finite, and for a baseline or domain that is not.
    """
    domains = tuple(dict.fromkeys(row.domain for row in rows))
    names = tuple(dict.fromkeys(row.route for row in rows))
    if baseline and baseline not in names:
        raise SeedbedError("baseline", f"no route is called {baseline!r}", did_you_mean(baseline, names))
    for stage, domain in (home or {}).items():
        if domain not in domains:
            mend = did_you_mean(domain, domains)
            raise SeedbedError(f"home.{stage}", f"no domain is called {domain!r}", mend)
    grids = {name: _grid(name, [row for row in rows if row.route == name], domains) for name in names}
    routes = [_route(grid, grids.get(baseline), home or {}, held or {}, better, level) for grid in grids.values()]
    return Forgetting(tuple(routes), baseline, better, level)


def probe_scores(rows: Sequence[Score]) -> list[Score]:
    """The probes of these rows as rows of their own, a domain a probe: for `forgetting(better="higher")`."""
    found: dict[tuple[str, int, int, bool, str], Score] = {}
    for row in rows:
        for name, share in row.probes:
            key = (row.route, row.seed, row.order, row.annealed, name)
            made = dataclasses.replace(row, domain=name, bits_per_byte=share, probes=())
            if found.setdefault(key, made).bits_per_byte != share:
                raise SeedbedError(_where(row, name), "two scores of one model differ", "Give each probe once a model.")
    return list(found.values())


@dataclasses.dataclass(frozen=True)
class _Grid:
    """One route's scores in full: N seeds, K models, D domains; costs (FLOP, seconds, tokens) last."""

    route: str
    seeds: tuple[int, ...]
    stages: tuple[str, ...]
    domains: tuple[str, ...]
    score_NKD: FloatArray
    spent_NKC: FloatArray
    held_NKC: FloatArray
    """The same of the stages themselves, without annealed branches."""


def _grid(route: str, rows: Sequence[Score], domains: Sequence[str]) -> _Grid:
    """The cells in their places, annealed branches in the place of their stages. Raises SeedbedError for a gap."""
    stages = _stages(route, rows)
    seeds = tuple(sorted({row.seed for row in rows}))
    cells = _cells(rows)
    score_NKD = np.full((len(seeds), len(stages), len(domains)), np.nan)
    spent_NKC, held_NKC = np.zeros((2, len(seeds), len(stages), 3))
    for n, seed in enumerate(seeds):
        for k, stage in enumerate(stages):
            if not stage:
                continue  # the model before was not evaluated
            annealed = any((seed, k, True, domain) in cells for domain in domains)
            for d, domain in enumerate(domains):
                row = cells.get((seed, k, annealed, domain))
                if row is None:
                    where = f"continual scores of route {route!r}, seed {seed}, stage {stage!r}, domain {domain!r}"
                    raise SeedbedError(where, "missing", "Evaluate every model on every domain, under every seed.")
                if not np.isfinite(row.bits_per_byte):
                    mend = "See whether that stage's training diverged, or the domain has no text."
                    raise SeedbedError(_where(row, domain), f"the score is {row.bits_per_byte}", mend)
                score_NKD[n, k, d] = row.bits_per_byte
                spent_NKC[n, k] = row.flops, row.seconds, row.tokens
                plain = cells.get((seed, k, False, domain), row)
                held_NKC[n, k] = plain.flops, plain.seconds, plain.tokens
    return _Grid(route, seeds, stages, tuple(domains), score_NKD, spent_NKC, held_NKC)


def _stages(route: str, rows: Sequence[Score]) -> tuple[str, ...]:
    """Names of rows 0 to T; row 0 is empty if it is not there."""
    names: dict[int, str] = {}
    for row in rows:
        if names.setdefault(row.order, row.stage) != row.stage:
            what = f"stage {row.order} is called {names[row.order]!r} and {row.stage!r}"
            raise SeedbedError(f"continual scores of route {route!r}", what, "Give every order one stage.")
    names.setdefault(0, "")
    if sorted(names) != list(range(len(names))) or len(names) == 1:
        what = f"stages {sorted(names)} are there, which is not 1, 2, and so on"
        raise SeedbedError(f"continual scores of route {route!r}", what, "Number them from 1; 0 is the model before.")
    return tuple(names[k] for k in range(len(names)))


def _cells(rows: Sequence[Score]) -> dict[tuple[int, int, bool, str], Score]:
    """(seed, order, annealed, domain) -> row. Raises SeedbedError for two rows in one place."""
    cells: dict[tuple[int, int, bool, str], Score] = {}
    for row in rows:
        if cells.setdefault((row.seed, row.order, row.annealed, row.domain), row) is not row:
            raise SeedbedError(_where(row, row.domain), "there twice", "Give each model and domain one row.")
    return cells


def _where(row: Score, domain: str) -> str:
    return f"continual scores of route {row.route!r}, seed {row.seed}, stage {row.stage!r}, domain {domain!r}"


def _route(
    grid: _Grid,
    baseline: _Grid | None,
    home: Mapping[str, str],
    held: Mapping[str, int],
    better: Better,
    level: float,
) -> RouteResult:
    taught = [grid.domains.index(home[stage]) if stage and stage in home else None for stage in grid.stages]
    sign = -1.0 if better == "lower" else 1.0
    found = transfers(sign * grid.score_NKD, taught)
    learned = {d: sign * values_N for d, values_N in found.learned.items()}  # the score itself, not turned

    def measured(of: Mapping[int, FloatArray]) -> Measured:
        named = {grid.domains[d]: mean_interval(values_N, level) for d, values_N in of.items()}
        return Measured(mean_interval(np.mean(list(of.values()), axis=0), level) if of else None, named)

    def cells(k: int) -> tuple[Interval, ...]:
        return tuple(mean_interval(values_N, level) for values_N in grid.score_NKD[:, k].T) if grid.stages[k] else ()

    return RouteResult(
        route=grid.route,
        seeds=grid.seeds,
        stages=grid.stages,
        domains=grid.domains,
        score_NKD=grid.score_NKD,
        matrix=tuple(cells(k) for k in range(len(grid.stages))),
        backward_transfer=measured(found.backward),
        forward_transfer=measured(found.forward),
        forgetting=measured(found.forgetting),
        learned=measured(learned),
        gain=measured(found.gain),
        better_than_baseline=measured(_against(grid, baseline, sign)),
        cost=_cost(grid, baseline, held, level),
    )


@dataclasses.dataclass(frozen=True)
class Transfers:
    """Domain -> its value for each seed; a domain on which a measure is not defined is not there."""

    backward: Mapping[int, FloatArray]
    forward: Mapping[int, FloatArray]
    forgetting: Mapping[int, FloatArray]
    learned: Mapping[int, FloatArray]
    gain: Mapping[int, FloatArray]


def transfers(better_NKD: FloatArray, taught: Sequence[int | None]) -> Transfers:
    """The formulas at the top, of scores where higher is better.

    Args:
        better_NKD: NaN in row 0 where the model before was not evaluated.
        taught: row -> the domain it taught.
    """
    last = better_NKD.shape[1] - 1
    first_taught = {d: k for k, d in reversed(list(enumerate(taught))) if d is not None}
    last_taught = {d: k for k, d in enumerate(taught) if d is not None}
    older = {d: k for d, k in last_taught.items() if k < last}
    begin = 1 if taught[0] is None else 0  # a given model with a domain of its own is a stage that taught
    at_end_ND = better_NKD[:, last]
    has_start = bool(np.isfinite(better_NKD[:, 0]).all())
    start_ND = better_NKD[:, 0]
    newer = {d: k for d, k in first_taught.items() if k >= 2 and has_start}
    every = range(better_NKD.shape[2]) if has_start else ()
    return Transfers(
        backward={d: at_end_ND[:, d] - better_NKD[:, k, d] for d, k in older.items()},
        forward={d: better_NKD[:, k - 1, d] - start_ND[:, d] for d, k in newer.items()},
        forgetting={d: better_NKD[:, begin:last, d].max(axis=1) - at_end_ND[:, d] for d in older},
        learned={d: better_NKD[:, k, d] for d, k in last_taught.items()},
        gain={d: at_end_ND[:, d] - start_ND[:, d] for d in every},
    )


def _against(grid: _Grid, baseline: _Grid | None, sign: float) -> dict[int, FloatArray]:
    """Domain -> how much better the last model is than the baseline's under the same seed."""
    if baseline is None or baseline.route == grid.route:
        return {}
    mine, its = _pairs(grid, baseline)
    difference_ND = sign * (grid.score_NKD[mine, -1] - baseline.score_NKD[its, -1])
    return dict(enumerate(difference_ND.T))


def _pairs(grid: _Grid, baseline: _Grid) -> tuple[list[int], list[int]]:
    """Where the seeds that both have stand in each."""
    both = [seed for seed in grid.seeds if seed in baseline.seeds]
    if not both:
        where = f"continual scores of route {grid.route!r}"
        what = f"no seed in common with the baseline {baseline.route!r}"
        raise SeedbedError(where, what, "Train both under the same seeds.")
    return [grid.seeds.index(seed) for seed in both], [baseline.seeds.index(seed) for seed in both]


def _cost(grid: _Grid, baseline: _Grid | None, held: Mapping[str, int], level: float) -> Cost:
    total_NC, update_NC = _spent(grid, held)
    parts = [mean_interval(of_NC[:, c], level) for of_NC in (total_NC, update_NC) for c in range(3)]
    ratios: list[Interval | None] = [None, None]
    if baseline is not None:
        mine, its = _pairs(grid, baseline)
        for i, (of_NC, against_NC) in enumerate(zip((total_NC, update_NC), _spent(baseline, held), strict=True)):
            if np.all(against_NC[its, 0] > 0):
                ratios[i] = mean_interval(of_NC[mine, 0] / against_NC[its, 0], level)
    return Cost(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], ratios[0], ratios[1])


def _spent(grid: _Grid, held: Mapping[str, int]) -> tuple[FloatArray, FloatArray]:
    """(FLOP, seconds, tokens) of each seed: all, and without the stages that were there before."""
    last = len(grid.stages) - 1
    before = held.get(grid.route, 1 if last > 1 else 0)
    if not 0 <= before <= last:
        what = f"{before} stages were there before, of {last}"
        raise SeedbedError(f"held.{grid.route}", what, f"Give a number from 0 to {last}.")
    total_NC = grid.spent_NKC[:, -1]
    return total_NC, total_NC - grid.held_NKC[:, before]


def summary_table(of: Forgetting) -> pa.Table:
    """The table of `forgetting.csv`: every cell of every matrix (`score`), every measure, and the costs."""
    unit = "bits per byte" if of.better == "lower" else "share right"
    measures = ("backward_transfer", "forward_transfer", "forgetting", "learned", "gain", "better_than_baseline")
    listed: list[tuple[str, str, str, str, Interval, str]] = []
    for one in of.routes:
        for stage, row in zip(one.stages, one.matrix, strict=True):
            cells = zip(one.domains, row, strict=False)  # a row 0 without a model is empty
            listed += [(one.route, domain, stage, "score", cell, unit) for domain, cell in cells]
        for name in measures:
            measured: Measured = getattr(one, name)
            listed += [(one.route, domain, "", name, cell, unit) for domain, cell in measured.domains.items()]
            if measured.mean is not None:
                listed.append((one.route, "mean", "", name, measured.mean, unit))
        for field in dataclasses.fields(Cost):
            spent: Interval | None = getattr(one.cost, field.name)
            if spent is not None:
                listed.append((one.route, "", "", field.name, spent, _cost_unit(field.name)))
    flat = [(*row[:4], row[4].value, row[4].low, row[4].high, row[4].n, row[5]) for row in listed]
    return arrow.table({name: [row[i] for row in flat] for i, name in enumerate(FORGETTING.names)}, FORGETTING)


def _cost_unit(name: str) -> str:
    if name.endswith("ratio"):
        return "times the baseline's"
    return {"flops": "FLOP", "seconds": "s", "tokens": "tokens"}[name.rpartition("_")[2]]
