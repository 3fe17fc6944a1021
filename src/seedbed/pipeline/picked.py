"""What selections picked, and how far they agree: shares by domain, language, length and score; overlaps; examples.

Every share is of tokens, each document counted as often as it was chosen. Stages of one arm count together; over
replicates, numbers are means.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.artifact import Artifact
from seedbed.pipeline.material import column_of
from seedbed.report import wording
from seedbed.report.comparison_data import Agreement, Group, Picked, PickedExample
from seedbed.stats.ranks import spearman
from seedbed.tokenize.run import Pool

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MOST_GROUPS = 14
N_EXAMPLES = 3
EXCERPT_CHARS = 200
LENGTHS = (64, 128, 256, 512, 1024, 4096, 16384)
"""Edges of the bands of length, in tokens."""
DECILES = 10


@dataclasses.dataclass(frozen=True)
class Columns:
    """The pool as far as picks are counted by it: N documents.

    Args:
        n_tokens_N: tokens.
        groups: what the groups are -> (names, code_N).
        signals: name -> value_N that the curation measured.
    """

    n_tokens_N: FloatArray
    groups: Mapping[str, tuple[list[str], IntArray]]
    signals: Mapping[str, FloatArray]


@dataclasses.dataclass(frozen=True)
class Choice:
    """What one method chose, and by which scores.

    Args:
        copies_SN: of S replicates.
        score_N: of the first replicate, NaN where a document was not scored; None where there are no scores.
    """

    copies_SN: FloatArray
    score_N: FloatArray | None = None

    @property
    def ranks(self) -> bool:
        """Whether the scores tell documents apart."""
        score_N = self.score_N
        return score_N is not None and len(np.unique(score_N[np.isfinite(score_N)])) > 1


def columns_of(pool: Pool, signals: Mapping[str, FloatArray] | None = None) -> Columns:
    """Columns of a whole pool (its part is not looked at)."""
    whole = Pool(pool.documents, pool.tokens)
    n_tokens_N = arrow.numpy(whole.index(), "n_tokens").astype(np.float64)
    groups: dict[str, tuple[list[str], IntArray]] = {}
    for what, name in (("domain", "source"), ("language", "language")):
        names, code_N = _coded(column_of(whole, name))
        if len(names) > 1:
            groups[what] = _largest(names, code_N, n_tokens_N)
    groups["length"] = _lengths(n_tokens_N)
    return Columns(n_tokens_N, groups, signals or {})


def choice_of(pool: Pool, weights: Sequence[Sequence[Artifact]], scores: Artifact | None) -> Choice:
    """A method's Choice.

    Args:
        pool: what the first replicate chose from, with its part.
        weights: of each replicate, one Weights artifact a stage.
        scores: Signals of the first replicate's last stage.
    """
    copies = [np.sum(np.array([_copies(one) for one in stages], np.float64), axis=0) for stages in weights]
    score_N: FloatArray | None = None
    if scores is not None:
        score_N = np.full(pool.tokens.rows, np.nan)
        score_N[pool.rows()] = arrow.numpy(scores.table(["score"]), "score")
    return Choice(np.array(copies, np.float64), score_N)


def _copies(weights: Artifact) -> FloatArray:
    return arrow.numpy(weights.table(["copies"]), "copies").astype(np.float64)


def picked(method: str, columns: Columns, choice: Choice) -> Picked:
    """What one method picked, without examples."""
    tokens_SN = choice.copies_SN * columns.n_tokens_N
    chosen_N = (tokens_SN / np.maximum(tokens_SN.sum(axis=1, keepdims=True), 1e-300)).mean(axis=0)
    groups = [(what, _shares(*coded, columns.n_tokens_N, chosen_N)) for what, coded in columns.groups.items()]
    if choice.ranks:
        names, code_N = _deciles(cast(FloatArray, choice.score_N), columns.n_tokens_N)
        tokens_N = tokens_SN[0] / max(tokens_SN[0].sum(), 1e-300)
        groups.append(("its own score", _shares(names, code_N, columns.n_tokens_N, tokens_N)))
    chosen_SN = np.asarray(choice.copies_SN > 0, np.float64)
    different_S: FloatArray = chosen_SN @ columns.n_tokens_N
    whole_S: FloatArray = np.maximum(tokens_SN.sum(axis=1), 1e-300)
    unique = float((different_S / whole_S).sum() / len(whole_S))
    return Picked(
        method=method,
        groups=tuple(groups),
        signals=tuple((name, 100 * float(_percentiles(v) @ chosen_N)) for name, v in columns.signals.items()),
        unique_token_ratio=unique,
        documents=float(chosen_SN.sum() / len(chosen_SN)),
        effective_documents=float(np.mean([_effective(tokens_SN[i]) for i in range(len(tokens_SN))])),
    )


def agreement_of(columns: Columns, choices: Mapping[str, Choice]) -> Agreement:
    """Every method with every other. Rank correlation is over the documents that both scored."""
    names = tuple(choices)
    spearman = tuple(tuple(_correlation(choices[a], choices[b]) for b in names) for a in names)
    overlap = tuple(tuple(_overlap(choices[a], choices[b], columns.n_tokens_N) for b in names) for a in names)
    return Agreement(names, spearman, overlap)


def examples(pool: Pool, choice: Choice, mask: Callable[[list[str]], list[str]]) -> tuple[PickedExample, ...]:
    """Documents chosen in the first replicate, the highest scores first; ties in order of id.

    `mask` hides in texts what must not be shown.
    """
    rows = np.flatnonzero(choice.copies_SN[0] > 0)
    key_N = arrow.id_keys(arrow.ids(pool.tokens.table(["id"])))[rows]
    score_N = choice.score_N if choice.ranks else None
    value = np.zeros(len(rows)) if score_N is None else np.nan_to_num(score_N[rows], nan=-np.inf)
    best = cast("list[int]", rows[np.lexsort((key_N, -value))][:N_EXAMPLES].tolist())
    told = [_document(pool.documents, row) for row in best]
    shown = mask([str(one["text"] or "") for one in told])
    return tuple(
        PickedExample(
            id=one["id"],
            source=one["source"] or "",
            excerpt=wording.excerpt(text, EXCERPT_CHARS),
            score=None if score_N is None else float(score_N[row]),
            copies=float(choice.copies_SN[0, row]),
        )
        for row, one, text in zip(best, told, shown, strict=True)
    )


def _document(documents: Artifact, row: int) -> dict[str, Any]:
    for shard in documents.shards():
        n = arrow.n_rows(shard)
        if row < n:
            told = arrow.read_row(shard, row, ["id", "text", "source"])
            return {**told, "id": told["id"].hex() if isinstance(told["id"], bytes) else str(told["id"])}
        row -= n
    raise IndexError(f"the pool has no row {row} more")


PICKED = pa.schema(
    [
        arrow.field("method", pa.large_string()),
        arrow.field("by", pa.large_string(), unit="domain | language | length | its own score | signal"),
        arrow.field("group", pa.large_string()),
        arrow.field("pool_share", pa.float64(), unit="of tokens; a signal's percentile"),
        arrow.field("chosen_share", pa.float64(), unit="of tokens; a signal's percentile"),
    ]
)
AGREEMENT = pa.schema(
    [
        arrow.field("first", pa.large_string()),
        arrow.field("second", pa.large_string()),
        arrow.field("spearman", pa.float64()),
        arrow.field("token_overlap", pa.float64(), unit="share of the chosen tokens"),
    ]
)


def picked_rows(found: Sequence[Picked]) -> pa.Table:
    """The table of `picked.csv`."""
    rows: list[tuple[object, ...]] = []
    for one in found:
        rows += [(one.method, what, g.name, g.pool, g.chosen) for what, groups in one.groups for g in groups]
        rows += [(one.method, "signal", name, 50.0, value) for name, value in one.signals]
    return _table(rows, PICKED)


def agreement_rows(found: Agreement) -> pa.Table:
    """The table of `agreement.csv`: each pair once."""
    pairs = [(i, j) for i in range(len(found.methods)) for j in range(i)]
    rows = [(found.methods[j], found.methods[i], found.spearman[i][j], found.overlap[i][j]) for i, j in pairs]
    return _table(rows, AGREEMENT)


def _table(rows: Sequence[Sequence[object]], schema: pa.Schema) -> pa.Table:
    return arrow.table({name: [row[i] for row in rows] for i, name in enumerate(schema.names)}, schema)


def _shares(names: list[str], code_N: IntArray, pool_N: FloatArray, chosen_N: FloatArray) -> tuple[Group, ...]:
    """code -1 belongs to none."""
    inside = code_N >= 0
    sums = [np.bincount(code_N[inside], one[inside], minlength=len(names)) for one in (pool_N, chosen_N)]
    whole = max(float(pool_N[inside].sum()), 1e-300)
    return tuple(Group(name, float(sums[0][i]) / whole, float(sums[1][i])) for i, name in enumerate(names))


def _coded(values: npt.NDArray[np.object_]) -> tuple[list[str], IntArray]:
    names, code_N = np.unique(values.astype(str), return_inverse=True)
    return [str(name) or "not known" for name in names.tolist()], code_N.astype(np.int64)


def _largest(names: list[str], code_N: IntArray, n_tokens_N: FloatArray) -> tuple[list[str], IntArray]:
    """The groups with most tokens first; those beyond `MOST_GROUPS` as one."""
    order = np.argsort(-np.bincount(code_N, n_tokens_N, minlength=len(names)), kind="stable")
    place = np.empty(len(names), np.int64)
    place[order] = np.arange(len(names))
    listed = [names[i] for i in cast("list[int]", order.tolist())]
    if len(names) > MOST_GROUPS:
        rest = len(names) - (MOST_GROUPS - 1)
        place = np.minimum(place, MOST_GROUPS - 1)
        listed = [*listed[: MOST_GROUPS - 1], f"{rest} others"]
    return listed, place[code_N]


def _lengths(n_tokens_N: FloatArray) -> tuple[list[str], IntArray]:
    code_N = np.searchsorted(LENGTHS, n_tokens_N, side="right")
    between = [f"{low:,} to {high - 1:,}" for low, high in itertools.pairwise(LENGTHS)]
    names = [f"below {LENGTHS[0]} tokens", *between, f"{LENGTHS[-1]:,} and more"]
    there, packed_N = np.unique(code_N, return_inverse=True)
    return [names[i] for i in cast("list[int]", there.tolist())], packed_N.astype(np.int64)


def _deciles(score_N: FloatArray, n_tokens_N: FloatArray) -> tuple[list[str], IntArray]:
    """Tenths of the scored tokens, the highest scores first; equal scores share a tenth."""
    rows = np.flatnonzero(np.isfinite(score_N))
    _, level = np.unique(-score_N[rows], return_inverse=True)
    tokens = np.bincount(level, n_tokens_N[rows])
    middle = (np.cumsum(tokens) - tokens / 2) / max(float(tokens.sum()), 1e-300)
    code_N = np.full(len(score_N), -1, np.int64)
    code_N[rows] = np.minimum((middle * DECILES).astype(np.int64), DECILES - 1)[level]
    return ["best tenth", *(f"tenth {i}" for i in range(2, DECILES)), "worst tenth"], code_N


def _effective(tokens_N: FloatArray) -> float:
    share = tokens_N[tokens_N > 0] / max(float(tokens_N.sum()), 1e-300)
    return float(np.exp(-(share * np.log(share)).sum())) if len(share) else 0.0


def _percentiles(value_N: FloatArray) -> FloatArray:
    """Share of documents below, ties half."""
    _, level, count = np.unique(value_N, return_inverse=True, return_counts=True)
    middle = (np.cumsum(count) - count / 2) / max(len(value_N), 1)
    return middle[level]


def _correlation(first: Choice, second: Choice) -> float | None:
    if not (first.ranks and second.ranks):
        return None
    a_N, b_N = cast(FloatArray, first.score_N), cast(FloatArray, second.score_N)
    both = np.isfinite(a_N) & np.isfinite(b_N)
    return spearman(a_N[both], b_N[both])


def _overlap(first: Choice, second: Choice, n_tokens_N: FloatArray) -> float:
    shares: list[float] = []
    for a, b in zip(first.copies_SN, second.copies_SN, strict=False):
        whole = float((a + b) @ n_tokens_N) / 2
        shares.append(float(np.minimum(a, b) @ n_tokens_N) / whole if whole > 0 else 0.0)
    return float(np.mean(shares))
