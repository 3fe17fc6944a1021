"""Plots as inline SVG: no pyplot, no script, no date, ids of their own, colours as variables of the page's style.

A plot is drawn in stand-in colours that are then renamed to CSS variables, so that one drawing serves light and dark.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from markupsafe import Markup, escape

from seedbed.report import wording
from seedbed.report.data import ArmResult, Distribution, LossCurve
from seedbed.stats.intervals import Interval

INK, MUTED, GRID, PAPER, KEPT, DROPPED = "#010101", "#010102", "#010103", "#010104", "#010105", "#010106"
N_SERIES = 8
SERIES = tuple(f"#0102{i:02x}" for i in range(N_SERIES))
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper", KEPT: "kept", DROPPED: "dropped"} | {
    colour: f"series-{i}" for i, colour in enumerate(SERIES)
}
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "seedbed",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "text.color": INK,
    "path.simplify": True,
}


def colour_of(index: int) -> str:
    """The stand-in colour of the series at an index; they repeat after `N_SERIES`."""
    return SERIES[index % N_SERIES]


def difference_plot(arms: Sequence[ArmResult], baseline: str, width: int) -> Markup:
    """Difference to the baseline in bits per byte: a dot and its interval, at equal tokens and at equal total cost."""
    shown = [(i, arm) for i, arm in enumerate(arms) if arm.at_equal_tokens is not None]
    narrow = width < 500
    step = 52 if narrow else 40
    height = 34 + step * len(shown) + 30
    left = 12 if narrow else 30 + 8 * max((min(len(arm.arm), 24) for _, arm in shown), default=0)

    def draw(axes: Any) -> None:
        axes.axvline(0, color=MUTED, linewidth=1)
        for row, (i, arm) in enumerate(shown):
            colour = colour_of(i)
            assert arm.at_equal_tokens is not None
            _dot(axes, arm.at_equal_tokens, -row + 0.09, colour, filled=True)
            if arm.at_equal_cost is not None:
                _dot(axes, arm.at_equal_cost, -row - 0.16, colour, filled=False)
            name = wording.shorten(wording.clean(arm.arm), 24)
            if narrow:
                axes.annotate(name, (0, -row + 0.3), xycoords=("axes fraction", "data"), va="bottom", fontsize=11)
            else:
                at = ("axes fraction", "data")
                axes.annotate(
                    name, (0, -row), (2 - left, 0), xycoords=at, textcoords="offset points", ha="left", va="center"
                )
        axes.set_ylim(-len(shown) + 0.45, 0.75 if narrow else 0.5)
        axes.set_yticks([])
        few_ticks(axes, 4 if narrow else 6)
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.set_xlabel(f"bits per byte less than (left) or more than {wording.shorten(wording.clean(baseline), 16)}")

    named = [f"{arm.arm} {wording.signed(arm.at_equal_tokens.value)}" for _, arm in shown if arm.at_equal_tokens]
    label = f"Difference to {baseline} in bits per byte at equal tokens: {'; '.join(named)}. Below zero is better."
    return svg(draw, width, height, (left, 14, 44, 10), label, f"d{width}")


def _dot(axes: Any, interval: Interval, y: float, colour: str, *, filled: bool) -> None:
    if interval.low is not None and interval.high is not None:
        axes.plot(
            [interval.low, interval.high], [y, y], color=colour, linewidth=2 if filled else 1.2, solid_capstyle="butt"
        )
    face = colour if filled else PAPER
    axes.plot([interval.value], [y], "o", markersize=7, color=colour, markerfacecolor=face, markeredgewidth=1.5)


def loss_plot(curves: Sequence[LossCurve], arms: Sequence[str], width: int) -> Markup:
    """Training loss against tokens, a line an arm (mean over seeds, smoothed) with a band from lowest to highest."""
    height = 380 if width >= 500 else 250

    def draw(axes: Any) -> None:
        for i, arm in enumerate(arms):
            mine = [curve for curve in curves if curve.arm == arm]
            if not mine:
                continue
            tokens, loss_SG = on_one_grid(mine)
            colour = colour_of(i)
            if len(mine) > 1:
                axes.fill_between(
                    tokens, loss_SG.min(axis=0), loss_SG.max(axis=0), color=colour, alpha=0.16, linewidth=0
                )
            dash = "-" if i < N_SERIES else "--"
            axes.plot(tokens, loss_SG.mean(axis=0), color=colour, linewidth=1.6, linestyle=dash)
        axes.margins(x=0.01)
        few_ticks(axes, 5)
        axes.xaxis.set_major_formatter(coarse_tick)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_xlabel("tokens trained on")
        axes.set_ylabel("nats per token")

    label = f"Training loss in nats per token against tokens trained on, for {', '.join(arms)}."
    return svg(draw, width, height, (52, 10, 44, 14), label, f"t{width}")


SKIPPED_START = 0.1
SMOOTHED_OVER = 0.03


def on_one_grid(curves: Sequence[LossCurve]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(tokens_G, loss_SG): the seeds of one arm, smoothed, on common tokens; the first 10 % are left out."""
    end = min(max(curve.tokens) for curve in curves)
    start = max(max(min(curve.tokens) for curve in curves), SKIPPED_START * end)
    tokens_G = np.linspace(start, end, 160)
    rows = [smooth(np.asarray(c.tokens, float), np.asarray(c.loss_nats_per_token, float), tokens_G) for c in curves]
    return tokens_G, np.stack(rows)


