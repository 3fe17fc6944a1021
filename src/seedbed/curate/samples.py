"""Documents picked out of a corpus: some rows, or a sample that depends on ids alone and not on shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.nouns import DocumentBatch
from seedbed.core.parameters import Json
from seedbed.curate.contract import Deduper, HashArray, IntArray

SAMPLE_DOCUMENTS = 10_000
_LEARNED = "learned.npy"


def fetch(text: Artifact, rows: IntArray) -> Iterator[DocumentBatch]:
    """The documents at ascending rows, in batches; row groups that hold none are skipped."""
    start = 0
    for shard in text.shards():
        stop = start + arrow.n_rows(shard)
        if np.searchsorted(rows, start) < np.searchsorted(rows, stop):
            for group in arrow.row_groups(shard):
                low, high = np.searchsorted(rows, (start, start + group.num_rows))
                if low < high:
                    yield DocumentBatch(arrow.take(group, rows[low:high] - start))
                start += group.num_rows
        start = stop


def learn(method: Deduper, text: Artifact, store: Store) -> Artifact:
    """What a deduper has to know of the corpus, from the documents with the smallest ids, which are as if drawn."""

    def fill(draft: Draft) -> dict[str, Json]:
        keys = arrow.id_keys(np.concatenate([arrow.ids(arrow.read_parquet(s, ["id"])) for s in text.shards()]))
        rows = np.sort(np.argsort(keys, kind="stable")[:SAMPLE_DOCUMENTS])
        found = method.learn(fetch(text, rows))

        def save(file: Path) -> int:
            with file.open("wb") as handle:
                np.save(handle, found)
            return len(found)

        draft.write(_LEARNED, save)
        return {"documents": len(rows), "learned": len(found)}

    return store.make(Request("Learned", method.name(), method.identity(), {"text": text.fingerprint}), fill)


def learned_by(made: Path) -> HashArray:
    """What was learned."""
    return np.load(made / _LEARNED)
