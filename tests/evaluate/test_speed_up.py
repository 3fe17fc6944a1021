"""Speed-ups from measured curves, worked by hand; what is not measured is a bound; several methods at once."""

import csv
import io
import json

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.evaluate.rows import csv_text, write_csv
from seedbed.evaluate.speed_up import COMPARISON, Curve, comparison_rows, outcomes
from seedbed.evaluate.summary import summarise, summary_rows
from seedbed.evaluate.verdicts import notes, sentences

BUDGET, FLOPS = 1e6, 6.0  # tokens; FLOP a token
MULTIPLES = (0.25, 0.5, 1, 2, 4, 8)


def law(tokens, seed=0):
    """Bits per byte of the baseline: halves of a power law, each seed a little off."""
    return 3 * (tokens / BUDGET) ** -0.1 + 0.01 * seed


def row(arm, seed, loss, domain="law", tokens=BUDGET, select=0.0, unique=BUDGET):
    return {
        "arm": arm, "seed": seed, "domain": domain, "bits_per_byte": float(loss), "tokens": tokens,
        "flops_train": FLOPS * tokens, "flops_select": select, "seconds_select": 0.0, "budget_tokens": BUDGET,
        "unique_tokens": unique, "chosen_tokens": BUDGET,
    }  # fmt: skip


def table(listed):
    return arrow.table({name: [one[name] for one in listed] for name in listed[0]})


def curve(seeds=5, loss=law):
    return table([row("random", s, loss(m * BUDGET, s), tokens=m * BUDGET) for s in range(seeds) for m in MULTIPLES])


def results(*arms, seeds=5):
    """arms: (name, speed, selection FLOP): at its budget an arm has the loss of the baseline at speed * budget."""
    listed = [row("random", s, law(BUDGET, s)) for s in range(seeds)]
    rng = np.random.default_rng(0)
    for name, speed, select in arms:
        listed += [
            row(name, s, law(BUDGET * speed * np.exp(0.02 * rng.standard_normal()), s), select=select)
            for s in range(seeds)
        ]
    return table(listed)


def found(*arms, seeds=5):
    return outcomes(results(*arms, seeds=seeds), curve(seeds), target="law", baseline="random")


def test_between_two_lengths_the_curve_is_straight_in_log_tokens():
    measured = Curve.of([4e6, 1e6, 2e6], [24e6, 6e6, 12e6], [1.0, 2.0, 1.6])  # any order
    reach = measured.reach(1.8)  # half-way from 2.0 to 1.6: the geometric middle of 1 M and 2 M
    assert reach.tokens == pytest.approx(2**0.5 * 1e6)
    assert reach.flops == pytest.approx(6 * 2**0.5 * 1e6)
    assert reach.censored == ""
    assert measured.reach(1.6).tokens == pytest.approx(2e6)
    assert measured.bits_per_byte_at(6 * 2**0.5 * 1e6) == pytest.approx(1.8)  # and back


def test_nothing_is_extrapolated():
    measured = Curve.of([1e6, 2e6], [6e6, 12e6], [2.0, 1.5])
    assert (measured.reach(1.4).tokens, measured.reach(1.4).censored) == (2e6, "above")
    assert (measured.reach(2.1).tokens, measured.reach(2.1).censored) == (1e6, "below")
    assert (measured.reach(2.0).tokens, measured.reach(2.0).censored) == (1e6, "")
    assert (measured.reach(1.5).tokens, measured.reach(1.5).censored) == (pytest.approx(2e6), "")
    assert measured.bits_per_byte_at(13e6) is None
    assert measured.bits_per_byte_at(5e6) is None


def test_a_longer_run_that_is_worse_costs_the_baseline_nothing():
    measured = Curve.of([1e6, 2e6, 4e6], [1e6, 2e6, 4e6], [2.0, 2.2, 1.8])
    assert measured.rises
    assert measured.reach(2.0).tokens == 1e6
    assert measured.reach(1.9).tokens == pytest.approx(2 * 2**0.5 * 1e6)  # from (2 M, 2.0) to (4 M, 1.8)
    assert measured.bits_per_byte_at(2e6) == 2.0


@pytest.mark.parametrize("speed", [3.0, 0.5, 1.0])
def test_speed_up_of_shifted_power_laws_is_their_shift(speed):
    tokens = np.geomspace(1e4, 1e6, 200)
    measured = Curve.of(tokens, tokens, 3 * tokens**-0.1)
    assert measured.reach(3 * (1e5 * speed) ** -0.1).tokens / 1e5 == pytest.approx(speed, rel=1e-4)


