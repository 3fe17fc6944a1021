"""Laws of the share of one kind of text: their form, and what is chosen with them.

`share` is the share of the text that the loss is of. With a fit of the loss on a domain and one of the loss on all
other text, whose share is what the domain leaves, come the three uses of Que et al. 2024 (arXiv 2406.01375, section 4):
the largest share that general skill allows, the share when text of the domain is scarce, and the division of compute.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.predict.contract import PARAMS, TOKENS, Estimate, FloatArray, Plan, Variable
from seedbed.predict.fitted import Fitted
from seedbed.predict.form import Coefficient, Form, Points
from seedbed.stats import dcpt

SHARE = Variable("share", "share", what="share of the text that the loss is of")
COEFFICIENTS = (
    Coefficient("E", *dcpt.BOUNDS[0], per={"loss": 1.0}),
    Coefficient("A", *dcpt.BOUNDS[1], per={"params": "alpha", "loss": 1.0}),
    Coefficient("alpha", *dcpt.BOUNDS[2], is_log=False),
    Coefficient("B", *dcpt.BOUNDS[3], per={"tokens": "beta", "loss": 1.0}),
    Coefficient("beta", *dcpt.BOUNDS[4], is_log=False),
    Coefficient("eta", *dcpt.BOUNDS[5], is_log=False),
    Coefficient("C", *dcpt.BOUNDS[6], per={"loss": 1.0}),
    Coefficient("gamma", *dcpt.BOUNDS[7], is_log=False),
    Coefficient("eps", *dcpt.BOUNDS[8]),
)
"""In the order of dcpt.NAMES."""
NONE_OF_IT = np.array([-700.0, -700.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
"""What stands for a coefficient that is left out: no such term, no such exponent."""
GRID, COARSE, SIZES = 1001, 201, 61
"""Shares looked at; shares and sizes where both are sought."""
Kind = TypeVar("Kind", bound=Fitted)


def dcpt_form(columns: Sequence[str], n_starts: int) -> Form:
    """E + A / N^alpha + B r^eta / D^beta + C / (r + eps)^gamma; without params or tokens, what is left of it."""
    absent = {v for v in (PARAMS, TOKENS) if v.name not in columns}
    without = {name for v, names in ((PARAMS, ("A", "alpha")), (TOKENS, ("beta",))) if v in absent for name in names}
    kept = [i for i, coefficient in enumerate(COEFFICIENTS) if coefficient.name not in without]

    def value(params_K: FloatArray, points: Points) -> tuple[FloatArray, FloatArray]:
        params_P = NONE_OF_IT.copy()
        params_P[kept] = params_K
        zero_R = np.zeros(len(points["share"]))
        relative = [points.get("params", zero_R), points.get("tokens", zero_R), points["share"]]
        log_R, jacobian_RP = dcpt.log_loss(params_P, np.column_stack(relative))
        return log_R, jacobian_RP[:, kept]

    def starts(points: Points, answer_N: FloatArray) -> list[FloatArray]:  # noqa: ARG001
        return list(dcpt.begins(n_starts, np.random.default_rng(0))[:, kept])

    present = {v.name for v in (PARAMS, TOKENS) if v not in absent}
    coefficients = [
        dataclasses.replace(c, per={name: times for name, times in c.per.items() if name in {*present, "loss"}})
        for c in (COEFFICIENTS[i] for i in kept)
    ]
    variables = tuple(v for v in (PARAMS, TOKENS, SHARE) if v not in absent)
    return Form(variables, tuple(coefficients), value, starts)


@dataclasses.dataclass(frozen=True, eq=False)
class ShareFitted(Fitted):
    """A fit that reads a share, and so can choose it."""

    def mixture(self, given: Plan, caps: Mapping[str, float]) -> dict[str, Estimate]:
        """share and the answer where the answer is lowest, among shares between those of the runs."""
        for name in caps:
            if name != "share":
                raise SeedbedError(self.law.name(), f"there is no share {name!r}", did_you_mean(name, ["share"]))
        cap, (low, high) = caps.get("share", 1.0), self.domain["share"]
        share_G = np.linspace(min(low, cap), min(high, cap), GRID)
        columns = spread(self, {**given, "share": float(share_G[0])}, share_G)
        share = float(share_G[np.argmin(self.predict_all(columns))])
        drawn = [share_G[np.argmin(self.predict_all(columns, params_P))] for params_P in self.draws]
        return {
            "share": self.estimate(share, np.array(drawn)),
            self.answer: self.forecast({**given, "share": share}),
        }

    def carried(self, runs: Mapping[str, Sequence[float]]) -> ShareFitted:
        """The fit of another domain from as few as two runs of it: a shift and a scale of the loss, all else stays.

        Args:
            runs: column -> numbers of those runs: what the law reads, and the answer.
        """
        loss_R = np.array(runs[self.answer], np.float64)
        plans = [{v.name: float(runs[v.name][i]) for v in self.variables} for i in range(len(loss_R))]
        columns = {v.name: np.array([self.complete(plan)[v.name] for plan in plans]) for v in self.variables}
        params = self._shifted(np.array(self.params), columns, loss_R)
        if params is None:
            what = "the new runs ask for a loss whose floor is not above 0"
            raise SeedbedError(self.law.name(), what, "Give runs of shares further apart, or fit the domain by itself.")
        drawn = [self._shifted(params_P, columns, loss_R) for params_P in self.draws]
        draws = np.array([params if each is None else each for each in drawn]).reshape(self.draws.shape)
        said = (*self.said, f"carried over to another domain by {len(loss_R)} runs")
        return dataclasses.replace(self, params=tuple(params.tolist()), draws=draws, said=said)

    def _shifted(
        self, params_P: FloatArray, columns: Mapping[str, FloatArray], loss_R: FloatArray
    ) -> FloatArray | None:
        """params_P of shift + scale * loss; None where its floor is not above 0."""
        shift, scale = dcpt.carried(self.predict_all(columns, params_P), loss_R)
        terms = [i for i, c in enumerate(self.form.coefficients) if self.answer in c.per]
        moved = params_P.copy()
        moved[terms] += np.log(scale)
        floor = np.exp(moved[self.form.index("E")]) + shift / np.exp(self.centre[self.answer])
        if not floor > 0:
            return None
        moved[self.form.index("E")] = np.log(floor)
        return moved


def specialised(kind: type[Kind], found: Fitted) -> Kind:
    """The fit as one of a class that can do more."""
    return kind(**{field.name: getattr(found, field.name) for field in dataclasses.fields(found)})


def largest_share(
    general: Fitted, given: Plan, *, tolerance: float = 0.03, before: float | None = None, cap: float = 1.0
) -> dict[str, Estimate]:
    """The largest share of a domain whose general loss stays within (1 + tolerance) of that before.

    Args:
        general: a fit of the loss on all other text, by the share of that text: 1 - the domain's.
        given: the plan without its share.
        tolerance: as a fraction of the loss before.
        before: general loss that it is measured from; what the law says of no text of the domain where not given.
        cap: the largest share there may be.
    """
    low, high = general.domain["share"]
    share_G = np.linspace(min(1 - high, cap), min(1 - low, cap), GRID)
    columns = spread(general, {**given, "share": 1.0}, 1 - share_G)
    alone = {name: values[:1] for name, values in spread(general, {**given, "share": 1.0}, np.ones(1)).items()}
    if before is None:
        general.forecast({**given, "share": 1.0})  # no bound where the runs say nothing of it

    def chosen(params_P: FloatArray | None) -> float:
        base = general.predict_all(alone, params_P)[0] if before is None else before
        kept = np.flatnonzero(general.predict_all(columns, params_P) <= (1 + tolerance) * base)
        return float(share_G[kept[-1]]) if len(kept) else np.nan

    share = chosen(None)
    if np.isnan(share):
        what = f"no share between those tried keeps the general loss within {tolerance:.3g} of that before"
        raise SeedbedError(general.law.name(), what, "Try smaller shares of the domain, or allow more.")
    drawn = np.array([chosen(params_P) for params_P in general.draws])
    found = general.estimate(share, np.where(np.isnan(drawn), share_G[0], drawn))
    return {"share": found, general.answer: general.forecast({**given, "share": 1 - share})}


def scarce(domain: Fitted, given: Plan, domain_tokens: float) -> dict[str, Estimate]:
    """share, tokens and the lowest loss on a domain of which there are `domain_tokens`, all of them read once.

    More of other text makes training longer and the share smaller: tokens = domain_tokens / share.
    """
    low, high = domain.domain["share"]
    share_G = np.linspace(max(low, high / GRID), high, GRID)
    shortest, longest = domain.domain["tokens"]
    room = domain.law.max_extrapolation
    share_G = share_G[(domain_tokens / share_G <= longest * room) & (domain_tokens / share_G >= shortest / room)]
    if not len(share_G):
        what = f"{domain_tokens:.3g} tokens of the domain lead to lengths too far beyond the runs"
        raise SeedbedError(domain.law.name(), what, "Add runs nearer to them.")
    whole = {**given, "share": float(share_G[0]), "tokens": domain_tokens / float(share_G[0])}
    columns = {**spread(domain, whole, share_G), "tokens": domain_tokens / share_G}
    share = float(share_G[np.argmin(domain.predict_all(columns))])
    drawn = np.array([share_G[np.argmin(domain.predict_all(columns, params_P))] for params_P in domain.draws])
    return {
        "share": domain.estimate(share, drawn),
        "tokens": domain.estimate(domain_tokens / share, domain_tokens / drawn),
        domain.answer: domain.forecast({**given, "share": share, "tokens": domain_tokens / share}),
    }


def divided(
    domain: Fitted, general: Fitted, flops: float, *, tolerance: float = 0.03, before: float | None = None
) -> dict[str, Estimate]:
    """params, tokens, share and the lowest loss on a domain for `flops` FLOP, general loss within its tolerance.

    Args:
        domain, general: fits of the loss on the domain, by its share, and on other text, by 1 - that.
        flops: of the training.
        tolerance, before: as in largest_share; without `before` each size and length is measured from its own.
    """
    product, room = flops / domain.flops_per_product, np.log(domain.law.max_extrapolation)
    (low_n, high_n), (low_d, high_d) = (np.log(domain.domain[name]) for name in ("params", "tokens"))
    ends = max(low_n - room, np.log(product) - high_d - room), min(high_n + room, np.log(product) - low_d + room)
    if ends[0] > ends[1]:
        raise SeedbedError(
            domain.law.name(), f"{flops:.3g} FLOP lies too far beyond the runs", "Add runs nearer to it."
        )
    share_G, params_S = _common(domain, general), np.exp(np.linspace(float(ends[0]), float(ends[1]), SIZES))
    at = np.arange(SIZES * COARSE)
    params, share = params_S[at // COARSE], share_G[at % COARSE]
    columns: dict[str, FloatArray] = {"params": params, "tokens": product / params, "share": share}

    def chosen(domain_P: FloatArray | None, general_P: FloatArray | None) -> int | None:
        kept = general.predict_all({**columns, "share": 1 - share}, general_P)
        base = general.predict_all({**columns, "share": np.ones(len(share))}, general_P) if before is None else before
        loss = np.where(kept <= (1 + tolerance) * base, domain.predict_all(columns, domain_P), np.inf)
        return int(np.argmin(loss)) if np.isfinite(loss.min()) else None

    best = chosen(None, None)
    if best is None:
        raise SeedbedError(general.law.name(), "no share keeps the general loss", "Try smaller shares, or allow more.")
    if best // COARSE in (0, SIZES - 1):
        what = f"the runs show no best size for {flops:.3g} FLOP: the forecast falls all the way to one side"
        raise SeedbedError(domain.law.name(), what, "Add runs that differ in both params and tokens.")
    pairs = zip(domain.draws, general.draws, strict=False)
    drawn = [best if at is None else at for at in (chosen(*pair) for pair in pairs)]
    found = {name: domain.estimate(float(values[best]), values[drawn]) for name, values in columns.items()}
    return {**found, domain.answer: domain.forecast({name: float(values[best]) for name, values in columns.items()})}


def spread(fitted: Fitted, plan: Plan, share_G: FloatArray) -> dict[str, FloatArray]:
    """The law's columns at each of these shares, all else as in the plan."""
    whole = fitted.complete(plan)
    return {**{v.name: np.full(len(share_G), whole[v.name]) for v in fitted.variables}, "share": share_G}


def _common(domain: Fitted, general: Fitted) -> FloatArray:
    """Shares of the domain that both fits have seen."""
    (low, high), (least, most) = domain.domain["share"], general.domain["share"]
    low, high = max(low, 1 - most), min(high, 1 - least)
    if low > high:
        what = f"no share is in both fits: one begins at {low:.3g} of the domain, the other ends at {high:.3g}"
        raise SeedbedError(domain.law.name(), what, "Fit both to the same runs; the general fit reads 1 - share.")
    return np.linspace(low, high, COARSE)
