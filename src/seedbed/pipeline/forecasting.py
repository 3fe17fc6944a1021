"""Forecasts of fits that are stored: asked, written down before the run, and scored after it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.core.errors import SeedbedError
from seedbed.pipeline.fitting import load_fit
from seedbed.predict.contract import Allocates, Estimate, FittedLaw, Law, Mixes, Plan, Recommends
from seedbed.predict.fitted import Fitted

if TYPE_CHECKING:
    from seedbed.predict.ledger import Checked, Line
    from seedbed.predict.planning import Planned
    from seedbed.predict.standing import Standing


def forecast(fit: str | Path, plan: Plan) -> Estimate:
    """(value, low, high) of a stored fit for a plan such as {"params": 7e9, "tokens": 1.4e12}."""
    return load_fit(fit).forecast(plan)


def optimum(fit: str | Path, flops: float, given: Plan | None = None) -> Mapping[str, Estimate]:
    """params, tokens and the answer at the lowest forecast that `flops` FLOP of training buy."""
    fitted = load_fit(fit)
    if not isinstance(fitted, Allocates):
        raise SeedbedError(str(fit), "this law does not divide compute", "Fit chinchilla, or a law like it.")
    return fitted.optimum(flops, given or {})


@dataclasses.dataclass(frozen=True)
class Bound:
    """What a share of one domain has to keep to; the same fits serve all three.

    Args:
        general: a fit of the loss on all other text, which may not get worse than by `tolerance`.
        tolerance: as a fraction.
        before: the general loss that it is measured from; what the law says of no text of the domain where not given.
        flops: divide so much compute too.
        domain_tokens: there is no more text of the domain than that, and it is read once.
    """

    general: str | Path | None = None
    tolerance: float = 0.03
    before: float | None = None
    flops: float | None = None
    domain_tokens: float | None = None


def mixture(
    fit: str | Path, given: Plan, caps: Mapping[str, float] | None = None, bound: Bound | None = None
) -> Mapping[str, Estimate]:
    """The shares of the lowest forecast within caps, or the share of one domain that a bound leaves."""
    fitted, bound = load_fit(fit), bound or Bound()
    if bound.general is None and bound.domain_tokens is None:
        if not isinstance(fitted, Mixes):
            raise SeedbedError(str(fit), "this law has no shares", "Fit dcpt_law, data_mixing_law, regmix or cmr.")
        return fitted.mixture(given, caps or {})
    from seedbed.predict import shares

    domain = _of_share(fitted, str(fit))
    if bound.general is None:
        assert bound.domain_tokens is not None
        return shares.scarce(domain, given, bound.domain_tokens)
    general = _of_share(load_fit(bound.general), str(bound.general))
    if bound.flops is not None:
        return shares.divided(domain, general, bound.flops, tolerance=bound.tolerance, before=bound.before)
    cap = (caps or {}).get("share", 1.0)
    found = shares.largest_share(general, given, tolerance=bound.tolerance, before=bound.before, cap=cap)
    at = domain.forecast({**given, "share": found["share"].value})
    return {"share": found["share"], f"domain_{domain.answer}": at, f"general_{general.answer}": found[general.answer]}


def beyond(fit: str | Path, found: Mapping[str, Estimate]) -> tuple[str, ...]:
    """A sentence on each number of a mixture that lies beyond the runs."""
    fitted = load_fit(fit)
    domain = fitted.domain if isinstance(fitted, Fitted) else {}
    spans = [(name, found[name].value, *domain[name]) for name in found if name in domain]
    return tuple(
        f"{name} {at:.3g} lies beyond the runs ({low:.3g} to {high:.3g}): hold it inside with --cap, or add runs there"
        for name, at, low, high in spans
        if at > high * (1 + 1e-9) or at < low * (1 - 1e-9)
    )


def _of_share(fitted: FittedLaw, where: str) -> Fitted:
    if isinstance(fitted, Fitted) and "share" in {v.name for v in fitted.variables}:
        return fitted
    raise SeedbedError(where, "is no law of one domain's share", "Fit dcpt_law.")


def hyperparameters(
    params: float, tokens: float, fit: str | Path | None = None
) -> tuple[Mapping[str, Estimate], tuple[str, ...]]:
    """(learning_rate and batch_tokens, remarks), from the published Step Law or a fit to one's own runs."""
    if fit is not None:
        fitted = load_fit(fit)
        if not isinstance(fitted, Recommends):
            raise SeedbedError(str(fit), "this law recommends no hyperparameters", "Fit step_law.")
        return fitted.hyperparameters({"params": params, "tokens": tokens}), fitted.warnings
    from seedbed.model.step_law import HIGHEST_RATE, PARAMETERS_RANGE, TOKENS_RANGE, step_law

    law = step_law(round(params), round(tokens))
    found = {
        "learning_rate": Estimate(law.learning_rate, *law.learning_rate_band),
        "batch_tokens": Estimate(law.batch_tokens, *law.batch_tokens_band),
    }
    remarks: list[str] = []
    if not law.in_range:
        spans = f"{PARAMETERS_RANGE[0]:.2g} to {PARAMETERS_RANGE[1]:.2g} parameters, {TOKENS_RANGE[0]:.2g} to "
        remarks.append(
            f"outside of the runs it was fitted on ({spans}{TOKENS_RANGE[1]:.2g} tokens): a point to try round"
        )
    if law.is_held:
        remarks.append(f"the formula asks for {law.formula_rate:.3g}; the rate is held at {HIGHEST_RATE:g}")
    return found, tuple(remarks)


