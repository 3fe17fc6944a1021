"""Seedbed: raw text to a better language model, with evidence.

    import seedbed as sb
    corpus = sb.curate("crawl/*.warc.gz", out="runs/a")

Everything the command line does is a short call here, on the same objects. Heavy libraries load when first needed.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seedbed.api import (
        Corpus,
        TrainedRun,
        compare,
        compare_dialects,
        concepts,
        curate,
        evaluate,
        export,
        fit,
        forecast,
        hyperparameters,
        law_page,
        ledger,
        load_fit,
        mixture,
        optimum,
        plan_ladder,
        preview,
        register,
        run,
        score,
        select,
        tokenize,
        train,
        transform,
    )

__version__ = "0.1.0"

__all__ = [
    "Corpus",
    "TrainedRun",
    "compare",
    "compare_dialects",
    "concepts",
    "curate",
    "evaluate",
    "export",
    "fit",
    "forecast",
    "hyperparameters",
    "law_page",
    "ledger",
    "load_fit",
    "mixture",
    "optimum",
    "plan_ladder",
    "preview",
    "register",
    "run",
    "score",
    "select",
    "tokenize",
    "train",
    "transform",
]


class _Door(ModuleType):
    """Rooms and verbs share names: `seedbed.curate` is the verb, `from seedbed.curate import ...` reaches the room."""


def _verb(name: str) -> property:
    """A name of the API, loaded when asked for; importing the room of that name does not hide it."""

    def get(_: ModuleType) -> Any:
        return getattr(importlib.import_module("seedbed.api"), name)

    def keep(_: ModuleType, room: object) -> None:
        """The import system sets a room on its parent; the verb stays."""

    return property(get, keep)


for _name in __all__:
    setattr(_Door, _name, _verb(_name))
sys.modules[__name__].__class__ = _Door
