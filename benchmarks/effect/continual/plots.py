"""The picture of routes.py: bits per byte of old and new text at the end of each route, learning rate and loss on it.

    python benchmarks/effect/continual/plots.py [--shift language] [--out docs/pictures]

Reads continual_SHIFT_forgetting.csv and continual_SHIFT_curves.csv of benchmarks/results/ and writes
continual_SHIFT.svg, one drawing for light and dark pages. Ends are means over seeds with 95 % intervals; curves are of
seed 0, the loss as a running mean over RUNNING logged steps.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from seedbed.report import plots
from seedbed.report.plots import GRID, INK, MUTED, coarse_tick, colour_of, few_ticks, svg

RESULTS = Path(__file__).parents[2] / "results"
PICTURES = Path(__file__).parents[3] / "docs" / "pictures"
WIDTH, HALF, SPACE = 960, 470, 20
CURVES = ("union", "continue at the low rate", "re-warm", "re-warm, replay 25%", "infinite")
RUNNING = 5
NEAR = (0.55, 1.4)
"""What is shown of the loss, as shares of the place where the text changes."""
Row = dict[str, str]


def main() -> None:
    """See the module's docstring."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--shift", default="language")
    ask.add_argument("--results", type=Path, default=RESULTS)
    ask.add_argument("--out", type=Path, default=PICTURES)
    given = ask.parse_args()
    scores, curves = (read(given.results / f"continual_{given.shift}_{kind}.csv") for kind in ("forgetting", "curves"))
    routes = list(dict.fromkeys(row["route"] for row in scores))
    change = max(float(row["tokens"]) for row in curves if row["route"] == "re-warm" and row["stage"] == "old")
    tall = 46 + 24 * len(routes) + 30
    drawn = [
        (0, 0, HALF, tall, ends(scores, routes, "old", HALF, tall)),
        (HALF + SPACE, 0, HALF, tall, ends(scores, routes, "new", HALF, tall)),
        (0, tall + SPACE, HALF, 280, lines(curves, routes, "learning_rate", change, HALF)),
        (HALF + SPACE, tall + SPACE, HALF, 280, lines(curves, routes, "loss_nats_per_token", change, HALF)),
    ]
    given.out.mkdir(parents=True, exist_ok=True)
    told = f"Routes from old to new text ({given.shift}): what each ends with, its learning rate and its loss."
    (given.out / f"continual_{given.shift}.svg").write_text(picture(drawn, tall + SPACE + 280, told), encoding="utf-8")


def read(file: Path) -> list[Row]:
    """Rows of a CSV."""
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def last_scores(scores: Sequence[Row], route: str, domain: str) -> tuple[float, float, float]:
    """(mean, low, high) of the route's last model, the annealed branch if it has one."""
    mine = [row for row in scores if (row["route"], row["domain"], row["measure"]) == (route, domain, "score")]
    row = mine[-1]
    return float(row["value"]), float(row["low"] or row["value"]), float(row["high"] or row["value"])


def colour(route: str) -> str:
    """Of the routes whose curves are drawn; the others are grey."""
    return colour_of(CURVES.index(route)) if route in CURVES else MUTED


def ends(scores: Sequence[Row], routes: Sequence[str], domain: str, width: int, height: int) -> Markup:
    """A dot and its interval a route."""
    found = [last_scores(scores, route, domain) for route in routes]
    left = 196

    def draw(axes: Any) -> None:
        for at, (route, (value, low, high)) in enumerate(zip(routes, found, strict=True)):
            axes.plot([low, high], [-at, -at], color=colour(route), linewidth=1.6)
            axes.plot([value], [-at], "o", color=colour(route), markersize=6)
            axes.annotate(route, (0, -at), (-left + 4, 0), xycoords=("axes fraction", "data"), color=INK,
                          textcoords="offset points", va="center")  # fmt: skip
        axes.axvline(found[0][0], color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
        axes.set_ylim(-len(routes) + 0.5, 0.5)
        axes.set_yticks([])
        few_ticks(axes, 5)
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.set_title(f"Held-out {domain} text at the end", loc="left", fontsize=11)
        axes.set_xlabel("bits per byte (broken line: the union)")

    told = "; ".join(f"{route} {value:.3f}" for route, (value, _, _) in zip(routes, found, strict=True))
    return svg(draw, width, height, (left, 14, 44, 30), f"Bits per byte on {domain}: {told}.", f"e{domain}")


def lines(curves: Sequence[Row], routes: Sequence[str], column: str, change: float, width: int) -> Markup:
    """One column over tokens, annealed branches dotted; of the loss only what lies around the change of text."""
    rate = column == "learning_rate"

    def draw(axes: Any) -> None:
        axes.axvline(change, color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
        for route in (name for name in CURVES if name in routes):
            mine = [row for row in curves if row["route"] == route]
            for stage in dict.fromkeys(row["stage"] for row in mine):
                tokens, value = column_of([row for row in mine if row["stage"] == stage], column)
                branch = stage.endswith("annealed")
                if not rate:
                    near = (tokens > NEAR[0] * change) & (tokens < NEAR[1] * change)
                    tokens, value = tokens[near], averaged(value)[near]
                if rate or not branch:
                    axes.plot(tokens, value, color=colour(route), linewidth=1.4,
                              linestyle=":" if branch else "-")  # fmt: skip
        few_ticks(axes, 5)
        axes.xaxis.set_major_formatter(coarse_tick)
        axes.locator_params(axis="y", nbins=5)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        title = "Learning rate" if rate else "Training loss around the change of text, nats"
        axes.set_title(f"{title} (colours as above)", loc="left", fontsize=11)
        axes.set_xlabel("tokens over the whole route" + (", dotted: annealed branches" if rate else ""))

    return svg(draw, width, 280, (52, 12, 44, 30), f"{column} against tokens of the route, seed 0.", f"c{column}")


def column_of(rows: Sequence[Row], column: str) -> tuple[np.ndarray, np.ndarray]:
    """(tokens, values)."""
    return np.array([float(row["tokens"]) for row in rows]), np.array([float(row[column]) for row in rows])


def averaged(value: np.ndarray) -> np.ndarray:
    """A running mean; at the ends over what there is."""
    weight = np.ones(min(RUNNING, len(value)))
    return np.convolve(value, weight, "same") / np.convolve(np.ones(len(value)), weight, "same")


def picture(drawn: Sequence[tuple[int, int, int, int, Markup]], height: int, told: str) -> str:
    """All of it in one file, with the colours of the report's own style."""
    style = (Path(plots.__file__).parent / "style.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]
    parts = [
        re.sub(r"^<svg [^>]*?viewBox=\"([^\"]*)\"[^>]*>",
               rf'<svg x="{x}" y="{y}" width="{w}" height="{h}" viewBox="\1">', str(one))
        for x, y, w, h, one in drawn
    ]  # fmt: skip
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(told)}">\n<style>\n:root {{{light}}}\n'
        f"@media (prefers-color-scheme: dark) {{ :root {{{dark}}} }}\n"
        "svg { font-family: system-ui, 'Segoe UI', Roboto, 'Noto Sans', Arial, sans-serif; }\n</style>\n"
        f'<rect width="{WIDTH}" height="{height}" fill="var(--paper)"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


if __name__ == "__main__":
    main()
