"""The picture of interval_coverage.py: new runs inside the interval, and how wide it is, by design and place.

    python benchmarks/effect/predict/plots.py [--results benchmarks/results] [--out docs/pictures]

Reads predict_coverage.csv and writes interval_coverage.svg, one drawing for light and dark pages.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import Any

from markupsafe import Markup

from seedbed.report.plots import GRID, INK, MUTED, colour_of, few_ticks, svg

HERE = Path(__file__)
spec = importlib.util.spec_from_file_location("continual_plots", HERE.parents[1] / "continual" / "plots.py")
assert spec is not None
assert spec.loader is not None
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)

NOMINAL = 95.0
DESIGNS = {
    "grid_3x3": "3 x 3 runs",
    "grid_4x4": "4 x 4 runs",
    "grid_4x4_noisy": "4 x 4, noise of 2 %",
    "grid_4x4_outliers": "4 x 4, outliers",
    "grid_8x8_outliers": "8 x 8, outliers",
    "isoflop_245": "245 runs by FLOP",
}
PLACES = ("middle", "largest", "10x tokens", "10x params", "3x both", "10x both")
HALF, TALL, LEFT = 470, 330, 128


def main() -> None:
    """See the module's docstring."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--results", type=Path, default=shared.RESULTS)
    ask.add_argument("--out", type=Path, default=shared.PICTURES)
    given = ask.parse_args()
    rows = [row for row in shared.read(given.results / "predict_coverage.csv") if row["bootstrap"] == "auto"]
    drawn = [
        (0, 0, HALF, TALL, dots(rows, "coverage", "New runs inside the interval, percent", "broken line: 95 %")),
        (HALF + 20, 0, HALF, TALL, dots(rows, "width", "Half-width of the interval, percent", "of the loss, median")),
    ]
    told = "Share of new runs inside the 95 % interval of the Chinchilla law, and the interval's half-width."
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "interval_coverage.svg").write_text(shared.picture(drawn, TALL, told), encoding="utf-8")


def dots(rows: list[dict[str, str]], quantity: str, title: str, below: str) -> Markup:
    """A line a design: a dot a place, small and light in the middle, large far out."""
    coverage = quantity == "coverage"
    scale = 100.0 if coverage else 50.0
    found = {(row["design"], row["of"]): row for row in rows if row["quantity"] == quantity}

    def draw(axes: Any) -> None:
        for at, (design, name) in enumerate(DESIGNS.items()):
            for i, place in enumerate(PLACES):
                row, y = found[design, place], -at + 0.3 - 0.12 * i
                if coverage:
                    ends = [scale * float(row["low"]), scale * float(row["high"])]
                    axes.plot(ends, [y, y], color=colour_of(i), linewidth=1.4)
                axes.plot([scale * float(row["value"])], [y], "o", color=colour_of(i), markersize=5)
            axes.annotate(name, (0, -at), (-LEFT + 4, 0), xycoords=("axes fraction", "data"), color=INK,
                          textcoords="offset points", va="center")  # fmt: skip
        if coverage:
            axes.axvline(NOMINAL, color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
        else:
            axes.set_xlim(left=0)
            for i, place in enumerate(PLACES):
                axes.annotate(place, (1, 1), (-66, -160 - 14 * i), xycoords="axes fraction", color=INK,
                              textcoords="offset points", va="center")  # fmt: skip
                axes.annotate("\N{BULLET}", (1, 1), (-78, -160 - 14 * i), xycoords="axes fraction", color=colour_of(i),
                              textcoords="offset points", va="center", fontsize=15)  # fmt: skip
        axes.set_ylim(-len(DESIGNS) + 0.45, 0.5)
        axes.set_yticks([])
        few_ticks(axes, 6)
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xlabel(below)

    said = "; ".join(f"{name} {scale * float(found[key, '10x both']['value']):.1f}" for key, name in DESIGNS.items())
    return svg(draw, HALF, TALL, (LEFT, 14, 44, 30), f"{title}; ten times beyond in both: {said}.", quantity)


if __name__ == "__main__":
    main()
