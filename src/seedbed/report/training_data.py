"""What the section on a training run is made of: plain numbers and texts."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Series:
    """What was logged, step by step; a number that is missing is NaN."""

    tokens: tuple[float, ...]
    loss_nats_per_token: tuple[float, ...]
    learning_rate: tuple[float, ...]
    grad_norm: tuple[float, ...]
    tokens_per_second: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class SourceShare:
    """One source (or one view of it).

    Args:
        name: of the source.
        asked, realised: share of all tokens read so far.
        asked_curve, realised_curve: at each logged step; what was asked there, and what was read until there.
    """

    name: str
    asked: float
    realised: float
    asked_curve: tuple[float, ...] = ()
    realised_curve: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Incident:
    """A step that was skipped, and the documents it was made of."""

    step: int
    reason: str
    documents: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Training:
    """One training run.

    Args:
        steps, total_steps, tokens, total_tokens: done, and planned.
        params: all parameters of the model.
        series: the log.
        final_loss: mean over the last 2 % of the logged steps, nats per token.
        flops: spent on training (FLOP).
        seconds, waited_seconds: of training, and of those waiting for data; None where no clock was read.
        seed: of the run.
        shares: of the sources.
        incidents: skipped steps, in their order.
        heldout: (domain, bits per byte, loss in nats per token) of the final model.
        facts: (what, value): runtime, origin, sources.
        plan_yaml: the resolved plan.
    """

    steps: int
    total_steps: int
    tokens: int
    total_tokens: int
    params: int
    series: Series
    final_loss: float
    flops: float
    seconds: float | None
    waited_seconds: float | None
    seed: int
    shares: tuple[SourceShare, ...] = ()
    incidents: tuple[Incident, ...] = ()
    heldout: tuple[tuple[str, float, float], ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    plan_yaml: str = ""
