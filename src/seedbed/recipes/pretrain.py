"""A first language model on your own text: English web rules, a tokenizer of your own, 7 M parameters, the Step Law.

Learning rate and batch are what the Step Law says for this size and length (it was fitted on models of 60 M parameters
and more, and says so). Make it larger with `--set train.shape.n_layers=12 --set train.shape.d_model=512
--set train.shape.n_heads=8 --tokens 1G`; both follow.
"""

from __future__ import annotations

from seedbed.model.shape import ModelShape
from seedbed.recipe import Recipe
from seedbed.recipes.fineweb_en import curation
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.plan import Checkpoints, TrainPlan
from seedbed.train.schedules.warmup_stable_decay import WarmupStableDecay

VOCAB_SIZE = 8192


def training() -> TrainPlan:
    """Twenty tokens a parameter outside the embedding, which is where a larger model begins to be the better buy."""
    return TrainPlan(
        shape=ModelShape(vocab_size=VOCAB_SIZE, d_model=256, n_layers=6, n_heads=4, context=512),
        objective=CausalLM(),
        optimizer=AdamW(),
        schedule=WarmupStableDecay(),
        tokens=100_000_000,
        checkpoints=Checkpoints(every_steps=200),
    )


def recipe() -> Recipe:
    """See the module's docstring."""
    return Recipe(
        name="pretrain",
        about="a language model of 7 M parameters from scratch, with the Step Law's learning rate and batch",
        curate=curation(),
        tokenizer=ByteBpe(vocab_size=VOCAB_SIZE),
        train=training(),
    )
