"""How well near duplicates were found in this corpus: precision and recall over pairs whose true similarity is known.

Similar pairs come from a looser sketch of all texts (14 bands of 4 find 95 of 100 pairs at Jaccard 0.66), linked pairs
from the sketch that decided. For a sample of both the true Jaccard similarity of their shingles is computed, and every
pair is weighted by one over its chance to be drawn. Groups hang together by links: in the largest ones it is measured
how many of their pairs are alike, because a chain of small changes can join texts that have nothing in common.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from seedbed.core import arrow
from seedbed.core.arrow import Columns
from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.nouns import DocumentBatch
from seedbed.core.parameters import Json
from seedbed.curate.contract import BoolArray, FloatArray, HashArray, IntArray
from seedbed.curate.dedup.minhash import Minhash
from seedbed.curate.samples import fetch
from seedbed.curate.tasks import batches
from seedbed.engine.contract import Engine, Tick
from seedbed.stats.intervals import Interval, share_interval

FILE = "quality.json"
_BANDS, _ROWS = 14, 4
_STRATA = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_MOST_KEYS = 1 << 22
_GROUPS, _GROUP_PAIRS, _LEAST_GROUP = 5, 400, 10

Pairs = tuple[IntArray, IntArray]


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How pairs are drawn.

    Args:
        threshold: Jaccard similarity from which on two documents should be one.
        n_pairs: pairs drawn of the similar, and of the linked.
        max_unlike_share: of the pairs in a large group, from which on it is called chained.
        seed: of the draw.
    """

    threshold: float = 0.8
    n_pairs: int = 5000
    max_unlike_share: float = 0.2
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class LooseTask:
    """Sketch one shard loosely; `start` is its first row in the corpus, `limit` the keys that are looked at."""

    shard: Path
    start: int
    sketch: Minhash
    limit: np.uint64


def measure_quality(
    method: Minhash,
    text: Artifact,
    signatures: Artifact,
    groups: Artifact,
    store: Store,
    engine: Engine,
    sampling: Sampling | None = None,
) -> Artifact:
    """The quality of a finished near-duplicate search as an artifact whose `about` tells it.

    Args:
        method: the search.
        text, signatures, groups: the text version it looked at, and what it found.
        store, engine: where the result lies, and where the loose sketch runs.
        sampling: how pairs are drawn.
    """
    drawn = sampling or Sampling()
    parents = {"text": text.fingerprint, "signatures": signatures.fingerprint, "groups": groups.fingerprint}

    def fill(draft: Draft) -> dict[str, Json]:
        group_N = np.arange(text.rows)
        members = groups.table()
        group_N[arrow.numpy(members, "row")] = arrow.numpy(members, "group")
        loose = loose_keys(method, text, engine)
        told = quality(method, arrow.Shards(signatures.shards()), group_N, loose, text, drawn)
        draft.write_text(FILE, json.dumps(told, indent=1) + "\n")
        return told

    identity: dict[str, Json] = {**method.identity(), "sampling": dict[str, Json](dataclasses.asdict(drawn))}
    return store.make(Request("Quality", method.name(), identity, parents), fill)


def loose_keys(method: Minhash, text: Artifact, engine: Engine) -> tuple[HashArray, IntArray, float]:
    """(key, row, share): the band keys of a looser sketch that are below a limit, and what share of all they are."""
    share = min(1.0, _MOST_KEYS / max(1, _BANDS * text.rows))
    limit = np.uint64(min(2**64 - 1, int(share * 2.0**64)))
    sketch = dataclasses.replace(method, bands=_BANDS, rows=_ROWS, seed=method.seed + 1)
    work, start = list[LooseTask](), 0
    for shard in text.shards():
        work.append(LooseTask(shard, start, sketch, limit))
        start += arrow.n_rows(shard)
    found = engine.run(sketch_loosely, work, label=f"{method.name()}: quality", total=text.rows, unit="documents")
    keys = np.concatenate([np.zeros(0, np.uint64), *(key for key, _ in found)])
    return keys, np.concatenate([np.zeros(0, np.int64), *(row for _, row in found)]), share


def sketch_loosely(task: LooseTask, tick: Tick) -> tuple[HashArray, IntArray]:
    """LooseTask -> (key, row)."""
    keys, rows, start = list[HashArray](), list[IntArray](), task.start
    for batch in batches(task.shard):
        for key_N in _band_keys(task.sketch, batch):
            chosen = np.flatnonzero((key_N > 0) & (key_N <= task.limit))
            keys.append(key_N[chosen])
            rows.append(chosen + start)
        start += len(batch)
        tick(len(batch))
    return np.concatenate([np.zeros(0, np.uint64), *keys]), np.concatenate([np.zeros(0, np.int64), *rows])


