"""What a curation is asked to do: the `curate` section of a recipe."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated

from annotated_types import Ge

from seedbed.core import parameters
from seedbed.core.errors import RecipeError, did_you_mean
from seedbed.curate.by_language import ByLanguage, Thresholds, check_by_language, identifier
from seedbed.curate.contract import CurateStep, Deduper, Edit, Extractor, Filter, Reader, Survivor
from seedbed.curate.language_filter import LanguageFilter
from seedbed.curate.watch import Limits

ABOUT_DOCUMENTS = ("url", "date", "source", "language", "file")
"""Columns of Documents that a survivor policy may look at."""


@dataclasses.dataclass(frozen=True)
class CuratePlan:
    """Readers, an extractor, and steps in order.

    Args:
        readers: by file ending; the longest match reads a file.
        extractor: HTML to text.
        steps: edits, filters and dedupers; a document's reason is the first failing rule in this order.
        survivors: which member of a duplicate group is kept: the first policy decides, ties go to the next one, and
            last to the smallest id.
        by_language: thresholds that differ in some languages, `{"zh": {"gopher_quality": {"min_stop_words": None}}}`.
        duplicate_pairs: pairs of documents whose true similarity is computed, to tell how well near duplicates were
            found; 0 for none.
        shard_bytes: how much input makes one shard (bytes of source files; a larger file is a shard of its own).
        limits: what the reading of one record may cost before it is given up.
    """

    readers: tuple[Reader, ...]
    extractor: Extractor
    steps: tuple[CurateStep, ...] = ()
    survivors: tuple[Survivor, ...] = ()
    by_language: ByLanguage = dataclasses.field(default_factory=dict[str, Mapping[str, Thresholds]])
    duplicate_pairs: Annotated[int, Ge(0)] = 5000
    shard_bytes: Annotated[int, Ge(1)] = 8 << 20
    limits: Limits = dataclasses.field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Raises RecipeError for a field outside its bounds."""
        parameters.check(self, "curate")
        names = [step.name() for step in self.steps]
        for name in names:
            if names.count(name) > 1:
                raise RecipeError("curate.steps", f"{name} occurs twice", "A step is named by its method: keep one.")
        self._check_survivors()
        check_by_language(self.filters, self.by_language)

    def _check_survivors(self) -> None:
        known = [f"{f.name()}.{s.name}" for f in self.filters for s in f.signals if s.kind in ("float", "int")]
        for survivor in self.survivors:
            for column in survivor.reads():
                if column not in (*ABOUT_DOCUMENTS, *known):
                    where, mend = f"curate.survivors.{survivor.name()}", did_you_mean(column, known)
                    raise RecipeError(where, f"no filter of this plan measures a number {column!r}", mend)

    @property
    def filters(self) -> tuple[Filter, ...]:
        """The filters in order."""
        return tuple(step for step in self.steps if isinstance(step, Filter))

    @property
    def identifier(self) -> LanguageFilter | None:
        """The filter that says which language a document is in: the first that identifies one."""
        return identifier(self.filters)

    @property
    def dedupers(self) -> tuple[Deduper, ...]:
        """The dedupers in order."""
        return tuple(step for step in self.steps if isinstance(step, Deduper))

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits in order."""
        return tuple(step for step in self.steps if isinstance(step, Edit))

    def warnings(self) -> list[str]:
        """Rules that can never fire, and filters with nothing to search for, as sentences."""
        found: list[str] = []
        for step in self.filters:
            if step.looked_up and not getattr(step, step.looked_up):
                found.append(f"{step.path()}.{step.looked_up} is empty: it searches for nothing and measures 0")
            ranges, lacking = {signal.name: signal for signal in step.signals}, step.lacking()
            for rule in type(step).rules:
                threshold, told = getattr(step, rule.name), f"{step.path()}.{rule.name}"
                if threshold is None or rule.side == "in":
                    continue
                if rule.signal in lacking:
                    found.append(f"{told} = {threshold} can never drop a document: no {rule.signal} is measured")
                    continue
                signal = ranges[rule.signal]
                if (rule.side == "min" and threshold <= signal.low) or (
                    rule.side == "max" and threshold >= signal.high
                ):
                    found.append(f"{told} = {threshold} can never drop a document")
        return found
