import json

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.evaluate.comparison import compare_arms

BASE = np.array([1.50, 1.52, 1.47, 1.55, 1.49])


def rows(arm, losses, domain="law", tokens=1e6, train=6e12, select=0.0, seeds=None):
    seeds = range(len(losses)) if seeds is None else seeds
    return [
        {
            "arm": arm, "seed": seed, "domain": domain, "bits_per_byte": float(loss), "tokens": int(tokens),
            "flops_train": train, "flops_select": select, "seconds_select": select / 1e12,
        }
        for seed, loss in zip(seeds, losses, strict=True)
    ]  # fmt: skip


def compare(*parts):
    listed = [row for part in parts for row in part]
    return compare_arms(arrow.table({name: [row[name] for row in listed] for name in listed[0]}), "random")


def test_three_seeds_worked_by_hand():
    # differences -0.040, -0.042, -0.041: mean -0.041, sd 0.001, half-width 4.302653 * 0.001 / sqrt(3) = 0.002484
    found = compare(rows("random", BASE[:3]), rows("color", BASE[:3] - [0.040, 0.042, 0.041], select=6e11))
    difference = found.of("color", "law")
    assert difference.bits_per_byte.value == pytest.approx(-0.041)
    assert difference.bits_per_byte.low == pytest.approx(-0.043484, abs=1e-6)
    assert difference.flops_ratio == pytest.approx(1.1)
    assert difference.verdict == "better"
    assert difference.sentence == (
        "color beats random by 0.041 bits per byte (95 % interval 0.039 to 0.043, 3 seeds: indicative) at equal tokens."
    )
    assert found.notes == ("color: no run random@color, so nothing is said at equal total cost",)


def test_pairing_sees_what_the_spread_of_seeds_hides():
    found = compare(rows("random", BASE), rows("dsir", BASE - 0.01 + np.array([1, -1, 0, 1, -1]) * 1e-3))
    by_arm = {summary.arm: summary.bits_per_byte for summary in found.arms}
    assert by_arm["dsir"].high > by_arm["random"].low  # the arms' own intervals overlap
    assert found.of("dsir", "law").verdict == "better"
    assert "5 seeds)" in found.sentences("law")[0]


def test_a_tie_is_called_one():
    found = compare(rows("random", BASE), rows("dsir", BASE - [0.02, -0.02, 0.01, -0.02, 0.01]))
    assert found.of("dsir", "law").verdict == "undecided"
    said = found.sentences("law")[0]
    assert said.startswith("dsir against random: no difference can be told (+0.000 bits per byte, 95 % interval -0.0")
    assert "beats" not in said


def test_equal_total_cost_is_compared_with_the_longer_baseline():
    found = compare(
        rows("random", BASE),
        rows("color", BASE - [0.041, 0.039, 0.040, 0.042, 0.040], train=6e12, select=3e12),
        rows("random@color", BASE - [0.050, 0.053, 0.051, 0.052, 0.049], tokens=1.5e6, train=9e12),
    )
    assert [d.terms for d in found.differences] == ["equal tokens", "equal total cost"]
    costly = found.of("color", "law", "equal total cost")
    assert (costly.opponent, costly.verdict, costly.fair) == ("random@color", "worse", True)
    said = found.sentences("law")
    assert len(said) == 1
    assert "color beats random by 0.040" in said[0]
    assert "; loses to random@color by 0.011" in said[0]
    assert said[0].endswith("at equal total cost.")
    assert found.notes == ()


def test_unequal_terms_are_said():
    found = compare(rows("random", BASE), rows("more", BASE - 0.1, tokens=2e6))
    assert not found.of("more", "law").fair
    assert "at unequal tokens (2 times random's)" in found.sentences("law")[0]
    assert any("not at equal tokens" in note for note in found.notes)


def test_one_seed_shows_nothing_and_unpaired_seeds_are_left_out():
    single = compare(rows("random", BASE[:1]), rows("dsir", BASE[:1] - 0.3))
    assert single.of("dsir", "law").verdict == "undecided"
    assert "one seed: no interval" in single.sentences("law")[0]
    partial = compare(rows("random", BASE), rows("dsir", BASE[1:4] - 0.1, seeds=(1, 2, 3)))
    assert partial.of("dsir", "law").seeds == (1, 2, 3)
    assert any("seeds [0, 4] have no partner" in note for note in partial.notes)


def test_domains_are_compared_apart():
    found = compare(
        *(rows("random", BASE, d) for d in ("law", "web")), rows("dsir", BASE - 0.1), rows("dsir", BASE + 0.1, "web")
    )
    assert [found.of("dsir", d).bits_per_byte.value for d in ("law", "web")] == pytest.approx([-0.1, 0.1])
    assert found.of("dsir", "news") is None


def test_the_result_is_plain_json():
    found = compare(rows("random", BASE), rows("dsir", BASE - 0.1), rows("one", BASE[:1]))
    again = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert again["baseline"] == "random"
    assert again["differences"][0]["verdict"] == "better"
    assert again["differences"][0]["bits_per_byte"]["n"] == 5
    assert again["arms"][2]["bits_per_byte"]["low"] is None


def test_the_null_is_called_a_difference_as_rarely_as_said():
    rng = np.random.default_rng(0)
    found = [
        compare(rows("random", 1 + 0.01 * rng.standard_normal(4)), rows("dsir", 1 + 0.01 * rng.standard_normal(4)))
        for _ in range(400)
    ]
    assert np.mean([c.of("dsir", "law").verdict != "undecided" for c in found]) == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((rows("rando", BASE),), "Did you mean 'rando'"),
        ((rows("random", BASE), rows("random", BASE)), "is there twice"),
        ((rows("random", BASE), rows("dsir", [np.nan])), "not finite"),
        ((rows("random", BASE), rows("dsir", [1.0], seeds=[9])), "share no seed on law"),
    ],
)
def test_tables_that_cannot_be_compared_are_refused(parts, said):
    with pytest.raises(SeedbedError, match=said):
        compare(*parts)


def test_a_missing_column_is_named():
    with pytest.raises(SeedbedError, match="no column 'arm'"):
        compare_arms(arrow.table({"arms": ["random"]}), "random")
