"""The demo: which documents should a small model read to become good at databases? On the shipped text, in minutes."""

from __future__ import annotations

import dataclasses

from seedbed import sample
from seedbed.evaluate.audits.ngram_overlap import NgramOverlap
from seedbed.evaluate.tasks.bits_per_byte import BitsPerByte
from seedbed.model.shape import ModelShape
from seedbed.recipe import Arm, ComparePlan, EvaluatePlan, Recipe, Stage
from seedbed.recipes.fineweb_en import curation
from seedbed.recipes.study import training
from seedbed.select.scorers.color_filter import ColorFilter
from seedbed.select.scorers.constant import Constant
from seedbed.select.scorers.dsir import Dsir
from seedbed.select.scorers.url_pattern import UrlPattern
from seedbed.select.selectors.gumbel_top_k import GumbelTopK
from seedbed.select.selectors.repeat_to_budget import RepeatToBudget
from seedbed.select.selectors.top_k import TopK
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from seedbed.train.plan import TrainPlan

VOCAB_SIZE = 2048
TOKENS = 300_000


def small_training(tokens: int) -> TrainPlan:
    """A decoder of 0.4 M parameters."""
    shape = ModelShape(vocab_size=VOCAB_SIZE, d_model=96, n_layers=2, n_heads=3, context=128)
    return dataclasses.replace(training(), shape=shape, tokens=tokens, batch_sequences=4)


def arms(prior_tokens: int, conditional_tokens: int) -> tuple[Arm, ...]:
    """The random floor, two methods that need no labels, and the clean-label ceiling."""
    in_domain = tuple(
        f"https://docs.example.org/{package}/*" for package, name in sample.DOMAINS.items() if name == sample.TARGET
    )
    color = ColorFilter(prior_tokens=prior_tokens, conditional_tokens=conditional_tokens, shape=1 / 3)
    return (
        Arm("random", (Stage(Constant(), GumbelTopK()),)),
        Arm("dsir", (Stage(Dsir(), GumbelTopK()),)),
        Arm("color_filter", (Stage(color, TopK()),)),
        Arm("ceiling", (Stage(UrlPattern(patterns=in_domain), RepeatToBudget()),)),
    )


def heldout() -> EvaluatePlan:
    """Held-out text of four domains; the target's decides."""
    texts = {domain: f"sample:{file.name}" for domain, file in sample.heldout().items()}
    return EvaluatePlan(texts=texts, target=sample.TARGET, task=BitsPerByte(), audit=NgramOverlap())


def recipe() -> Recipe:
    """See the module's docstring."""
    return Recipe(
        name="demo",
        about="real web pages to small language models trained on differently chosen data, and a verdict",
        inputs=("sample:pool",),
        target=(f"sample:{sample.target_select().name}",),
        curate=dataclasses.replace(curation(), shard_bytes=2 << 20),
        tokenizer=ByteBpe(vocab_size=VOCAB_SIZE),
        train=small_training(TOKENS),
        compare=ComparePlan(arms=arms(200_000, 100_000), baseline="random", ceiling="ceiling", seeds=3),
        evaluate=heldout(),
    )


__all__ = ["arms", "heldout", "recipe", "small_training"]
