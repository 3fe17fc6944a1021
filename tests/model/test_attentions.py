"""Who reads whom: windows, groups, documents and caches, each against the plain way to say it."""

import math

import pytest
import torch

from seedbed.model.attentions.full import FullAttention
from seedbed.model.attentions.sliding_window import SlidingWindow
from seedbed.model.contract import Heads
from seedbed.model.layers import Cache, Places, Sight
from seedbed.model.norms.layer_norm import LayerNorm
from seedbed.model.norms.rms_norm import RMSNorm
from seedbed.model.positions.learned import LearnedPositions
from seedbed.model.positions.rope import RoPE
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder, initial_model

T = 24


def lively(**fields) -> Decoder:
    """A model whose logits are not near zero."""
    model = initial_model(ModelShape(50, 24, 4, 4, **{"context": T, **fields}), 0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or "_norm" in name:
                parameter.normal_(0.5, 0.5, generator=generator)
        model.model.embed_tokens.weight.mul_(30)
        if isinstance(model.shape.positions, LearnedPositions):
            model.model.embed_positions.weight.mul_(30)
    return model


def tokens(rows: int, length: int = T, seed: int = 0) -> torch.Tensor:
    return torch.randint(50, (rows, length), generator=torch.Generator().manual_seed(seed))


def plainly(module: torch.nn.Module, heads: Heads, x_TC: torch.Tensor, seen) -> torch.Tensor:
    """Attention without positions, pair by pair in float64; seen(t, s) says who reads whom."""
    w = {name: value.double() for name, value in module.state_dict().items()}
    x, D, group = x_TC.double(), heads.width, heads.query // heads.key_value

    def read(name: str, head: int) -> torch.Tensor:
        mine = slice(head * D, (head + 1) * D)
        y = x @ w[f"{name}_proj.weight"][mine].T + (w[f"{name}_proj.bias"][mine] if f"{name}_proj.bias" in w else 0.0)
        if f"{name}_norm.weight" in w:
            y = y / torch.sqrt((y * y).mean(-1, keepdim=True) + 1e-5) * w[f"{name}_norm.weight"]
        return y

    out = []
    for head in range(heads.query):
        q, k, v = read("q", head), read("k", head // group), read("v", head // group)
        rows = []
        for t in range(len(x)):
            near = [s for s in range(len(x)) if seen(t, s)]
            share = torch.stack([heads.scale * (q[t] @ k[s]) for s in near]).softmax(0)
            rows.append(share @ v[near])
        out.append(torch.stack(rows))
    return torch.cat(out, 1) @ w["o_proj.weight"].T + w.get("o_proj.bias", 0.0)


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("biases", ["none", "qkv", "all"])
@pytest.mark.parametrize("norm", [None, RMSNorm()])
def test_full_attention_reads_all_before_in_groups(kv_heads, biases, norm):
    heads = Heads(12, 4, kv_heads, 6, 0.3, biases, norm)  # heads wider than their share of the model
    module = FullAttention().build(heads, 1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0.2, 0.5, generator=generator)
    x = torch.randn(9, 12, generator=generator)
    found = module(x[None], Sight(Places(), 9, x.device, None, None))[0]
    expected = plainly(module, heads, x, lambda t, s: s <= t)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)
    assert FullAttention().parameters(heads) == sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("window", [1, 2, 5, 9, 10, 4096])
def test_a_window_shows_the_nearest_tokens(window):
    heads = Heads(12, 2, 1, 6, 0.3)
    part = SlidingWindow(window=window)
    module = part.build(heads, 1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0.0, 0.5, generator=generator)
    x = torch.randn(10, 12, generator=generator)
    found = module(x[None], Sight(Places(), 10, x.device, None, None))[0]
    expected = plainly(module, heads, x, lambda t, s: t - window < s <= t)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)
    pairs = sum(t - window < s <= t for t in range(10) for s in range(10))
    projections = 12 * 6 * (2 * 2 + 2 * 1)
    assert part.multiply_adds(heads, 10, 1) == pytest.approx(projections + 2 * 2 * 6 * pairs / 10)


