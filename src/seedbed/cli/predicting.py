"""The verbs that fit laws to small runs, forecast larger ones, and keep account of how the forecasts came out."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional, cast

import typer

from seedbed.cli.options import AsJson, predict, settings_of, show_table, store_text
from seedbed.core.errors import RecipeError

if TYPE_CHECKING:
    from seedbed.core.parameters import Json
    from seedbed.predict.contract import Estimate, FittedLaw

Fit = Annotated[Path, typer.Argument(help="A file that `seedbed predict fit --out` stored.")]
Ledger = Annotated[Path, typer.Option("--ledger", help="The ledger, a file that is only ever added to.")]
Params = Annotated[Optional[str], typer.Option("--params", help="Parameters of the model, such as 7e9 or 7B, counted as in the runs.")]  # noqa: E501, UP045  # fmt: skip
Tokens = Annotated[Optional[str], typer.Option("--tokens", help="Tokens it is trained on, such as 1.4e12 or 1.4T.")]  # noqa: UP045  # fmt: skip
At = Annotated[Optional[list[str]], typer.Option("--at", help="NAME=NUMBER for what else the law asks, such as epochs=4, share=0.3. May be repeated.")]  # noqa: E501, UP045  # fmt: skip
Note = Annotated[str, typer.Option("--note", help="Kept with the entry.")]
LEDGER = Path("forecasts.jsonl")
MOST_SHOWN = 30

RUNS = "CSV or Parquet, a row a run: params, tokens, loss, and what else the law reads."


@predict.command("fit")
def predict_fit(
    runs: Annotated[Path, typer.Argument(help=RUNS)],
    law: Annotated[str, typer.Option(help="`seedbed methods predict.laws` lists them, `seedbed methods NAME` tells its columns; or FILE.py:CLASS.")] = "chinchilla",  # noqa: E501
    out: Annotated[Optional[Path], typer.Option(help="Where to store the fit.")] = None,  # noqa: UP045
    only: Annotated[Optional[list[str]], typer.Option("--only", help="COLUMN=VALUE: rows that are fitted. May be repeated.")] = None,  # noqa: E501, UP045
    drop_worst: Annotated[Optional[int], typer.Option("--drop-worst", min=0, help="Leave out so many runs of the highest loss.")] = None,  # noqa: E501, UP045
    huber_delta: Annotated[Optional[float], typer.Option("--huber-delta", help="Residuals beyond it count linearly.")] = None,  # noqa: E501, UP045
    bootstrap: Annotated[Optional[int], typer.Option("--bootstrap", min=0, help="Refits behind the intervals.")] = None,  # noqa: UP045
    seed: Annotated[Optional[int], typer.Option("--seed", min=0, help="Of the bootstrap.")] = None,  # noqa: UP045
    params_count: Annotated[Optional[str], typer.Option("--params-count", help="What params counts: total, or non_embedding.")] = None,  # noqa: E501, UP045
    fix: Annotated[Optional[list[str]], typer.Option("--fix", help="NAME=NUMBER: hold a coefficient. May be repeated.")] = None,  # noqa: E501, UP045
    tie: Annotated[Optional[list[str]], typer.Option("--tie", help="ONE=OTHER: two coefficients are one. May be repeated.")] = None,  # noqa: E501, UP045
    offset: Annotated[bool, typer.Option("--offset", help="Add a constant above 0 to the formula.")] = False,
    max_extrapolation: Annotated[Optional[float], typer.Option("--max-extrapolation", help="How many times beyond the runs forecasts may go.")] = None,  # noqa: E501, UP045
    sets: Annotated[Optional[list[str]], typer.Option("--set", help="NAME=VALUE, a parameter of the law, such as level=0.9. May be repeated.")] = None,  # noqa: E501, UP045
    page: Annotated[Optional[Path], typer.Option("--page", help="An HTML page with the fit, residuals and forecasts.")] = None,  # noqa: E501, UP045
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Fit a law to a table of runs; say how well the runs identify it.

    The intervals are those of one new run. What is stored forecasts again (`seedbed predict forecast`).
    """
    from seedbed import api
    from seedbed.recipe import parse

    asked: dict[str, Json] = {
        "drop_worst": drop_worst,
        "huber_delta": huber_delta,
        "n_bootstrap": bootstrap,
        "seed": seed,
        "params_count": params_count,
        "max_extrapolation": max_extrapolation,
        "offset": offset or None,
        "fix": cast("Json", numbers(fix, "--fix") or None),
        "tie": [list(pair) for pair in _pairs(tie, "--tie")] or None,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    given |= {name: parse(str(value)) for name, value in settings_of(sets).items()}
    fitted = api.fit(runs, law, given, only=only or (), out=out)
    if page is not None:
        store_text(page, api.law_page(fitted, title=f"{law}: {runs.name}"))
    if as_json:
        print(json.dumps(fitted.to_json()))
        return
    show_fit(law, fitted)
    for where, what in ((out, "Fit"), (page, "Page")):
        if where is not None:
            print(f"{what}: {where}")


def show_fit(law: str, fitted: FittedLaw) -> None:
    """Coefficients, facts and warnings."""
    from seedbed.pipeline.fitting import facts_of

    level = f"{100 * fitted.level:g} %"
    rows = [[name, *map(_plain, estimate)] for name, estimate in fitted.coefficients.items()]
    if rows:
        show_table(law, ["", "value", f"low ({level})", "high"], rows)
    facts = [list(line) for line in facts_of(fitted)]
    show_table("\nThe fit", ["", ""], facts)
    for warning in fitted.warnings:
        print(f"warning: {warning}", file=sys.stderr)


@predict.command("forecast")
def predict_forecast(fit: Fit, params: Params = None, tokens: Tokens = None, at: At = None, as_json: AsJson = False) -> None:  # noqa: E501  # fmt: skip
    """Forecast what a run will come to, with an interval, or refuse outside the law's domain."""
    from seedbed import api

    fitted, plan = api.load_fit(fit), plan_of(params, tokens, at)
    answer = fitted.forecast(plan)
    beyond = {name: factor for name, factor in fitted.outside(plan).items() if factor > 1}
    if as_json:
        told = {fitted.answer: answer.value, **answer._asdict(), "level": fitted.level, "outside": beyond}
        print(json.dumps(told))
        return
    print(f"{fitted.answer} {_interval(answer, fitted.level)}")
    where = ", ".join(f"{name} {factor:.3g} times" for name, factor in beyond.items())
    print(f"Beyond the runs: {where}." if where else "Inside the range of the runs.")


@predict.command("optimum")
def predict_optimum(
    fit: Fit,
    flops: Annotated[str, typer.Option("--flops", help="Compute of the training, such as 1e21.")],
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Divide compute between parameters and tokens: the lowest forecast."""
    from seedbed import api

    _show_estimates(api.optimum(fit, number(flops, "--flops"), numbers(at, "--at")), as_json)


@predict.command("mixture")
def predict_mixture(
    fit: Fit,
    params: Params = None,
    tokens: Tokens = None,
    at: At = None,
    cap: Annotated[Optional[list[str]], typer.Option("--cap", help="SHARE=NUMBER: at most so much of a domain, such as share_code=0.3. May be repeated.")] = None,  # noqa: E501, UP045
    general: Annotated[Optional[Path], typer.Option("--general", help="A fit of the general loss, by 1 - the domain's share: the largest share that keeps it.")] = None,  # noqa: E501, UP045
    tolerance: Annotated[float, typer.Option("--tolerance", min=0, help="With --general: how much worse it may get, as a fraction.")] = 0.03,  # noqa: E501
    before: Annotated[Optional[float], typer.Option("--before", help="With --general: the loss it is measured from.")] = None,  # noqa: E501, UP045
    flops: Annotated[Optional[str], typer.Option("--flops", help="With --general: divide so much compute too.")] = None,  # noqa: UP045
    domain_tokens: Annotated[Optional[str], typer.Option("--domain-tokens", help="There is no more text of the domain.")] = None,  # noqa: E501, UP045
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Choose shares: the mixture of the lowest forecast, or the largest share that general skill allows."""
    from seedbed import api
    from seedbed.pipeline.forecasting import Bound, beyond

    bound = Bound(
        general,
        tolerance,
        before,
        None if flops is None else number(flops, "--flops"),
        None if domain_tokens is None else number(domain_tokens, "--domain-tokens"),
    )
    found = api.mixture(fit, plan_of(params, tokens, at), numbers(cap, "--cap"), bound)
    _show_estimates(found, as_json)
    for warning in beyond(fit, found):
        print(f"warning: {warning}", file=sys.stderr)


@predict.command("hyperparameters")
def predict_hyperparameters(
    params: Annotated[str, typer.Option("--params", help="Parameters without embeddings, such as 1e9.")],
    tokens: Annotated[str, typer.Option("--tokens", help="Tokens it is trained on, such as 2e10.")],
    fit: Annotated[Optional[Path], typer.Option("--fit", help="A fit of step_law to your own runs; else the published law.")] = None,  # noqa: E501, UP045
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Learning rate and batch for a size and a length."""
    from seedbed import api

    found, remarks = api.hyperparameters(number(params, "--params"), number(tokens, "--tokens"), fit)
    _show_estimates(found, as_json)
    for remark in remarks:
        print(f"warning: {remark}", file=sys.stderr)


@predict.command("register")
def predict_register(fit: Fit, params: Params = None, tokens: Tokens = None, at: At = None, ledger: Ledger = LEDGER,
                     runs: Annotated[Optional[Path], typer.Option("--runs", help="The table it was fitted to: its hash must be that of the fit.")] = None,  # noqa: E501, UP045
                     note: Note = "", as_json: AsJson = False) -> None:  # fmt: skip
    """Write a forecast down before the run: value, interval, hashes of fit and data, the time."""
    from seedbed import api

    line = api.register(fit, plan_of(params, tokens, at), ledger, data=runs, note=note)
    if as_json:
        print(json.dumps(line))
        return
    print(f"Forecast {line['id']}: {line['answer']} {line['value']:.5g} ({line['low']:.5g} to {line['high']:.5g})")
    print(f"Ledger: {ledger}")


@predict.command("score")
def predict_score(
    forecast: Annotated[str, typer.Argument(help="Id of a forecast, or its beginning; not needed with --runs.")] = "",
    observed: Annotated[Optional[list[float]], typer.Option("--observed", help="What came, once for each seed.")] = None,  # noqa: E501, UP045
    runs: Annotated[Optional[Path], typer.Option("--runs", help="A table of runs, params counted as in the fit: every open forecast that they answer is scored.")] = None,  # noqa: E501, UP045
    began: Annotated[Optional[str], typer.Option("--began", help="When the run began (ISO 8601): before the forecast, it does not count.")] = None,  # noqa: E501, UP045
    ledger: Ledger = LEDGER,
    note: Note = "",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Fill in what came: relative error, whether the interval held it, CRPS, beside the noise between seeds."""
    from seedbed import api

    if bool(runs) == bool(forecast and observed):
        raise RecipeError("score", "needs either --runs, or a forecast and --observed", "Give one of the two.")
    lines = api.score(ledger, forecast, observed or (), runs=runs, began=began, note=note)
    if as_json:
        print(json.dumps(lines))
        return
    names = ("forecast", "mean", "error", "inside", "crps_relative", "seed_noise", "prospective")
    show_table("", list(names), [[_said(line[name]) for name in names] for line in lines])


@predict.command("ledger")
def predict_ledger(
    ledger: Annotated[Path, typer.Argument(help="The ledger.")] = LEDGER,
    head: Annotated[Optional[str], typer.Option("--head", help="Hash of its last line when you last saw it.")] = None,  # noqa: UP045
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """How far each law has earned trust: errors and coverage of its scored forecasts; whether a line was changed."""
    from seedbed import api

    standing, checked = api.ledger(ledger, head)
    if as_json:
        told = {"laws": [row.to_json() for row in standing], "lines": checked.lines, "head": checked.head}
        print(json.dumps({**told, "faults": list(checked.faults)}))
    else:
        from seedbed.predict.standing import table

        show_table("", *cast("tuple[Any, Any]", table(standing)))
        print(f"{checked.lines} lines; the last one's hash is {checked.head}")
        for said in (*checked.faults, *checked.notes):
            print(f"warning: {said}", file=sys.stderr)
    if checked.faults:
        raise typer.Exit(1)


@predict.command("plan")
def predict_plan(
    params: Annotated[str, typer.Option("--params", help="Parameters of the run to be forecast.")],
    tokens: Annotated[str, typer.Option("--tokens", help="Its tokens.")],
    flops: Annotated[Optional[str], typer.Option("--flops", help="The most that the small runs may cost together.")] = None,  # noqa: E501, UP045
    half_width: Annotated[Optional[float], typer.Option("--half-width", min=0, help="Half of the interval that is wanted, as a fraction of the loss: 0.01.")] = None,  # noqa: E501, UP045
    noise: Annotated[Optional[float], typer.Option("--noise", min=0, help="Deviation between seeds, as a fraction; else 0.003, or the fit's.")] = None,  # noqa: E501, UP045
    fit: Annotated[Optional[Path], typer.Option("--fit", help="A first fit; else the published constants of chinchilla.")] = None,  # noqa: E501, UP045
    speed: Annotated[Optional[str], typer.Option("--flops-per-second", help="Of your machine: prints hours.")] = None,  # noqa: UP045
    simulate: Annotated[int, typer.Option("--simulate", min=0, help="Ladders of made-up runs that check what is expected.")] = 0,  # noqa: E501
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """The cheapest ladder of small runs that pins a forecast down, and what it will cost."""
    from seedbed import api

    planned = api.plan_ladder(
        {"params": number(params, "--params"), "tokens": number(tokens, "--tokens")},
        flops=None if flops is None else number(flops, "--flops"),
        half_width=half_width,
        noise=noise,
        fit=fit,
        flops_per_second=None if speed is None else number(speed, "--flops-per-second"),
        simulations=simulate,
    )
    if as_json:
        print(json.dumps(planned.to_json()))
        return
    show_table("", *cast("tuple[Any, Any]", planned.rows()))
    for sentence in planned.summary():
        print(f"{sentence[0].upper()}{sentence[1:]}.")
    for warning in planned.warnings:
        print(f"warning: {warning}", file=sys.stderr)


@predict.command("concepts")
def predict_concepts(
    concepts: Annotated[Path, typer.Argument(help="A text file, a word or phrase a line.")],
    corpus: Annotated[list[str], typer.Option("--corpus", help="Output folders of a curation, files or folders of text. May be repeated.")],  # noqa: E501
    out: Annotated[Optional[Path], typer.Option("--out", help="Where to write the counts, as CSV.")] = None,  # noqa: UP045
    below: Annotated[Optional[float], typer.Option("--below", help="Rarer concepts are the long tail.")] = None,  # noqa: UP045
    items: Annotated[Optional[Path], typer.Option("--items", help="Probe items; those of the long tail are picked.")] = None,  # noqa: E501, UP045
    tail: Annotated[Optional[Path], typer.Option("--tail", help="Where to write these items.")] = None,  # noqa: UP045
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Count concepts in a corpus; pick probe items on rare ones. What frequency gives is law concept_frequency."""
    from seedbed import api
    from seedbed.evaluate.concepts import items_text, long_tail
    from seedbed.evaluate.rows import write_csv
    from seedbed.pipeline.concepts import tail as tail_of

    if (items is None) != (tail is None) or (items is not None and below is None):
        raise RecipeError("concepts", "--items, --tail and --below go together", "Give all three, or none.")
    counts = api.concepts(corpus, concepts)
    if out is not None:
        write_csv(counts, out)
    picked = [] if items is None or below is None else tail_of(items, counts, below)
    if tail is not None:
        store_text(tail, items_text(picked))
    shown = counts if below is None else long_tail(counts, below)
    rows = shown.to_pylist()
    if as_json:
        print(json.dumps({"concepts": counts.num_rows, "shown": rows, "items": len(picked)}))
        return
    show_table("", list(shown.column_names), [list(row.values()) for row in rows[:MOST_SHOWN]])
    print(f"{counts.num_rows} concepts; {shown.num_rows} shown or in {out or '--out'}; {len(picked)} items picked.")


def plan_of(params: str | None, tokens: str | None, at: list[str] | None) -> dict[str, float]:
    """What a forecast is asked for."""
    plan = numbers(at, "--at")
    for name, text in (("params", params), ("tokens", tokens)):
        if text is not None:
            plan[name] = number(text, f"--{name}")
    return plan


def number(text: str, where: str) -> float:
    """7e9, 7B, 0.3. Raises RecipeError for what is none."""
    from seedbed.core import units

    try:
        return float(text)
    except ValueError:
        return float(units.count(text, where))


def numbers(pairs: list[str] | None, option: str) -> dict[str, float]:
    """NAME -> number. Raises RecipeError for what is no pair, or no number."""
    return {name: number(text, f"{option} {name}") for name, text in _pairs(pairs, option)}


def _pairs(pairs: list[str] | None, option: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise RecipeError(f"{option} {pair}", "is not NAME=VALUE", f"Write it as {option} NAME=VALUE.")
        found.append((name.strip(), value.strip()))
    return found


def _show_estimates(found: Mapping[str, Estimate], as_json: bool) -> None:
    if as_json:
        print(json.dumps({name: estimate._asdict() for name, estimate in found.items()}))
        return
    show_table("", ["", "value", "low", "high"], [[name, *map(_plain, estimate)] for name, estimate in found.items()])


def _interval(answer: Estimate, level: float) -> str:
    if answer.low == answer.high:
        return f"{answer.value:.5g} (no interval: the fit has no bootstrap)"
    return f"{answer.value:.5g} ({100 * level:g} % interval {answer.low:.5g} to {answer.high:.5g})"


def _plain(value: float) -> str:
    return f"{value:.5g}"


def _said(value: object) -> str:
    return _plain(value) if isinstance(value, float) else str(value)
