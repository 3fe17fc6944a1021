"""What was picked: counted by hand on six documents, and read from the artifacts of a small pool."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats as trusted

from seedbed.core import arrow
from seedbed.core.artifact import Request, Store
from seedbed.core.nouns import WEIGHTS
from seedbed.evaluate.rows import csv_text
from seedbed.pipeline import workplace
from seedbed.pipeline.picked import (
    Choice,
    Columns,
    agreement_of,
    agreement_rows,
    choice_of,
    columns_of,
    examples,
    picked,
    picked_rows,
)
from seedbed.tokenize.run import Pool

TOKENS = np.array([10.0, 10.0, 20.0, 20.0, 20.0, 20.0])
COLUMNS = Columns(TOKENS, {"domain": (["a", "b"], np.array([0, 0, 0, 1, 1, 1]))}, {"words": np.arange(6.0)})


def choice(*copies, score=None):
    return Choice(np.array(copies, float), None if score is None else np.array(score, float))


def test_shares_worked_by_hand():
    found = picked("m", COLUMNS, choice([2, 0, 1, 0, 3, 0]))  # 20, 20 and 60 of 100 tokens
    (what, groups), *_ = found.groups
    assert what == "domain"
    assert [(g.name, g.pool, g.chosen) for g in groups] == [
        ("a", pytest.approx(0.4), pytest.approx(0.4)),
        ("b", pytest.approx(0.6), pytest.approx(0.6)),
    ]
    assert found.unique_token_ratio == pytest.approx(50 / 100)
    assert found.documents == 3
    assert np.log(found.effective_documents) == pytest.approx(-(0.2 * np.log(0.2) * 2 + 0.6 * np.log(0.6)))
    percentile = 100 * (np.array([0.5, 2.5, 4.5]) / 6) @ [0.2, 0.2, 0.6]
    assert found.signals == (("words", pytest.approx(percentile)),)


def test_replicates_are_averaged():
    found = picked("m", COLUMNS, choice([1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0]))
    assert [g.chosen for g in found.groups[0][1]] == pytest.approx([0.5, 0.5])
    assert found.documents == 2.5


def test_deciles_of_its_own_score():
    columns = Columns(np.ones(20), {}, {})
    score = np.arange(20.0)
    top = picked("m", columns, choice((score >= 16).astype(float), score=score)).groups[0]
    assert top[0] == "its own score"
    assert top[1][0].name == "best tenth"
    assert [g.chosen for g in top[1]] == pytest.approx([0.5, 0.5, *[0.0] * 8])
    assert [g.pool for g in top[1]] == pytest.approx([0.1] * 10)
    assert picked("m", columns, choice(np.ones(20), score=np.ones(20))).groups == ()  # one score for all ranks none
    part = np.where(score < 10, score, np.nan)  # scored only in its part of the pool
    assert sum(g.chosen for g in picked("m", columns, choice(part == 9, score=part)).groups[0][1]) == 1


def test_agreement_is_spearmans_and_the_overlap_is_of_tokens():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 4, 6).astype(float), rng.standard_normal(6)
    choices = {
        "a": choice([1, 1, 1, 0, 0, 0], score=first),
        "b": choice([0, 2, 0, 1, 0, 0], score=second),
        "random": choice([0, 0, 0, 1, 1, 0], score=np.ones(6)),
    }
    found = agreement_of(COLUMNS, choices)
    assert found.spearman[0][1] == pytest.approx(trusted.spearmanr(first, second).statistic)
    assert found.spearman[0][0] == pytest.approx(1.0)
    assert found.spearman[0][2] is None
    assert found.overlap[0] == pytest.approx((1.0, 10 / 40, 0.0))
    assert found.overlap[1][2] == pytest.approx(20 / 40)
    rows = agreement_rows(found).to_pylist()
    assert [(row["first"], row["second"]) for row in rows] == [("a", "b"), ("a", "random"), ("b", "random")]
    assert csv_text(agreement_rows(found)).splitlines()[2] == "a,random,,0"


def test_many_domains_end_in_others():
    found = picked("m", columns_of_names(40), choice(np.ones(40)))
    groups = dict(found.groups)["domain"]
    assert len(groups) == 14
    assert groups[-1].name == "27 others"
    assert sum(g.chosen for g in groups) == pytest.approx(1.0)


def columns_of_names(n):
    from seedbed.pipeline.picked import _largest

    names, code = _largest([f"d{i}" for i in range(n)], np.arange(n), np.arange(n, 0, -1.0))
    return Columns(np.arange(n, 0, -1.0), {"domain": (names, code)}, {})


def test_from_artifacts(asked: Path, tmp_path: Path) -> None:
    curated = workplace.curated_at(asked)
    pool = Pool(curated.kept, workplace.artifact_at(asked, "tokens"))
    index = pool.index()
    n = index.num_rows
    score = np.arange(n, dtype=float)[::-1].copy()
    copies = (score >= n - 3).astype(float)
    columns = {"id": index.column("id"), "copies": copies, "n_tokens": index.column("n_tokens")}
    store = Store(tmp_path)

    def made(noun, table):
        def fill(draft):
            draft.write_table("part-00000.parquet", table)
            return {}

        return store.make(Request(noun, "x", {}, {}), fill)

    weights = made("Weights", arrow.table(columns, WEIGHTS))
    signals = made("Signals", arrow.table({"score": score}))
    chosen = choice_of(pool, [[weights], [weights, weights]], signals)
    assert chosen.copies_SN.sum(axis=1).tolist() == [3, 6]
    found = picked("m", columns_of(pool), chosen)
    assert sum(g.pool for g in dict(found.groups)["length"]) == pytest.approx(1.0)
    assert dict(found.groups)["its own score"][0].chosen > 0
    shown = examples(pool, chosen, lambda texts: [text.replace("e", "*") for text in texts])
    assert [one.score for one in shown] == [n - 1, n - 2, n - 3]
    ids = arrow.ids(index.select(["id"]))
    assert [one.id for one in shown] == [ids[i].tobytes().hex() for i in range(3)]
    assert all(0 < len(one.excerpt) <= 200 for one in shown)
    assert "e" not in "".join(one.excerpt for one in shown)
    assert csv_text(picked_rows([found])).startswith("method,by,group,pool_share,chosen_share\nm,")
