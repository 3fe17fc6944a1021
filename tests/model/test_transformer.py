"""The decoder: causal, rotary by distance, the same as a plainly written one, drawn from its seed alone."""

import math

import pytest
import torch
from torch.nn import functional

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder, initial_model, rotary_tables, rotate

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
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + shape.norm_eps) * w[name]

    def turn(x: torch.Tensor, t: int) -> torch.Tensor:
        out = x.clone()
        for i in range(D // 2):
            angle = t * shape.rope_base ** (-2 * i / D)
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
        50, d_model=24, n_layers=2, n_heads=4, n_kv_heads=kv_heads, context=20, tied_embeddings=tied, rope_base=100.0
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


def test_rotated_products_depend_on_distance_alone():
    cos, sin = rotary_tables(64, 16, 10000.0)
    generator = torch.Generator().manual_seed(1)
    q, k = torch.randn(16, generator=generator), torch.randn(16, generator=generator)

    def product(t: int, s: int) -> float:
        turned = [rotate(x.view(1, 1, 1, 16), cos[p : p + 1], sin[p : p + 1]).flatten() for x, p in ((q, t), (k, s))]
        return float(turned[0] @ turned[1])

    assert product(9, 4) == pytest.approx(product(59, 54), abs=1e-4)
    assert product(9, 9) == pytest.approx(float(q @ k), abs=1e-4)
    assert abs(product(9, 4) - product(9, 5)) > 1e-2


def test_the_gradient_of_a_rotation_is_checked_numerically():
    cos, sin = rotary_tables(5, 6, 10.0)
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64, requires_grad=True, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(lambda x: rotate(x, cos.double(), sin.double()), (x,))


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
        ({"rope_base": -1.0}, "rope_base"),
    ],
)
def test_a_shape_that_cannot_be_meant_names_its_field(fields, where):
    with pytest.raises(RecipeError, match=rf"model\.shape\.{where}"):
        ModelShape(**{"vocab_size": 50, **fields})


def test_a_sequence_longer_than_the_context_is_an_error():
    with pytest.raises(SeedbedError, match="21 positions"):
        initial_model(SHAPE, 0)(tokens(1, 21))
