"""The whole path in under a minute: a third of the shipped text, tiny models, one comparison. It proves nothing."""

from __future__ import annotations

import dataclasses

from seedbed.model.shape import ModelShape
from seedbed.recipe import ComparePlan, Recipe
from seedbed.recipes import demo


def recipe() -> Recipe:
    """The demo, small."""
    whole = demo.recipe()
    assert whole.train is not None
    assert whole.evaluate is not None
    shape = ModelShape(vocab_size=512, d_model=32, n_layers=2, n_heads=2, context=64)
    return dataclasses.replace(
        whole,
        name="smoke",
        about="the whole path in under a minute; too small to prove anything",
        inputs=("sample:pool-00.warc.gz",),
        tokenizer=dataclasses.replace(whole.tokenizer, vocab_size=512) if whole.tokenizer else None,
        evaluate=dataclasses.replace(whole.evaluate, texts=dict(list(whole.evaluate.texts.items())[:2])),
        train=dataclasses.replace(whole.train, shape=shape, tokens=32_768, batch_sequences=8),
        compare=ComparePlan(arms=demo.arms(16_384, 8_192), baseline="random", ceiling="ceiling", seeds=2),
    )
