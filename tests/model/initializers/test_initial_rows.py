"""Mean, Gaussian and sub-token mean: closed forms, and what they do to greedy decoding."""

import dataclasses

import numpy as np
import pytest
import torch

from seedbed.model.initializers.gaussian import Gaussian
from seedbed.model.initializers.mean import Mean
from seedbed.model.initializers.subtoken_mean import SubtokenMean
from seedbed.model.new_rows import encoded
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder
from seedbed.model.transforming import Checkpoint, NewTokens

V, C, M = 512, 64, 64


def decoder(*, vocab_size=V, width=C, tied=False, seed=0):
    """Normal rows of deviation 1 around a common mean that is not 0."""
    shape = ModelShape(vocab_size=vocab_size, d_model=width, n_layers=1, n_heads=2, context=16, tied_embeddings=tied)
    made = Decoder(shape)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_(0.3, 1.0, generator=generator)
    return made


def new_tokens(old, *, count=M, seed=0, pieces=None):
    if pieces is None:
        rng = np.random.default_rng(5)
        pieces = tuple(rng.integers(0, old.shape.vocab_size, int(rng.integers(2, 5))) for _ in range(count))
    return NewTokens(Checkpoint(old), "{}", pieces, seed=seed)


ALL = [Mean(), Mean(apart=0.1), Gaussian(), SubtokenMean()]


@pytest.mark.parametrize("method", ALL, ids=repr)
@pytest.mark.parametrize("tied", [False, True])
def test_rows_of_each_table_come_from_that_table_and_the_model_stays(method, tied):
    old = decoder(tied=tied)
    before = {name: value.clone() for name, value in old.state_dict().items()}
    inputs, outputs = method.rows(new_tokens(old))
    assert inputs.shape == (M, C)
    assert inputs.dtype == torch.float32
    assert not inputs.requires_grad
    assert (outputs is None) == tied
    if outputs is not None:
        assert outputs.shape == (M, C)
        assert not torch.allclose(inputs, outputs, atol=1e-2)
        swapped = decoder()
        swapped.model.embed_tokens.weight.data.copy_(old.lm_head.weight)
        swapped.lm_head.weight.data.copy_(old.model.embed_tokens.weight)
        turned = method.rows(new_tokens(swapped))
        if not isinstance(method, Gaussian):  # whose draws differ
            assert torch.equal(turned[0], outputs)
            assert torch.equal(turned[1], inputs)
    assert all(torch.equal(value, before[name]) for name, value in old.state_dict().items())
    inputs.zero_()
    assert all(torch.equal(value, before[name]) for name, value in old.state_dict().items())


