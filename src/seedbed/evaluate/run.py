"""The room at work: a task asks a model about held-out items of each domain; an audit reads the pool for them.

Pure functions; whoever walks the artifacts writes the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import OUTCOMES, DocumentBatch
from seedbed.evaluate.contract import Task, TextModel


def score(task: Task, model: TextModel, items: DocumentBatch, domain: str) -> pa.Table:
    """A table of schema OUTCOMES, one row an item, in the order of the items."""
    outcomes = task.score(model, items, domain)
    if outcomes.num_rows != len(items):
        what = f"{outcomes.num_rows} outcomes for {len(items)} items"
        raise SeedbedError(f"{task.path()}, {domain}", what, "A task scores every item it is given.")
    return outcomes


def score_domains(task: Task, model: TextModel, domains: Mapping[str, Iterable[DocumentBatch]]) -> pa.Table:
    """Every domain's items, one after the other."""
    tables = [score(task, model, batch, domain) for domain, batches in domains.items() for batch in batches]
    return arrow.concat(tables, OUTCOMES)
