"""Windows of documents in batches: every token once, few shapes, little padding."""

from __future__ import annotations

import numpy as np
import pytest

from seedbed.model.windows import BATCH_TOKENS, batches, padded_rows, rows_of, windows


def offsets_of(sizes: list[int]) -> np.ndarray:
    return 3 + np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


@pytest.mark.parametrize("context", [1, 7, 16, 20, 96, 128, 512])
def test_every_window_is_in_one_batch_that_holds_it(context: int) -> None:
    sizes = [0, 1, 2, 15, 16, 17, 24, 25, 47, 48, 49, 511, 512, 513, 2000] * 7
    _, begin_W, length_W = windows(offsets_of(sizes), context)
    assert length_W.sum() == sum(sizes)
    assert (length_W >= 1).all()
    assert (length_W <= context).all()
    assert len(np.unique(begin_W)) == len(begin_W)
    seen: list[int] = []
    for width, batch in batches(length_W, context):
        assert length_W[batch].max() <= width <= context
        rows = padded_rows(len(batch), width)
        assert len(batch) <= rows <= max(1, BATCH_TOKENS // width)
        assert rows in (1 << rows.bit_length() - 1, BATCH_TOKENS // width)
        seen += batch.tolist()
    assert sorted(seen) == list(range(len(length_W)))


@pytest.mark.parametrize("context", [96, 128, 512])
@pytest.mark.parametrize("typical", [4.2, 5.5, 6.5])
def test_padding_is_a_small_part_of_what_is_computed(context: int, typical: float) -> None:
    sizes = np.random.default_rng(0).lognormal(typical, 0.7, 2000).astype(np.int64) + 1
    _, _, length_W = windows(offsets_of(sizes.tolist()), context)
    computed = sum(width * padded_rows(len(batch), width) for width, batch in batches(length_W, context))
    assert sizes.sum() >= 0.8 * computed


def test_rows_hold_each_document_behind_the_token_before_it() -> None:
    sizes, context, end = [5, 0, 40, 1, 33], 32, 99
    offsets = offsets_of(sizes)
    ids = np.arange(offsets[-1] + 2)
    found: dict[int, list[int]] = {}
    for rows in rows_of(ids, offsets, context, end):
        for inputs, targets, scored, document in zip(
            rows.inputs_BT, rows.targets_BT, rows.scored_BT, rows.document_B, strict=True
        ):
            if document >= 0:
                first = targets[0] == offsets[document]
                assert inputs[0] == (end if first else targets[0] - 1)
                np.testing.assert_array_equal(inputs[1:], targets[:-1])
                found.setdefault(int(document), []).extend(targets[scored].tolist())
    expected = {d: list(range(offsets[d], offsets[d + 1])) for d in range(len(sizes)) if sizes[d]}
    assert {document: sorted(tokens) for document, tokens in found.items()} == expected
