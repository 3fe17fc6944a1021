"""Gradients of documents against one backward pass each, finite differences, and factors against their definition."""

import itertools
import pickle

import numpy as np
import pytest
import torch

from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.model import counts
from seedbed.model.cross_entropy import linear_cross_entropy
from seedbed.model.feed_forwards.gelu import GELU
from seedbed.model.gradients import DecoderGradients, gradient_of
from seedbed.model.norms.layer_norm import LayerNorm
from seedbed.model.positions.learned import LearnedPositions
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder, initial_model

END, CONTEXT = 0, 32
SHAPES = {
    "llama": ModelShape(40, 16, 2, 2, context=CONTEXT),
    "grouped": ModelShape(40, 64, 1, 4, n_kv_heads=2, context=CONTEXT, tied_embeddings=False, qk_norm=True),
}
LENGTHS = [5, 0, 31, 32, 33, 70, 1]


def decoder_of(name: str) -> Decoder:
    model = initial_model(SHAPES[name], 3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3 if parameter.ndim > 1 else 1)
    return model


def tokenised(lengths: list[int], seed: int = 0) -> DocumentBatch:
    rng = np.random.default_rng(seed)
    offsets = 3 + np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    flat = rng.integers(1, 40, 3 + sum(lengths)).astype(np.uint16)
    return DocumentBatch(DocumentBatch.of([""] * len(lengths)).rows, (flat, offsets))


def summed_loss(model: Decoder, tokens: np.ndarray) -> torch.Tensor:
    """Of one document, window by window."""
    stream = torch.tensor([END, *tokens.tolist()])
    total = torch.zeros(())
    for at in range(0, len(tokens), CONTEXT):
        x, y = stream[at : at + CONTEXT][None], stream[at + 1 : at + 1 + CONTEXT][None]
        x = x[:, : y.shape[1]]
        total = total + torch.nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum")
    return total


def documents_of(batch: DocumentBatch) -> list[np.ndarray]:
    ids, offsets = batch.token_ids
    return [ids[a:b] for a, b in itertools.pairwise(offsets)]


@pytest.mark.parametrize("name", SHAPES)
def test_a_documents_gradient_is_that_of_its_own_backward_pass(name):
    model, batch = decoder_of(name), tokenised(LENGTHS)
    service = DecoderGradients(model, END)
    layers = service.layers("all")
    assert len(layers) == 7 * model.shape.n_layers
    found = service.gradients(batch, layers)
    weights = dict(model.named_parameters())
    for i, tokens in enumerate(documents_of(batch)):
        if not len(tokens):
            assert not any(found[layer][i].any() for layer in layers)
            continue
        loss = summed_loss(model, tokens) / len(tokens)
        slopes = torch.autograd.grad(loss, [weights[f"{layer}.weight"] for layer in layers])
        for layer, slope in zip(layers, slopes, strict=True):
            assert np.abs(found[layer][i] - slope.numpy()).max() < 2e-5 * max(1e-2, float(slope.abs().max())) + 1e-6
    assert all(parameter.grad is None for parameter in model.parameters())


def test_names_of_layers_and_what_they_cost():
    service = DecoderGradients(decoder_of("llama"), END)
    assert service.layers("attention")[:4] == tuple(
        f"model.layers.0.self_attn.{part}_proj" for part in ("q", "k", "v", "o")
    )
    assert set(service.layers("attention")) | set(service.layers("feed_forward")) == set(service.layers("all"))
    service.gradients(tokenised([32, 32]), service.layers("attention"))
    forward = counts.forward_flops(SHAPES["llama"], 2, 32)
    assert (service.cost.flops_forward, service.cost.flops_backward) == (forward, 2 * forward)
    service.embeddings(tokenised([32, 32]))
    assert (service.cost.flops_forward, service.cost.flops_backward) == (2 * forward, 2 * forward)


def test_other_parts_of_a_model_are_seen_through_too():
    parts = {"norm": LayerNorm(), "positions": LearnedPositions(), "feed_forward": GELU()}
    shape = ModelShape(40, 16, 1, 2, context=CONTEXT, biases="all", **parts)
    model = initial_model(shape, 1)
    batch, service = tokenised([20, 9]), DecoderGradients(model, END)
    found = service.gradients(batch, service.layers("all"))
    loss = summed_loss(model, documents_of(batch)[1]) / 9
    for layer, gradient in found.items():
        (slope,) = torch.autograd.grad(loss, [dict(model.named_parameters())[f"{layer}.weight"]], retain_graph=True)
        assert gradient[1] == pytest.approx(slope.numpy(), abs=1e-6)


