"""Sources of training: documents, tokens and weights on disk, read in the views that an objective asks for."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.tokenize.encode import Encoder
from seedbed.tokenize.run import Pool
from seedbed.train.plan import TrainPlan

if TYPE_CHECKING:
    from seedbed.train.source import Metadata, TokenSource

_FIELDS = ("url", "domain", "source", "language")
"""What a view's metadata may name."""


@dataclasses.dataclass(frozen=True)
class Order:
    """An order of reading: an artifact folder with a rank for every document, and how many buckets it is read in."""

    ranks: Path
    buckets: int


@dataclasses.dataclass(frozen=True)
class SourceFiles:
    """A source on disk.

    Args:
        documents, tokens, weights: artifact folders; no weights means every document once an epoch.
        order: in which documents are read; None shuffles them.
    """

    documents: Path
    tokens: Path
    weights: Path | None = None
    order: Order | None = None

    @property
    def pool(self) -> Pool:
        """The documents with their tokens."""
        return Pool(Artifact(self.documents), Artifact(self.tokens))

    def fingerprints(self) -> dict[str, Json]:
        """Of what is read, by role."""
        parts = (("documents", self.documents), ("tokens", self.tokens), ("weights", self.weights))
        told: dict[str, Json] = {role: Artifact(folder).fingerprint for role, folder in parts if folder is not None}
        return told | (
            {} if self.order is None else {"order": f"{Artifact(self.order.ranks).fingerprint} {self.order.buckets}"}
        )


def token_sources(
    files: Mapping[str, SourceFiles], plan: TrainPlan, seed: int, tokenizer: Path, store: Store
) -> dict[str, TokenSource]:
    """Every source in every view that the objective asks for, by name and suffix."""
    from seedbed.train.source import TokenShard, TokenSource

    found: dict[str, TokenSource] = {}
    context = plan.shape.context
    for name, given in files.items():
        pool = given.pool
        shards = [TokenShard(pool.ids(shard), pool.shard_index(shard)) for shard in pool.shard_names()]
        copies_N = _copies(name, given, pool)
        for view in plan.objective.views():
            found[name + view.suffix] = TokenSource(
                name + view.suffix,
                shards,
                copies_N,
                seed=seed,
                context=context,
                reads=plan.objective.reads(context),
                metadata=_metadata(metadata_into(given, tokenizer, view.metadata, store)) if view.metadata else None,
                part=view.part,
                rank_N=_ranks(given.order),
                buckets=given.order.buckets if given.order is not None else 1,
            )
    return found


def make_metadata(files: Iterable[SourceFiles], plan: TrainPlan, tokenizer: Path, store: Store) -> None:
    """The metadata of every view, made ahead: runs side by side then find it."""
    for given in files:
        for template in {view.metadata for view in plan.objective.views()} - {""}:
            metadata_into(given, tokenizer, template, store)


def epoch_tokens(files: SourceFiles) -> float:
    """Tokens of one epoch, metadata not counted."""
    pool = files.pool
    n_tokens_N = arrow.numpy(pool.index(), "n_tokens").astype(np.int64)
    return float((_copies("", files, pool) * n_tokens_N).sum())


def _copies(name: str, files: SourceFiles, pool: Pool) -> npt.NDArray[np.float64]:
    index = pool.index()
    if files.weights is None:
        return np.ones(index.num_rows)
    weights = Artifact(files.weights).table(["id", "copies"])
    if not np.array_equal(arrow.ids(weights), arrow.ids(index)):
        what = "these weights are of other documents"
        raise SeedbedError(str(files.weights), what, f"Select again on the documents of source {name or 'pool'}.")
    return arrow.numpy(weights, "copies").astype(np.float64)


def _ranks(order: Order | None) -> npt.NDArray[np.float64] | None:
    return None if order is None else arrow.numpy(Artifact(order.ranks).table(["rank"]), "rank").astype(np.float64)


def metadata_into(files: SourceFiles, tokenizer: Path, template: str, store: Store) -> Artifact:
    """Tokens that go before each document: `ids-00000.bin`, and their number in the documents' order."""
    pool, encoder = files.pool, Encoder.open(tokenizer)
    parents = {"documents": pool.documents.fingerprint, "tokenizer": Artifact(tokenizer).fingerprint}

    def fill(draft: Draft) -> dict[str, Json]:
        counts: list[npt.NDArray[np.int64]] = []

        def write(file: Path) -> int:
            with file.open("wb") as out:
                for shard in pool.documents.shards():
                    for rows in arrow.row_groups(shard, ["url", "source", "language"]):
                        ids, counted = _encoded(encoder, render(template, rows))
                        out.write(ids.tobytes())
                        counts.append(counted)
            return 0

        draft.write("ids-00000.bin", write)
        n_tokens = np.concatenate([np.zeros(0, np.int64), *counts])
        draft.write_table("part-00000.parquet", arrow.table({"n_tokens": n_tokens}))
        return {"tokens": int(n_tokens.sum()), "dtype": encoder.dtype.str}

    return store.make(Request("Tokens", "metadata", {"template": template}, parents), fill)


def render(template: str, rows: Any) -> list[str]:
    """The metadata of each row. Raises SeedbedError for a field that documents do not have."""
    named = set(re.findall(r"\{(\w*)\}", template))
    if unknown := named - set(_FIELDS):
        mend = f"Known: {', '.join(f'{{{field}}}' for field in _FIELDS)}."
        raise SeedbedError("objective.metadata", f"there is no field {sorted(unknown)[0]!r} to fill in", mend)
    columns = {field: [text or "" for text in arrow.strings(rows, field)] for field in ("url", "source", "language")}
    columns["domain"] = [urlsplit(url).hostname or "" for url in map(_parsable, columns["url"])]
    return [
        re.sub(r"\{(\w+)\}", lambda found, row=row: columns[found[1]][row], template) for row in range(rows.num_rows)
    ]


def _parsable(url: str) -> str:
    try:
        urlsplit(url)
    except ValueError:  # a bracket that is not closed
        return ""
    return url


def _encoded(encoder: Encoder, texts: list[str]) -> tuple[npt.NDArray[np.integer[Any]], npt.NDArray[np.int64]]:
    """(ids, tokens of each text), without the token that ends a document."""
    data = [text.encode() for text in texts]
    bounds = np.cumsum([0, *map(len, data)], dtype=np.int64)
    ids, offsets = encoder.encode(np.frombuffer(b"".join(data), np.uint8), bounds)
    text = np.ones(len(ids), np.bool_)
    text[offsets[1:] - 1] = False
    return ids[text], np.diff(offsets) - 1


def _metadata(made: Artifact) -> Metadata:
    from seedbed.train.source import Metadata

    file, dtype = made.path / "ids-00000.bin", np.dtype(str(made.about["dtype"]))
    ids = np.memmap(file, dtype, "r") if file.stat().st_size else np.zeros(0, dtype)
    counted = arrow.numpy(cast(Any, made.table()), "n_tokens")
    return Metadata(ids, np.concatenate([[0], np.cumsum(counted)]).astype(np.int64))
