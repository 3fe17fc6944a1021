"""Infinite: warm-up, cooldown, a constant rate without an end, and an annealing that is an event.

What      The rate rises, cools down to a constant and stays there for as long as text arrives: nothing is re-warmed
          between data sets. Each checkpoint of the constant phase can be gone on from. What is published is annealed
          from there, on a branch that no further training begins from. With lengths in tokens the rate before the
          annealing does not know where training ends.
Source    Ibrahim et al. 2024, "Simple and Scalable Strategies to Continually Pre-train Large Language Models", arXiv
          2403.08763, section 7.4 and appendix; on settings also Singh et al. 2025, arXiv 2503.02844.
Formula   T_w, T_c: ends of warm-up and cooldown; T_a: start of the annealing; x: progress through a phase, 0 to 1
          warm-up:   t / T_w
          cooldown:  cosine  constant + (1 - constant) (1 + cos(pi x)) / 2
                     inverse_sqrt  1 + (constant - 1) h(x) / h(1),  h(x) = 1 / sqrt(1 + alpha x) - 1
          constant:  constant
          annealing: eta(T_a) (floor / eta(T_a))^x, where eta(T_a) = constant from T_c on
Shapes    progress -> factor
Units     tokens; fractions of total_tokens; the factor is a fraction of the peak rate
Fidelity  Adapted. Lengths are in tokens, where the paper's are in steps of a known run. The fractions, which hold where
          no tokens are given, are those of its runs (warm-up 1 %, cooldown up to 60 %), as are constant = 1.65 / 3 and
          floor = 0.3 / 3. The paper anneals from the constant phase alone; here an annealing may also begin in the
          cooldown, from the rate reached there. alpha = 10 is told by others; the paper was not at hand.
Errors    A floor above the constant, a constant of 0, and a warm-up and an annealing that together exceed the training
          raise RecipeError. A cooldown that ends behind the training is none: a run that may be prolonged is cut short
          there. Nor is an annealing of less than a batch: there is none. Tokens outside [0, total_tokens] are held at
          its ends.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from seedbed.core.errors import RecipeError
from seedbed.train.contract import Progress, Schedule
from seedbed.train.spans import Spans, check_past, spans


@dataclasses.dataclass(frozen=True)
class Infinite(Schedule):
    """The infinite schedule.

    Args:
        warmup_fraction, cooldown_fraction: lengths as parts of total_tokens; not used where tokens are given. With
            them the rate depends on where training ends, so it cannot be annealed from anywhere.
        warmup_tokens, cooldown_tokens: lengths in tokens, the same for every total.
        cooldown: its shape.
        alpha: how steeply the inverse square root begins.
        constant: the factor of the phase without an end.
        anneal_tokens: length of the annealing at the end of training, rounded down to whole batches; None: training
            ends at the constant rate.
        floor: the factor where the annealing ends.
    """

    warmup_fraction: Annotated[float, Ge(0), Le(1)] = 0.01
    warmup_tokens: Annotated[int | None, Ge(0)] = None
    cooldown_fraction: Annotated[float, Ge(0), Le(1)] = 0.59
    cooldown_tokens: Annotated[int | None, Ge(0)] = None
    cooldown: Literal["cosine", "inverse_sqrt"] = "cosine"
    alpha: Annotated[float, Gt(0)] = 10.0
    constant: Annotated[float, Gt(0), Le(1)] = 0.55
    anneal_tokens: Annotated[int | None, Ge(0)] = None
    floor: Annotated[float, Gt(0), Le(1)] = 0.1

    def __post_init__(self) -> None:
        """Raises RecipeError where the annealing would raise the rate."""
        super().__post_init__()
        if self.floor > self.constant:
            what = f"{self.floor:g} is above the constant rate of {self.constant:g}"
            raise RecipeError(f"{self.path()}.floor", what, "Let the annealing lower the rate.")

    def value(self, at: Progress) -> float:
        """The factor on the peak learning rate."""
        parts = self._spans(at)
        if parts.is_warming_up:
            return parts.tokens / parts.warmup
        if not parts.is_decaying:
            return self._trunk(parts.tokens, parts)
        start = self._trunk(parts.decay_start, parts)
        return start * (self.floor / start) ** ((parts.tokens - parts.decay_start) / parts.decay)

    def annealing(self, at: Progress) -> bool:
        """Whether that is in the annealing."""
        return self._spans(at).is_decaying

    def annealed(self, tokens: int) -> Schedule:
        """The same with an annealing of `tokens`. Raises RecipeError where a length is a fraction of the training."""
        lengths = ((self.warmup_fraction, self.warmup_tokens), (self.cooldown_fraction, self.cooldown_tokens))
        check_past(self, *lengths, names=("warmup", "cooldown"))
        return dataclasses.replace(self, anneal_tokens=tokens)

    def _trunk(self, tokens: float, parts: Spans) -> float:
        """Cooldown and constant phase, as if there were no annealing."""
        length = self.cooldown_tokens
        cooldown = self.cooldown_fraction * parts.total if length is None else float(length)
        if tokens >= parts.warmup + cooldown:
            return self.constant
        x = (tokens - parts.warmup) / cooldown
        if self.cooldown == "cosine":
            return self.constant + (1.0 - self.constant) * (1.0 + math.cos(math.pi * x)) / 2.0
        return 1.0 + (self.constant - 1.0) * self._falling(x) / self._falling(1.0)

    def _falling(self, x: float) -> float:
        return 1.0 / math.sqrt(1.0 + self.alpha * x) - 1.0

    def _spans(self, at: Progress) -> Spans:
        return spans(self, at, (self.warmup_fraction, self.warmup_tokens), (0.0, self.anneal_tokens), "anneal")
