"""The sections a folder gets where its own recipe has none: a small model that trains on a laptop in minutes."""

from __future__ import annotations

from seedbed.evaluate.audits.ngram_overlap import NgramOverlap
from seedbed.evaluate.tasks.bits_per_byte import BitsPerByte
from seedbed.model.shape import ModelShape
from seedbed.recipe import EvaluatePlan, Recipe
from seedbed.recipes.fineweb_en import curation
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.plan import TrainPlan
from seedbed.train.schedules.warmup_stable_decay import WarmupStableDecay

VOCAB_SIZE = 4096


def training() -> TrainPlan:
    """A Llama-style decoder of some 0.7 M parameters."""
    shape = ModelShape(vocab_size=VOCAB_SIZE, d_model=96, n_layers=3, n_heads=4, context=256)
    return TrainPlan(
        shape=shape,
        objective=CausalLM(),
        optimizer=AdamW(),
        schedule=WarmupStableDecay(),
        tokens=2_000_000,
        batch_sequences=4,
        learning_rate=4e-3,
    )


def recipe() -> Recipe:
    """Curation, tokenizer and training; give it inputs, and held-out text to compare on."""
    return Recipe(
        name="study",
        about="defaults for working on a curated folder step by step",
        curate=curation(),
        tokenizer=ByteBpe(vocab_size=VOCAB_SIZE),
        train=training(),
        evaluate=EvaluatePlan(
            texts={"sample": "sample:target_eval.jsonl.gz"},
            target="sample",
            task=BitsPerByte(),
            audit=NgramOverlap(),
        ),
    )
