"""How long the parts of a schedule are: in tokens as given, or as a fraction of the training."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from annotated_types import Ge, Le

from seedbed.core.errors import RecipeError
from seedbed.train.contract import Progress, Schedule


@dataclasses.dataclass(frozen=True)
class Spans:
    """A point of training, and where the parts of a schedule lie. All in tokens.

    Args:
        tokens: the point, held inside [0, total].
        total: of the training.
        warmup: length of the warm-up at the start.
        decay: length of the decay at the end.
    """

    tokens: float
    total: int
    warmup: float
    decay: float = 0.0

    @property
    def decay_start(self) -> float:
        """Where the decay begins."""
        return self.total - self.decay

    @property
    def is_warming_up(self) -> bool:
        """Whether the point lies in the warm-up."""
        return self.tokens < self.warmup

    @property
    def is_decaying(self) -> bool:
        """Whether the point lies in the decay."""
        return self.decay > 0 and self.tokens > self.decay_start


def spans(
    schedule: Schedule,
    at: Progress,
    warmup: tuple[float, int | None],
    decay: tuple[float, int | None] = (0.0, None),
    ending: str = "decay",
) -> Spans:
    """The parts of `schedule`, from (fraction, tokens) of each; tokens go before the fraction. `ending` names the last.

    A decay in tokens is rounded down to whole batches, since a training is a whole number of them: then it begins just
    where a run ends that is shorter by it. Raises RecipeError where the parts exceed the training.
    """
    total = at.total_tokens
    warming = warmup[0] * total if warmup[1] is None else float(warmup[1])
    decaying = decay[0] * total if decay[1] is None else float(decay[1] // at.batch_tokens * at.batch_tokens)
    if warming + decaying > total:
        what = f"a warm-up of {warming:.0f} and {decaying:.0f} tokens of {ending} exceed the {total} of training"
        field = "warmup_tokens" if warmup[1] is not None else f"{ending}_tokens"
        raise RecipeError(f"{schedule.name()}.{field}", what, "Shorten them, or train longer.")
    return Spans(min(max(at.tokens, 0), total), total, warming, decaying)


def check_past(schedule: Schedule, *parts: tuple[float, int | None], names: tuple[str, ...] = ("warmup",)) -> None:
    """Raises RecipeError where a part at the beginning, (fraction, tokens), is as long as the end says."""
    for name, (fraction, tokens) in zip(names, parts, strict=True):
        if tokens is None and fraction > 0:
            what = "its length depends on where training ends, so an annealing would change the past"
            raise RecipeError(f"{schedule.path()}.{name}_fraction", what, f"Give {name}_tokens instead.")


@dataclasses.dataclass(frozen=True)
class Decaying(Schedule):
    """A trunk that warms up, and a decay of its own at the end: what such schedules share.

    Args:
        warmup_fraction: of total_tokens; not used where warmup_tokens is given.
        warmup_tokens: length of the warm-up in tokens, the same for every total: what makes runs branch exactly.
        decay_fraction: of total_tokens, at the end; not used where decay_tokens is given.
        decay_tokens: length of the decay in tokens, rounded down to whole batches.
    """

    warmup_fraction: Annotated[float, Ge(0), Le(1)] = 0.02
    warmup_tokens: Annotated[int | None, Ge(0)] = None
    decay_fraction: Annotated[float, Ge(0), Le(1)] = 0.2
    decay_tokens: Annotated[int | None, Ge(0)] = None

    def __post_init__(self) -> None:
        """Raises RecipeError where warm-up and decay overlap."""
        super().__post_init__()
        are_fractions = self.warmup_tokens is None and self.decay_tokens is None
        if are_fractions and self.warmup_fraction + self.decay_fraction > 1:
            raise RecipeError(f"{self.name()}.decay_fraction", "warm-up and decay together exceed the training")

    def annealing(self, at: Progress) -> bool:
        """Whether that is in the decay."""
        return self.parts(at).is_decaying

    def annealed(self, tokens: int) -> Schedule:
        """The same with a decay of `tokens`. Raises RecipeError where the warm-up is a fraction of the training."""
        check_past(self, (self.warmup_fraction, self.warmup_tokens))
        return dataclasses.replace(self, decay_tokens=tokens)

    def parts(self, at: Progress) -> Spans:
        """Where warm-up and decay lie, and the point in question."""
        warmup = (self.warmup_fraction, self.warmup_tokens)
        return spans(self, at, warmup, (self.decay_fraction, self.decay_tokens))