def smooth(tokens: np.ndarray[Any, Any], loss: np.ndarray[Any, Any], at: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Gaussian mean of the logged losses around each point; the width is 3 % of the run."""
    width = max(SMOOTHED_OVER * float(tokens.max()), 1.0)
    weight = np.exp(-0.5 * ((at[:, None] - tokens[None, :]) / width) ** 2)
    total = weight.sum(axis=1)
    nearest = loss[np.abs(at[:, None] - tokens[None, :]).argmin(axis=1)]
    return np.where(total > 1e-9, (weight * loss).sum(axis=1) / np.maximum(total, 1e-9), nearest)


def histogram(of: Distribution, key: str, width: int = 300) -> Markup:
    """The values of one rule; those that break it in another colour. Heights are square roots of counts."""
    forth: Callable[[Any], Any] = (lambda x: np.log10(1 + np.maximum(x, -0.5))) if of.scale == "log" else np.asarray

    def draw(axes: Any) -> None:
        edges, heights = forth(np.asarray(of.edges, float)), np.sqrt(np.asarray(of.counts, float))
        cut = of.threshold
        broken = np.sqrt(np.asarray(of.broken_counts, float))
        for bars, colour in ((heights * (broken < heights), KEPT), (broken, DROPPED)):
            if bars.any():
                axes.stairs(bars, edges, fill=True, color=colour, linewidth=0)
        axes.set_ylim(0, max(float(heights.max(initial=0)), 1) * 1.22)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_yticks([])
        if cut is not None:
            at = _line(of, cut, edges, forth)
            axes.axvline(at, color=INK, linewidth=1.2)
            right = (at - edges[0]) / (edges[-1] - edges[0]) > 0.55
            text = f"{of.side} {wording.plain(cut)}"
            axes.annotate(text, (at, 1), (-5 if right else 5, -2), xycoords=("data", "axes fraction"), fontsize=11,
                          textcoords="offset points", ha="right" if right else "left", va="top")  # fmt: skip
        _value_ticks(axes, of)

    limit = "no threshold" if of.threshold is None else f"{of.side} {wording.plain(of.threshold)}"
    label = f"Histogram of {of.signal} ({of.unit}), {limit}: {wording.percent(of.broken, of.documents)} beyond it."
    return svg(draw, width, 128, (8, 8, 24, 4), label, key)


def _line(of: Distribution, cut: float, edges: Any, forth: Callable[[Any], Any]) -> float:
    """Where the threshold is drawn: between two bars where the values are whole numbers."""
    if float(cut).is_integer() and np.all(np.asarray(of.edges) % 1 == 0.5):
        nearest = np.argmin(np.abs(np.asarray(of.edges) - (cut - 0.5 if of.side == "min" else cut + 0.5)))
        return float(edges[nearest])
    return float(forth(cut))


def _value_ticks(axes: Any, of: Distribution) -> None:
    if of.scale == "log":
        values = [v for v in (0, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9) if of.edges[0] <= v <= of.edges[-1]]
        axes.set_xticks([np.log10(1 + v) for v in values], [wording.coarse(v) for v in values])
        return
    few_ticks(axes, 4, whole=bool(np.all(np.asarray(of.edges) % 1 == 0.5)))
    axes.xaxis.set_major_formatter(coarse_tick)


def coarse_tick(value: float, _: object) -> str:
    """A tick's number in few characters."""
    return wording.coarse(round(value, 6))


def few_ticks(axes: Any, n: int, *, whole: bool = False) -> None:
    """At most about `n` ticks along the bottom, at round numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=n, steps=[1, 2, 2.5, 5, 10], integer=whole))


def svg(
    draw: Callable[[Any], None], width: int, height: int, margins: tuple[int, int, int, int], label: str, key: str
) -> Markup:
    """Draw into axes with margins (left, right, bottom, top) in pixels. `key` tells the ids of two plots apart."""
    import matplotlib
    from matplotlib.figure import Figure

    with cast(Any, matplotlib).rc_context(_STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a glyph missing in matplotlib's font; the browser has its own
        figure: Any = Figure(figsize=(width / 72, height / 72), dpi=72)
        figure.patch.set_visible(False)
        left, right, bottom, top = margins
        box = (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
        axes = figure.add_axes(box)
        axes.patch.set_visible(False)
        for side in ("left", "right", "top"):
            axes.spines[side].set_visible(False)
        axes.tick_params(length=3, width=0.8)
        axes.tick_params(axis="y", length=0)
        draw(axes)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _inline(out.getvalue(), width, height, label, key)


def _inline(svg: str, width: int, height: int, label: str, key: str) -> Markup:
    """The drawing alone: no header, metadata, comments or unused ids, ids under `key`, colours as variables."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style[^>]*>.*?</style>", "", body, flags=re.S)
    body = re.sub(r"^<svg[^>]*>", "", body)
    used = set(re.findall(r"#([\w.-]+)\)?\"", body))
    body = re.sub(r' id="([\w.-]+)"', lambda m: f' id="{key}-{m[1]}"' if m[1] in used else "", body)
    body = re.sub(r"(url\(#|xlink:href=\"#)", rf"\g<1>{key}-", body).replace("xlink:href", "href")
    body = re.sub(
        r"#010[12][0-9a-f]{2}\b", lambda m: f"var(--{_VARIABLES[m[0]]})" if m[0] in _VARIABLES else m[0], body
    )
    body = re.sub(r" font-family: [^;\"]*;", "", body)  # the page's own
    body = re.sub(r"\s*\n\s*", "\n", body.replace("<defs>\n  \n </defs>", ""))
    told = escape(wording.clean(label))
    head = f'<svg viewBox="0 0 {width} {height}" style="max-width:{width}px" role="img" aria-label="{told}">'
    return Markup(head + body)  # the only texts inside are matplotlib's, which escapes them, and `told`
