"""Seedbed: raw text to a better language model, with evidence.

    import seedbed as sb
    corpus = sb.curate("crawl/*.warc.gz", out="runs/a")

Everything the command line does is a short call here, on the same objects. Heavy libraries load when first needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seedbed.api import Corpus, compare, curate, evaluate, fit, run, select, tokenize, train

__version__ = "0.1.0"

__all__ = ["Corpus", "compare", "curate", "evaluate", "fit", "run", "select", "tokenize", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("seedbed.api"), name)
    raise AttributeError(f"module 'seedbed' has no attribute {name!r}")