def quality(
    method: Minhash,
    signatures: Columns,
    group_N: IntArray,
    loose: tuple[HashArray, IntArray, float],
    text: Artifact,
    drawn: Sampling,
) -> dict[str, Json]:
    """Precision, recall, recall by similarity, and the largest groups, as plain JSON."""
    rng = np.random.default_rng(drawn.seed)
    keys = [arrow.numpy(signatures, signal.name) for signal in method.signature_signals()]
    near, near_weight = _near_pairs(loose, rng, drawn.n_pairs)
    linked, linked_weight = _linked_pairs(keys, rng, drawn.n_pairs)
    chains = [(group, size, _pairs_within(group_N, group, rng)) for group, size in _largest(group_N)]
    likeness = _Likeness(method, text, [near, linked, *(pairs for _, _, pairs in chains)])
    near_likeness, linked_likeness = likeness.of(near), likeness.of(linked)
    near_weight = near_weight / likeness.chance(near, loose[2])
    agree = np.any([key[near[0]] == key[near[1]] for key in keys], axis=0) if len(near[0]) else np.zeros(0, np.bool_)
    together, alike = group_N[near[0]] == group_N[near[1]], near_likeness >= drawn.threshold
    groups = [_chain(group, size, likeness.of(pairs), drawn) for group, size, pairs in chains]
    return {
        "method": method.path(),
        "threshold": drawn.threshold,
        "documents": signatures.num_rows,
        "expected_recall_at_threshold": float(1 - (1 - drawn.threshold**method.rows) ** method.bands),
        "precision": _told(linked_likeness >= drawn.threshold, linked_weight),
        "recall": _told(together[alike], near_weight[alike]),
        "similar_pairs": float(near_weight[alike].sum()),
        "strata": _strata(method, near_likeness, near_weight, agree, together),
        "groups": list[Json](groups),
        "warnings": _warnings(groups, drawn),
    }


def _band_keys(sketch: Minhash, batch: DocumentBatch) -> Iterator[HashArray]:
    table = sketch.signatures(batch)
    return (arrow.numpy(table, name) for name in table.column_names)


def _near_pairs(loose: tuple[HashArray, IntArray, float], rng: np.random.Generator, n: int) -> tuple[Pairs, FloatArray]:
    """(pairs, weight): each draw counts for as many pairs as its bucket has for each of its draws."""
    key, row, _ = loose
    order = np.argsort(key, kind="stable")
    one, other, weight = _neighbours(key[order], row[order], rng)
    chosen = rng.permutation(len(one))[:n]
    return (one[chosen], other[chosen]), weight[chosen] * (len(one) / max(1, len(chosen)))


def _linked_pairs(keys: list[HashArray], rng: np.random.Generator, n: int) -> tuple[Pairs, FloatArray]:
    """(pairs, weight) of pairs that agree in a band; one that agrees in several is as likely again, and weighs less."""
    ones, others, weights = list[IntArray](), list[IntArray](), list[FloatArray]()
    for key in keys:
        order = np.argsort(key, kind="stable")
        order = order[key[order] > 0]
        one, other, weight = _neighbours(key[order], order, rng)
        chosen = rng.permutation(len(one))[:n]
        ones.append(one[chosen])
        others.append(other[chosen])
        weights.append(weight[chosen] * (len(one) / max(1, len(chosen))))
    one, other, weight = np.concatenate(ones), np.concatenate(others), np.concatenate(weights)
    chosen = rng.permutation(len(one))[:n]
    one, other, weight = one[chosen], other[chosen], weight[chosen]
    bands = np.sum([key[one] == key[other] for key in keys], axis=0)
    return (one, other), weight / np.maximum(bands, 1)


def _neighbours(key: HashArray, row: IntArray, rng: np.random.Generator) -> tuple[IntArray, IntArray, FloatArray]:
    """Every document with one other of its bucket, drawn at random; keys ascend. A pair's draws weigh 1 on average."""
    if len(key) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    is_new = np.r_[True, key[1:] != key[:-1]]
    start = np.maximum.accumulate(np.where(is_new, np.arange(len(key)), 0))
    size = np.diff(np.r_[np.flatnonzero(is_new), len(key)])[np.cumsum(is_new) - 1]
    step = 1 + (rng.random(len(key)) * (size - 1)).astype(np.int64)
    other = start + (np.arange(len(key)) - start + step) % size
    many = size > 1
    low, high = np.minimum(row, row[other]), np.maximum(row, row[other])
    return low[many], high[many], ((size - 1) / 2)[many]


