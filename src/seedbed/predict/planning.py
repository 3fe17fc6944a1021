"""Planning: the cheapest ladder of small runs that pins a forecast down, and what it will cost.

What a ladder will tell is worked out beforehand from coefficients that are already known: published ones, or those of
a fit to a few runs. It is as right as they are: after the first runs, fit them and plan again. The search is in
`design`; here are the options, the choice along the path of designs, the naive grid of the same cost, and the proof by
simulation: synthetic runs of the ladder, fitted by the law itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple, cast

import numpy as np
from annotated_types import Ge, Gt, Le

from seedbed.core import arrow, parameters
from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.core.units import duration, human
from seedbed.predict.contract import FloatArray, Plan
from seedbed.predict.design import Candidates, Counts, Prior, candidates
from seedbed.predict.fitted import Fitted
from seedbed.predict.parametric import Parametric
from seedbed.stats.intervals import t_quantile

REPLICATED: Mapping[str, float] = {"A": 482.01, "B": 2085.43, "E": 1.8172, "alpha": 0.3478, "beta": 0.3658}
"""Coefficients of the Chinchilla law by Besiroglu et al. 2024, arXiv 2404.10102: loss in nats per token of MassiveText,
models of 50 million to 16 billion parameters."""

NAIVE_DECADES, NAIVE_SIDE = (1.0, 2.0), 4
"""What is compared with: as many sizes as lengths, evenly over one decade of each, and over two."""


@dataclasses.dataclass(frozen=True)
class Options:
    """How runs are planned.

    Args:
        largest: size and length of the largest runs, as a share of the target's; a law refuses to forecast further
            than its max_extrapolation, 10 by default.
        smallest: of the smallest.
        per_decade: candidate sizes a decade.
        widest_ratio: a run's tokens per parameter may differ so many times from the target's.
        max_runs: of a ladder.
        max_repeats: of one run, with other seeds.
        n_simulations: ladders that are simulated and fitted, for the proof; 0 leaves it out.
        n_bootstrap: refits behind the interval of each.
        flops_per_product: FLOP of training over params * tokens.
        seed: of the simulation.
    """

    largest: Annotated[float, Gt(0), Le(1)] = 0.1
    smallest: Annotated[float, Gt(0), Le(1)] = 1e-3
    per_decade: Annotated[int, Ge(2), Le(24)] = 6
    widest_ratio: Annotated[float, Ge(1), Le(1e6)] = 30.0
    max_runs: Annotated[int, Ge(8), Le(200)] = 48
    max_repeats: Annotated[int, Ge(1), Le(100)] = 4
    n_simulations: Annotated[int, Ge(0), Le(10_000)] = 0
    n_bootstrap: Annotated[int, Ge(10), Le(10_000)] = 50
    flops_per_product: Annotated[float, Gt(0)] = 6.0
    seed: Annotated[int, Ge(0)] = 0


class Rung(NamedTuple):
    """A run to make, `repeats` times with other seeds; FLOP of one of them."""

    params: float
    tokens: float
    repeats: int
    flops: float


@dataclasses.dataclass(frozen=True)
class Ladder:
    """Runs, what they cost, and the relative half-width that is expected of the forecast at the target."""

    rungs: tuple[Rung, ...]
    flops: float
    half_width: float

    @property
    def n_runs(self) -> int:
        """With repeats."""
        return sum(rung.repeats for rung in self.rungs)


@dataclasses.dataclass(frozen=True)
class Simulated:
    """What the law itself made of synthetic runs of the ladder.

    Args:
        n: ladders.
        half_width: median of the law's own intervals at the target, relative.
        error_median, error_90: of the size of the relative error against a new run with its noise.
        covered: share of the intervals that held it.
    """

    n: int
    half_width: float
    error_median: float
    error_90: float
    covered: float


@dataclasses.dataclass(frozen=True)
class Planned:
    """A ladder for a target.

    Args:
        target, target_flops: what is to be forecast, and its cost.
        ladder: the runs to make.
        naive: a grid of four sizes by four lengths, over one decade or two of each, whichever tells more, of the
            same cost.
        frontier: the best ladders of smaller and larger budgets, by cost.
        hours: of the ladder, where the speed is known.
        simulated: the proof, where it was asked for.
        warnings: as sentences.
    """

    target: Mapping[str, float]
    target_flops: float
    ladder: Ladder
    naive: Ladder
    frontier: tuple[Ladder, ...]
    hours: float | None = None
    simulated: Simulated | None = None
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Everything, with the ladder's share of the target's cost."""
        told = cast("dict[str, Json]", parameters.encode(self))
        for name, ladders in (("ladder", [self.ladder]), ("naive", [self.naive]), ("frontier", self.frontier)):
            whole: list[Json] = [_told(ladder, self.target_flops) for ladder in ladders]
            told[name] = whole if name == "frontier" else whole[0]
        return told

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """(header, a row a run) for the terminal."""
        header = ["params", "tokens", "repeats", "FLOP each", "share of the cost"]
        return header, [
            [human(r.params), human(r.tokens), str(r.repeats), f"{r.flops:.3g}", _share(r, self.ladder)]
            for r in self.ladder.rungs
        ]

    def summary(self) -> list[str]:
        """What the ladder costs and promises, as sentences."""
        ladder, share = self.ladder, self.ladder.flops / self.target_flops
        time = f", {duration(self.hours * 3600)}" if self.hours is not None else ""
        said = [
            f"{ladder.n_runs} runs, {ladder.flops:.3g} FLOP{time}: {share:.2%} of what the target costs",
            f"expected interval at the target: +-{ladder.half_width:.2%}; a 4 x 4 grid of the same cost gives "
            f"+-{self.naive.half_width:.2%}",
            "for other budgets: " + "; ".join(f"{x.flops:.2g} FLOP +-{x.half_width:.2%}" for x in self.frontier),
        ]
        if self.simulated is not None:
            s = self.simulated
            said.append(
                f"{s.n} simulated ladders: interval +-{s.half_width:.2%}, median error {s.error_median:.2%}, 90 % of "
                f"errors below {s.error_90:.2%}, {s.covered:.0%} of intervals held the run"
            )
        return said


