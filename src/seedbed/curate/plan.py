"""What a curation is asked to do: the `curate` section of a recipe."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from annotated_types import Ge

from seedbed.core import parameters
from seedbed.core.errors import RecipeError
from seedbed.curate.contract import CurateStep, Deduper, Edit, Extractor, Filter, Reader


@dataclasses.dataclass(frozen=True)
class CuratePlan:
    """Readers, an extractor, and steps in order.

    Args:
        readers: by file ending; the longest match reads a file.
        extractor: HTML to text.
        steps: edits, filters and dedupers; a document's reason is the first failing rule in this order.
        survivor: the signal whose highest value survives in a duplicate group, as `filter.signal`; ties and an
            empty name go to the smallest id.
        shard_bytes: how much input makes one shard (bytes of source files; a larger file is a shard of its own).
    """

    readers: tuple[Reader, ...]
    extractor: Extractor
    steps: tuple[CurateStep, ...] = ()
    survivor: str = ""
    shard_bytes: Annotated[int, Ge(1)] = 8 << 20

    def __post_init__(self) -> None:
        """Raises RecipeError for a field outside its bounds."""
        parameters.check(self, "curate")
        names = [step.name() for step in self.steps]
        for name in names:
            if names.count(name) > 1:
                raise RecipeError("curate.steps", f"{name} occurs twice", "A step is named by its method: keep one.")

    @property
    def filters(self) -> tuple[Filter, ...]:
        """The filters in order."""
        return tuple(step for step in self.steps if isinstance(step, Filter))

    @property
    def dedupers(self) -> tuple[Deduper, ...]:
        """The dedupers in order."""
        return tuple(step for step in self.steps if isinstance(step, Deduper))

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits in order."""
        return tuple(step for step in self.steps if isinstance(step, Edit))

    def warnings(self) -> list[str]:
        """Rules that can never fire, as sentences."""
        found: list[str] = []
        for step in self.filters:
            ranges = {signal.name: signal for signal in step.signals}
            for rule in step.rules:
                threshold, signal = getattr(step, rule.name), ranges[rule.signal]
                if threshold is None or rule.side == "in":
                    continue
                if (rule.side == "min" and threshold <= signal.low) or (
                    rule.side == "max" and threshold >= signal.high
                ):
                    found.append(f"{step.path()}.{rule.name} = {threshold} can never drop a document")
        return found
