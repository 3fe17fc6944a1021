"""How flat the loss lies around a model, on held-out files."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.pipeline import models
from seedbed.pipeline.data import texts_into
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import Recipe

MOST_DOCUMENTS = 4096
"""More are not needed for the tokens that a trace is taken on."""


def measured(model: str | Path, texts: Sequence[str], defaults: Recipe, draws: int, seed: int = 0) -> dict[str, Json]:
    """Numbers of a trace (model.flatness.Trace) by name: of the first documents of the files.

    Raises SeedbedError for a model without a tokenizer, or files without text.
    """
    from seedbed.model.flatness import text_trace

    decoder, definition, end_of_text = models.read(model)
    if definition is None or end_of_text is None:
        mend = "Copy the model's tokenizer.json there, with special.json beside it."
        raise SeedbedError(str(model), "holds no tokenizer that says which token ends a text", mend)
    with tempfile.TemporaryDirectory() as folder, Workplace.open(folder) as place:
        documents = texts_into(place, defaults.curate, texts)
        parts = (
            arrow.strings(rows, "text") for shard in documents.shards() for rows in arrow.row_groups(shard, ["text"])
        )
        read = [text or "" for text in itertools.islice(itertools.chain.from_iterable(parts), MOST_DOCUMENTS)]
    return text_trace(decoder, end_of_text, definition, read, draws=draws, seed=seed).to_json()
