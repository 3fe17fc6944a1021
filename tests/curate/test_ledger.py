"""The ledger's laws: any way through the steps balances, and nothing that is lost stays unseen."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.curate import ledger
from seedbed.curate.ledger import KEEP, LEDGER, READ, Exit, Flow
from tests.conftest import examples

STEPS = (READ, "a", "edit", "b", "dedup", KEEP)
VERSIONS = (0, 0, 0, 1, 1, 1)
EXITS = (
    Exit(1, "dropped", "a.min"),
    Exit(1, "errored", "ValueError"),
    Exit(2, "errored", "KeyError"),
    Exit(3, "dropped", "b.max"),
    Exit(4, "dropped", "dedup.duplicate"),
    Exit(5, "kept", ""),
)


def table(ways: list[int], sizes: list[tuple[int, int]], lost: int, shards: int = 1) -> pa.Table:
    flow = Flow(STEPS, EXITS, np.array(ways, np.int64), VERSIONS)
    cuts = np.linspace(0, len(ways), shards + 1).astype(int)
    found: list[pa.Table] = []
    for number in range(shards):
        rows = slice(int(cuts[number]), int(cuts[number + 1]))
        n = rows.stop - rows.start
        read = Counter({("in", ""): n + lost, ("dropped", "not_text"): lost} if lost else {("in", ""): n})
        columns = [np.array([size[version] for size in sizes[rows]], np.int64) for version in (0, 1)]
        found.append(ledger.account(flow, f"{number:05d}", rows, read, columns))
    return arrow.concat(found, LEDGER)


ways_and_sizes = st.lists(
    st.tuples(st.integers(0, 5), st.tuples(st.integers(0, 999), st.integers(0, 999))), max_size=40
)


@examples(60)
@given(ways_and_sizes, st.integers(0, 3), st.integers(1, 3))
def test_every_way_through_the_steps_balances(
    documents: list[tuple[int, tuple[int, int]]], lost: int, shards: int
) -> None:
    ways, sizes = [way for way, _ in documents], [size for _, size in documents]
    told = table(ways, sizes, lost, shards)
    ledger.check(told)
    summary = ledger.summary(told)
    assert summary["read"] == len(ways) + lost * shards
    assert summary["kept"] == ways.count(5)
    steps: dict[str, Any] = {step["step"]: step for step in ledger.by_step(told)}  # type: ignore[index, call-overload, misc]
    assert steps[KEEP]["bytes_out"] == sum(size[1] for way, size in documents if way == 5)
    assert steps["edit"].get("bytes_cut", 0) == sum(size[0] - size[1] for way, size in documents if way >= 3)
    assert sum(summary["dropped"].values()) + sum(summary["errored"].values()) + ways.count(5) == summary["read"]  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize("column", ["documents", "bytes"])
def test_a_number_that_is_one_off_anywhere_is_found(column: str) -> None:
    rows = table([0, 1, 2, 3, 4, 5, 5], [(9, 7)] * 7, lost=1, shards=2).to_pylist()
    for i, row in enumerate(rows):
        wrong = [*rows[:i], {**row, column: row[column] + 1}, *rows[i + 1 :]]
        with pytest.raises(SeedbedError, match="ledger, shard"):
            ledger.check(pa.Table.from_pylist(wrong, LEDGER))


def test_tokens_carry_the_account_on() -> None:
    told = table([5, 5, 0], [(9, 7), (8, 6), (5, 5)], lost=0)
    whole = ledger.with_tokens(told, {"00000": (2, 13, 40)})
    assert ledger.by_step(whole)[-1] == {  # type: ignore[comparison-overlap]
        "step": "tokenize", "documents_in": 2, "bytes_in": 13, "documents_out": 2, "bytes_out": 13, "tokens_out": 40,
    }  # fmt: skip
    for wrong in ((1, 13, 40), (2, 12, 40)):
        with pytest.raises(SeedbedError, match="documents were lost"):
            ledger.with_tokens(told, {"00000": wrong})
    with pytest.raises(SeedbedError, match="documents were lost"):
        ledger.with_tokens(told, {})
