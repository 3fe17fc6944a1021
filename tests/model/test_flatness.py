import copy
import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional

from seedbed.core.errors import SeedbedError
from seedbed.model import flatness
from seedbed.model.flatness import decoder_trace, hutchinson, sampled_fisher
from seedbed.model.positions.learned import LearnedPositions
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import initial_model

END = 0


def toy(n=60, width=12, classes=8, seed=0):
    """(batches, weights, exact trace) of a model whose logits are linear in its weights."""
    generator = torch.Generator().manual_seed(seed)
    x_NC = torch.randn(n, width, generator=generator, dtype=torch.float64)
    W = (0.5 * torch.randn(classes, width, generator=generator, dtype=torch.float64)).requires_grad_()
    label_N = torch.randint(0, classes, (n,), generator=generator)
    p_NV = torch.softmax(x_NC @ W.detach().T, -1)
    # the Hessian of -log p by W is x x^T times diag(p) - p p^T, whatever the label
    exact = float((x_NC.square().sum(1) * (1 - p_NV.square().sum(1))).mean())
    return lambda: iter([(x_NC[:25] @ W.T, label_N[:25]), (x_NC[25:] @ W.T, label_N[25:])]), {"W": W}, exact


def tiny_decoder(steps=0, **parts):
    """About 2,000 weights, documents, and where each begins; trained on these for some steps."""
    shape = ModelShape(24, d_model=12, n_layers=1, n_heads=2, context=12, **parts)
    model = initial_model(shape, 0)
    rng = np.random.default_rng(0)
    table, ids = rng.dirichlet(np.full(23, 0.3), 24), [END]
    while len(ids) < 41:
        ids.append(1 + int(rng.choice(23, p=table[ids[-1]])))
    ids, offsets = np.array(ids[1:]), np.array([0, 12, 12, 36, 40])
    loss, at, _ = loss_of(model, ids, offsets)
    optimizer = torch.optim.Adam([at.requires_grad_()], lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(at).backward()
        optimizer.step()
    torch.nn.utils.vector_to_parameters(at.detach(), model.parameters())
    return model, ids, offsets


def loss_of(model, ids, offsets):
    """Mean nats of all tokens, as a function of one flat vector; window by window, without batches."""
    names, weights = zip(*model.named_parameters(), strict=True)
    sizes = [weight.numel() for weight in weights]
    context = model.shape.context

    def loss(flat_P, drawn=None):
        parts = [part.view(w.shape) for part, w in zip(flat_P.split(sizes), weights, strict=True)]
        total = flat_P.new_zeros(())
        for begin, end in itertools.pairwise(offsets.tolist()):
            for at in range(begin, end, context):
                target = torch.tensor(ids[at : min(at + context, end)])
                before = END if at == begin else int(ids[at - 1])
                inputs = torch.cat([torch.tensor([before]), target[:-1]])[None]
                logits = torch.func.functional_call(model, dict(zip(names, parts, strict=True)), (inputs,))[0]
                labels = target if drawn is None else drawn[at : at + len(target)]
                total = total + functional.cross_entropy(logits.double(), labels, reduction="sum")
        return total / len(ids)

    return (
        loss,
        torch.cat([w.detach().reshape(-1) for w in weights]),
        torch.cat([torch.full((w.numel(),), float(w.ndim > 1)) for w in weights]).bool(),
    )


def test_drawn_labels_give_the_exact_trace_of_a_linear_model():
    batches, weights, exact = toy()
    found = sampled_fisher(batches, weights, draws=400)
    assert found.value == pytest.approx(exact, rel=0.02)
    assert abs(found.value - exact) < 3 * found.error
    assert 0 < found.error < 0.01 * exact
    assert (found.draws, found.tokens, found.weights, found.gains) == (400, 60, 96, 0)


def test_random_signs_give_the_exact_trace_of_a_linear_model():
    batches, weights, exact = toy()
    before = weights["W"].detach().clone()
    found = hutchinson(batches, weights, draws=400)
    assert found.value == pytest.approx(exact, rel=0.02)
    assert torch.equal(weights["W"], before)


def test_the_labels_of_the_text_would_not_do():
    # the empirical Fisher: labels all the likeliest, so its gradients are small
    batches, weights, exact = toy()
    with_text = 0.0
    for logits_NV, _ in batches():
        for row in logits_NV:
            loss = functional.cross_entropy(row[None], row.argmax()[None])
            with_text += float(torch.autograd.grad(loss, weights["W"], retain_graph=True)[0].square().sum()) / 60
    assert with_text < 0.7 * exact


def test_signs_agree_with_the_whole_hessian_of_a_decoder_of_2000_weights(monkeypatch):
    # attention by its formula and learned positions: of these torch can take second derivatives
    monkeypatch.setattr(functional, "scaled_dot_product_attention", attention)
    model, ids, offsets = tiny_decoder(steps=30, positions=LearnedPositions())
    ids, offsets = ids[:24], np.array([0, 12, 24])
    reference = copy.deepcopy(model).double()
    loss, at, is_matrix = loss_of(reference, ids, offsets)
    hessian = torch.autograd.functional.hessian(loss, at, vectorize=True)
    exact = float(hessian.diagonal()[is_matrix].sum())
    found = decoder_trace(model, END, ids, offsets, draws=200, method=hutchinson)
    assert 1000 < found.weights < 2500
    assert found.value == pytest.approx(exact, rel=0.05)
    assert abs(found.value - exact) < 4 * found.error
    assert found.gains == pytest.approx(float(hessian.diagonal()[~is_matrix].sum()), rel=0.25)
    assert found.loss == pytest.approx(float(loss(at)), rel=1e-6)


def attention(q, k, v, attn_mask=None, is_causal=False, scale=None, enable_gqa=False):
    scores = scale * q @ k.transpose(-1, -2)
    seen = torch.ones(scores.shape[-2:], dtype=torch.bool).tril() if attn_mask is None else attn_mask
    return torch.softmax(scores.masked_fill(~seen, -torch.inf), -1) @ v


def test_drawn_labels_agree_with_every_label_of_every_token_of_a_decoder():
    model, ids, offsets = tiny_decoder(steps=30)
    ids, offsets = ids[:16], np.array([0, 12, 16])
    reference = copy.deepcopy(model).double()
    loss, at, is_matrix = loss_of(reference, ids, offsets)
    at = at.requires_grad_()
    label_N = torch.tensor(ids)
    exact = gains = 0.0
    for token, label in itertools.product(range(len(ids)), range(24)):
        labels = torch.full_like(label_N, -100)
        labels[token] = label
        nats = loss(at, labels) * len(ids)
        slope = torch.autograd.grad(nats, at)[0]
        share = float(torch.exp(-nats.detach())) / len(ids)
        exact += share * float(slope[is_matrix].square().sum())
        gains += share * float(slope[~is_matrix].square().sum())
    found = decoder_trace(model, END, ids, offsets, draws=200)
    assert found.value == pytest.approx(exact, rel=0.05)
    assert abs(found.value - exact) < 4 * found.error
    assert found.gains == pytest.approx(gains, rel=0.25)


def test_the_seed_says_all_and_the_model_stays_as_it_was():
    model, ids, offsets = tiny_decoder()
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    torch.manual_seed(1)
    first = decoder_trace(model, END, ids, offsets, draws=3, seed=5)
    torch.manual_seed(2)
    assert decoder_trace(model, END, ids, offsets, draws=3, seed=5) == first
    assert decoder_trace(model, END, ids, offsets, draws=3, seed=6) != first
    for name, weight in model.named_parameters():
        assert torch.equal(weight, before[name]), name
        assert weight.grad is None
    one = decoder_trace(model, END, ids, offsets, draws=1)
    assert one.to_json()["error"] is None


def test_only_the_first_documents_are_read_where_there_are_many():
    model, ids, offsets = tiny_decoder()
    assert decoder_trace(model, END, ids, offsets, draws=2, most_tokens=20).tokens == 12
    assert decoder_trace(model, END, ids, offsets, draws=2, most_tokens=1).tokens == 12  # never less than one document
    assert decoder_trace(model, END, ids, offsets, draws=2).tokens == 40
    later = decoder_trace(model, END, ids, offsets[1:], draws=2)
    assert later.tokens == 28
    empty_first = np.concatenate([[0, 0], offsets])
    assert decoder_trace(model, END, ids, empty_first, draws=2, most_tokens=1).tokens == 12


def test_no_text_no_draw_and_a_foreign_vocabulary_are_errors():
    model, ids, offsets = tiny_decoder()
    with pytest.raises(SeedbedError, match="no tokens"):
        decoder_trace(model, END, ids, np.array([0, 0]))
    with pytest.raises(SeedbedError, match="the model knows 24"):
        decoder_trace(model, END, ids + 20, offsets)
    with pytest.raises(SeedbedError, match="0 draws"):
        decoder_trace(model, END, ids, offsets, draws=0)
    assert flatness.is_gain(torch.ones(3))
