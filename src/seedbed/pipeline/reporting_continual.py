"""What the report says of continual training, from the tables that were left in the output folder."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seedbed.core.errors import SeedbedError
from seedbed.report.continual_data import Continual, Measure, Point, RouteStory, StageCurve
from seedbed.stats.intervals import Interval

MODELS, SUMMARY, CURVES = "continual.csv", "forgetting.csv", "curves.csv"
LEVEL = 0.95
Cells = dict[str, str]


def continual(out: Path) -> Continual | None:
    """What there is to tell; None where no routes were trained. Raises SeedbedError for a table that lacks a column."""
    summary = _read(out / SUMMARY, ("route", "domain", "stage", "measure", "value", "low", "high", "seeds", "unit"))
    if not summary:
        return None
    models = _read(out / MODELS, ("route", "seed", "stage", "order", "branch", "domain", "bits_per_byte", "tokens"))
    logged = ("route", "seed", "stage", "tokens", "loss_nats_per_token", "learning_rate")
    bits = [row for row in summary if row["unit"] != "share right"]  # probes are no domains of text
    domains = tuple(dict.fromkeys(row["domain"] for row in bits if row["measure"] == "score"))
    names = tuple(dict.fromkeys(row["route"] for row in bits))
    routes = tuple(
        _route(name, [row for row in bits if row["route"] == name], domains, _of(models, name)) for name in names
    )
    stages = {(row["route"], row["stage"]) for row in models}
    kept = [row for row in _read(out / CURVES, logged) if not stages or (row["route"], row["stage"]) in stages]
    return Continual(routes, domains, _baseline(routes), tuple(_curves(kept)), LEVEL)


def _read(file: Path, columns: Sequence[str]) -> list[Cells]:
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as text:
        reader = csv.DictReader(text)
        for name in columns:
            if name not in (reader.fieldnames or ()):
                raise SeedbedError(str(file), f"there is no column {name!r}", "Run the recipe again to write it anew.")
        return list(reader)


def _of(rows: Sequence[Cells], route: str) -> list[Cells]:
    return [row for row in rows if row["route"] == route]


def _baseline(routes: Sequence[RouteStory]) -> str:
    """The one route that is compared with no other."""
    alone = [route.route for route in routes if not route.better_than_baseline.domains]
    with_ratio = [route.route for route in routes if "flops_ratio" in route.costs]
    return alone[0] if len(alone) == 1 and len(routes) > 1 and with_ratio else ""


def _route(name: str, rows: Sequence[Cells], domains: Sequence[str], models: Sequence[Cells]) -> RouteStory:
    scores = {(row["stage"], row["domain"]): _interval(row) for row in rows if row["measure"] == "score"}
    stages = tuple(dict.fromkeys(stage for stage, _ in scores))
    learned = _measure(rows, "learned")
    return RouteStory(
        route=name,
        stages=stages,
        matrix=tuple(tuple(scores[stage, domain] for domain in domains) for stage in stages),
        home=_home(stages, scores, learned),
        backward=_measure(rows, "backward_transfer"),
        forward=_measure(rows, "forward_transfer"),
        forgetting=_measure(rows, "forgetting"),
        learned=learned,
        gain=_measure(rows, "gain"),
        better_than_baseline=_measure(rows, "better_than_baseline"),
        costs={row["measure"]: _interval(row) for row in rows if not row["domain"] and not row["stage"]},
        points=tuple(_points(models)),
    )


def _home(stages: Sequence[str], scores: dict[tuple[str, str], Interval], learned: Measure) -> dict[str, str]:
    """Domain -> the stage whose score is the one just after it was taught."""
    found: dict[str, str] = {}
    for domain, one in learned.domains.items():
        same = [stage for stage in stages if scores[stage, domain].value == one.value]
        if len(same) == 1:
            found[domain] = same[0]
    return found


def _measure(rows: Sequence[Cells], name: str) -> Measure:
    mine = {row["domain"]: _interval(row) for row in rows if row["measure"] == name}
    mean = mine.pop("mean", None)
    return Measure(mean, mine)


def _interval(row: Cells) -> Interval:
    low, high = (float(row[name]) if row[name] else None for name in ("low", "high"))
    return Interval(float(row["value"]), low, high, LEVEL, int(row["seeds"]))


def _points(models: Sequence[Cells]) -> list[Point]:
    """Every model of a route, in order, annealed branches after their stage; means over seeds."""
    keys = {(int(row["order"]), row["branch"] == "annealed", row["stage"]) for row in models}
    found: list[Point] = []
    for order, annealed, stage in sorted(keys):
        mine = [row for row in models if int(row["order"]) == order and (row["branch"] == "annealed") is annealed]
        domains = dict.fromkeys(row["domain"] for row in mine)
        means = {name: _mean([row["bits_per_byte"] for row in mine if row["domain"] == name]) for name in domains}
        found.append(Point(order, stage, annealed, _mean([row["tokens"] for row in mine]), means))
    return found


def _mean(values: Sequence[str]) -> float:
    return float(np.mean([float(value) for value in values]))


def _curves(rows: Sequence[Cells]) -> list[StageCurve]:
    """One curve a route and seed, over all of its stages; steps without a loss are left out."""
    grouped: dict[tuple[str, int], list[Cells]] = {}
    for row in rows:
        if row["loss_nats_per_token"] and math.isfinite(float(row["loss_nats_per_token"])):
            grouped.setdefault((row["route"], int(row["seed"])), []).append(row)
    found: list[StageCurve] = []
    for (route, seed), mine in grouped.items():
        first: dict[str, float] = {}
        for row in mine:
            first.setdefault(row["stage"], float(row["tokens"]))
        columns = [tuple(float(row[n]) for row in mine) for n in ("tokens", "loss_nats_per_token", "learning_rate")]
        found.append(StageCurve(route, seed, columns[0], columns[1], columns[2], tuple(first.values())))
    return found