@pytest.mark.parametrize("method", ALL, ids=repr)
def test_rows_follow_from_the_seed_and_the_global_generator_is_left_alone(method):
    old = decoder()
    state = torch.get_rng_state()
    first, again, other = (method.rows(new_tokens(old, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    random = method in (Mean(apart=0.1), Gaussian())
    assert all(torch.equal(a, b) != random for a, b in zip(first, other, strict=True))


def test_the_mean_is_the_mean_and_apart_moves_towards_old_rows():
    old = decoder()
    for rows, table in zip(Mean().rows(new_tokens(old)), (old.model.embed_tokens, old.lm_head), strict=True):
        expected = table.weight.detach().double().numpy().mean(0)
        assert np.abs(rows.double().numpy() - expected).max() < 1e-6
    table = old.model.embed_tokens.weight.detach().double()
    rows = Mean(apart=0.25).rows(new_tokens(old))[0].double()
    towards = (rows - 0.75 * table.mean(0)) / 0.25
    distance, nearest = torch.cdist(towards, table).min(1)
    assert distance.max() < 1e-4
    assert len(nearest.unique()) > M / 2


def test_the_mean_of_pieces_is_the_hand_computed_one():
    old = decoder(vocab_size=4, width=8)
    pieces = (np.array([1, 3]), np.array([2]), np.array([0, 0, 3]), np.zeros(0, np.int64))
    for rows, table in zip(
        SubtokenMean().rows(new_tokens(old, pieces=pieces)), (old.model.embed_tokens, old.lm_head), strict=True
    ):
        a, b, c, d = table.weight.detach()
        by_hand = torch.stack([(b + d) / 2, c, (2 * a + d) / 3, (a + b + c + d) / 4])
        torch.testing.assert_close(rows, by_hand, atol=1e-6, rtol=0)
        assert torch.equal(rows[1], c)


def test_no_new_token_gives_no_rows():
    for method in ALL:
        inputs, outputs = method.rows(new_tokens(decoder(), pieces=()))
        assert inputs.shape == outputs.shape == (0, C)


@pytest.mark.parametrize("scale", [1.0, 1e-5])
@pytest.mark.parametrize("vocab_size", [300, 10])
def test_gaussian_rows_have_the_scaled_moments_of_the_old_ones(scale, vocab_size):
    """Also where the covariance of 10 rows in 16 directions has no Cholesky factor."""
    old = decoder(vocab_size=vocab_size, width=16)
    n = 40_000
    tables = (old.model.embed_tokens, old.lm_head)
    made = Gaussian(scale=scale).rows(new_tokens(old, pieces=(np.array([0]),) * n))
    for rows, table in zip(made, tables, strict=True):
        mean_C = table.weight.detach().double().mean(0)
        covariance = torch.cov(table.weight.detach().double().T, correction=0)
        size = float(covariance.diagonal().mean())
        found = (rows.double() - mean_C).numpy() / np.sqrt(scale)
        assert np.abs(found.mean(0)).max() < 5 * np.sqrt(size / n) + 1e-3
        assert np.abs(np.cov(found.T, bias=True) - covariance.numpy()).max() < 0.05 * size
    first, second = (rows.double() - rows.double().mean(0) for rows in made)
    assert (first * second).sum() / (first.norm() * second.norm()) < 0.02  # drawn apart


def flips(old_VC, rows_MC, hidden_NC):
    """(share of states whose likeliest token is a new one, mean probability of all new ones)."""
    logits = hidden_NC @ torch.cat([old_VC, rows_MC]).T
    return (
        float((logits.argmax(1) >= len(old_VC)).double().mean()),
        float(logits.softmax(1)[:, len(old_VC) :].sum(1).mean()),
    )


def test_greedy_decoding_changes_only_without_the_scale():
    """512 tokens of width 64, 64 new ones, 20000 random states: the table of the source's defect."""
    old = decoder()
    with torch.no_grad():
        old.lm_head.weight.normal_(0.0, 1.0, generator=torch.Generator().manual_seed(3))
    table = old.lm_head.weight.detach()
    hidden = torch.randn(20_000, C, generator=torch.Generator().manual_seed(4))
    share = {method: flips(table, method.rows(new_tokens(old))[1], hidden) for method in [*ALL, Gaussian(scale=1.0)]}
    for method in ALL:
        assert share[method][0] == 0.0, method
    assert share[Mean()][1] < 0.001
    assert 0.08 < share[Gaussian(scale=1.0)][0] < 0.15
    assert 0.08 < share[Gaussian(scale=1.0)][1] < 0.15


@pytest.mark.parametrize("method", [method for method in ALL if method.convex], ids=repr)
def test_convex_rows_lie_in_the_hull_of_the_old_ones(method):
    """Weights >= 0 with sum 1 are found, by least squares with that constraint, that leave nothing."""
    from scipy.optimize import nnls

    old = decoder(vocab_size=40, width=8)
    for rows, table in zip(method.rows(new_tokens(old, count=6)), (old.model.embed_tokens, old.lm_head), strict=True):
        system = np.concatenate([table.weight.detach().double().numpy().T, np.ones((1, 40))])
        for row in rows.double().numpy():
            weights, residual = nnls(system, np.append(row, 1.0))
            assert weights.min() >= 0
            assert residual < 1e-6


def test_texts_are_cut_where_enough_is_read():
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({"?": 0, "a": 1, "b": 2, "<end>": 3}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.add_special_tokens(["<end>"])
    read = []

    def texts():
        for number in range(1000):
            read.append(number)
            yield "a b a <end>" if number % 2 else "b"

    ids, offsets = encoded(words.to_str(), texts(), 7)
    assert len(read) < 1000
    assert ids.tolist()[:5] == [2, 1, 2, 1, 3] or ids.tolist()[:5] == [2, 1, 2, 1, 0]
    assert offsets[:4].tolist() == [0, 1, 5, 6]
    assert int(offsets[-1]) == len(ids) == 7
    ids, offsets = encoded(words.to_str(), [], 7)
    assert len(ids) == 0
    assert offsets.tolist() == [0]


def test_settings_out_of_bounds_are_refused():
    from seedbed.core.errors import RecipeError

    with pytest.raises(RecipeError, match=r"mean\.apart"):
        Mean(apart=1.5)
    with pytest.raises(RecipeError, match=r"gaussian\.scale"):
        dataclasses.replace(Gaussian(), scale=-1.0)
