"""The decoder: causal, the same as a plainly written one, the same bits as ever, drawn from its seed alone."""

import dataclasses
import math

import pytest
import torch
from torch.nn import functional

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model.attentions.sliding_window import SlidingWindow
from seedbed.model.depth_scalings.layernorm_scaling import LayerNormScaling
from seedbed.model.feed_forwards.gelu import GELU
from seedbed.model.norms.layer_norm import LayerNorm
from seedbed.model.parametrizations.mup import MuP
from seedbed.model.positions.learned import LearnedPositions
from seedbed.model.positions.rope import RoPE
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder, initial_model

SHAPE = ModelShape(50, d_model=24, n_layers=2, n_heads=4, n_kv_heads=2, context=20)


def lively(shape: ModelShape, seed: int = 0) -> Decoder:
    """A model whose logits are not near zero."""
    model = initial_model(shape, seed)
    with torch.no_grad():
        model.model.embed_tokens.weight.mul_(30)
    return model


def tokens(rows: int, length: int, seed: int = 0, vocab: int = 50) -> torch.Tensor:
    return torch.randint(vocab, (rows, length), generator=torch.Generator().manual_seed(seed))


def plain_logits(model: Decoder, ids: torch.Tensor) -> torch.Tensor:
    """The same function written position by position, in float64, from the state dict alone."""
    shape, w = model.shape, {name: value.double() for name, value in model.state_dict().items()}
    D, group = shape.head_width, shape.n_heads // shape.kv_heads

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + shape.norm.eps) * w[name]

    def turn(x: torch.Tensor, t: int) -> torch.Tensor:
        out = x.clone()
        for i in range(D // 2):
            angle = t * shape.positions.base ** (-2 * i / D)
            out[i] = x[i] * math.cos(angle) - x[i + D // 2] * math.sin(angle)
            out[i + D // 2] = x[i + D // 2] * math.cos(angle) + x[i] * math.sin(angle)
        return out

    x = w["model.embed_tokens.weight"][ids]
    for layer in range(shape.n_layers):
        at = f"model.layers.{layer}."
        h = norm(x, at + "input_layernorm.weight")
        q, k, v = (h @ w[f"{at}self_attn.{p}_proj.weight"].T for p in "qkv")
        mixed = torch.zeros_like(x)
        for head in range(shape.n_heads):
            mine, kv = slice(head * D, (head + 1) * D), slice(head // group * D, (head // group + 1) * D)
            turned = [turn(k[s, kv], s) for s in range(len(ids))]
            for t in range(len(ids)):
                query = turn(q[t, mine], t)
                share = torch.stack([query @ turned[s] / math.sqrt(D) for s in range(t + 1)]).softmax(0)
                mixed[t, mine] = share @ v[: t + 1, kv]
        x = x + mixed @ w[at + "self_attn.o_proj.weight"].T
        h = norm(x, at + "post_attention_layernorm.weight")
        gate = functional.silu(h @ w[at + "mlp.gate_proj.weight"].T) * (h @ w[at + "mlp.up_proj.weight"].T)
        x = x + gate @ w[at + "mlp.down_proj.weight"].T
    head_weight = w.get("lm_head.weight", w["model.embed_tokens.weight"])
    return norm(x, "model.norm.weight") @ head_weight.T


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("tied", [True, False])
def test_logits_equal_a_plainly_written_decoder(kv_heads, tied):
    shape = ModelShape(
        50,
        d_model=24,
        n_layers=2,
        n_heads=4,
        n_kv_heads=kv_heads,
        context=20,
        tied_embeddings=tied,
        positions=RoPE(base=100.0),
    )
    model, ids = lively(shape), tokens(1, 9)
    found = model(ids)[0]
    assert found.dtype == torch.float32
    expected = plain_logits(model, ids[0])
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(found.double(), expected, atol=2e-5, rtol=2e-5)


def test_the_future_does_not_change_the_past():
    model, ids = lively(SHAPE), tokens(2, 20)
    other = ids.clone()
    other[:, 11:] = (other[:, 11:] + 7) % 50
    before, after = model(ids), model(other)
    assert torch.equal(before[:, :11], after[:, :11])
    assert not torch.allclose(before[:, 11:], after[:, 11:], atol=1e-3)


def test_the_initial_model_is_its_seed_and_leaves_the_global_generator_alone():
    first = initial_model(SHAPE, 3)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again, other = initial_model(SHAPE, 3), initial_model(SHAPE, 4)
    assert torch.equal(torch.get_rng_state(), before)
    for (name, a), b, c in zip(first.named_parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b), name
        assert a.ndim == 1 or not torch.equal(a, c), name
    ids = tokens(4, 20)
    loss = functional.cross_entropy(first(ids).flatten(0, 1), tokens(4, 20, 1).flatten())
    assert float(loss.detach()) == pytest.approx(math.log(50), abs=0.1)


UNTIED = ModelShape(64, 32, 2, 2, d_ff=40, context=16, tied_embeddings=False)
STEADY = [
    (SHAPE, 1760.7707369592315, 3.9206855297088623, 1.759203787137581),
    (ModelShape(300, 96, 3, 4, context=64), 22236.268604556033, 5.734195232391357, 1.7340618213392116),
    (UNTIED, 2127.9800277908525, 4.1454997062683105, 1.5994228876733116),
]


@pytest.mark.parametrize(("shape", "weights", "loss", "gradient"), STEADY)
def test_the_default_parts_give_the_numbers_they_always_gave(shape, weights, loss, gradient):
    """Taken from the decoder as it was before its parts could be chosen; bits hold on one kind of machine only."""
    model = initial_model(shape, 3)
    ids = tokens(4, shape.context + 1, 1, shape.vocab_size)
    found = functional.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    found.backward()
    drawn = sum(float(parameter.detach().double().abs().sum()) for parameter in model.parameters())
    moved = sum(float(parameter.grad.double().square().sum()) for parameter in model.parameters()) ** 0.5
    assert [drawn, float(found.detach()), moved] == pytest.approx([weights, loss, gradient], rel=2e-6)


PLAIN = ModelShape(50, 32, 2, 4, context=20)


@pytest.mark.parametrize(
    "shape",
    [
        dataclasses.replace(PLAIN, attention=SlidingWindow(window=20)),
        dataclasses.replace(PLAIN, positions=RoPE(factor=3.0)),
        dataclasses.replace(PLAIN, head_dim=8, d_ff=80, n_kv_heads=4),
        dataclasses.replace(PLAIN, parametrization=MuP(base_width=32, base_head_width=8)),
    ],
)
def test_a_part_switched_off_changes_no_bit(shape):
    ids, found = tokens(2, 20), []
    for each in (PLAIN, shape):
        model = initial_model(each, 1)
        loss = functional.cross_entropy(model(ids).flatten(0, 1), tokens(2, 20, 1).flatten())
        loss.backward()
        found.append([loss.detach(), *model.parameters(), *(parameter.grad for parameter in model.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_parameter_names_are_those_of_a_llama_checkpoint():
    names = [name for name, _ in initial_model(ModelShape(8, 8, 1, 2, tied_embeddings=False), 0).named_parameters()]
    at = "model.layers.0."
    assert sorted(names) == sorted(
        ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"]
        + [at + name + ".weight" for name in ("input_layernorm", "post_attention_layernorm")]
        + [f"{at}self_attn.{p}_proj.weight" for p in "qkvo"]
        + [f"{at}mlp.{p}_proj.weight" for p in ("gate", "up", "down")]
    )


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"d_model": 100, "n_heads": 3}, "d_model"),
        ({"d_model": 12, "n_heads": 4}, "d_model"),
        ({"n_heads": 4, "n_kv_heads": 3}, "n_kv_heads"),
        ({"vocab_size": 1}, "vocab_size"),
        ({"n_layers": 0}, "n_layers"),
        ({"d_model": 24, "n_heads": 4, "head_dim": 5}, "head_dim"),
        ({"biases": "some"}, "biases"),
        ({"norm": RoPE()}, "norm"),
        ({"depth_scaling": LayerNormScaling()}, "depth_scaling"),
        ({"depth_scaling": LayerNormScaling(), "parametrization": MuP()}, "depth_scaling"),
    ],
)
def test_a_shape_that_cannot_be_meant_names_its_field(fields, where):
    with pytest.raises(RecipeError, match=rf"model\.shape\.{where}"):
        ModelShape(**{"vocab_size": 50, **fields})


def test_parameter_names_of_the_other_parts():
    shape = ModelShape(
        8, 8, 1, 2, biases="all", qk_norm=True, norm=LayerNorm(), positions=LearnedPositions(), feed_forward=GELU()
    )
    names = {name for name, _ in initial_model(shape, 0).named_parameters()}
    at = "model.layers.0."
    both = ["model.norm", at + "input_layernorm", at + "post_attention_layernorm"]
    both += [f"{at}self_attn.{p}" for p in ("q_proj", "k_proj", "v_proj", "o_proj", "q_norm", "k_norm")]
    both += [at + "mlp.up_proj", at + "mlp.down_proj"]
    tables = {"model.embed_tokens.weight", "model.embed_positions.weight"}
    assert names == tables | {f"{name}.{end}" for name in both for end in ("weight", "bias")}


def test_odd_heads_are_fine_where_nothing_is_turned():
    shape = ModelShape(50, 15, 1, 3, context=8, positions=LearnedPositions())
    assert initial_model(shape, 0)(tokens(1, 8)).isfinite().all()


def test_a_sequence_longer_than_the_context_is_an_error():
    with pytest.raises(SeedbedError, match="21 positions"):
        initial_model(SHAPE, 0)(tokens(1, 21))
