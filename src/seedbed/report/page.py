"""The page: plain numbers to one self-contained HTML file, the verdict first."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, cast

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from seedbed.core import units
from seedbed.report import comparison, continual, law, plots, training, wording
from seedbed.report.data import Comparison, Distribution, Example, Funnel, ReportData, Share
from seedbed.stats.intervals import Interval

WIDE, NARROW = 1000, 350
OPEN_REASONS = 3


def render(data: ReportData) -> str:
    """The whole page. The same data give the same text."""
    folder = resources.files("seedbed.report")
    environment = _environment()
    template = environment.from_string((folder / "template.html.j2").read_text(encoding="utf-8"))
    style = Markup((folder / "style.css").read_text(encoding="utf-8"))  # our own file
    view: dict[str, Any] = {"data": data, "style": style, "tiles": tiles(data), "contents": contents(data)}
    view["funnel"] = _funnel(data.funnel) if data.funnel else None
    view["histograms"] = _by_step(data.distributions)
    view["dropped"] = _by_reason(data.dropped, data.funnel)
    view["comparison"] = _comparison(data.comparison, environment) if data.comparison else None
    verdicts = (verdict for _, counts in data.leaks.domains for verdict in counts) if data.leaks else ()
    view["leak_verdicts"] = list(dict.fromkeys(verdicts))
    counted = (verdict for _, counts in data.benchmarks.benchmarks for verdict in counts) if data.benchmarks else ()
    view["benchmark_verdicts"] = list(dict.fromkeys(counted))
    view["law"] = law.section(data.law, environment) if data.law else ""
    view["training"] = training.section(data.training, environment) if data.training else ""
    view["continual"] = continual.section(data.continual, environment) if data.continual else ""
    view["continual_lead"] = continual.lead(data.continual) if data.continual else []
    return template.render(view)


def _environment() -> Environment:
    environment = Environment(
        autoescape=True, finalize=_finalize, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters: dict[str, Any] = {
        "whole": wording.whole,
        "plain": wording.plain,
        "decimals": wording.decimals,
        "signed": wording.signed,
        "between": wording.between,
        "flop": wording.flop,
        "coarse": wording.coarse,
        "duration": wording.seconds,
        "bytes": _bytes,
        "words": wording.rule_name,
        "elsewhere": wording.thresholds_elsewhere,
        "shorten": wording.shorten,
        "p_value": wording.p_value,
        "factor": comparison.factor_words,
        "heat": comparison.heat,
    }
    cast(Any, environment).filters.update(filters)
    cast(Any, environment).globals.update({"percent": wording.percent, "dict": dict})
    return environment


def _bytes(number: float) -> str:
    return units.human(number, "B")


def _finalize(value: object) -> object:
    """Whatever is printed and is no plot of ours is cleaned; escaping comes after."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else wording.clean(value)


def tiles(data: ReportData) -> list[tuple[str, str, str]]:
    """(figure, what it is, remark): the few numbers at the top."""
    found: list[tuple[str, str, str]] = []
    if funnel := data.funnel:
        found.append((wording.whole(funnel.read), "records read", ""))
        found.append((wording.whole(funnel.kept), "documents kept", wording.percent(funnel.kept, funnel.read)))
        errored = sum(loss.documents for loss in funnel.losses if loss.kind == "errored")
        found.append((wording.whole(errored), "errored", "in quarantine/" if errored else "none"))
        if funnel.kept_bytes is not None:
            remark = f"of {units.human(funnel.read_bytes, 'B')}" if funnel.read_bytes is not None else ""
            found.append((units.human(funnel.kept_bytes, "B"), "text kept, as extracted", remark))
    if of := data.comparison:
        n_seeds = max((arm.bits_per_byte.n for arm in of.arms), default=0)
        found.append((str(len(of.arms)), "arms compared", f"{n_seeds} {'seed' if n_seeds == 1 else 'seeds'} each"))
    if data.law:
        n_runs, n_sizes = len(data.law.residuals), len(data.law.curves)
        found.append((str(n_runs), "runs under the law", f"{n_sizes} model sizes" if n_sizes else data.law.method))
    if data.training:
        found += training.tiles(data.training)
    return found


def contents(data: ReportData) -> list[tuple[str, str]]:
    """(anchor, heading) of the sections that are there."""
    there: list[tuple[str, str, object]] = [
        ("verdict", "Verdict", data.comparison),
        ("arms", "Head to head", data.comparison),
        ("curves", "Training loss", data.comparison and data.comparison.curves),
        ("continual", "Continual training", data.continual),
        ("training", "Training", data.training),
        ("funnel", "What came in, and where it went", data.funnel),
        ("scores", "Measured values", any(of.counts for of in data.distributions)),
        ("languages", "Languages", data.language_drops),
        ("cuts", "Cut or masked", data.cuts),
        ("duplicates", "Duplicates", data.duplicate_searches),
        ("benchmarks", "Benchmark items in the pool", data.benchmarks),
        ("documents", "Documents", data.dropped or data.kept or data.duplicates),
        ("leaks", "Leak check", data.leaks),
        ("law", "The law", data.law),
        ("recipe", "Recipe and record", True),
    ]
    return [(anchor, heading) for anchor, heading, is_there in there if is_there]


