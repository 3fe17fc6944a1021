"""The section on methods against a baseline, fed with numbers made up here: what it says, and that nothing escapes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from seedbed.report.comparison import bars, factor_words, heat, lead
from seedbed.report.comparison_data import (
    Agreement,
    CostCurve,
    CurvePoint,
    Factor,
    Group,
    MethodResult,
    Picked,
    PickedExample,
    Terms,
    Trial,
)
from seedbed.report.comparison_plots import apart
from seedbed.report.data import ArmResult, Comparison, ReportData
from seedbed.report.page import render
from seedbed.stats.intervals import Interval
from tests.report.test_page import HOSTILE, Audit


def interval(value: float, half: float | None = 0.01) -> Interval:
    low, high = (None, None) if half is None else (value - half, value + half)
    return Interval(value, low, high, 0.95, 5 if half else 1)


def factor(value: float, bound: str = "") -> Factor:
    bounds = (None, None) if bound else (value * 0.9, value * 1.1)
    return Factor(Interval(value, *bounds, 0.95, 5), bound, f"{bound} {value:.2f}".strip())


def terms(value: float, verdict: str) -> Terms:
    return Terms(interval(value), interval(value, 0.02), 0.0004 if verdict in ("better", "worse") else 0.31, verdict)


def method(name: str, loss: float, *, role: str = "", price: float = 0.0, speed: Factor | None = None) -> MethodResult:
    verdict = "better" if loss < 1.58 else "worse" if loss > 1.62 else "undecided"
    base = role == "baseline"
    cost = None if base else Factor(dataclasses.replace((speed or factor(1)).value), (speed or factor(1)).bound, "2.00")
    return MethodResult(
        method=name,
        role=role,
        seeds=5,
        target=interval(loss),
        mean_domain=interval(loss + 0.2),
        worst_domain=interval(loss + 0.4),
        at_equal_tokens=None if base else terms(loss - 1.6, verdict),
        at_equal_cost=None if base or price > 5 else terms(loss - 1.6 + price / 10, verdict if price < 1 else "worse"),
        speedup_equal_tokens=speed or factor(1.0),
        speedup_equal_cost=cost,
        share_better=None if base else 0.8,
        selection_flops=price * 1e12,
        training_flops=1e12,
        unique_token_ratio=0.7,
        tokens=1e6,
    )


def cost_curve(name: str, axis: str, speed: float) -> CostCurve:
    at = np.geomspace(1 / 64, 1, 9) if axis == "size_ratio" else np.geomspace(1, 64, 9)
    value = speed / (1 + (1 / at if axis == "reuse" else at))
    bound = (tuple(value * 0.9), tuple(value * 1.1)) if speed < 3 else ((), ())
    return CostCurve(name, axis, tuple(at), tuple(value), *bound, (at[3], value[3]), "pays up to 0.4")


def chose(name: str, seed: int, domains: tuple[str, ...]) -> Picked:
    rng = np.random.default_rng(seed)
    pool, chosen = (rng.dirichlet(np.ones(len(domains))) for _ in range(2))
    pool = np.full(len(domains), 1 / len(domains))
    groups = tuple(Group(d, p, c) for d, p, c in zip(domains, pool, chosen, strict=True))
    halves = (Group("below 64 tokens", 0.5, 0.2), Group("64 to 127", 0.5, 0.8))
    shown = tuple(PickedExample("ab" * 16, domains[0], f"{name} reads this text", 1.25 - i, 2.0) for i in range(3))
    signals = (("mean_word_length", 61.0), ("n_words", 20.0))
    return Picked(name, (("domain", groups), ("length", halves)), signals, 0.9, 812.0, 640.4, shown)


def trial(
    names: tuple[str, ...] = ("dsir", "color_filter", "qurating"), domains: tuple[str, ...] = ("law", "web")
) -> Trial:
    methods = [
        method("random", 1.6, role="baseline"),
        method("clean", 1.3, role="ceiling", speed=factor(8, "at least")),
    ]
    for i, name in enumerate(names):
        loss = 1.40 + 0.5 * i / len(names)
        speed = factor(8.0, "at least") if i == 0 else factor(max(4.0 - 0.7 * i, 0.3))
        methods.append(method(name, loss, price=(0.0, 0.6, 7.0)[i % 3], speed=speed))
    curve = tuple(CurvePoint(1e6 * m, interval(1.6 * m**-0.06)) for m in (0.25, 0.5, 1, 2, 4, 8))
    costs = tuple(
        cost_curve(n, a, 4.0 / (1 + i)) for i, n in enumerate(names) for a in ("size_ratio", "pool_ratio", "reuse")
    )
    every = ("random", *names)
    rng = np.random.default_rng(3)
    spearman = tuple(tuple(None if "random" in (a, b) else float(rng.uniform(-1, 1)) for b in every) for a in every)
    overlap = tuple(tuple(float(rng.uniform(0, 1)) for _ in every) for _ in every)
    picked = tuple(chose(name, i, domains) for i, name in enumerate(every))
    return Trial("law", "random", tuple(methods), curve, costs, picked, Agreement(every, spearman, overlap))


def page(of: Trial) -> str:
    arms = tuple(ArmResult(one.method, one.role, one.target) for one in of.methods)
    return render(ReportData("trial", comparison=Comparison(("random is beaten.",), of.target, arms, trial=of)))


def test_the_page_has_every_part_and_loads_nothing():
    text = page(trial())
    audit = Audit(text)
    assert "script" not in audit.tags
    assert not audit.handlers
    assert all(load.startswith("#") for load in audit.loads)
    assert len(audit.ids) == len(set(audit.ids))
    for said in ("When choosing pays", "What each picked", "Do they agree?", "Speed-ups", "Worst domain", "at least"):
        assert said in text
    assert text.count("<svg") == 2 * 3 + 3  # differences, curve, speed-ups in two widths; three ratios
    assert text == page(trial())


def test_the_lead_is_by_adjusted_verdicts():
    said = lead(trial())
    assert said[0] == ("On law, at equal tokens: dsir and color_filter beat random; qurating loses to random.")
    assert said[1] == "On law, at equal total cost: dsir and color_filter beat random."
    assert (
        said[2]
        == "random needs at least 8.00 times the tokens to reach the loss of dsir, and 2.00 times its total cost."
    )
    assert "clean" not in " ".join(said)  # the ceiling is no choice


def test_texts_are_escaped():
    for i, word in enumerate(HOSTILE):
        of = trial((word, "b"), (word, "web"))
        of = dataclasses.replace(of, target=word)
        text = page(of)
        audit = Audit(text)
        assert "script" not in audit.tags, i
        assert "img" not in audit.tags, i
        assert not audit.handlers
        assert all(load.startswith("#") for load in audit.loads)


@pytest.mark.parametrize("part", ["curve", "costs", "picked"])
def test_parts_may_be_absent(part):
    text = page(dataclasses.replace(trial(), **{part: ()}))
    heading = {"curve": "by length", "costs": "When choosing pays", "picked": "What each picked"}[part]
    assert heading not in text


def test_one_replicate_and_no_agreement():
    lone = dataclasses.replace(method("m", 1.5), target=interval(1.5, None), at_equal_tokens=None, at_equal_cost=None)
    none = dataclasses.replace(lone, speedup_equal_tokens=None, speedup_equal_cost=None, share_better=None)
    of = dataclasses.replace(trial(), methods=(method("random", 1.6, role="baseline"), none), agreement=None, costs=())
    assert "no interval from one seed" in page(of)


def test_thirty_methods_and_domains():
    text = page(trial(tuple(f"method_{i}" for i in range(30)), tuple(f"domain_{i}" for i in range(14))))
    assert "7 others" in text


def test_bars_add_up_and_colour_the_largest():
    found = bars([chose("m", 0, tuple(f"d{i}" for i in range(12)))])
    domain = found[0]
    assert [row for row, _ in domain["stacks"]] == ["the pool", "m"]
    assert len(domain["keys"]) == 8
    assert domain["keys"][-1] == ("5 others", 7)
    for _, parts in domain["stacks"]:
        assert sum(share for _, share, _ in parts) == pytest.approx(1.0, abs=0.01)
    assert found[1]["keys"] == [("below 64 tokens", 0), ("64 to 127", 1)]


def test_labels_keep_apart_and_close_to_their_values():
    placed = np.array(apart([1.0, 1.001, 1.002, 2.0], 0.9, 2.1, 0.05))
    assert np.all(np.diff(np.sort(placed)) >= 0.05 - 1e-9)
    assert placed[3] == pytest.approx((2.0 - 0.9) / 1.2, abs=0.01)
    assert np.mean(placed[:3]) == pytest.approx(0.1 / 1.2, abs=0.03)
    assert apart([], 0, 1, 0.1) == []
    many = np.array(apart(np.linspace(1, 2, 40).tolist(), 1, 2, 0.5))
    assert (many.min(), many.max()) == (0, 1)


def test_small_print():
    assert factor_words(factor(3.0)) == ("3.00 ×", "2.70 to 3.30")
    assert factor_words(factor(8.0, "at least")) == ("8.00 ×", "at least")
    assert factor_words(None) == ("–", "")
    assert "--dropped" in heat(-0.5)
    assert "31%" in heat(0.5)
