"""MeCo: who is trained on what, when the cooldown begins, and what metadata is worth in closed form."""

import numpy as np
import pytest
import torch

from seedbed.model.shape import ModelShape
from seedbed.model.transformer import initial_model
from seedbed.train.contract import Batch, Progress, Reading
from seedbed.train.objectives.meco import MeCo

META, TEXT, END = 100, 1, 0


def packed(rng: np.random.Generator, length: int) -> tuple[Reading, list[bool]]:
    """A cut out of documents laid end to end, and which of its tokens are metadata, by brute force."""
    tokens: list[int] = []
    metadata: list[bool] = []
    starts: list[int] = []
    while len(tokens) < 3 * length:
        starts.append(len(tokens))
        prefix, text = int(rng.integers(0, 5)), int(rng.integers(1, 7))
        tokens += [META + i for i in range(prefix)] + [TEXT] * text + [END]
        metadata += [True] * prefix + [False] * (text + 1)
    first = int(rng.integers(0, length))
    inside = sorted({first, *(start for start in starts if first < start < first + length)})
    begin = np.array(inside) - first
    counts = []
    for low, high in zip(inside, [*inside[1:], first + length], strict=True):
        counts.append(sum(metadata[low:high]))
    start = np.array([position in starts for position in inside])
    cut = slice(first, first + length)
    return Reading(np.array(tokens[cut]), begin, start, np.array(counts)), metadata[cut]


@pytest.mark.parametrize("seed", range(15))
def test_exactly_the_metadata_is_not_trained_on(seed):
    reading, metadata = packed(np.random.default_rng(seed), 23)
    example = MeCo().example(reading, key=seed)
    assert example.inputs.tolist() == reading.tokens[:-1].tolist()
    assert example.targets.tolist() == reading.tokens[1:].tolist()
    assert example.weight.tolist() == [0.0 if is_it else 1.0 for is_it in metadata[1:]]
    assert all(
        (target >= META) == (weight == 0.0) for target, weight in zip(example.targets, example.weight, strict=True)
    )


def test_the_first_word_of_a_text_is_predicted_from_its_metadata():
    tokens = np.array([7, 8, END, META, META, 5, 6, END, META, 9])
    reading = Reading(tokens, np.array([0, 3, 8]), np.array([False, True, True]), np.array([0, 2, 1]))
    example = MeCo().example(reading, key=0)
    assert example.weight.tolist() == [1, 1, 0, 0, 1, 1, 1, 0, 1]
    at = example.targets.tolist().index(5)
    assert (example.inputs[at], example.weight[at]) == (META, 1.0)
    with pytest.raises(ValueError, match="two tokens"):
        MeCo().example(Reading.of(np.arange(1)), key=0)


@pytest.mark.parametrize(("cooldown", "total"), [(0.1, 1000), (0.1, 70), (0.3, 999), (0.25, 7), (0.01, 10)])
def test_the_cooldown_begins_at_its_token_and_no_earlier(cooldown, total):
    method = MeCo(cooldown=cooldown)
    asked = {"web": 0.75, "books": 0.25}
    plain = [method.shares(asked, Progress(tokens, total)) == {"web+plain": 0.75, "books+plain": 0.25}
             for tokens in range(total + 1)]  # fmt: skip
    assert plain == sorted(plain)
    assert [*plain, True].index(True) == method.switch(total)
    assert abs(method.switch(total) - (1 - cooldown) * total) <= 0.5
    assert method.shares(asked, Progress(0, total)) == {"web+metadata": 0.75, "books+metadata": 0.25}


def test_no_document_is_in_both_views():
    conditioned, plain = MeCo(cooldown=0.1).views()
    assert conditioned.metadata == "URL: {domain}\n\n"
    assert plain.metadata == ""
    assert (conditioned.part, plain.part) == ((0.0, 0.9), (0.9, 1.0))
    assert (conditioned.suffix, plain.suffix) == ("+metadata", "+plain")


def test_no_gradient_comes_from_metadata():
    model = initial_model(ModelShape(12, 16, 1, 2, context=9), 0)
    tokens = np.array([[3, 4, 0, 9, 9, 5, 6, 0, 9, 7], [3, 4, 0, 9, 8, 5, 6, 0, 9, 7]])
    examples = [
        MeCo().example(Reading(row, np.array([0, 3, 8]), np.ones(3, bool), np.array([0, 2, 1])), 0) for row in tokens
    ]
    columns = ([getattr(example, name) for example in examples] for name in ("inputs", "targets", "weight"))
    stacked = [torch.from_numpy(np.stack(rows)) for rows in columns]
    loss_BT = MeCo().losses(model, Batch(*stacked))
    weight_BT = stacked[2]
    grad = torch.autograd.grad((loss_BT * weight_BT).sum(), loss_BT)[0]
    assert torch.equal(grad, weight_BT)
    assert (grad[stacked[1] >= 8] == 0).all()
    manual = loss_BT[0, [0, 1, 4, 5, 6, 8]].sum() + loss_BT[1, [0, 1, 4, 5, 6, 8]].sum()
    torch.testing.assert_close((loss_BT * weight_BT).sum(), manual)
