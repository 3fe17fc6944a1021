"""What these comparisons share: documents of the corpus or the sample, rows of tokens, bits per byte.

The corpus is a folder with jsonl/all.jsonl: one document a line, with text, metadata.package and metadata.lang.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seedbed.core.nouns import DocumentBatch
from seedbed.tokenize.encode import Encoder

sys.path += [str(Path(__file__).parents[1] / room) for room in ("train", "select")]

if TYPE_CHECKING:
    from seedbed.model.language_model import LanguageModel
    from seedbed.model.shape import ModelShape
    from seedbed.model.transformer import Decoder
    from seedbed.train.plan import TrainPlan

BATCH = 16
HELD_OUT = 7
"""Every tenth document, from this one on, is held out."""


def documents(corpus: Path, wanted: Callable[[str, str], bool], most_characters: int) -> tuple[list[str], list[str]]:
    """(to train on, held out), of the packages and languages that are wanted; a long document is cut."""
    kept: tuple[list[str], list[str]] = [], []
    number = 0
    with (corpus / "jsonl" / "all.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            told = json.loads(line)
            if wanted(told["metadata"]["package"], told["metadata"]["lang"]):
                kept[number % 10 == HELD_OUT].append(told["text"][:most_characters])
                number += 1
    return kept


def rows(encoder: Encoder, texts: Sequence[str], length: int, most_tokens: int | None = None) -> np.ndarray:
    """The texts one after the other, cut into rows of `length` tokens; a rest is left out."""
    parts, total = [], 0
    for at in range(0, len(texts), 256):
        ids, _ = encoder.encode(*DocumentBatch.of(list(texts[at : at + 256])).text_buffers())
        parts.append(ids)
        total += len(ids)
        if most_tokens is not None and total >= most_tokens:
            break
    flat = np.concatenate(parts)[:most_tokens]
    return flat[: len(flat) // length * length].reshape(-1, length).astype(np.uint16)


def planned(shape: ModelShape, tokens: int, learning_rate: float) -> TrainPlan:
    """AdamW under a cosine."""
    from seedbed.train.objectives.causal_lm import CausalLM
    from seedbed.train.optimizers.adamw import AdamW
    from seedbed.train.plan import TrainPlan
    from seedbed.train.schedules.cosine import Cosine

    return TrainPlan(
        shape=shape,
        objective=CausalLM(),
        optimizer=AdamW(),
        schedule=Cosine(warmup_fraction=0.05),
        tokens=tokens,
        batch_sequences=BATCH,
        learning_rate=learning_rate,
    )


def learned(
    plan: TrainPlan, ids: np.ndarray, *, seed: int, end: int, name: str = "text", init: Decoder | None = None
) -> Decoder:
    """A model trained on rows."""
    from paired import source, trained

    assert end == 0, "an empty place is written with the end of text"
    return trained(plan, {name: source(name, ids, seed=seed, context=plan.shape.context)}, seed=seed, init=init)


def asked(decoder: Decoder, encoder: Encoder) -> LanguageModel:
    from seedbed.model.language_model import LanguageModel

    return LanguageModel(decoder, encoder.end_id, encoder.definition)


def bits_per_byte(model: LanguageModel, texts: Sequence[str]) -> float:
    nats, _ = model.log_likelihoods(DocumentBatch.of(list(texts)))
    return -float(nats.sum()) / math.log(2) / sum(len(text.encode()) for text in texts)


def accuracy(probe: Any, model: LanguageModel, items: Sequence[Any]) -> float:
    """In points."""
    from seedbed.core import arrow

    return 100 * float(arrow.numpy(probe.score(model, items), "correct").mean())


def continuations(texts: Sequence[str], most: int, *, before: int = 200, behind: int = 60) -> list[Any]:
    """What follows in the text, against what follows in three other texts; one item a text, at its middle."""
    from seedbed.evaluate.items import Item

    pairs = []
    for text in texts:
        middle = text.find(" ", len(text) // 2)
        if middle >= before and len(text) - middle > behind + 1:
            pairs.append((text[middle - before : middle], text[middle + 1 : middle + 1 + behind]))
    pairs, n = pairs[:most], min(most, len(pairs))
    assert n >= 4, "too few held-out texts for a probe"
    return [
        Item(f"next:{k}", "next", pairs[k][0], tuple(pairs[(k + step * 37) % n if step else k][1] for step in range(4)))
        for k in range(n)
        if len({pairs[(k + step * 37) % n if step else k][1] for step in range(4)}) == 4
    ]
