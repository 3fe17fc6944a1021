"""What each rule drops in each language: whom a rule was not made for shows here first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.curate.contract import BoolArray
from seedbed.curate.decide import Verdicts
from seedbed.curate.plan import CuratePlan
from seedbed.curate.replay import find
from seedbed.curate.run import Curated

ERRORED = "errored"

DROPS_BY_LANGUAGE = pa.schema(
    [
        arrow.field("language", pa.large_string(), unit="ISO 639 code, empty where not known"),
        arrow.field("documents", pa.int64(), unit="documents in this language"),
        arrow.field("kept", pa.int64(), unit="of them kept"),
        arrow.field("rule", pa.large_string(), unit="filter.rule, deduper.duplicate, or errored"),
        arrow.field("broken", pa.int64(), unit="documents that break it"),
        arrow.field("first", pa.int64(), unit="documents dropped with it as their reason"),
        arrow.field("alone", pa.int64(), unit="documents that break it and no other rule"),
    ]
)
"""One row a language and rule that met some document there: the largest language first, rules in recipe order."""


def drops_by_language(plan: CuratePlan, curated: Curated) -> pa.Table:
    """A table of schema DROPS_BY_LANGUAGE, from stored numbers; no text is read.

    The language is what the plan's first identifier said, or what the input said where the plan has none.
    """
    verdicts = find(plan, curated, curated.decisions).verdicts()
    names, code_N = _languages(plan, curated)
    documents_L = np.bincount(code_N, minlength=len(names))
    kept_L = np.bincount(code_N[verdicts.kept_N], minlength=len(names))
    rows: list[dict[str, object]] = []
    for rule, flags in _drops(verdicts):
        counts = {name: np.bincount(code_N[is_so_N], minlength=len(names)) for name, is_so_N in flags.items()}
        for at in np.flatnonzero(counts["broken"]).tolist():
            about = {"language": names[at], "documents": documents_L[at], "kept": kept_L[at], "rule": rule}
            rows.append({**about, **{name: count_L[at] for name, count_L in counts.items()}})
    size = dict(zip(names, documents_L.tolist(), strict=True))
    rows.sort(key=lambda row: (-size[str(row["language"])], str(row["language"])))
    columns = {name: [row[name] for row in rows] for name in DROPS_BY_LANGUAGE.names}
    return arrow.table(columns, DROPS_BY_LANGUAGE)


def _drops(verdicts: Verdicts) -> Iterator[tuple[str, dict[str, BoolArray]]]:
    """Each rule with who breaks it, who is dropped for it first, and who breaks no other.

    A duplicate or an errored document has that one reason.
    """
    single_N = verdicts.broken_NR.sum(axis=1) == 1
    for r, rule in enumerate(verdicts.reason_names):
        first_N = verdicts.reason_N == r
        if r < len(verdicts.rules):
            broken_N = verdicts.broken_NR[:, r] & ~verdicts.errored_N
            yield rule, {"broken": broken_N, "first": first_N, "alone": broken_N & single_N}
        else:
            yield rule, {"broken": first_N, "first": first_N, "alone": first_N}
    yield ERRORED, {"broken": verdicts.errored_N, "first": verdicts.errored_N, "alone": verdicts.errored_N}


def _languages(plan: CuratePlan, curated: Curated) -> tuple[list[str], npt.NDArray[np.int64]]:
    """(names, code_N) of the language of every document."""
    identifier = plan.identifier
    source = curated.signals[identifier.name()] if identifier else curated.read
    column = cast(Any, source.table(["language"]).column("language")).combine_chunks().dictionary_encode()
    return column.dictionary.to_pylist(), column.indices.to_numpy(zero_copy_only=False).astype(np.int64)