def _largest(group_N: IntArray) -> list[tuple[int, int]]:
    """(smallest row, size) of the largest groups."""
    sizes = np.bincount(group_N)
    order = np.argsort(-sizes, kind="stable")[:_GROUPS]
    return [(int(group), int(sizes[group])) for group in order if sizes[group] >= _LEAST_GROUP]


def _pairs_within(group_N: IntArray, group: int, rng: np.random.Generator) -> Pairs:
    members = np.flatnonzero(group_N == group)
    one = rng.integers(0, len(members), _GROUP_PAIRS)
    other = (one + rng.integers(1, len(members), _GROUP_PAIRS)) % len(members)
    return members[one], members[other]


class _Likeness:
    """The true Jaccard similarity of pairs, from the texts of their documents, each read once."""

    def __init__(self, method: Minhash, text: Artifact, wanted: list[Pairs]) -> None:
        self.rows = np.unique(np.concatenate([side for pair in wanted for side in pair]))
        self.sets: list[HashArray] = []
        for documents in fetch(text, self.rows):
            first, found = method.shingles(documents)
            self.sets.extend(np.unique(found[a:b]) for a, b in itertools.pairwise(first.tolist()))

    def of(self, pairs: Pairs) -> FloatArray:
        """The similarity of each pair."""
        one: list[int] = np.searchsorted(self.rows, pairs[0]).tolist()
        other: list[int] = np.searchsorted(self.rows, pairs[1]).tolist()
        found = [jaccard(self.sets[a], self.sets[b]) for a, b in zip(one, other, strict=True)]
        return np.array(found, np.float64)

    def chance(self, pairs: Pairs, share: float) -> FloatArray:
        """The expected number of looked-at bands of the loose sketch in which a pair of this similarity agrees."""
        return np.maximum(_BANDS * self.of(pairs) ** _ROWS * share, 1e-9)


def jaccard(one: HashArray, other: HashArray) -> float:
    """Shared elements of two sorted sets over all of theirs; 0 where both are empty."""
    both = len(np.intersect1d(one, other, assume_unique=True))
    return both / max(1, len(one) + len(other) - both)


def _strata(
    method: Minhash, likeness: FloatArray, weight: FloatArray, agree: BoolArray, together: BoolArray
) -> list[Json]:
    found: list[Json] = []
    for low, high in itertools.pairwise(_STRATA):
        here = (likeness >= low) & ((likeness < high) | (high == 1.0))
        expected = 1 - (1 - likeness[here] ** method.rows) ** method.bands
        share = float(np.average(expected, weights=weight[here])) if here.any() else None
        told: dict[str, Json] = {"low": low, "high": high, "expected_linked": share}
        told["linked"] = _told(agree[here], weight[here])
        told["together"] = _told(together[here], weight[here])
        found.append(told)
    return found


def _told(hits: BoolArray, weight: FloatArray) -> dict[str, Json] | None:
    """A weighted share with its interval; None where there is nothing to count."""
    if len(hits) == 0:
        return None
    n = float(weight.sum() ** 2 / (weight**2).sum())
    return _interval(share_interval(float(np.average(hits, weights=weight)), n), len(hits))


def _interval(found: Interval, pairs: int) -> dict[str, Json]:
    return {"value": found.value, "low": found.low, "high": found.high, "pairs": pairs}


def _chain(group: int, size: int, likeness: FloatArray, drawn: Sampling) -> dict[str, Json]:
    unlike = share_interval(float(np.mean(likeness < drawn.threshold)), len(likeness))
    told: dict[str, Json] = {"group": group, "documents": size, "unlike": _interval(unlike, len(likeness))}
    return {**told, "chained": unlike.value > drawn.max_unlike_share}


def _warnings(groups: list[dict[str, Json]], drawn: Sampling) -> list[Json]:
    said: list[Json] = []
    for group in groups:
        unlike = group["unlike"]
        assert isinstance(unlike, dict)
        if group["chained"]:
            share = f"{unlike['value']:.0%} of its pairs are below Jaccard {drawn.threshold}"
            mend = "raise `rows` of the method, so that fewer unlike documents are linked"
            said.append(f"a group of {group['documents']} documents is chained: {share}; {mend}")
    return said
