"""Gradients by document, of a model whose feed-forwards are experts."""

from __future__ import annotations

import numpy as np
import pytest

from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.model.feed_forwards.experts import Experts
from seedbed.model.gradients import DecoderGradients
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import initial_model


def test_attention_is_told_apart_and_experts_are_refused() -> None:
    shape = ModelShape(vocab_size=64, d_model=16, n_layers=1, n_heads=2, context=16, feed_forward=Experts(experts=3))
    service = DecoderGradients(initial_model(shape, 0), 0)
    with pytest.raises(SeedbedError, match="an expert reads only some positions"):
        service.layers("feed_forward")
    layers = service.layers("attention")
    rows = DocumentBatch.of(["a", "b"]).rows
    documents = DocumentBatch(rows, (np.array([1, 2, 3, 4, 5], np.uint16), np.array([0, 3, 5])))
    found = service.gradients(documents, layers)
    assert set(found) == set(layers)
    assert all(rows.shape[0] == 2 for rows in found.values())