def known_of(fitted: Fitted) -> tuple[dict[str, float], float]:
    """(coefficients, noise of one run) of a fit, for planning further runs."""
    natural = fitted.form.natural(np.array([fitted.params]), fitted.centre)[0]
    freedom = len(fitted.residuals) - len(fitted.form.names) + len(fitted.law.fix) + len(fitted.law.tie)
    noise = float(np.sqrt(np.sum(fitted.residuals**2) / max(1, freedom)))
    return dict(zip(fitted.form.names, natural.tolist(), strict=True)), noise


def plan(
    law: Parametric,
    known: Mapping[str, float],
    target: Plan,
    *,
    budget_flops: float | None = None,
    half_width: float | None = None,
    noise: float = 0.003,
    options: Options | None = None,
    flops_per_second: float | None = None,
) -> Planned:
    """The runs to make before the target is trained.

    Args:
        law: that will be fitted, of params and tokens.
        known: its coefficients, as far as they are known beforehand.
        target: params and tokens of the run to forecast.
        budget_flops: the most that the ladder may cost: the narrowest interval for it, or the cheapest ladder of
            `half_width` where that is given too.
        half_width: wanted of the forecast's interval, relative (0.01 is +-1 %).
        noise: relative standard deviation of one run, from seed to seed.
        options: how runs are planned.
        flops_per_second: speed of training, for the hours.
    """
    options = options if options is not None else Options()
    parameters.check(options, "plan")
    for name, number in (("budget", budget_flops), ("half_width", half_width), ("noise", noise)):
        if number is not None and not (np.isfinite(number) and number > 0):
            raise SeedbedError(f"plan.{name}", f"{number} must be a positive finite number")
    if budget_flops is None and half_width is None:
        raise SeedbedError("plan", "neither a budget nor a half-width is given", "Give --budget or --half-width.")
    prior = Prior.of(law, known, target, noise)
    among = candidates(
        prior, _sizes(options), options.widest_ratio, options.flops_per_product, options.max_runs, options.max_repeats
    )
    ladders = [_ladder(among, counts) for counts in among.path()]
    if not ladders:
        what = f"{len(among.flops_C)} candidate runs do not identify the law's coefficients"
        raise SeedbedError("plan", what, "Allow smaller runs, more of them, or a wider ratio.")
    ladder, said = _chosen(ladders, budget_flops, half_width, options)
    target_flops = options.flops_per_product * target["params"] * target["tokens"]
    simulated = None
    if options.n_simulations:
        simulated = simulate(law, prior, ladder.rungs, options.n_simulations, options.n_bootstrap, options.seed)
    return Planned(
        target=dict(target),
        target_flops=target_flops,
        ladder=ladder,
        naive=min(naive_grids(prior, ladder.flops, options), key=lambda grid: grid.half_width),
        frontier=_frontier(ladders, ladder.flops),
        hours=ladder.flops / flops_per_second / 3600 if flops_per_second else None,
        simulated=simulated,
        warnings=(*said, *_warnings(law, prior, known, ladder, simulated)),
    )


