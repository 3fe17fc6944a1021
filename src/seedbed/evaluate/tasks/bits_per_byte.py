"""Bits per byte: how well a model predicts held-out text, in a unit that no tokenizer can flatter.

What      Asks the model for the log-likelihood of every item and keeps it with the item's tokens and bytes, so that
          any group of items can be summed up afterwards. Several domains are several calls.
Source    none; the corpus-level ratio that the Pile (Gao et al. 2020, arXiv 2101.00027, section 3.1) and
          lm-evaluation-harness report.
Formula   bits_per_byte = -SUM log_likelihood_nats / (SUM n_bytes * ln 2); a ratio of sums, not a mean of ratios.
Shapes    items -> log_likelihood_nats_N, n_tokens_N, n_bytes_N
Units     nats a whole item, tokens, UTF-8 bytes; summed up: bits per byte and nats per token.
Fidelity  Exact: every byte is scored once; end-of-text is not counted, since it has no bytes.
Errors    SeedbedError for a log-likelihood that is not finite or is above 0. An empty item has 0 nats, tokens and
          bytes; summing up items without a byte or a token raises SeedbedError.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import OUTCOMES, DocumentBatch
from seedbed.core.parameters import Json
from seedbed.evaluate.contract import Task, TextModel

_ROUNDING_NATS = 1e-3
"""A certain token may come out a little above probability 1 in 32-bit arithmetic."""


@dataclasses.dataclass(frozen=True)
class BitsPerByte(Task):
    """No parameters."""

    def score(self, model: TextModel, items: DocumentBatch, domain: str) -> pa.Table:
        """A table of schema OUTCOMES, one row an item."""
        log_likelihood_N, n_tokens_N = model.log_likelihoods(items)
        names = [identifier.hex() for identifier in items.ids]
        wrong = np.flatnonzero(~(np.isfinite(log_likelihood_N) & (log_likelihood_N <= _ROUNDING_NATS)))
        if len(wrong):
            what = f"item {names[int(wrong[0])]} has log-likelihood {log_likelihood_N[wrong[0]]}"
            raise SeedbedError(f"{self.path()}, {domain}", what, "Check the model: its training may have diverged.")
        columns = {
            "item": names,
            "domain": [domain] * len(items),
            "log_likelihood_nats": log_likelihood_N,
            "n_tokens": n_tokens_N,
            "n_bytes": np.diff(items.text_buffers()[1]),
        }
        return arrow.table(columns, OUTCOMES)


@dataclasses.dataclass(frozen=True)
class Summary:
    """Items summed up.

    Args:
        bits_per_byte: -SUM nats / (SUM bytes * ln 2).
        loss_nats_per_token: -SUM nats / SUM tokens; only comparable under one tokenizer.
        tokens, bytes, items: what it rests on.
    """

    bits_per_byte: float
    loss_nats_per_token: float
    tokens: int
    bytes: int
    items: int

    def to_json(self) -> dict[str, Json]:
        """Field name -> number."""
        return dataclasses.asdict(self)


def summarise(outcomes: pa.Table) -> Summary:
    """All rows together. Raises SeedbedError where they hold no token or no byte."""
    nats = -float(arrow.numpy(outcomes, "log_likelihood_nats").sum())
    tokens, n_bytes = (int(arrow.numpy(outcomes, name).sum()) for name in ("n_tokens", "n_bytes"))
    if tokens == 0 or n_bytes == 0:
        raise SeedbedError("outcomes", "there is no text in these items", "Give held-out documents with text.")
    return Summary(nats / n_bytes / math.log(2), nats / tokens, tokens, n_bytes, outcomes.num_rows)


def summarise_domains(outcomes: pa.Table) -> dict[str, Summary]:
    """Domain -> its items together, in order of first appearance."""
    domains = np.array(arrow.strings(outcomes, "domain"), dtype=object)
    names = list(dict.fromkeys(domains.tolist()))
    return {name: summarise(arrow.take(outcomes, np.flatnonzero(domains == name))) for name in names}
