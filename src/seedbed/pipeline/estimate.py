"""What a recipe will need, before anything runs: documents, tokens, FLOP, disk. Counted if possible, else sampled."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from seedbed.core.units import human
from seedbed.curate.contract import Record
from seedbed.curate.sources import Source, find_sources
from seedbed.model import counts
from seedbed.pipeline.workplace import resolve
from seedbed.recipe import Recipe, Stage
from seedbed.select.contract import TrainedModel

SAMPLE_BYTES = 4 << 20
BYTES_PER_TOKEN = 3.5
"""Of a small byte-level vocabulary on English text; the tokenizer's own figure is known once it is trained."""


@dataclasses.dataclass(frozen=True)
class Needs:
    """Estimates; the numbers of documents and text come from reading up to 4 MiB of the input.

    Args:
        input_bytes, documents, text_bytes, tokens: of what is read (the kept part is smaller).
        runs, trained_tokens, flops: training, auxiliary models included.
        disk_bytes: artifacts, roughly.
    """

    input_bytes: int
    documents: float
    text_bytes: float
    tokens: float
    runs: int
    trained_tokens: float
    flops: float
    disk_bytes: float

    def lines(self) -> list[tuple[str, str]]:
        """(name, value) for people."""
        rows = [
            ("input", human(self.input_bytes, "B")),
            ("records (estimated)", human(self.documents)),
            ("text (estimated)", human(self.text_bytes, "B")),
            ("tokens before filters (estimated)", human(self.tokens)),
            ("disk (estimated)", human(self.disk_bytes, "B")),
        ]
        if self.runs:
            rows += [
                ("training runs", str(self.runs)),
                ("tokens trained on", human(self.trained_tokens)),
                ("training", human(self.flops, "FLOP")),
            ]
        return rows


def estimate(recipe: Recipe, inputs: Sequence[str]) -> Needs:
    """Read a little of the input and add up the recipe's training runs."""
    sources = find_sources(resolve(inputs), recipe.curate.readers)[0] if inputs else []
    total = sum(source.size for source in sources)
    seen_bytes, records, text = _sample(sources)
    factor = total / seen_bytes if seen_bytes else 0.0
    runs, trained, flops = _training(recipe)
    text_bytes = text * factor
    versions = 1 + len(recipe.curate.edits)
    disk = text_bytes * (0.4 * (versions + 1)) + text_bytes / BYTES_PER_TOKEN * 2 * (recipe.tokenizer is not None)
    if recipe.train is not None:
        disk += runs * 4 * counts.total_parameters(recipe.train.shape)
    return Needs(total, records * factor, text_bytes, text_bytes / BYTES_PER_TOKEN, runs, trained, flops, disk)


def _sample(sources: Sequence[Source]) -> tuple[int, int, int]:
    """(bytes of input seen, records, bytes of text) of the first few sources; an HTML page is about a third text."""
    seen = records = text = 0
    for source in sources:
        if seen >= SAMPLE_BYTES:
            break
        for record in source.reader.records(source.path):
            records += 1
            text += _text_bytes(record)
        seen += source.size
    return seen, records, text


def _text_bytes(record: Record) -> int:
    return len(record.text.encode("utf-8", "replace")) if record.kind == "text" else len(record.content) // 3


def _training(recipe: Recipe) -> tuple[int, float, float]:
    """(runs, tokens, FLOP); the baseline at equal cost is counted with what auxiliary models cost."""
    if recipe.train is None:
        return 0, 0.0, 0.0
    per_token = counts.training_flops(recipe.train.shape, 1, recipe.train.shape.context) / recipe.train.shape.context
    runs, tokens, flops = 0, 0.0, 0.0
    if recipe.compare is not None:
        stages = [stage for arm in recipe.compare.arms for stage in arm.stages]
        needs = {need for stage in stages for need in _models(stage)}
        runs += recipe.compare.seeds * len(recipe.compare.arms) + len(needs)
        tokens += recipe.compare.seeds * len(recipe.compare.arms) * recipe.train.tokens
        tokens += sum(need.tokens * need.shape for need in needs)
        flops += per_token * tokens
    if recipe.ladder is not None:
        for shape in recipe.ladder.shapes:
            runs += len(recipe.ladder.tokens)
            tokens += sum(recipe.ladder.tokens)
            flops += counts.training_flops(shape, 1, shape.context) / shape.context * sum(recipe.ladder.tokens)
    return runs, tokens, flops


def _models(stage: Stage) -> list[TrainedModel]:
    return [need for need in stage.scorer.needs() if isinstance(need, TrainedModel)]