def naive_grids(prior: Prior, flops: float, options: Options) -> list[Ladder]:
    """Four sizes by four lengths of a given cost: over one decade of each, and over two, or what the options allow."""
    widest = float(np.log10(options.largest / options.smallest))
    spans = [min(decades, widest) for decades in NAIVE_DECADES]
    return [_grid(prior, flops, options, np.geomspace(1.0, 10**-span, NAIVE_SIDE)) for span in spans]


def _grid(prior: Prior, flops: float, options: Options, shares: FloatArray) -> Ladder:
    """Of exactly this cost, with no run larger than the largest."""
    one = options.flops_per_product * prior.target["params"] * prior.target["tokens"] * float(shares.sum()) ** 2
    repeats = max(1, int(np.ceil(flops / (one * options.largest**2) * (1 - 1e-9))))
    top = float(np.sqrt(flops / (one * repeats)))
    params, tokens = (g.ravel() for g in np.meshgrid(*(top * shares * prior.target[n] for n in ("params", "tokens"))))
    rungs = [
        Rung(n, d, repeats, options.flops_per_product * n * d)
        for n, d in zip(params.tolist(), tokens.tolist(), strict=True)
    ]
    return Ladder(tuple(rungs), repeats * sum(r.flops for r in rungs), prior.half_width(*_runs(rungs)))


def simulate(
    law: Parametric, prior: Prior, rungs: Sequence[Rung], n_simulations: int, n_bootstrap: int, seed: int
) -> Simulated:
    """Make the runs of a ladder up, fit them with the law, and hold its forecast to a made-up run of the target."""
    params, tokens = _runs(rungs)
    truth, target = prior.at(params, tokens)[0], {name: float(at) for name, at in prior.target.items()}
    end = float(prior.at(np.array([target["params"]]), np.array([target["tokens"]]))[0][0])
    halves, errors, held = list[float](), list[float](), list[bool]()
    for i in range(n_simulations):
        rng = np.random.default_rng([seed, i])
        loss = np.exp(truth + prior.noise * rng.standard_normal(len(truth)))
        observed = float(np.exp(end + prior.noise * rng.standard_normal()))
        columns = {"params": params, "tokens": tokens, prior.form.answer: loss, "seed": np.arange(len(loss))}
        fitted = dataclasses.replace(law, n_bootstrap=n_bootstrap, seed=i).fit(arrow.table(columns))
        value, sample = fitted.predict(target), fitted.sample(target)
        low, high = np.quantile(sample, [(1 - law.level) / 2, (1 + law.level) / 2])
        halves.append(float(high - low) / 2 / value)
        errors.append(abs(value / observed - 1))
        held.append(bool(low <= observed <= high))
    median, most = np.quantile(errors, [0.5, 0.9])
    return Simulated(n_simulations, float(np.median(halves)), float(median), float(most), float(np.mean(held)))


def _runs(rungs: Sequence[Rung]) -> tuple[FloatArray, FloatArray]:
    """(params_N, tokens_N) of every run, repeats too."""
    repeats = [r.repeats for r in rungs]
    return np.repeat([r.params for r in rungs], repeats), np.repeat([r.tokens for r in rungs], repeats)


