"""What the transforms that grow models share."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model.attentions.sliding_window import SlidingWindow
from seedbed.model.growing import (
    Copies,
    deepened,
    even_copies,
    head_copies,
    interpolated,
    keeps_sight,
    stacked,
    widened,
)
from seedbed.model.movement import moved
from seedbed.model.transforming import Checkpoint, Given
from seedbed.model.transforms.bert2bert import Bert2BERT
from seedbed.model.transforms.efficient_scale import EfficientScale
from seedbed.model.transforms.upcycle import Upcycle
from tests.conftest import examples
from tests.model.grown_models import PLAIN, apart, trained


@examples(30)
@given(old=some.integers(1, 9), more=some.integers(0, 20), spread=some.sampled_from([0.0, 0.5, 0.99]))
def test_every_channel_is_copied_and_shares_of_its_copies_sum_to_one(old, more, spread):
    generator = torch.Generator().manual_seed(old * 31 + more)
    copies = even_copies(old, old + more, generator)
    counts = torch.bincount(copies.source_J, minlength=old)
    assert counts.min() >= 1
    assert counts.max() - counts.min() <= 1
    assert copies.count_J.tolist() == [int(counts[source]) for source in copies.source_J]
    assert int((~copies.later_J).sum()) == old
    assert copies.source_J[~copies.later_J].sort().values.tolist() == list(range(old))
    share_RJ = copies.shares(5, spread, generator)
    for source in range(old):
        total = share_RJ[:, copies.source_J == source].sum(1)
        torch.testing.assert_close(total, torch.ones(5, dtype=torch.float64))
    assert share_RJ.min() > 0


def test_the_first_copy_is_no_later_one_wherever_it_stands():
    assert Copies(torch.tensor([1, 0, 1, 1, 0]), 2).later_J.tolist() == [False, False, True, True, True]


@pytest.mark.parametrize(
    ("heads", "kv_heads", "query", "key_value"),
    [
        (4, 2, [0, 1, 2, 3], [0, 1]),
        (8, 4, [0, 1, 2, 3, 0, 1, 2, 3], [0, 1, 0, 1]),
        (8, 2, [0, 1, 0, 1, 2, 3, 2, 3], [0, 1]),
        (9, 3, [0, 1, 0, 2, 3, 2, 0, 1, 0], [0, 1, 0]),
    ],
)
def test_query_heads_stay_in_copies_of_their_group(heads, kv_heads, query, key_value):
    grown = dataclasses.replace(PLAIN, n_heads=heads, n_kv_heads=kv_heads, head_dim=4)
    found = head_copies(PLAIN, grown)
    assert [copies.source_J[::4].tolist() for copies in found] == [[4 * head for head in heads] for heads in
                                                                   (query, key_value)]  # fmt: skip
    assert found[0].source_J[:4].tolist() == [0, 1, 2, 3]
    for new, old in enumerate(query):
        assert key_value[new // (heads // kv_heads)] == old // 2


def test_depth_maps():
    assert stacked(3, 7) == [0, 1, 2, 0, 1, 2, 0]
    assert interpolated(3, 6) == [0, 0, 1, 1, 2, 2]
    assert interpolated(32, 40)[:11] == [0, 0, 1, 2, 3, 4, 4, 5, 6, 7, 8]
    assert set(interpolated(5, 9)) == set(range(5))


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"d_model": 8}, "d_model: 8 is below the model's 16"),
        ({"n_layers": 1}, "n_layers: 1 is below"),
        ({"d_ff": 23}, "d_ff: 23 is below"),
        ({"n_kv_heads": 1}, "n_kv_heads: 1 is below"),
        ({"n_kv_heads": 8}, "n_kv_heads: 8 groups of 8 query heads"),
        ({"n_kv_heads": 3}, "n_kv_heads: 3 groups of 8 query heads"),
        ({"width": 1.3}, "width: 1.3 times the model's d_model of 16 is 20.8, no whole number"),
        ({"width": 1.1, "d_model": 18}, "width: 1.1 times the model's n_heads of 4 is 4.4, no whole number"),
        ({"depth": 1.25}, "depth: 1.25 times the model's n_layers of 2 is 2.5, no whole number"),
    ],
)
def test_sizes_that_cannot_be_are_named(fields, where):
    with pytest.raises(RecipeError) as caught:
        Bert2BERT(**fields).grown(PLAIN)
    assert str(caught.value).startswith(f"bert2bert.{where}")


def test_sizes_follow_the_factors_unless_they_are_given():
    grown = Bert2BERT(width=2, depth=1.5).grown(PLAIN)
    assert (grown.d_model, grown.n_heads, grown.kv_heads, grown.ff_width, grown.n_layers) == (32, 8, 4, 48, 3)
    assert (grown.head_dim, grown.head_width) == (None, 4)
    grown = Bert2BERT(width=1, depth=1, n_heads=6, d_ff=30).grown(PLAIN)
    assert (grown.d_model, grown.n_heads, grown.kv_heads, grown.ff_width, grown.n_layers) == (16, 6, 2, 30, 2)
    assert grown.head_width == 4
    assert Bert2BERT(width=1.25, depth=1).grown(dataclasses.replace(PLAIN, n_kv_heads=None)).n_kv_heads is None


def test_a_weight_of_an_unknown_part_is_named():
    decoder = trained("plain")
    strange = dataclasses.replace(decoder.shape)
    copy = type(decoder)(strange)
    copy.model.extra = torch.nn.Linear(2, 2)
    with pytest.raises(SeedbedError, match=r"growth: model\.extra\.weight is a weight that is not known here"):
        widened(copy, dataclasses.replace(strange, d_model=32), from_above=False, spread=0.0, seed=0)


def test_silent_blocks_change_nothing_wherever_they_stand():
    for name in ("plain", "gpt_2", "depth_scaled"):
        decoder = trained(name)
        deep = deepened(decoder, [0, 0, 1, 1, 0], {0, 3, 4})
        assert deep.shape.n_layers == 5
        assert apart(decoder, deep) < 1e-5
        assert apart(decoder, deepened(decoder, [0, 0, 1, 1, 0], {0, 3})) > 1e-2


def test_whether_layers_see_as_far_is_known_from_the_attention():
    every = dataclasses.replace(PLAIN, attention=SlidingWindow(window=4))
    some_layers = dataclasses.replace(PLAIN, attention=SlidingWindow(window=4, full_every=2))
    wide = dataclasses.replace(PLAIN, attention=SlidingWindow(window=16, full_every=2))
    for shape, keeps in ((PLAIN, True), (every, True), (some_layers, False), (wide, True)):
        assert keeps_sight(shape, dataclasses.replace(shape, n_layers=4), [0, 0, 1, 1]) is keeps
    assert keeps_sight(some_layers, dataclasses.replace(some_layers, n_layers=4), [0, 1, 0, 1])


@pytest.mark.parametrize(
    "method",
    [Bert2BERT(kind="fpi", depth=1.0), EfficientScale(width_kind="copy", depth_kind="identity"), Upcycle(4, 2)],
)
def test_what_is_promised_is_what_the_movement_shows(method):
    before = Checkpoint(trained("plain"))
    after = method.apply(before, Given())
    assert method.promise(before.decoder.shape) == "exact"
    kept = moved(before, after, (), "exact")
    assert kept.broken == ""
    assert kept.max_logit_difference < 1e-5


@pytest.mark.parametrize("method", [Bert2BERT(depth=1.0), EfficientScale(), Upcycle(4, 2, noise=0.1)])
def test_what_promises_nothing_would_have_broken_a_promise(method):
    before = Checkpoint(trained("plain"))
    after = method.apply(before, Given())
    assert moved(before, after, (), method.promise(before.decoder.shape)).broken == ""
    assert moved(before, after, (), "exact").broken
