"""The forgetting matrix: three stages and three domains worked by hand, in bits per byte and in shares right."""

import csv
import io
import math

import numpy as np
import pytest

from seedbed.core.errors import SeedbedError
from seedbed.evaluate.forgetting import FORGETTING, Score, forgetting, probe_scores, summary_table
from seedbed.evaluate.rows import csv_text

DOMAINS = ("manual", "biology", "maltese")
HOME = {"first": "manual", "second": "biology", "third": "maltese"}
STAGES = ("before", "first", "second", "third")
BY_HAND = np.array(
    [
        [8.0, 8.0, 8.0],
        [2.0, 5.0, 6.0],  # taught the manual
        [2.5, 1.5, 4.0],  # taught biology
        [3.0, 2.5, 1.0],  # taught maltese
    ]
)  # bits per byte, all of them sums of halves: the figures below are exact


def scores(matrix, route="rewarm", seed=0, stages=STAGES, **changed):
    return [
        Score(route, seed, stage, order, domain, float(matrix[order][d]), 100.0 * order, 10.0 * order, 1000 * order,
              **changed)
        for order, stage in enumerate(stages)
        for d, domain in enumerate(DOMAINS)
    ]  # fmt: skip


def the_route(rows, **given):
    return forgetting(rows, home=HOME, **given).routes[0]


def test_three_by_three_equals_the_hand_computed_values_exactly():
    found = the_route(scores(BY_HAND))
    # older domains at the end against just after they were taught: manual 2.0 -> 3.0, biology 1.5 -> 2.5
    assert found.backward_transfer.domains["manual"].value == -1.0
    assert found.backward_transfer.domains["biology"].value == -1.0
    assert found.backward_transfer.mean.value == -1.0
    assert "maltese" not in found.backward_transfer.domains  # just taught
    # before they were taught against the start: biology 8.0 -> 5.0, maltese 8.0 -> 4.0
    assert found.forward_transfer.domains["biology"].value == 3.0
    assert found.forward_transfer.domains["maltese"].value == 4.0
    assert found.forward_transfer.mean.value == 3.5
    assert found.forgetting.mean.value == 1.0
    assert {domain: one.value for domain, one in found.learned.domains.items()} == {
        "manual": 2.0, "biology": 1.5, "maltese": 1.0,
    }  # fmt: skip
    assert found.learned.mean.value == 1.5
    assert [one.value for one in found.gain.domains.values()] == [5.0, 5.5, 7.0]
    assert [[cell.value for cell in row] for row in found.matrix] == BY_HAND.tolist()


def test_sign_of_accuracies_is_the_other_way_round():
    found = the_route(scores(BY_HAND), better="higher")
    assert found.backward_transfer.mean.value == 1.0
    assert found.forward_transfer.mean.value == -3.5
    assert found.learned.mean.value == 1.5
    assert found.forgetting.domains["manual"].value == -0.5  # best earlier 2.5, last 3.0


def test_forgetting_counts_from_the_best_model_on_the_way():
    matrix = BY_HAND.copy()
    matrix[2, 0] = 1.75  # the second stage helped the manual too: 1.75 -> 3.0 is lost, though taught at 2.0
    found = the_route(scores(matrix))
    assert found.forgetting.domains["manual"].value == 1.25
    assert found.backward_transfer.domains["manual"].value == -1.0


def test_intervals_are_students_over_seeds():
    other = BY_HAND + np.array([[0.0] * 3, [0.0] * 3, [0.0] * 3, [0.5, 0.5, 0.5]])
    found = the_route([*scores(BY_HAND), *scores(other, seed=1)])
    interval = found.backward_transfer.mean
    assert (interval.value, interval.n) == (-1.25, 2)
    # -1.0 and -1.5: standard deviation 0.5 / sqrt 2, over sqrt 2 is 0.25; t of one degree of freedom is 12.7062
    assert interval.high - interval.value == pytest.approx(0.25 * 12.7062047, rel=1e-6)
    assert found.matrix[1][0].low == found.matrix[1][0].high == 2.0
    assert the_route(scores(BY_HAND)).backward_transfer.mean.low is None


def test_two_stages_of_one_domain_and_stages_without_a_home():
    returned = forgetting(scores(BY_HAND), home={"first": "manual", "second": "biology", "third": "manual"}).routes[0]
    assert list(returned.backward_transfer.domains) == ["biology"]  # the manual was taught last
    assert list(returned.forward_transfer.domains) == ["biology"]
    assert returned.learned.domains["manual"].value == 3.0
    union = forgetting(scores(BY_HAND[[0, 3]], stages=("before", "both"))).routes[0]
    assert union.backward_transfer.mean is None
    assert union.learned.mean is None
    assert union.gain.mean.value == (5.0 + 5.5 + 7.0) / 3


def test_given_model_with_a_domain_of_its_own_can_forget_it():
    found = forgetting(scores(BY_HAND[[1, 2, 3]], stages=("given", "second", "third")),
                       home={"given": "manual", "second": "biology"}).routes[0]  # fmt: skip
    assert found.backward_transfer.domains["manual"].value == -1.0
    assert found.forgetting.domains["manual"].value == 1.0
    assert found.gain.domains["manual"].value == -1.0
    assert found.cost.update_flops.value == 100.0  # the first stage was there, unless said otherwise


def test_without_the_model_before_there_is_no_forward_transfer():
    found = the_route([row for row in scores(BY_HAND) if row.order])
    assert found.forward_transfer.mean is None
    assert found.gain.domains == {}
    assert found.stages == ("", "first", "second", "third")
    assert found.matrix[0] == ()
    assert found.backward_transfer.mean.value == -1.0


