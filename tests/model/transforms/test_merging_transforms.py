"""Task vectors, instruction residual, average of checkpoints: identities, rows by token, and what they are for."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model.cross_entropy import linear_cross_entropy
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder, initial_model
from seedbed.model.transforming import Checkpoint, Given
from seedbed.model.transforms.average_checkpoints import AverageCheckpoints
from seedbed.model.transforms.instruction_residual import InstructionResidual
from seedbed.model.transforms.task_vectors import TaskVectors

WORDS = [f"w{i}" for i in range(12)]
SHAPE = ModelShape(len(WORDS), 8, 1, 2, context=16)
EMBEDDING = "model.embed_tokens.weight"


def tokenizer(words):
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=words[0]))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return made.to_str()


def drawn(seed, shape=SHAPE, words=WORDS):
    """Weights of every size, from 1e-12 to 1e12."""
    decoder, generator = Decoder(shape), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in decoder.parameters():
            size = 10 ** (24 * torch.rand(weight.shape, generator=generator) - 12)
            weight.copy_(torch.randn(weight.shape, generator=generator) * size)
    return Checkpoint(decoder, tokenizer(words) if words else None, 0)


def bits(side):
    return {name: value.numpy().tobytes() for name, value in side.decoder.state_dict().items()}


def state(side):
    return {name: value.double() for name, value in side.decoder.state_dict().items()}


def reordered(side, words):
    """The same model with another order of words; words that it does not know get rows of 7."""
    state = dict(side.decoder.state_dict())
    for name in (EMBEDDING, "lm_head.weight"):
        if name in state:
            rows = [state[name][WORDS.index(w)] if w in WORDS else torch.full((8,), 7.0) for w in words]
            state[name] = torch.stack(rows)
    decoder = Decoder(dataclasses.replace(side.decoder.shape, vocab_size=len(words)))
    decoder.load_state_dict(state)
    return Checkpoint(decoder, tokenizer(words), 0)


@pytest.mark.parametrize("tied", [True, False])
def test_base_plus_one_whole_vector_is_the_tuned_model_to_the_bit(tied):
    shape = dataclasses.replace(SHAPE, tied_embeddings=tied)
    base, tuned = drawn(0, shape), drawn(1, shape)
    assert bits(TaskVectors().apply(base, Given(models={"tuned": tuned}))) == bits(tuned)
    assert bits(TaskVectors(scale=0).apply(base, Given(models={"tuned": tuned}))) == bits(base)
    assert bits(TaskVectors(scale=-3.7).apply(base, Given(models={"tuned": base}))) == bits(base)
    assert bits(InstructionResidual().apply(base, Given(models={"base": base, "instruct": tuned}))) == bits(tuned)
    again = Checkpoint(copy.deepcopy(base.decoder), base.tokenizer_json, 0)
    assert bits(InstructionResidual().apply(base, Given(models={"base": again, "instruct": tuned}))) == bits(tuned)
    assert bits(InstructionResidual().apply(base, Given(models={"base": tuned, "instruct": tuned}))) == bits(base)


def test_the_sum_is_that_of_the_formula():
    base, first, second = (moderate(seed) for seed in range(3))
    found = state(TaskVectors(scales=(0.4, -0.5)).apply(base, Given(models={"tuned": first, "zebra": second})))
    for name, value in state(base).items():
        expected = value + 0.4 * (state(first)[name] - value) - 0.5 * (state(second)[name] - value)
        torch.testing.assert_close(found[name], expected, atol=1e-6, rtol=1e-6)
    found = state(InstructionResidual(scale=0.7).apply(base, Given(models={"base": first, "instruct": second})))
    for name, value in state(base).items():
        expected = value + 0.7 * (state(second)[name] - state(first)[name])
        torch.testing.assert_close(found[name], expected, atol=1e-6, rtol=1e-6)


def moderate(seed, shape=SHAPE, words=WORDS):
    decoder, generator = Decoder(shape), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in decoder.parameters():
            weight.normal_(generator=generator)
    return Checkpoint(decoder, tokenizer(words) if words else None, 0)


def test_a_tied_head_gets_a_vector_once():
    base, tuned = moderate(0), moderate(1)
    merged = TaskVectors(scale=0.5).apply(base, Given(models={"tuned": tuned}))
    assert merged.decoder.head_weight is merged.decoder.model.embed_tokens.weight
    expected = (state(base)[EMBEDDING] + state(tuned)[EMBEDDING]) / 2
    torch.testing.assert_close(merged.decoder.head_weight.detach().double(), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("tied", [True, False])
def test_rows_are_matched_by_token_and_not_by_row(tied):
    shape = dataclasses.replace(SHAPE, tied_embeddings=tied)
    base, tuned = moderate(0, shape), moderate(1, shape)
    whole = state(TaskVectors(scale=0.5).apply(base, Given(models={"tuned": tuned})))
    words = ["new", *reversed(WORDS[3:]), "other", "third", "fourth"]  # without w0, w1, w2; more than there were
    found = state(TaskVectors(scale=0.5).apply(base, Given(models={"tuned": reordered(tuned, words)})))
    for name, value in found.items():
        if name in (EMBEDDING, "lm_head.weight"):
            assert torch.equal(value[:3], state(base)[name][:3])
            assert torch.equal(value[3:], whole[name][3:])
        else:
            assert torch.equal(value, whole[name])


def test_a_residual_reaches_the_old_rows_of_a_continued_base_with_a_larger_vocabulary():
    base, instruct = moderate(0), moderate(1)
    words = ["added", *WORDS, "more"]
    continued = reordered(moderate(2), words)
    merged = InstructionResidual().apply(continued, Given(models={"base": base, "instruct": instruct}))
    assert (merged.tokenizer_json, merged.end_of_text) == (continued.tokenizer_json, 0)
    rows, residual = state(merged)[EMBEDDING], state(instruct)[EMBEDDING] - state(base)[EMBEDDING]
    assert torch.equal(rows[[0, 13]], torch.full((2, 8), 7.0).double())
    torch.testing.assert_close(rows[1:13], state(continued)[EMBEDDING][1:13] + residual, atol=1e-6, rtol=1e-6)


def test_models_that_do_not_correspond_are_refused_with_the_field_that_differs():
    base = moderate(0)
    deeper = moderate(1, dataclasses.replace(SHAPE, n_layers=2))
    with pytest.raises(SeedbedError, match="tuned: has n_layers 2 where the model has 1"):
        TaskVectors().apply(base, Given(models={"tuned": deeper}))
    untied = moderate(1, dataclasses.replace(SHAPE, tied_embeddings=False))
    with pytest.raises(SeedbedError, match="has tied_embeddings False"):
        TaskVectors().apply(base, Given(models={"tuned": untied}))
    larger = moderate(1, dataclasses.replace(SHAPE, vocab_size=13), words=None)
    with pytest.raises(SeedbedError, match=r"13 tokens where the model has 12, and one has no tokenizer\.json"):
        TaskVectors().apply(base, Given(models={"tuned": larger}))
    foreign = moderate(1, words=[f"other{i}" for i in range(12)])
    with pytest.raises(SeedbedError, match="not a single token that the model knows"):
        TaskVectors().apply(base, Given(models={"tuned": foreign}))
    with pytest.raises(SeedbedError, match="second: has another tokenizer than the checkpoint"):
        AverageCheckpoints().apply(base, Given(models={"second": reordered(moderate(1), list(reversed(WORDS)))}))


def test_whole_numbers_must_agree():
    base, tuned = moderate(0), moderate(1)
    for side, value in ((base, 3), (tuned, 4)):
        side.decoder.model.register_buffer("count", torch.tensor([value]))
    with pytest.raises(SeedbedError, match=r"model\.count is no floating-point number and differs"):
        TaskVectors().apply(base, Given(models={"tuned": tuned}))


def test_roles_and_scales_that_cannot_be_meant():
    base, tuned = moderate(0), moderate(1)
    for method in (TaskVectors(), AverageCheckpoints()):
        with pytest.raises(SeedbedError, match="is given"):
            method.apply(base, Given())
    with pytest.raises(SeedbedError, match="2 scales for 1 models"):
        TaskVectors(scales=(1.0, 2.0)).apply(base, Given(models={"tuned": tuned}))
    with pytest.raises(SeedbedError, match="no model is given as 'instruct'"):
        InstructionResidual().apply(base, Given(models={"base": tuned}))
    with pytest.raises(SeedbedError, match="given as 'tuned', which means nothing"):
        InstructionResidual().apply(base, Given(models={"base": base, "instruct": tuned, "tuned": tuned}))
    with pytest.raises(SeedbedError, match="are no shares of 2 models"):
        AverageCheckpoints(shares=(1.0,)).apply(base, Given(models={"second": tuned}))
    with pytest.raises(RecipeError, match=r"task_vectors\.scale"):
        TaskVectors(scale=1000)


def test_the_average_is_the_mean_and_names_no_tokenizer_where_one_is_missing():
    sides = [moderate(seed) for seed in range(3)]
    given = Given(models={"second": sides[1], "third": Checkpoint(sides[2].decoder)})
    found = AverageCheckpoints().apply(sides[0], given)
    for name, value in state(found).items():
        expected = sum(state(side)[name] for side in sides) / 3
        torch.testing.assert_close(value, expected, atol=1e-6, rtol=1e-6)
    weighed = state(AverageCheckpoints(shares=(0, 1, 3)).apply(sides[0], given))
    expected = (state(sides[1])[EMBEDDING] + 3 * state(sides[2])[EMBEDDING]) / 4
    torch.testing.assert_close(weighed[EMBEDDING], expected, atol=1e-6, rtol=1e-6)


def test_nobody_is_changed_and_the_order_of_roles_does_not_matter():
    base, first, second = (moderate(seed) for seed in range(3))
    before = [bits(side) for side in (base, first, second)]
    one = TaskVectors(scales=(0.2, 0.3)).apply(base, Given(models={"tuned": first, "z": second}))
    other = TaskVectors(scales=(0.2, 0.3)).apply(base, Given(models={"z": second, "tuned": first}))
    AverageCheckpoints().apply(base, Given(models={"second": first}))
    assert bits(one) == bits(other)
    assert [bits(side) for side in (base, first, second)] == before
    with torch.no_grad():
        one.decoder.model.embed_tokens.weight.zero_()
    assert bits(base) == before[0]


TINY = ModelShape(40, 16, 1, 2, context=16)


def sequences(language, rng, count=16):
    """Language 0 counts up by 3 among the tokens 0 to 19, language 1 by 7 among 20 to 39; one in 10 slips."""
    first = rng.integers(0, 20, (count, 1))
    slips = np.cumsum(rng.random((count, 17)) < 0.1, 1)
    return torch.tensor((first + np.arange(17) * (3, 7)[language] + slips) % 20 + 20 * language)


def loss(decoder, rows):
    return linear_cross_entropy(decoder.hidden(rows[:, :-1]), decoder.head_weight, rows[:, 1:]).mean()


def trained(decoder, languages, steps, seed, rate):
    made, rng = copy.deepcopy(decoder), np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(made.parameters(), lr=rate, weight_decay=0)
    for step in range(steps):
        optimizer.zero_grad()
        loss(made, sequences(languages[step % len(languages)], rng)).backward()
        optimizer.step()
    return made


def test_what_was_learnt_apart_is_known_together():
    base = trained(initial_model(TINY, 0), (0, 1), 60, 0, 3e-3)
    tuned = [trained(base, (language,), 60, 1 + language, 1e-3) for language in (0, 1)]
    given = Given(models={"tuned": Checkpoint(tuned[0]), "other": Checkpoint(tuned[1])})
    merged = TaskVectors(scale=0.6).apply(Checkpoint(base), given).decoder
    mean = AverageCheckpoints().apply(Checkpoint(tuned[0]), Given(models={"second": Checkpoint(tuned[1])})).decoder
    with torch.no_grad():
        for language in (0, 1):
            heldout = sequences(language, np.random.default_rng(9), 64)
            before = float(loss(base, heldout))
            assert float(loss(tuned[language], heldout)) < before - 0.1
            assert float(loss(merged, heldout)) < before - 0.05
            assert float(loss(mean, heldout)) < before
