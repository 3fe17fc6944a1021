"""Other thresholds for some languages, decided from stored numbers like all thresholds.

A rule made for English drops too much elsewhere: words are longer in Finnish, and are single ideographs in Chinese.
FineWeb-2 (Penedo et al. 2025, arXiv 2506.20920) sets every threshold by language; this is the place for such values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.errors import RecipeError, did_you_mean
from seedbed.core.nouns import signals_schema
from seedbed.curate.contract import BoolArray, Filter
from seedbed.curate.language_filter import LanguageFilter

Thresholds: TypeAlias = Mapping[str, int | float | None]
"""Rule -> threshold; None switches the rule off."""
ByLanguage: TypeAlias = Mapping[str, Mapping[str, Thresholds]]
"""Language -> filter -> what differs there."""


def identifier(filters: Sequence[Filter]) -> LanguageFilter | None:
    """The filter that says which language a document is in: the first that identifies one."""
    return next((step for step in filters if isinstance(step, LanguageFilter)), None)


def check_by_language(filters: Sequence[Filter], by_language: ByLanguage) -> None:
    """Raise RecipeError for a threshold that no rule has, or that breaks its bounds."""
    if by_language and identifier(filters) is None:
        mend = "Add the filter `language`, or leave `by_language` out."
        raise RecipeError("curate.by_language", "no filter of this plan identifies languages", mend)
    steps = {step.name(): step for step in filters}
    for language, own in by_language.items():
        if str(language) != language:  # YAML reads `no` as false
            raise RecipeError("curate.by_language", f"{language!r} is no language code", "Write it in quotes.")
        for name, thresholds in own.items():
            where = f"curate.by_language.{language}.{name}"
            if name not in steps:
                raise RecipeError(where, "no filter of this plan has this name", did_you_mean(name, steps))
            numeric = {rule.name for rule in steps[name].rules if rule.side != "in"}
            for rule in thresholds:
                if rule not in numeric:
                    raise RecipeError(f"{where}.{rule}", "no rule over a number", did_you_mean(rule, numeric))
            try:
                dataclasses.replace(steps[name], **thresholds)
            except RecipeError as error:
                raise RecipeError(f"curate.by_language.{language}.{error.where}", error.what, error.mend) from error


def of_filter(step: Filter, by_language: ByLanguage) -> dict[str, Thresholds]:
    """Language -> what differs there for this filter."""
    return {language: own[step.name()] for language, own in by_language.items() if own.get(step.name())}


def in_language(step: Filter, language: str, by_language: ByLanguage) -> Filter:
    """The filter with the thresholds that hold in a language."""
    return dataclasses.replace(step, **of_filter(step, by_language).get(language, {}))


def rules_on(step: Filter, by_language: ByLanguage) -> tuple[str, ...]:
    """The rules that are on in some language, in rule order."""
    empty = signals_schema(step.signals).empty_table()
    return tuple(failures(step, empty, signals_schema(LanguageFilter.signals).empty_table(), by_language))


def failures(
    step: Filter, signals: pa.Table, languages: pa.Table | None, by_language: ByLanguage
) -> dict[str, BoolArray]:
    """`step.failures(signals)`, by the thresholds of each document's own language where it has some.

    Args:
        step: the filter.
        signals: what it measured.
        languages: the same documents' column `language` of the identifier; needed where a threshold differs.
        by_language: what differs.
    """
    found = step.failures(signals)
    nowhere = np.zeros(signals.num_rows, np.bool_)
    for language, thresholds in of_filter(step, by_language).items():
        assert languages is not None, "a plan with thresholds by language has an identifier"
        is_there = arrow.is_in(languages, "language", (language,))
        there = in_language(step, language, by_language).failures(signals)
        for rule in thresholds:
            found[rule] = np.where(is_there, there.get(rule, nowhere), found.get(rule, nowhere))
    return {rule.name: found[rule.name] for rule in step.rules if rule.name in found}
