"""Update a small model with text of a new domain, in several ways: what each gains, forgets and costs."""

from __future__ import annotations

import dataclasses

from seedbed.evaluate.audits.ngram_overlap import NgramOverlap
from seedbed.evaluate.tasks.bits_per_byte import BitsPerByte
from seedbed.model.shape import ModelShape
from seedbed.recipe import EvaluatePlan, Recipe, SourcePlan
from seedbed.recipe.continual import ContinualPlan, Route, TrainingStage
from seedbed.recipes.fineweb_en import curation
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.plan import TrainPlan
from seedbed.train.schedules.cosine import Cosine
from seedbed.train.schedules.infinite import Infinite

OLD_TOKENS, NEW_TOKENS = 400_000, 100_000
"""Of the sample: the model is trained on the first number of old text, and may read the second of new text."""

POOL = tuple(f"sample:pool-{number:02}.warc.gz" for number in range(5))


def training() -> TrainPlan:
    """A decoder of some 0.25 M parameters."""
    return TrainPlan(
        shape=ModelShape(vocab_size=2048, d_model=64, n_layers=2, n_heads=4, context=128),
        objective=CausalLM(),
        optimizer=AdamW(),
        schedule=Cosine(),
        tokens=OLD_TOKENS,
        batch_sequences=8,
        learning_rate=4e-3,
    )


def routes() -> tuple[Route, ...]:
    """Retrain on the union; continue at the low end of the rate; re-warm; re-warm with replay; an infinite schedule."""
    old = TrainingStage("old", OLD_TOKENS, {"old": 1.0}, begin="scratch", teaches="society")
    new = TrainingStage("new", NEW_TOKENS, {"new": 1.0}, teaches="databases")
    both = TrainingStage("union", OLD_TOKENS + NEW_TOKENS, {"old": 0.8, "new": 0.2}, begin="scratch")
    open_end = Infinite(warmup_tokens=10_000, cooldown_tokens=200_000)
    first = dataclasses.replace(old, name="old open", schedule=open_end, anneal_tokens=40_000)
    goes_on = dataclasses.replace(
        new, name="new open", begin="continue", replay={"old": 0.25}, tokens=NEW_TOKENS - 20_000, anneal_tokens=20_000
    )
    return (
        Route("union", (both,), tokenizer=("old",)),
        Route(
            "low rate", (old, dataclasses.replace(new, name="new low", schedule=Cosine(floor=1.0), learning_rate=4e-4))
        ),
        Route("re-warm", (old, new)),
        Route("re-warm, replay 5 %", (old, dataclasses.replace(new, replay={"old": 0.05}))),
        Route("re-warm, replay 25 %", (old, dataclasses.replace(new, replay={"old": 0.25}))),
        Route("infinite, replay 25 %", (first, goes_on)),
    )


def recipe() -> Recipe:
    """The shipped sample as old text, its manuals of databases as what is new."""
    return Recipe(
        name="continual",
        about="old text, then new text: continue or start again",
        curate=curation(),
        sources={"old": SourcePlan(POOL), "new": SourcePlan(("sample:target_select.jsonl.gz",))},
        tokenizer=ByteBpe(vocab_size=2048),
        train=training(),
        continual=ContinualPlan(routes(), baseline="union"),
        evaluate=EvaluatePlan(
            texts={
                "society": "sample:eval_society.jsonl.gz",
                "graphics": "sample:eval_graphics.jsonl.gz",
                "databases": "sample:target_eval.jsonl.gz",
            },
            target="databases",
            task=BitsPerByte(),
            audit=NgramOverlap(),
        ),
    )
