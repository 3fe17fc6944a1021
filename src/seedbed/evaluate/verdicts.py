"""The outcome of a comparison in plain words: at equal tokens, and at equal total cost."""

from __future__ import annotations

from seedbed.evaluate.comparison import CONFIRMED_SEEDS
from seedbed.evaluate.summary import Difference, MethodSummary, Summary

FREE = 0.005
"""A price below this share of training is called next to nothing."""


def sentences(of: Summary) -> tuple[str, ...]:
    """One for each method: at equal tokens, then at equal total cost."""
    return tuple(_sentence(one, of.baseline) for one in of.methods if one.role != "baseline")


def notes(of: Summary) -> tuple[str, ...]:
    """What limits the comparison, as sentences."""
    compared = [one for one in of.methods if one.role == ""]
    fewest = min((one.seeds for one in of.methods), default=0)
    said = [f"With {fewest} replicates every result is indicative."] if fewest < CONFIRMED_SEEDS else []
    if len(compared) > 1:
        said.append(f"p-values are adjusted for {len(compared)} methods (Holm).")
    return tuple(said)


def _sentence(one: MethodSummary, baseline: str) -> str:
    at_tokens = f"At equal tokens {_difference(one.method, baseline, one.at_equal_tokens)}{_faster(one, baseline)}"
    return f"{at_tokens}; {_at_cost(one, baseline)}."


def _at_cost(one: MethodSummary, baseline: str) -> str:
    dearer = (one.training_flops + one.selection_flops) / one.training_flops
    price = f"{dearer:.3g} times the cost of training"
    if one.at_equal_cost is not None and dearer < 1 + FREE:
        return "choosing costs next to nothing, so at equal total cost the same holds"
    if one.at_equal_cost is not None:
        return f"at equal total cost ({price}) {_difference('it', baseline, one.at_equal_cost)}"
    if not one.is_cost_beyond:
        return f"{baseline} was not trained at its total cost ({price})"
    said = f"its total cost ({price}) lies beyond the longest {baseline}"
    speed = one.speedup_equal_cost
    if speed is None or speed.bound in ("at least", "unknown"):
        return f"{said}, so nothing is said at equal total cost"
    share = f"{'at most ' if speed.bound else ''}{speed.factor.value:.2g}"
    return f"{said}, which reaches the same loss for {share} times that cost"


def _difference(name: str, baseline: str, found: Difference | None) -> str:
    if found is None:
        return f"{name} was not compared"
    interval, size = found.interval, abs(found.interval.value)
    side = "below" if interval.value < 0 else "above"
    if interval.low is None or interval.high is None or found.p_holm is None:
        return f"{name} lies {size:.3f} bits per byte {side} {baseline} (one seed: nothing is shown)"
    seeds = f"{interval.n} seeds" + (": indicative" if interval.n < CONFIRMED_SEEDS else "")
    certainty = f"{'adjusted ' if found.methods > 1 else ''}p {_p(found.p_holm)}, {seeds}"
    percent = f"{100 * interval.level:g} % interval"
    signed = f"{percent} {interval.low:+.3f} to {interval.high:+.3f}, {certainty}"
    if found.verdict in ("better", "worse"):
        verb = "beats" if found.verdict == "better" else "loses to"
        near, far = sorted((abs(interval.low), abs(interval.high)))
        return f"{name} {verb} {baseline} by {size:.3f} bits per byte ({percent} {near:.3f} to {far:.3f}, {certainty})"
    if found.verdict == "not after correction":
        many = f"no finding among {found.methods} methods"
        return f"{name} lies {size:.3f} bits per byte {side} {baseline}, {many} ({signed})"
    return f"no difference between {name} and {baseline} can be told ({interval.value:+.3f} bits per byte, {signed})"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "below 0.001"


def _faster(one: MethodSummary, baseline: str) -> str:
    speed = one.speedup_equal_tokens
    if speed is None:
        return ""
    if speed.bound == "unknown":
        return (
            f", and its loss lies outside of {baseline}'s measured curve in {speed.censored} of {speed.factor.n} seeds"
        )
    if one.at_equal_tokens is not None and one.at_equal_tokens.verdict in ("better", "worse"):
        seeds = f", never reached in {speed.censored} of {speed.factor.n} seeds" if speed.bound == "at least" else ""
        return f", and {baseline} needs {speed.words} times the tokens to get there{seeds}"
    return f"; speed-up {speed.words}"