def test_a_row_worked_by_hand():
    listed = [row("random", 0, 2.0), row("random", 0, 1.0, "web")]
    listed += [row("m", 0, 1.8, select=3e6, unique=4e5), row("m", 0, 3.0, "web")]
    points = [row("random", 0, 1.6, tokens=2e6)]
    made = comparison_rows(table(listed), table(points), target="law", baseline="random").to_pylist()
    assert [one["method"] for one in made] == ["random", "m"]
    assert list(made[1]) == list(COMPARISON.names)
    assert made[1] == pytest.approx({
        "method": "m", "seed": 0, "budget_tokens": 1e6, "target_bits_per_byte": 1.8, "mean_domain_bits_per_byte": 2.4,
        "worst_domain_bits_per_byte": 3.0, "speedup_equal_tokens": 2**0.5, "selection_flops": 3e6,
        "training_flops": 6e6, "speedup_equal_cost": 6 * 2**0.5 / 9, "censored": "", "unique_token_ratio": 0.4,
    })  # fmt: skip
    assert (made[0]["speedup_equal_tokens"], made[0]["speedup_equal_cost"]) == (1.0, 1.0)


def test_the_issues_columns_and_newlines(tmp_path):
    made = comparison_rows(results(("m", 2.0, 0.0)), curve(), target="law", baseline="random")
    write_csv(made, tmp_path / "comparison.csv")
    text = (tmp_path / "comparison.csv").read_bytes().decode()
    assert text.splitlines()[0] == (
        "method,seed,budget_tokens,target_bits_per_byte,mean_domain_bits_per_byte,worst_domain_bits_per_byte,"
        "speedup_equal_tokens,selection_flops,training_flops,speedup_equal_cost,censored,unique_token_ratio"
    )
    assert "\r" not in text
    assert text.endswith("\n")
    assert len(list(csv.DictReader(io.StringIO(text)))) == 10


def test_what_the_baseline_never_reaches_is_at_least_the_last_length():
    summary = summarise(found(("oracle", 20.0, 0.0)), baseline="random")
    made = [one for one in found(("oracle", 20.0, 0.0)) if one.method == "oracle"]
    assert {one.censored for one in made} == {"above"}
    assert {one.speedup_equal_tokens for one in made} == {8.0}
    speed = summary.methods[1].speedup_equal_tokens
    assert (speed.bound, speed.censored, speed.words) == ("at least", 5, "at least 8.00")
    assert (
        "random needs at least 8.00 times the tokens to get there, never reached in 5 of 5 seeds"
        in (sentences(summary)[0])
    )


def test_some_censored_replicates_make_the_mean_a_lower_bound():
    listed = [row("random", s, law(BUDGET)) for s in range(4)]
    listed += [row("m", s, law(BUDGET * speed)) for s, speed in enumerate((4, 4, 100, 100))]
    flat = curve(4, lambda tokens, _: law(tokens))
    speed = summarise(outcomes(table(listed), flat, target="law", baseline="random"), baseline="random").methods[1]
    assert speed.speedup_equal_tokens.factor.value == pytest.approx(32**0.5)
    assert speed.speedup_equal_tokens.factor.high is None
    assert 1 < speed.speedup_equal_tokens.factor.low < 32**0.5
    assert speed.speedup_equal_tokens.words.startswith("at least 5.66 (above ")


def test_worse_than_the_shortest_baseline_is_at_most():
    summary = summarise(found(("bad", 0.1, 0.0)), baseline="random")
    assert summary.methods[1].speedup_equal_tokens.words == "at most 0.25"
    assert "bad loses to random" in sentences(summary)[0]


def test_equal_total_cost_takes_the_price_off():
    # three times as fast, and choosing costs as much as training: 1.5 times as fast for the same money
    summary = summarise(found(("m", 3.0, FLOPS * BUDGET)), baseline="random")
    method = summary.methods[1]
    assert method.speedup_equal_tokens.factor.value == pytest.approx(3.0, rel=0.05)
    assert method.speedup_equal_cost.factor.value == pytest.approx(1.5, rel=0.05)
    assert method.at_equal_cost.interval.value == pytest.approx(law(3 * BUDGET) - law(2 * BUDGET), abs=0.01)
    assert "at equal total cost (2 times the cost of training) it beats random by 0.1" in sentences(summary)[0]
    # as fast as its price: nothing is left
    even = summarise(found(("m", 2.0, FLOPS * BUDGET)), baseline="random")
    assert even.methods[1].at_equal_tokens.verdict == "better"
    assert even.methods[1].at_equal_cost.verdict == "undecided"
    # and dearer than it is fast
    dear = summarise(found(("m", 1.5, 3 * FLOPS * BUDGET)), baseline="random")
    assert dear.methods[1].at_equal_cost.verdict == "worse"
    assert "it loses to random" in sentences(dear)[0]