def test_every_nth_layer_sees_everything():
    assert [SlidingWindow(8, full_every=3).window_of(layer) for layer in range(1, 8)] == [8, 8, None, 8, 8, None, 8]
    assert SlidingWindow(8).window_of(6) == 8
    near, mixed = lively(attention=SlidingWindow(3)), lively(attention=SlidingWindow(3, full_every=4))
    ids = tokens(1)
    other = ids.clone()
    other[0, 0] = (other[0, 0] + 1) % 50
    moved = [(model(ids) - model(other)).abs()[0].amax(1) > 1e-4 for model in (near, mixed)]
    assert not moved[0][9:].any()  # four layers of three tokens reach eight back
    assert moved[0][:9].all()
    assert moved[1].all()


def test_a_window_as_long_as_the_context_is_full_attention_to_the_bit():
    ids = tokens(2)
    assert torch.equal(lively()(ids), lively(attention=SlidingWindow(window=T))(ids))


DOCUMENTS = torch.tensor([[0] * 5 + [1] * 1 + [2] * 11 + [3] * 7, [7] * 3 + [5] * 12 + [7 + 1] * 9])
VARIANTS = [
    {},
    {"n_kv_heads": 2},
    {"attention": SlidingWindow(4), "n_kv_heads": 1},
    {"attention": SlidingWindow(4, full_every=2), "qk_norm": True},
    {"positions": LearnedPositions(), "norm": LayerNorm(), "biases": "all"},
    {"positions": RoPE(100.0, "llama3", original_context=8), "head_dim": 10, "biases": "qkv"},
]


@pytest.mark.parametrize("fields", VARIANTS)
def test_documents_give_what_they_give_alone(fields):
    model, ids = lively(**fields), tokens(2)
    together = model(ids, DOCUMENTS)
    for row in range(2):
        for document in DOCUMENTS[row].unique():
            mine = DOCUMENTS[row] == document
            alone = model(ids[row : row + 1, mine])
            torch.testing.assert_close(together[row, mine], alone[0], atol=2e-4, rtol=1e-4)
    assert not torch.allclose(together, model(ids), atol=1e-2)


def test_a_document_is_blind_to_the_others_and_their_gradients():
    model, ids = lively(n_kv_heads=2, attention=SlidingWindow(6, full_every=2)), tokens(2)
    other = torch.where(DOCUMENTS == 2, (ids + 3) % 50, ids)
    before, after = model(ids, DOCUMENTS), model(other, DOCUMENTS)
    assert torch.equal(before[DOCUMENTS != 2], after[DOCUMENTS != 2])
    assert not torch.allclose(before[DOCUMENTS == 2], after[DOCUMENTS == 2], atol=1e-2)
    x = []
    model.model.embed_tokens.register_forward_hook(lambda module, args, out: x.append(out.requires_grad_()))
    model.requires_grad_(False)
    hidden = model.hidden(ids, DOCUMENTS)
    (gradient,) = torch.autograd.grad(hidden[0][DOCUMENTS[0] == 2].square().sum(), x[0])
    reached = gradient.abs().amax(-1) > 0
    assert torch.equal(reached, torch.stack([DOCUMENTS[0] == 2, torch.zeros(T, dtype=torch.bool)]))


def test_one_document_is_no_documents():
    model, ids = lively(), tokens(2)
    torch.testing.assert_close(model(ids, torch.zeros_like(ids)), model(ids), atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("fields", VARIANTS)
@pytest.mark.parametrize("pieces", [[1] * T, [7, 1, 1, 6, 9], [T]])
def test_a_cache_gives_what_the_whole_gives(fields, pieces):
    model, ids = lively(**fields).requires_grad_(False), tokens(2)
    cache = Cache()
    found = [model.hidden(piece, cache=cache) for piece in ids.split(pieces, 1)]
    assert cache.length == T
    torch.testing.assert_close(torch.cat(found, 1), model.hidden(ids), atol=1e-4, rtol=1e-4)


def test_the_scale_of_products_is_the_shapes():
    shape = ModelShape(50, 24, head_dim=10)
    assert shape.heads.scale == pytest.approx(1 / math.sqrt(10))
    assert (shape.heads.width, shape.head_width, shape.heads.query) == (10, 10, 4)