def test_factors_are_means_over_tokens_of_squares_at_the_layer():
    model, batch = decoder_of("llama"), tokenised([32, 7, 0, 40])
    service = DecoderGradients(model, END)
    layer = model.model.layers[1].self_attn.o_proj
    xs, ds = [], []
    for tokens in documents_of(batch):
        stream = torch.tensor([END, *tokens.tolist()])
        for at in range(0, len(tokens), CONTEXT):
            kept = {}

            def note(module, args, out, kept=kept):
                del module
                kept["x"], kept["y"] = args[0], out

            hook = layer.register_forward_hook(note)
            y = stream[at + 1 : at + 1 + CONTEXT][None]
            hidden = model.hidden(stream[at : at + CONTEXT][None][:, : y.shape[1]])
            hook.remove()
            loss = linear_cross_entropy(hidden, model.head_weight, y).sum()
            ds.append(torch.autograd.grad(loss, [kept["y"]])[0][0].double().numpy())
            xs.append(kept["x"][0].detach().double().numpy())
    x, d = np.concatenate(xs), np.concatenate(ds)
    assert len(x) == 79
    name = "model.layers.1.self_attn.o_proj"
    input_II, output_OO = service.factors(batch, [name])[name]
    assert input_II == pytest.approx(x.T @ x / 79, abs=1e-5)
    assert output_OO == pytest.approx(d.T @ d / 79, abs=1e-4 * np.abs(d.T @ d / 79).max())
    with pytest.raises(SeedbedError, match="no tokens"):
        service.factors(tokenised([0]), [name])
    with pytest.raises(SeedbedError, match="no layer 'head'"):
        service.gradients(batch, ["head"])


def test_embeddings_are_means_over_tokens_and_blind_to_neighbours():
    model, batch = decoder_of("llama"), tokenised(LENGTHS)
    service = DecoderGradients(model, END)
    found = service.embeddings(batch)
    for i, tokens in enumerate(documents_of(batch)):
        if not len(tokens):
            assert not found[i].any()
            continue
        stream, states = torch.tensor([END, *tokens.tolist()]), []
        for at in range(0, len(tokens), CONTEXT):
            window = stream[at : at + CONTEXT][: len(tokens) - at]
            states.append(model.hidden(window[None])[0])
        assert found[i] == pytest.approx(torch.cat(states).mean(0).detach().numpy(), abs=1e-5)
        alone = service.embeddings(batch.one(i))[0]
        assert found[i] == pytest.approx(alone, abs=1e-5)


def test_the_gradient_of_a_loss_is_the_slope_along_any_direction():
    """Central differences of the loss along random directions of all parameters."""
    model = decoder_of("llama").double()
    model.lm_unused = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    tokens = documents_of(tokenised([24]))[0]

    def loss() -> torch.Tensor:
        stream = torch.tensor([END, *tokens.tolist()])
        logits = torch.nn.functional.linear(model.hidden(stream[None, :-1]), model.head_weight)
        return torch.nn.functional.cross_entropy(logits[0], stream[1:])

    flat = gradient_of(model, loss())
    named = list(model.named_parameters())
    assert len(flat) == sum(parameter.numel() for _, parameter in named)
    assert all(parameter.grad is None for _, parameter in named)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        along = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for _, p in named]
        ends = []
        for sign in (1, -2):
            with torch.no_grad():
                for (_, parameter), piece in zip(named, along, strict=True):
                    parameter += sign * 1e-6 * piece
            ends.append(float(loss().detach()))
        with torch.no_grad():
            for (_, parameter), piece in zip(named, along, strict=True):
                parameter += 1e-6 * piece
        slope = float(flat @ torch.cat([piece.reshape(-1) for piece in along]))
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(slope, rel=1e-4)
    at, found = 0, {}
    for name, parameter in named:
        found[name] = flat[at : at + parameter.numel()]
        at += parameter.numel()
    assert not found["lm_unused"].any()


def test_it_travels_and_strange_tokens_are_refused():
    service = DecoderGradients(decoder_of("llama"), END)
    batch = tokenised([9, 4])
    there = pickle.loads(pickle.dumps(service))  # noqa: S301 - its own bytes
    layers = service.layers("attention")[:1]
    assert np.array_equal(there.gradients(batch, layers)[layers[0]], service.gradients(batch, layers)[layers[0]])
    ids, offsets = batch.token_ids
    with pytest.raises(SeedbedError, match="token ids run from"):
        service.embeddings(DocumentBatch(batch.rows, (ids + 30, offsets)))
    with pytest.raises(SeedbedError, match="'heads' is not known"):
        service.layers("heads")