def test_a_price_beyond_the_curve_is_said():
    summary = summarise(found(("m", 3.0, 20 * FLOPS * BUDGET)), baseline="random")
    assert summary.methods[1].at_equal_cost is None
    assert (
        "its total cost (21 times the cost of training) lies beyond the longest random, which reaches the same"
        in sentences(summary)[0]
    )


def test_methods_are_corrected_for_one_another_and_the_ceiling_is_not_among_them():
    rng = np.random.default_rng(1)
    listed = [row("random", s, 2 + 0.01 * s) for s in range(5)]
    listed += [row("good", s, 1.9 + 0.01 * s + 0.001 * rng.standard_normal()) for s in range(5)]
    listed += [row("clean", s, 1.5 + 0.01 * s + 0.001 * rng.standard_normal()) for s in range(5)]
    slight = [-0.010, -0.012, -0.001, -0.011, -0.009]  # p = 0.013 alone
    listed += [row("slight", s, 2 + 0.01 * s + slight[s]) for s in range(5)]
    for i in range(8):
        listed += [row(f"null{i}", s, 2 + 0.01 * s + 0.01 * rng.standard_normal()) for s in range(5)]
    made = outcomes(table(listed), curve(), target="law", baseline="random")
    summary = summarise(made, baseline="random", ceiling="clean")
    by_name = {one.method: one for one in summary.methods}
    assert by_name["good"].at_equal_tokens.verdict == "better"
    assert by_name["good"].at_equal_tokens.methods == 10
    assert by_name["slight"].at_equal_tokens.p < 0.05 < by_name["slight"].at_equal_tokens.p_holm
    assert by_name["slight"].at_equal_tokens.verdict == "not after correction"
    assert "no finding among 10 methods" in sentences(summary)[-9]
    assert by_name["clean"].at_equal_tokens.methods == 1
    assert by_name["slight"].at_equal_tokens.simultaneous.low < by_name["slight"].at_equal_tokens.interval.low
    assert notes(summary) == ("p-values are adjusted for 10 methods (Holm).",)
    assert by_name["good"].share_better == 1.0


def test_the_summary_is_a_table_and_plain_json(tmp_path):
    made = found(("m", 2.0, 1e6), ("oracle", 20.0, 0.0), ("bad", 0.1, 0.0), ("dear", 1.0, 1e9))
    write_csv(summary_rows(made, baseline="random", ceiling="oracle"), tmp_path / "summary.csv")
    with (tmp_path / "summary.csv").open() as handle:
        rows = {one["method"]: one for one in csv.DictReader(handle)}
    assert rows["random"]["target_difference"] == ""
    assert rows["m"]["verdict_equal_tokens"] == "better"
    assert rows["m"]["methods_compared"] == "3"
    assert rows["oracle"]["speedup_equal_tokens_bound"] == "at least"
    assert rows["dear"]["verdict_equal_cost"] == "not measured"
    assert float(rows["m"]["target_difference_high"]) < 0
    assert json.loads(json.dumps(summarise(made, baseline="random").to_json(), allow_nan=False))["baseline"] == "random"
    one_seed = found(("m", 2.0, 1e6), seeds=1)
    assert "one seed: nothing is shown" in sentences(summarise(one_seed, baseline="random"))[0]
    assert csv_text(summary_rows(one_seed, baseline="random")).count("\n") == 3


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ([row("rando", 0, 1)], "no arm 'random'"),
        ([row("random", 0, 1, "web")], "no domain 'law'"),
        ([row("random", 0, 1), row("random", 0, 1)], "is there twice"),
        ([row("random", 0, 1), row("random", 0, 1, "web"), row("m", 0, 1)], "was not evaluated on web"),
    ],
)
def test_what_cannot_be_compared_is_refused(listed, said):
    with pytest.raises(SeedbedError, match=said):
        outcomes(table(listed), curve(), target="law", baseline="random")


def test_no_shared_seed_is_refused():
    listed = table([row("random", 0, 1), row("m", 9, 1)])
    made = outcomes(listed, curve(1), target="law", baseline="random")
    assert made[1].speedup_equal_tokens is None
    with pytest.raises(SeedbedError, match="share no seed"):
        summarise(made, baseline="random")