def register(
    fit: str | Path, plan: Plan, ledger: str | Path, *, data: str | Path | None = None, note: str = ""
) -> Line:
    """Write a forecast into the ledger. Raises SeedbedError outside the law's domain."""
    from seedbed.predict import ledger as books

    data_file = None if data is None else Path(data)
    return books.register(Path(ledger), load_fit(fit), plan, fit_file=Path(fit), data_file=data_file, note=note)


def register_once(ledger: Path, fit: Path, plans: Sequence[Plan]) -> None:
    """Write down what is not yet written of these forecasts by this fit."""
    from seedbed.core.fingerprint import hash_file
    from seedbed.predict import ledger as books

    there = [line for line in books.read(ledger) if line["kind"] == "forecast" and line["fit_hash"] == hash_file(fit)]
    for plan in plans:
        if not any(line["plan"] == dict(plan) for line in there):
            register(fit, plan, ledger)


def score(
    ledger: str | Path,
    forecast: str = "",
    observed: Sequence[float] = (),
    *,
    runs: str | Path | None = None,
    began: str | None = None,
    note: str = "",
    law: Law | None = None,
) -> list[Line]:
    """Fill in what came: of one forecast, or of all that a table of runs answers; `law` says how params are counted."""
    from seedbed.predict import outcomes, run

    began_at = None if began is None else _time(began)
    if runs is None:
        return [outcomes.score(Path(ledger), forecast, list(observed), began_at=began_at, note=note)]
    table = run.read_runs(Path(runs))
    table = table if law is None else run.counted(law, table)
    scored = outcomes.score_table(Path(ledger), table, began_at=began_at, note=note)
    return scored.lines


def ledger(file: str | Path, head: str | None = None) -> tuple[list[Standing], Checked]:
    """(how far each law has earned trust, whether a line of the ledger was changed)."""
    from seedbed.predict import ledger as books
    from seedbed.predict import standing

    checked = books.check(Path(file), head)
    return ([] if checked.faults else standing.standing(Path(file))), checked


def plan_ladder(
    target: Plan,
    *,
    flops: float | None = None,
    half_width: float | None = None,
    noise: float | None = None,
    fit: str | Path | None = None,
    flops_per_second: float | None = None,
    simulations: int = 0,
) -> Planned:
    """The ladder that pins a forecast down, by a first fit or the published constants of the Chinchilla law."""
    from seedbed.predict import planning
    from seedbed.predict.laws.chinchilla import Chinchilla

    law, known, measured = Chinchilla(), planning.REPLICATED, 0.003
    if fit is not None:
        fitted = load_fit(fit)
        if not isinstance(fitted, Fitted):
            raise SeedbedError(str(fit), "a ladder is planned for a law with a formula", "Fit chinchilla.")
        law = fitted.law
        known, measured = planning.known_of(fitted)
    return planning.plan(
        law,
        known,
        target,
        budget_flops=flops,
        half_width=half_width,
        noise=measured if noise is None else noise,
        options=planning.Options(n_simulations=simulations),
        flops_per_second=flops_per_second,
    )


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise SeedbedError(f"--began {text}", "is no time", "Write it as 2026-11-22T10:00:00+00:00.") from error
    return found if found.tzinfo is not None else found.astimezone()