def _sizes(options: Options) -> list[float]:
    """Shares of the target, from the largest downward."""
    if options.smallest >= options.largest:
        what = f"smallest {options.smallest:g} is not below largest {options.largest:g}"
        raise SeedbedError("plan.smallest", what, "Give the smallest runs a smaller share of the target.")
    steps = max(2, round(np.log10(options.largest / options.smallest) * options.per_decade) + 1)
    return np.geomspace(options.largest, options.smallest, steps).tolist()


def _ladder(among: Candidates, counts: Counts) -> Ladder:
    rungs = [
        Rung(float(among.params_C[at]), float(among.tokens_C[at]), int(counts[at]), float(among.flops_C[at]))
        for at in np.flatnonzero(counts)
    ]
    rungs.sort(key=lambda rung: (rung.flops, rung.params))
    return Ladder(tuple(rungs), among.flops(counts), among.half_width(counts))


def _chosen(
    ladders: Sequence[Ladder], budget: float | None, half_width: float | None, options: Options
) -> tuple[Ladder, list[str]]:
    """The ladder, and what there is to say where it is not what was wanted."""
    affordable = [x for x in ladders if budget is None or x.flops <= budget]
    if not affordable:
        what = (
            f"{budget:.3g} FLOP buy no ladder: the cheapest whose largest runs reach {options.largest:g} of the "
            f"target costs {ladders[0].flops:.3g}"
        )
        mend = "Raise the budget, or lower `largest` and own the risk: the forecast then reaches further."
        raise SeedbedError("plan.budget", what, mend)
    enough = [x for x in affordable if half_width is not None and x.half_width <= half_width]
    if half_width is None or enough:
        return (enough[0] if enough else affordable[-1]), []
    best, later = affordable[-1], [x for x in ladders if x.half_width <= half_width]
    said = f"+-{half_width:.2%} is not reached: +-{best.half_width:.2%} is the best "
    said += f"for {budget:.3g} FLOP" if later and budget else f"of at most {options.max_runs} runs"
    return best, [said + (f"; it would take {later[0].flops:.3g} FLOP" if later else "")]


def _frontier(ladders: Sequence[Ladder], flops: float) -> tuple[Ladder, ...]:
    """The best ladders for a tenth to ten times the cost, each once."""
    found: dict[float, Ladder] = {}
    for factor in (0.1, 0.3, 1.0, 3.0, 10.0):
        affordable = [x for x in ladders if x.flops <= flops * factor * (1 + 1e-9)]
        if affordable:
            found[affordable[-1].flops] = affordable[-1]
    return tuple(found.values())


def _warnings(
    law: Parametric, prior: Prior, known: Mapping[str, float], ladder: Ladder, simulated: Simulated | None
) -> list[str]:
    found: list[str] = []
    for name, sizes in zip(("params", "tokens"), _runs(ladder.rungs), strict=True):
        if (times := prior.target[name] / float(sizes.max())) > law.max_extrapolation * (1 + 1e-9):
            found.append(
                f"the target lies {times:.3g} times beyond the largest run in {name}: {law.name()} refuses beyond "
                f"{law.max_extrapolation:g}, and what holds there is not known"
            )
    own = t_quantile((1 + law.level) / 2, 10**6) * prior.noise
    if ladder.half_width < 1.5 * own:
        found.append(f"the target's own noise is +-{own:.2%} of this: more runs will hardly narrow it")
    if dict(known) == dict(REPLICATED):
        found.append("planned with published coefficients of other data: fit the first runs, and plan again from that")
    if simulated is not None and not 0.75 <= simulated.half_width / ladder.half_width <= 1.25:
        found.append(
            f"simulated ladders give +-{simulated.half_width:.2%} and not +-{ladder.half_width:.2%}: the law is too "
            "far from a straight line for these runs; believe the simulation"
        )
    return found


def _share(rung: Rung, ladder: Ladder) -> str:
    return f"{rung.repeats * rung.flops / ladder.flops:.1%}"


def _told(ladder: Ladder, target_flops: float) -> dict[str, Json]:
    rungs: list[Json] = [dict(zip(Rung._fields, rung, strict=True)) for rung in ladder.rungs]
    share = ladder.flops / target_flops
    return {"runs": rungs, "flops": ladder.flops, "share_of_target": share, "half_width": ladder.half_width}
