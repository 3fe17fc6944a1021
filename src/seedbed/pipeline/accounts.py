"""The ledger carried on to tokens: what was kept was tokenised, document by document and byte by byte."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np

from seedbed.core import arrow
from seedbed.core.artifact import Artifact
from seedbed.core.errors import SeedbedError
from seedbed.curate import ledger
from seedbed.curate.publish import write_ledger
from seedbed.curate.run import Curated
from seedbed.pipeline import lookup, workplace
from seedbed.pipeline.workplace import Workplace


def tokens_of_kept(out: Path, curated: Curated) -> Artifact | None:
    """The tokens of the documents that are kept now, where they are tokenised."""
    folder = workplace.read_index(out).get("tokens")
    tokens = Artifact(out / "artifacts" / str(folder)) if folder is not None else None
    if tokens is None or cast("dict[str, str]", tokens.manifest["parents"])["documents"] != curated.kept.fingerprint:
        return None
    return tokens


def account_for_tokens(place: Workplace, tokens: Artifact) -> None:
    """Carry the ledger on to the tokens; raises SeedbedError where documents, bytes or tokens were lost."""
    curated = workplace.curated_at(place.out)
    table = ledger.with_tokens(curated.decisions.table(stem=ledger.STEM), counted_tokens(tokens))
    write_ledger(curated, table, place.out)


def counted_tokens(tokens: Artifact) -> dict[str, tuple[int, int, int]]:
    """Shard -> (documents, bytes, tokens). Raises SeedbedError where the ids stored are not as many as are listed."""
    counted: dict[str, tuple[int, int, int]] = {}
    itemsize = np.dtype(str(tokens.about["dtype"])).itemsize
    for shard in tokens.shards():
        index = arrow.read_parquet(shard, ["n_bytes", "n_tokens"])
        n_bytes, n_tokens = (int(arrow.numpy(index, name).sum()) for name in ("n_bytes", "n_tokens"))
        stored = shard.with_name(lookup.ids_file(shard)).stat().st_size // itemsize
        if stored != n_tokens:
            raise SeedbedError(str(shard), f"{n_tokens} tokens are listed and {stored} are stored", "Tokenise anew.")
        counted[shard.stem.removeprefix("part-")] = index.num_rows, n_bytes, n_tokens
    return counted
