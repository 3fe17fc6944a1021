"""What a recipe will need, before anything runs: documents, tokens, FLOP, disk. Counted if possible, else sampled."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from seedbed.core.units import human
from seedbed.curate.contract import Record
from seedbed.curate.sources import find_sources
from seedbed.model import counts
from seedbed.pipeline.probe import sample
from seedbed.pipeline.workplace import resolve
from seedbed.recipe import Recipe, Rung, Stage
from seedbed.select.contract import TrainedModel

N_SAMPLED = 200
PACKED = 0.4
"""Bytes of a Parquet shard for a byte of text."""
BYTES_PER_TOKEN = 3.5
"""Of a small byte-level vocabulary on English text; the tokenizer's own figure is known once it is trained."""


@dataclasses.dataclass(frozen=True)
class Needs:
    """Estimates; the numbers of documents and text come from reading a little of the input.

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
    """Read a little of the input and add up."""
    sources = find_sources(resolve(inputs), recipe.curate.readers)[0] if inputs else []
    total = sum(source.size for source in sources)
    sampled = sample(sources, N_SAMPLED, n_sources=2)
    texts = [_text_bytes(record) for _, record in sampled.chosen]
    documents = (sampled.records - sampled.not_text) * total / max(sampled.seen_bytes, 1)
    return needs(recipe, total, documents, sum(texts) / max(len(texts), 1) * documents)


def needs(recipe: Recipe, input_bytes: int, documents: float, text_bytes: float) -> Needs:
    """What a recipe needs for so much text."""
    runs, trained, flops = _training(recipe)
    versions = 1 + len(recipe.curate.edits)
    tokens = text_bytes / BYTES_PER_TOKEN
    disk = text_bytes * (PACKED * (versions + 1)) + tokens * 2 * (recipe.tokenizer is not None)
    if recipe.train is not None:
        disk += runs * 4 * counts.total_parameters(recipe.train.shape)
    return Needs(input_bytes, documents, text_bytes, tokens, runs, trained, flops, disk)


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
        plan = recipe.ladder
        for rung in (*(Rung(shape, length) for shape in plan.shapes for length in plan.tokens), *plan.targets):
            runs += plan.seeds
            tokens += plan.seeds * rung.tokens
            a_token = counts.training_flops(rung.shape, 1, rung.shape.context) / rung.shape.context
            flops += a_token * plan.seeds * rung.tokens
    return runs, tokens, flops


def _models(stage: Stage) -> list[TrainedModel]:
    return [need for need in stage.scorer.needs() if isinstance(need, TrainedModel)]
