"""bert2BERT: exact where it says so, and what the paper's two kinds do to rows and columns."""

import dataclasses

import pytest
import torch

from seedbed.core.errors import RecipeError
from seedbed.model.transformer import Decoder, initial_model
from seedbed.model.transforming import Checkpoint, Given
from seedbed.model.transforms.bert2bert import Bert2BERT
from tests.model.grown_models import PLAIN, SHAPES, apart, logits, train, trained

FPI = Bert2BERT(kind="fpi", depth=1.0)


def grown(method: Bert2BERT, decoder: Decoder, seed: int = 0) -> Decoder:
    return method.apply(Checkpoint(decoder, "{}", 3), Given(seed=seed)).decoder


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("width", [2.0, 3.0])
def test_fpi_to_a_whole_multiple_keeps_the_function(name, width):
    """The fidelity test: on trained models of every part, with channels divided evenly and unevenly."""
    decoder = trained(name)
    for spread in (0.0, 0.5):
        method = dataclasses.replace(FPI, width=width, spread=spread)
        wide = grown(method, decoder)
        assert wide.shape.d_model == width * 16
        assert method.promise(decoder.shape) == "exact"
        assert apart(decoder, wide) < 1e-5
    assert logits(decoder).abs().max() > 1


@pytest.mark.parametrize(
    "sizes",
    [
        {"width": 1.0, "d_ff": 31},
        {"width": 1.0, "n_heads": 6},
        {"width": 1.0, "n_heads": 10, "n_kv_heads": 5},
        {"d_model": 48, "n_heads": 4, "n_kv_heads": 2, "d_ff": 24},
        {"n_kv_heads": 2},
    ],
)
def test_heads_and_inner_channels_grow_by_any_number_exactly(sizes):
    method, decoder = dataclasses.replace(FPI, **sizes), trained("plain")
    assert method.promise(decoder.shape) == "exact"
    assert apart(decoder, grown(method, decoder)) < 1e-5


def test_from_64_to_128_as_published():
    shape = dataclasses.replace(PLAIN, d_model=64, d_ff=None)
    decoder = train(initial_model(shape, 0), 10)
    assert apart(decoder, grown(FPI, decoder)) < 1e-5


@pytest.mark.parametrize("name", ["plain", "untied", "mup"])
def test_a_width_between_is_refused_or_moves_the_function(name):
    method, decoder = dataclasses.replace(FPI, width=1.5), trained(name)
    with pytest.raises(RecipeError, match=r"bert2bert\.d_model: 24 is no whole multiple of the model's 16\."):
        grown(method, decoder)
    method = dataclasses.replace(method, allow_inexact=True)
    assert method.promise(decoder.shape) == "none"
    wide = grown(method, decoder)
    assert apart(decoder, wide) > 0.05
    # and yet it is the old model more than anything: the likeliest token is mostly the same
    assert (logits(decoder).argmax(-1) == logits(wide).argmax(-1)).float().mean() > 0.8


def test_aki_takes_later_rows_from_the_layer_above():
    decoder = trained("untied")
    method = Bert2BERT(depth=1.0, spread=0.0)
    assert method.kind == "aki"
    assert method.promise(decoder.shape) == "none"
    old, new = decoder.state_dict(), grown(method, decoder).state_dict()

    def matrix(layer: int) -> torch.Tensor:
        return old[f"model.layers.{layer}.mlp.up_proj.weight"].repeat(1, 2) / 2

    for layer, above in ((0, 1), (1, 1)):
        found = new[f"model.layers.{layer}.mlp.up_proj.weight"]
        torch.testing.assert_close(found, torch.cat([matrix(layer), matrix(above)]))
    for name in ("model.norm.weight", "model.layers.0.input_layernorm.weight"):
        torch.testing.assert_close(new[name], old[name].repeat(2))
    torch.testing.assert_close(new["model.embed_tokens.weight"], old["model.embed_tokens.weight"].repeat(1, 2))
    torch.testing.assert_close(new["lm_head.weight"], old["lm_head.weight"].repeat(1, 2) / 2)


def test_the_whole_is_stacked_on_itself():
    decoder = trained("plain", 3)
    method = Bert2BERT(kind="fpi", depth=2.0)
    assert method.promise(decoder.shape) == "none"
    deep, wide = grown(method, decoder).state_dict(), grown(FPI, decoder).state_dict()
    for name, tensor in deep.items():
        parts = name.split(".")
        if parts[1] == "layers":
            parts[2] = str(int(parts[2]) % 3)
        assert torch.equal(tensor, wide[".".join(parts)])


def test_the_same_seed_gives_the_same_bits_and_the_old_model_stays():
    decoder = trained("plain")
    before = {name: tensor.clone() for name, tensor in decoder.state_dict().items()}
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, again, other = (grown(FPI, decoder, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in first.state_dict().items())
    assert not torch.equal(first.model.layers[0].mlp.up_proj.weight, other.model.layers[0].mlp.up_proj.weight)
    assert all(torch.equal(tensor, before[name]) for name, tensor in decoder.state_dict().items())
    checkpoint = FPI.apply(Checkpoint(decoder, "{}", 3), Given())
    assert (checkpoint.tokenizer_json, checkpoint.end_of_text) == ("{}", 3)


def rank(weight: torch.Tensor) -> int:
    return int(torch.linalg.matrix_rank(weight.detach().double(), rtol=1e-4))


@pytest.mark.parametrize(("kind", "spread", "part"), [("fpi", 0.5, True), ("aki", 0.5, True), ("fpi", 0.0, False)])
def test_copies_part_in_training_unless_they_are_divided_evenly(kind, spread, part):
    """What has changed since has at most the old rank where copies never part, and more where they do."""
    decoder = trained("plain")
    wide = grown(Bert2BERT(kind=kind, depth=1.0, spread=spread), decoder)
    began = {name: tensor.clone() for name, tensor in wide.state_dict().items()}
    train(wide, 12)
    for layer in range(2):
        for name, old_rank in (("mlp.up_proj", 16), ("mlp.down_proj", 16), ("self_attn.o_proj", 16)):
            full = f"model.layers.{layer}.{name}.weight"
            assert (rank(wide.state_dict()[full] - began[full]) > old_rank) is part
    up = wide.model.layers[1].mlp.up_proj.weight
    assert torch.allclose(up[:24], up[24:], atol=1e-5) is not part
