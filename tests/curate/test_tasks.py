"""What one shard's work tells: that kernels are compiled, once; and why a document was given up."""

from __future__ import annotations

import dataclasses
from typing import Any

import numba
import pyarrow as pa
import pytest

from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.curate import tasks
from seedbed.curate.filters.size import Size


@dataclasses.dataclass(frozen=True)
class Compiles(Size):
    """A filter whose kernel is new every time."""

    def measure(self, documents: DocumentBatch) -> pa.Table:
        compiled: Any = numba.njit(lambda number: number + 1)
        assert compiled(1) == 2
        return super().measure(documents)


def test_compiling_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    tasks.announce_compiling.cache_clear()
    tasks.warm([Size()])
    assert "Compiling" not in capsys.readouterr().err
    tasks.warm([Compiles(), Compiles()])
    tasks.warm([Compiles()])
    assert capsys.readouterr().err.count("Compiling kernels: a minute or so, once per installation.") == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("too_large: 9 bytes where at most 8 are parsed"), "too_large"),
        (ValueError("no code: at all"), "ValueError"),
        (ValueError("too_large"), "ValueError"),
        (KeyError("too_large: of another kind"), "KeyError"),
        (SeedbedError("min_words", "is no number"), "SeedbedError"),
    ],
)
def test_the_reason_is_the_code_of_an_error_that_has_one(error: Exception, reason: str) -> None:
    assert tasks.error_columns(error)["reason"] == reason
    assert tasks.error_columns(error)["message"] == str(error)
