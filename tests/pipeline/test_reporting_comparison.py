"""From what a comparison leaves in its folder to the section of the report: rows, weights and signals made up here."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from seedbed import recipe as recipes
from seedbed.core import arrow
from seedbed.core.artifact import Request, Store
from seedbed.core.nouns import WEIGHTS
from seedbed.pipeline import workplace
from seedbed.pipeline.reporting_comparison import trial, write_tables
from seedbed.pipeline.reporting_curation import Story
from seedbed.tokenize.run import Pool

BUDGET = 1e5


def row(arm: str, seed: int, loss: float, tokens: float = BUDGET, select: float = 0.0, weights: str = "") -> dict:
    return {
        "arm": arm, "seed": seed, "domain": "law", "bits_per_byte": loss, "tokens": tokens,
        "flops_train": 6 * tokens, "flops_select": select, "flops_auxiliary": select / 3, "params": 100,
        "auxiliary_params": 25 if select else 0, "budget_tokens": tokens, "unique_tokens": tokens / 2,
        "chosen_tokens": tokens, "chosen_documents": [2], "weights": [weights], "run": "",
    }  # fmt: skip


def loss(multiple: float, seed: int) -> float:
    return 2 * multiple**-0.1 + 0.01 * seed


def test_the_section_and_its_tables(asked: Path, changed: Path) -> None:
    curated, tokens = workplace.curated_at(asked), workplace.artifact_at(asked, "tokens")
    index = Pool(curated.kept, tokens).index()
    n, store = index.num_rows, Store(changed)

    def made(noun: str, name: str, table, **about) -> str:
        def fill(draft):
            draft.write_table("part-00000.parquet", table)
            return about

        return store.make(Request(noun, name, {}, {}), fill).path.name

    score = {"random": np.zeros(n), "dsir": np.arange(n, dtype=float)}
    rows = []
    for arm, speed, select in (("random", 1.0, 0.0), ("dsir", 3.0, 3 * BUDGET)):
        signals = made("Signals", f"signals-{arm}", arrow.table({"score": score[arm]}))
        copies = (np.arange(n) >= n - 2).astype(float) if arm == "dsir" else np.ones(n)
        columns = {"id": index.column("id"), "copies": copies, "n_tokens": index.column("n_tokens")}
        weights = made("Weights", f"weights-{arm}", arrow.table(columns, WEIGHTS), scores=signals)
        rows += [row(arm, seed, loss(speed, seed) - 1e-4 * seed, select=select, weights=weights) for seed in range(5)]
    assert trial(changed, told(rows), story(asked), tokens, 1.0) is None  # no curve, no section
    for m in (0.5, 2, 4, 8):
        rows += [row(f"random@x{m:g}", seed, loss(m, seed), tokens=m * BUDGET) for seed in range(5)]
    found = trial(changed, told(rows), story(asked), tokens, 1.0)
    assert found is not None
    method = found.methods[1]
    assert method.speedup_equal_tokens.value.value == pytest.approx(3.0, rel=0.05)
    assert method.speedup_equal_cost.value.value == pytest.approx(2.0, rel=0.05)  # choosing costs half of training
    assert [point.tokens / BUDGET for point in found.curve] == [0.5, 1, 2, 4, 8]
    by_size = next(one for one in found.costs if one.axis == "size_ratio")
    assert by_size.own == (0.25, pytest.approx(method.speedup_equal_cost.value.value))
    assert by_size.breaks_even.startswith("pays up to 1")  # may cost four times as much
    assert {one.method for one in found.costs} == {"dsir"}
    assert [one.documents for one in found.picked] == [n, 2]
    assert [one.score for one in found.picked[1].examples] == [n - 1, n - 2]
    assert found.picked[0].signals[0][1] == pytest.approx(50, abs=35)
    assert found.agreement.spearman[0][1] is None
    write_tables(changed, told(rows), tokens, 1.0, found)
    for name, lines in (("break_even", 78), ("break_even_points", 3), ("agreement", 1)):
        with (changed / f"{name}.csv").open(newline="") as handle:
            assert len(list(csv.DictReader(handle))) == pytest.approx(lines, abs=3)
    assert (changed / "picked.csv").read_text().startswith("method,by,group,pool_share,chosen_share\n")


def told(rows: list[dict]) -> dict:
    return {"target": "law", "baseline": "random", "ceiling": "", "rows": rows}


def story(out: Path) -> Story:
    return Story(workplace.curated_at(out), recipes.from_file(out / "recipe.json").curate)
