"""Concepts counted in a corpus, and the long tail of them as items of a probe."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.artifact import Artifact
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.core.parameters import Json
from seedbed.evaluate.concepts import By, Concepts, tail_items
from seedbed.evaluate.items import read_lines
from seedbed.pipeline import workplace
from seedbed.pipeline.data import texts_into
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import Recipe
from seedbed.tokenize.run import from_kept


def count(corpus: Sequence[str | Path], concepts: str | Path, defaults: Recipe) -> pa.Table:
    """A table of schema CONCEPT_COUNTS, a row a concept, in the order of the file.

    Args:
        corpus: output folders of a curation, whose kept documents are counted; files and folders of raw text.
        concepts: a text file, a word or phrase a line; blank lines are passed over.
        defaults: a recipe whose readers and extractor read the corpus.

    Raises:
        SeedbedError: for a file that cannot be read, or a concept without a word, with its number.
    """
    given = workplace.expand(corpus)
    if not given:
        raise RecipeError("--corpus", "there is no text to count in", "Name files or folders of text.")
    workplace.check_there("--corpus", given)
    known = Concepts(_lines(Path(concepts)), str(concepts))
    made = [each for each in given if "curate" in workplace.read_index(each, missing_is_empty=True)]
    with tempfile.TemporaryDirectory() as folder, Workplace.open(folder) as place:
        sources = [workplace.curated_at(each).kept for each in made]
        if raw := [each for each in given if each not in made]:
            sources.append(texts_into(place, defaults.curate, raw))
        return known.count(_batches(sources))


def tail(items: str | Path, counts: pa.Table, below: float, by: By = "documents") -> list[dict[str, Json]]:
    """The items of a probe's file, folder or zip archive that speak of a concept said fewer than `below` times.

    Raises SeedbedError where there is none.
    """
    workplace.check_there("--items", [str(items)])
    found = tail_items(read_lines(workplace.resolve([str(items)])[0]), counts, below, by)
    if not found:
        what = f"no item speaks of a concept that the corpus says fewer than {below:g} times"
        raise SeedbedError(str(items), what, "Raise the bound, or count more concepts.")
    return found


def _batches(sources: Sequence[Artifact]) -> Iterator[DocumentBatch]:
    for source in sources:
        for shard in source.shards():
            for rows in arrow.row_groups(shard):
                yield from_kept(rows)


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        mend = "Give a UTF-8 text file, a word or phrase a line."
        raise SeedbedError(str(file), f"cannot be read ({type(error).__name__})", mend) from error
    return [line.strip() for line in lines if line.strip()]
