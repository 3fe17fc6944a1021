"""Token distillation: its readings by hand, its loss by a loop, and that it is lowered by the new rows alone."""

import dataclasses

import numpy as np
import pytest
import torch

from seedbed.core.errors import SeedbedError
from seedbed.model.initializers.subtoken_mean import SubtokenMean
from seedbed.model.initializers.token_distillation import TokenDistillation, hidden_at, spelled_out
from seedbed.model.new_rows import tables
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder
from tests.model.initializers.planted import chain, new_tokens

OLD = 20
PIECES = (np.array([2, 9]), np.array([5, 5, 1]), np.array([4, 0]))  # the last never occurs
QUICK = TokenDistillation(lr=0.02, contexts=60, context=12, epochs=3)


def decoder(*, tied=False):
    """Not trained, but with weights large enough that every layer matters."""
    shape = ModelShape(vocab_size=OLD, d_model=16, n_layers=2, n_heads=2, context=32, tied_embeddings=tied)
    made, generator = Decoder(shape), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if "norm" not in name:
                weight.normal_(0.0, 0.3, generator=generator)
    return made


def text(seed=0, texts=60):
    """Each word of the chain may be followed by a new token."""
    rng = np.random.default_rng(seed)
    ids = chain(OLD, texts, 20, seed)
    return np.where(rng.random(ids.shape) < 0.2, rng.integers(OLD, OLD + 2, ids.shape), ids)


def test_both_readings_of_a_text_are_those_made_by_hand():
    ids = np.array([7, 20, 8, 21, 20, 3, 20])
    contexts = spelled_out(ids, np.array([0, 5, 7]), OLD, PIECES, 6, (19,))
    assert contexts.old_N.tolist() == [7, 2, 9, 8, 5, 5, 1, 2, 9, 3, 2, 9]
    assert contexts.new_K.tolist() == [0, 1, 0, 0]
    assert list(zip(contexts.start_K.tolist(), contexts.end_K.tolist(), strict=True)) == [
        (0, 6), (3, 9), (5, 9), (9, 12),
    ]  # fmt: skip
    batch = contexts.batch(np.arange(4))
    real = [row[kept].tolist() for row, kept in zip(batch.new_BT, batch.real_BT, strict=True)]
    assert real == [[19, 7, 20, 8, 5, 5], [19, 8, 21, 2, 9], [19, 5, 1, 20], [19, 3, 20]]
    last = [row[kept].tolist() for row, kept in zip(batch.last_BT, batch.real_BT, strict=True)]
    assert last == [[0, 1, 3, 4, 5, 6], [0, 1, 4, 5, 6], [0, 1, 2, 4], [0, 1, 3]]
    assert batch.old_BT[1].tolist() == [19, 8, 5, 5, 1, 2, 9]
    assert batch.old_BT[2, :5].tolist() == [19, 5, 1, 2, 9]


def test_a_token_that_the_context_cuts_is_left_in_pieces():
    contexts = spelled_out(np.array([20, 20, 20]), np.array([0, 3]), OLD, PIECES, 3, ())
    batch = contexts.batch(np.arange(3))
    assert [row[kept].tolist() for row, kept in zip(batch.new_BT, batch.real_BT, strict=True)] == [
        [20, 2], [20, 2], [20],
    ]  # fmt: skip
    long = spelled_out(np.array([21, 20]), np.array([0, 2]), OLD, PIECES, 2, ())
    assert long.new_K.tolist() == [0]  # three pieces have no place in two tokens


def test_layers_are_those_of_the_model():
    model = decoder()
    ids = torch.from_numpy(chain(OLD, 3, 10, 1))
    x = model.model.embed_tokens(ids)
    torch.testing.assert_close(hidden_at(model, x, None), model.hidden(ids))
    seen = []
    handles = [
        layer.register_forward_hook(lambda _module, _given, out: seen.append(out)) for layer in model.model.layers
    ]
    model.hidden(ids)
    for handle in handles:
        handle.remove()
    torch.testing.assert_close(hidden_at(model, x, 1), seen[0])
    torch.testing.assert_close(hidden_at(model, x, 2), seen[1])


