"""Constrained word2vec: inside the convex hull, and in it where a planted twin stands."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from seedbed.core.errors import SeedbedError
from seedbed.model.initializers.constrained_word2vec import ConstrainedWord2Vec, _loss
from seedbed.model.initializers.mean import Mean
from seedbed.model.new_rows import means_of_pieces
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder, initial_model
from tests.model.initializers.planted import chain, new_tokens, with_twins

OLD, TWINS = 24, (3, 7, 12, 18)
QUICK = ConstrainedWord2Vec(window=2, epochs=2, batch=256, lr=0.01)


def decoder(*, tied=False, width=16):
    shape = ModelShape(vocab_size=OLD, d_model=width, n_layers=1, n_heads=2, context=64, tied_embeddings=tied)
    return initial_model(shape, 0)


def pieces_of(count, old=OLD):
    rng = np.random.default_rng(2)
    return [rng.integers(0, old, 2) for _ in range(count)]


def text(seed=0, texts=40):
    return with_twins(chain(OLD, texts, 50, seed), OLD, TWINS, seed)


@pytest.mark.parametrize("tied", [False, True])
def test_every_row_is_a_convex_combination_by_the_methods_own_weights(tied):
    old = decoder(tied=tied)
    before = {name: value.clone() for name, value in old.state_dict().items()}
    new = new_tokens(old, pieces_of(len(TWINS) + 1), text())
    rows, shares = QUICK.rows(new), QUICK.shares(new)
    tables = [old.model.embed_tokens.weight] + ([] if tied else [old.lm_head.weight])
    assert (rows[1] is None) == (shares[1] is None) == tied
    for row_MC, share_MV, table in zip(rows, shares, tables, strict=False):
        assert share_MV.shape == (len(TWINS) + 1, OLD)
        assert share_MV.min() >= 0
        torch.testing.assert_close(share_MV.sum(1), torch.ones(len(TWINS) + 1).double(), atol=1e-12, rtol=0)
        assert (share_MV @ table.detach().double() - row_MC).abs().max() < 1e-6
        unseen = means_of_pieces(table.detach().double(), new.pieces)[-1]
        assert (row_MC[-1] - unseen).abs().max() < 1e-6  # the last new token occurs nowhere
        assert (row_MC[:-1] - means_of_pieces(table.detach(), new.pieces)[:-1]).abs().max() > 1e-3
    assert all(torch.equal(value, before[name]) for name, value in old.state_dict().items())
    hidden = torch.randn(5000, 16, generator=torch.Generator().manual_seed(1))
    table, made = tables[-1].detach(), rows[0] if tied else rows[1]
    assert not ((hidden @ torch.cat([table, made]).T).argmax(1) >= OLD).any()


def test_rows_follow_from_the_seed_and_the_global_generator_is_left_alone():
    old, state = decoder(), torch.get_rng_state()
    first, again, other = (QUICK.rows(new_tokens(old, pieces_of(4), text(), seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def skip_gram_tables(ids, width, window):
    """Rows whose products are the logarithms of how much likelier than chance two words stand together: what skip-gram
    learns (Levy and Goldberg 2014)."""
    joint = np.full((OLD, OLD), 0.05)
    for apart in range(1, window + 1):
        np.add.at(joint, (ids[:, :-apart], ids[:, apart:]), 1)
        np.add.at(joint, (ids[:, apart:], ids[:, :-apart]), 1)
    joint /= joint.sum()
    u, s, v = np.linalg.svd(np.log(joint / np.outer(joint.sum(1), joint.sum(0))))
    return u[:, :width] * np.sqrt(s[:width]), v[:width].T * np.sqrt(s[:width])


@pytest.mark.parametrize("seed", [0, 1])
def test_a_token_that_stands_where_an_old_one_stands_gets_the_row_nearest_to_it(seed):
    old = decoder()
    with torch.no_grad():
        for weight, made in zip(
            (old.model.embed_tokens.weight, old.lm_head.weight),
            skip_gram_tables(chain(OLD, 400, 50, 5), 16, 1),
            strict=True,
        ):
            weight.copy_(torch.from_numpy(made))
    method = ConstrainedWord2Vec(window=1, epochs=10, batch=256, lr=0.01, subsample=1e9, rank=16)
    rows = method.rows(new_tokens(old, pieces_of(4), text(seed, 150), seed=seed))
    for made, table in zip(rows, (old.model.embed_tokens.weight, old.lm_head.weight), strict=True):
        assert torch.cdist(made, table.detach()).argmin(1).tolist() == list(TWINS)


def trained(ids):
    """A model of the old words, that has read them."""
    model = decoder(tied=True, width=32)
    ids_NT = torch.from_numpy(ids)
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(100):
        batch = ids_NT[torch.randint(len(ids_NT), (16,), generator=generator)]
        loss = functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def test_text_with_new_tokens_is_less_surprising_than_with_the_mean():
    model = trained(chain(OLD, 300, 50, 0))
    held = torch.from_numpy(text(7))
    loss = {}
    for method in (Mean(), ConstrainedWord2Vec(window=2)):
        rows, none = method.rows(new_tokens(model, pieces_of(4), text(3, 300)))
        assert none is None
        grown = Decoder(dataclasses.replace(model.shape, vocab_size=OLD + 4))
        state = model.state_dict()
        grown.load_state_dict(
            {**state, "model.embed_tokens.weight": torch.cat([state["model.embed_tokens.weight"], rows])}
        )
        with torch.no_grad():
            logits = grown(held[:, :-1])
        loss[method] = float(functional.cross_entropy(logits.flatten(0, 1), held[:, 1:].flatten()))
    mean, learned = loss.values()
    assert learned < mean


def test_pairs_are_those_of_a_loop_and_never_cross_texts():
    ids, offsets, V = np.array([0, 5, 1, 2, 6, 3, 4, 5]), np.array([0, 4, 4, 8]), 5
    method = ConstrainedWord2Vec(window=2, subsample=1e9)
    expected = [
        (ids[i], ids[j])
        for a, b in ((0, 4), (4, 8))
        for i in range(a, b)
        for j in range(max(a, i - 2), min(b, i + 3))
        if i != j and max(ids[i], ids[j]) >= V
    ]
    found = method._pairs(ids, offsets, np.bincount(ids), V, np.random.default_rng(0))
    assert sorted(map(tuple, found.tolist())) == sorted(expected)
    few = dataclasses.replace(method, pairs=3)._pairs(ids, offsets, np.bincount(ids), V, np.random.default_rng(0))
    assert few.tolist() == found[:3].tolist()


def test_frequent_centres_are_left_out_as_often_as_published():
    ids = np.tile([0, 1], 20_000)
    found = ConstrainedWord2Vec(window=1, subsample=200)._pairs(
        ids, np.array([0, len(ids)]), np.bincount(ids), 1, np.random.default_rng(0)
    )
    assert abs(len(found) / (2 * len(ids)) - np.sqrt(200 / 20_000)) < 0.01


def test_the_loss_is_skip_grams():
    inputs, outputs = torch.tensor([[1.0, 2.0]]), torch.tensor([[[0.5, 0.25], [1.0, -1.0], [0.0, 0.5]]])
    logistic = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    by_hand = -np.log(logistic(1.0)) - np.log(logistic(1.0)) - np.log(logistic(-1.0))
    assert abs(float(_loss(inputs, outputs)) - by_hand) < 1e-6


def test_texts_without_a_token_are_refused():
    with pytest.raises(SeedbedError, match="hold no token to learn from"):
        QUICK.rows(new_tokens(decoder(), pieces_of(2), []))
    assert QUICK.rows(new_tokens(decoder(), [], []))[0].shape == (0, 16)