def test_annealed_branch_stands_for_its_stage_and_is_nobodys_past():
    annealed = [
        Score("rewarm", 0, "first", 1, domain, value, 130.0, 13.0, 1300, annealed=True)
        for domain, value in zip(DOMAINS, (1.0, 5.0, 6.0), strict=True)
    ]
    found = the_route([*scores(BY_HAND), *annealed])
    assert found.backward_transfer.domains["manual"].value == -2.0
    assert found.cost.update_flops.value == 300.0 - 100.0  # the branch is not what the next stage began from


def test_pairs_against_the_baseline_and_cost_ratios():
    union = [
        Score("union", seed, stage, order, domain, 2.0 if order else 8.0, 400.0 * order, 1.0, 4000 * order)
        for seed in (0, 1)
        for order, stage in enumerate(("before", "both"))
        for domain in DOMAINS
    ]
    mine = [*scores(BY_HAND), *scores(BY_HAND - 1.0, seed=1), *scores(BY_HAND, seed=7)]
    both = forgetting([*mine, *union], baseline="union", home=HOME)
    found, baseline = both.routes
    assert [one.value for one in found.better_than_baseline.domains.values()] == [-0.5, 0.0, 1.5]  # seeds 0 and 1 only
    assert found.better_than_baseline.mean.n == 2
    assert baseline.better_than_baseline.mean is None
    assert (found.cost.flops.value, found.cost.flops_ratio.value) == (300.0, 0.75)
    assert (found.cost.update_flops.value, found.cost.update_flops_ratio.value) == (200.0, 0.5)
    assert baseline.cost.update_flops.value == 400.0  # one stage: all of it is the update
    whole = forgetting([*mine, *union], baseline="union", home=HOME, held={"rewarm": 0}).routes[0]
    assert whole.cost.update_flops_ratio.value == 0.75


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        (scores(BY_HAND)[:-1], ["rewarm", "seed 0", "third", "maltese", "missing"]),
        (scores(BY_HAND) + scores(BY_HAND)[:1], ["rewarm", "before", "manual", "there twice"]),
        (scores(np.where(BY_HAND == 1.5, math.nan, BY_HAND)), ["second", "biology", "the score is nan"]),
        (scores(np.where(BY_HAND == 1.5, math.inf, BY_HAND)), ["second", "biology", "the score is inf"]),
        ([*scores(BY_HAND), *scores(BY_HAND, seed=1, stages=("before", "other"))], ["stage 1", "'other'"]),
        ([row for row in scores(BY_HAND) if row.order != 2], ["stages [0, 1, 3]"]),
        ([row for row in scores(BY_HAND) if not row.order], ["stages [0]"]),
    ],
)
def test_gaps_are_named(rows, named):
    with pytest.raises(SeedbedError) as raised:
        forgetting(rows, home=HOME)
    assert all(word in str(raised.value) for word in named), str(raised.value)


def test_names_that_are_not_there_are_named():
    with pytest.raises(SeedbedError, match=r"no route is called 'rewrm'\. Did you mean 'rewarm'"):
        forgetting(scores(BY_HAND), baseline="rewrm")
    with pytest.raises(SeedbedError, match=r"home.first: no domain is called 'manul'\. Did you mean 'manual'"):
        forgetting(scores(BY_HAND), home={"first": "manul"})
    with pytest.raises(SeedbedError, match=r"held.rewarm: 4 stages were there before, of 3"):
        forgetting(scores(BY_HAND), held={"rewarm": 4})
    with pytest.raises(SeedbedError, match="no seed in common"):
        forgetting([*scores(BY_HAND), *scores(BY_HAND, route="union", seed=1)], baseline="union")


def test_probes_become_rows_of_their_own():
    rows = scores(BY_HAND, probes=(("agreement", 0.75),))
    probes = probe_scores(rows)
    assert len(probes) == 4
    assert {row.domain for row in probes} == {"agreement"}
    found = forgetting(probes, better="higher").routes[0]
    assert [row[0].value for row in found.matrix] == [0.75] * 4
    with pytest.raises(SeedbedError, match="two scores of one model differ"):
        probe_scores([*rows, *scores(BY_HAND, probes=(("agreement", 0.5),))])


def test_table_holds_every_figure_with_its_unit():
    union = scores(BY_HAND[[0, 3]], route="union", stages=("before", "both"))
    table = summary_table(forgetting([*scores(BY_HAND), *union], baseline="union", home=HOME))
    assert table.schema.equals(FORGETTING, check_metadata=True)
    rows = list(csv.DictReader(io.StringIO(csv_text(table))))
    by = {(row["route"], row["measure"], row["stage"], row["domain"]): row for row in rows}
    assert len(by) == len(rows)
    assert float(by["rewarm", "score", "second", "biology"]["value"]) == 1.5
    assert by["rewarm", "backward_transfer", "", "mean"]["unit"] == "bits per byte"
    assert float(by["rewarm", "backward_transfer", "", "mean"]["value"]) == -1.0
    assert by["rewarm", "backward_transfer", "", "mean"]["low"] == ""
    assert by["rewarm", "update_tokens", "", ""] == {
        "route": "rewarm", "domain": "", "stage": "", "measure": "update_tokens", "value": "2000",
        "low": "", "high": "", "seeds": "1", "unit": "tokens",
    }  # fmt: skip
    assert float(by["rewarm", "flops_ratio", "", ""]["value"]) == 3.0
    assert ("union", "backward_transfer", "", "mean") not in by