def _comparison(of: Comparison, environment: Environment) -> dict[str, Any]:
    names = [arm.arm for arm in of.arms]
    baseline = next((arm.arm for arm in of.arms if arm.role == "baseline"), "the baseline")
    differs = any(arm.at_equal_tokens is not None for arm in of.arms)
    drawn = [arm for arm in names if any(curve.arm == arm for curve in of.curves)]
    return {
        "baseline": baseline,
        "lead": comparison.lead(of.trial) if of.trial else lead(of, baseline),
        "trial": comparison.section(of.trial, environment) if of.trial else "",
        "differences": [plots.difference_plot(of.arms, baseline, w) for w in (WIDE, NARROW)] if differs else [],
        "has_cost": any(arm.at_equal_cost is not None for arm in of.arms),
        "losses": [plots.loss_plot(of.curves, names, w) for w in (WIDE, NARROW)] if drawn else [],
        "series": {name: i % plots.N_SERIES for i, name in enumerate(names)},
        "drawn": drawn,
        "domains": [(domain, values, _lowest(values)) for domain, values in of.domains],
        "level": next((arm.bits_per_byte.level for arm in of.arms), 0.95),
    }


FEW_SEEDS = 5
"""With fewer, a result is called indicative."""


def lead(of: Comparison, baseline: str) -> list[str]:
    """The verdict in a few words: which arms are told apart from the baseline, and on what terms."""
    said: list[str] = []
    for terms, name in (("at equal tokens", "at_equal_tokens"), ("at equal total cost", "at_equal_cost")):
        sides: dict[str, list[str]] = {}
        for arm in of.arms:
            interval = cast("Interval | None", getattr(arm, name))
            if interval is not None:
                verb = "beats" if interval.value < 0 else "loses to"
                sides.setdefault(verb if interval.excludes_zero else "", []).append(arm.arm)
        told = [
            f"{wording.listed(names)} {_agree(verb, names)} {baseline}" for verb, names in sorted(sides.items()) if verb
        ]
        if "" in sides:
            told.append(f"no difference between {wording.listed(sides[''])} and {baseline} can be told")
        if told:
            said.append(f"On {of.target}, {terms}: {'; '.join(told)}.")
    n_seeds = min((arm.bits_per_byte.n for arm in of.arms), default=0)
    if 0 < n_seeds < FEW_SEEDS:
        said.append(f"{n_seeds} {'seed' if n_seeds == 1 else 'seeds'} an arm: indicative, not settled.")
    return said


def _agree(verb: str, names: Sequence[str]) -> str:
    return verb if len(names) == 1 else {"beats": "beat", "loses to": "lose to"}[verb]


def _lowest(values: Mapping[str, float]) -> str:
    return min(values, key=lambda arm: values[arm]) if values else ""


@dataclasses.dataclass(frozen=True)
class FunnelRow:
    """One loss on the way from read to kept; before and after are documents still there."""

    step: str
    rule: str
    kind: str
    documents: int
    before: int
    after: int


def _funnel(of: Funnel) -> dict[str, Any]:
    rows: list[FunnelRow] = []
    left = of.read
    for loss in of.losses:
        rows.append(FunnelRow(loss.step, loss.rule, loss.kind, loss.documents, left, left - loss.documents))
        left -= loss.documents
    return {"rows": rows, "balances": left == of.kept, "left": left, "groups": _groups(of)}


def _groups(of: Funnel) -> list[tuple[str, Sequence[Share], int]]:
    """(heading, shares, the largest count), for sources and languages."""
    both = ((of.source_kind, of.sources), ("language", of.languages))
    return [(name, shares, max(share.read for share in shares)) for name, shares in both if shares]


def _by_step(distributions: Sequence[Distribution]) -> list[tuple[str, list[tuple[Distribution, Markup]]]]:
    steps: dict[str, list[tuple[Distribution, Markup]]] = {}
    for i, of in enumerate(distributions):
        if of.counts:
            steps.setdefault(of.step, []).append((of, plots.histogram(of, f"h{i}")))
    return list(steps.items())


def _by_reason(examples: Sequence[Example], funnel: Funnel | None) -> list[tuple[str, list[Example], int, bool]]:
    """(reason, examples, documents dropped for it, open at first): the largest reasons are open."""
    counts = {f"{loss.step}.{loss.rule}": loss.documents for loss in funnel.losses} if funnel else {}
    reasons: dict[str, list[Example]] = {}
    for example in examples:
        reasons.setdefault(example.reason, []).append(example)
    largest = sorted(reasons, key=lambda reason: -counts.get(reason, 0))[:OPEN_REASONS]
    return [(reason, found, counts.get(reason, 0), reason in largest) for reason, found in reasons.items()]
