"""A ladder of small runs on the shipped text, and the Chinchilla form fitted to them: some minutes."""

from __future__ import annotations

import dataclasses

from seedbed import sample
from seedbed.model.shape import ModelShape
from seedbed.predict.laws.chinchilla import Chinchilla
from seedbed.recipe import LadderPlan, Recipe
from seedbed.recipes import demo

SIZES = ((32, 2, 2), (48, 2, 2), (72, 3, 3), (96, 3, 4))
TOKENS = (100_000, 200_000, 400_000, 800_000)


def recipe() -> Recipe:
    """Four sizes at four lengths each, on random documents, evaluated on the target domain."""
    shapes = tuple(
        ModelShape(vocab_size=demo.VOCAB_SIZE, d_model=width, n_layers=layers, n_heads=heads, context=128)
        for width, layers, heads in SIZES
    )
    return dataclasses.replace(
        demo.recipe(),
        name="ladder",
        about="small runs of four sizes and four lengths, and a law fitted to them",
        target=(),
        compare=None,
        ladder=LadderPlan(shapes=shapes, tokens=TOKENS, law=Chinchilla(), domain=sample.TARGET),
    )
