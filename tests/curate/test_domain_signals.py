"""Counts of math, code, pictures, questions and answers, by hand."""

from __future__ import annotations

import pytest

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.domain_signals import DomainSignals


def counts(text: str, **about: str) -> dict[str, float]:
    batch = DocumentBatch.of([text], **{name: [value] for name, value in about.items()})
    rows = DomainSignals(hosts=("math.example",)).measure(batch)
    return {name: value for name, value in rows.to_pylist()[0].items() if value}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("no math, 5 dollars", {}),
        ("It costs $5 and then $6 more", {}),
        ("a $x$ b", {"formulas": 1, "formula_bytes": 1 / 7}),
        ("$x$ and $$y + z$$", {"formulas": 2, "formula_bytes": 6 / 17}),
        ("$$a\nb$$", {"formulas": 1, "formula_bytes": 3 / 7}),
        ("\\$x$", {}),
        ("$x\ny$", {}),
        ("$x", {}),
        ("```python\nx = 1\n```", {"code_blocks": 1, "code_bytes": 7 / 19}),
        ("```\n$x$ ?\n```\n$y$", {"code_blocks": 1, "code_bytes": 7 / 17, "formulas": 1, "formula_bytes": 1 / 17}),
        ("```\nnever closed $x$", {}),
        ("![a](b) and ![](c)", {"images": 2}),
        ("Why?\nAnswer: so.\nA: yes\nAnd\n", {"questions": 1, "answers": 2}),
        ("为什么？ ", {"questions": 1}),
        ("(a) one\nB. two\nc) three\nF. six\nApple", {"choices": 3}),
    ],
)
def test_the_counts_of_small_texts(text: str, expected: dict[str, float]) -> None:
    assert counts(text) == pytest.approx(expected)


def test_a_known_host_breaks_no_rule() -> None:
    urls = ["http://math.example/1", "http://a.math.example/1", "http://notmath.example/1", "http://[", ""]
    batch = DocumentBatch.of(["no formula"] * 5, url=urls)
    for suffice, expected in ((True, [False, False, True, True, True]), (False, [True] * 5)):
        method = DomainSignals(hosts=("math.example",), min_formulas=1, hosts_suffice=suffice)
        signals = method.measure(batch)
        assert signals.column("known_host").to_pylist() == [1, 1, 0, 0, 0]
        assert {name: broken.tolist() for name, broken in method.failures(signals).items()} == {
            "min_formulas": expected
        }