def grown(model, rows):
    made = Decoder(dataclasses.replace(model.shape, vocab_size=OLD + len(PIECES)))
    state = dict(model.state_dict())
    for name, new in zip(("model.embed_tokens.weight", "lm_head.weight"), rows, strict=True):
        if new is not None:
            state[name] = torch.cat([state[name], new])
    made.load_state_dict(state)
    return made


def test_the_loss_is_that_of_a_loop_over_texts_and_positions():
    model = decoder()
    new = new_tokens(model, PIECES, text(), end=19)
    contexts, rows = QUICK._contexts(new), SubtokenMean().rows(new)
    which = np.array([0, 5, 70])
    student, total, n = grown(model, rows), 0.0, 0
    for k in which:
        place = np.arange(contexts.start_K[k], contexts.end_K[k])
        old, m = [19, *contexts.old_N[place].tolist()], int(contexts.new_K[k])
        new_ids, last, at = [], [], 0
        piece = PIECES[m].tolist()
        # the same ids may stand together without being the token: those are told apart by where the text has it
        begins = {int(p - place[0]) + 1 for p in place if contexts.token_N[p] == m and contexts.piece_N[p] == 0}
        while at < len(old):
            whole = at in begins and old[at : at + len(piece)] == piece
            at += len(piece) if whole else 1
            new_ids.append(OLD + m if whole else old[at - 1])
            last.append(at - 1)
        with torch.no_grad():
            wanted = model.hidden(torch.tensor([old]))[0, last]
            found = student.hidden(torch.tensor([new_ids]))[0]
        total += float((wanted - found).double().square().sum())
        n += found.numel()
    loss = QUICK.loss(model, tables(model)[0].float(), rows[0], contexts, which).detach()
    assert abs(float(loss) - total / n) < 1e-5 * total / n


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("layer", [None, 1])
def test_hidden_states_of_unseen_text_come_nearer_and_nothing_else_moves(tied, layer):
    model = decoder(tied=tied)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    method = dataclasses.replace(QUICK, layer=layer)
    new, held = (new_tokens(model, PIECES, text(seed), end=19) for seed in (0, 1))
    start, rows = SubtokenMean().rows(new), method.rows(new)
    table = tables(model)[0].float()
    for given in (new, held):
        contexts = method._contexts(given)
        every = np.arange(len(contexts.new_K))
        first, last = (float(method.loss(model, table, of[0], contexts, every).detach()) for of in (start, rows))
        assert last < 0.9 * first
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    assert not rows[0].requires_grad
    assert torch.equal(rows[0][2], start[0][2])  # no context: the mean of its pieces
    assert (rows[1] is None) == tied
    assert tied or torch.equal(rows[1], start[1])


def test_rows_follow_from_the_seed():
    model, state = decoder(), torch.get_rng_state()
    few = dataclasses.replace(QUICK, contexts=10, epochs=1)
    first, again, other = (few.rows(new_tokens(model, PIECES, text(), seed=seed))[0] for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_contexts_are_drawn_evenly_and_no_more_than_asked():
    contexts = QUICK._contexts(new_tokens(decoder(), PIECES, text()))
    assert np.bincount(contexts.new_K).tolist() == [60, 60]
    assert np.bincount(contexts.drawn(7, 0).new_K).tolist() == [7, 7]
    assert not np.array_equal(contexts.drawn(7, 0).start_K, contexts.drawn(7, 1).start_K)


def test_what_cannot_be_distilled_is_refused():
    with pytest.raises(SeedbedError, match="hold no token to learn from"):
        QUICK.rows(new_tokens(decoder(), PIECES, []))
    with pytest.raises(SeedbedError, match="has 2 layers, not 3"):
        TokenDistillation(layer=3).rows(new_tokens(decoder(), PIECES, text()))
    assert QUICK.rows(new_tokens(decoder(), (), []))[0].shape == (0, 16)
