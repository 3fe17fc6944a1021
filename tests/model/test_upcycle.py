"""Upcycling: the function is kept unless experts are parted, and the experts part in training."""

import dataclasses
import itertools

import pytest
import torch

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model.feed_forwards.experts import Experts
from seedbed.model.transformer import Decoder
from seedbed.model.transforming import Checkpoint, Given
from seedbed.model.transforms.efficient_scale import EfficientScale
from seedbed.model.transforms.upcycle import Upcycle
from tests.model.grown_models import apart, train, trained

DENSE = ("plain", "untied", "multi_head", "mup", "depth_scaled")


def sparse(method: Upcycle, decoder: Decoder, seed: int = 0) -> Decoder:
    return method.apply(Checkpoint(decoder), Given(seed=seed)).decoder


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize(("experts", "active"), [(8, 2), (4, 1), (3, 3)])
def test_the_function_is_kept(name, experts, active):
    """The fidelity test: as the chosen experts' weights sum to 1, copies give what the one gave."""
    decoder, method = trained(name), Upcycle(experts, active)
    model = sparse(method, decoder)
    assert method.promise(decoder.shape) == "exact"
    assert model.shape.feed_forward == Experts(experts, active)
    assert model.shape.ff_width == decoder.shape.ff_width
    assert apart(decoder, model) < 1e-5


@pytest.mark.parametrize("fields", [{"noise": 0.1}, {"redrawn": 0.5}])
def test_parted_experts_promise_nothing_and_differ_from_the_start(fields):
    decoder, method = trained("plain"), Upcycle(4, 2, **fields)
    assert method.promise(decoder.shape) == "none"
    model = sparse(method, decoder)
    assert apart(decoder, model) > 1e-2
    ups = [expert.up_proj.weight for expert in model.model.layers[0].mlp.experts]
    assert all(not torch.equal(first, second) for first, second in itertools.combinations(ups, 2))


def test_inner_channels_are_drawn_anew_whole_with_the_statistics_they_had():
    decoder = trained("plain")
    model, old = sparse(Upcycle(4, 2, redrawn=0.5), decoder), decoder.model.layers[0].mlp
    for expert in model.model.layers[0].mlp.experts:
        gate = (expert.gate_proj.weight != old.gate_proj.weight).any(1)
        assert int(gate.sum()) == 12
        assert torch.equal((expert.up_proj.weight != old.up_proj.weight).all(1), gate)
        assert torch.equal((expert.down_proj.weight != old.down_proj.weight).all(0), gate)
        fresh, before = (weight.detach()[:, gate] for weight in (expert.down_proj.weight, old.down_proj.weight))
        assert float(fresh.std()) == pytest.approx(float(before.std()), rel=0.25)
        assert float(fresh.mean()) == pytest.approx(float(before.mean()), abs=0.25 * float(before.std()))


def test_the_router_is_small_and_drawn_from_the_seed():
    decoder = trained("plain")
    first, again, other = (sparse(Upcycle(64, 2), decoder, seed) for seed in (1, 1, 2))
    router = [model.model.layers[1].mlp.router.weight for model in (first, again, other)]
    assert float(router[0].detach().std()) == pytest.approx(0.02, rel=0.1)
    assert torch.equal(router[0], router[1])
    assert not torch.equal(router[0], router[2])
    assert not torch.equal(router[0], first.model.layers[0].mlp.router.weight)


def test_experts_part_in_training():
    model = train(sparse(Upcycle(4, 2), trained("plain")), 12)
    for block in model.model.layers:
        ups = [expert.up_proj.weight.detach() for expert in block.mlp.experts]
        for first, second in itertools.combinations(ups, 2):
            assert float((first - second).norm() / first.norm()) > 0.01


def test_small_to_wide_and_deep_to_experts_keeps_the_function_all_the_way():
    decoder = trained("plain")
    large = EfficientScale(width_kind="copy", depth_kind="identity").apply(Checkpoint(decoder, "{}"), Given())
    final = Upcycle(4, 2).apply(large, Given())
    assert final.tokenizer_json == "{}"
    assert apart(decoder, final.decoder) < 1e-5
    wider = EfficientScale(width_kind="copy", depth=1.0).apply(final, Given())  # experts can be widened in turn
    assert wider.decoder.shape.d_model == 64
    assert apart(decoder, wider.decoder) < 1e-5


def test_what_cannot_be_upcycled_is_named():
    with pytest.raises(SeedbedError, match="upcycle: the model's feed_forward is gelu"):
        sparse(Upcycle(), trained("gpt_2"))
    with pytest.raises(RecipeError, match=r"experts\.active: 9 experts cannot be chosen of 8"):
        sparse(dataclasses.replace(Upcycle(), active=9), trained("plain"))
