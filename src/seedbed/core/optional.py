"""Libraries that only some inputs need: imported when asked for, and their absence said with its mend."""

from __future__ import annotations

import importlib
from typing import Any

from seedbed.core.errors import SeedbedError


def load(module: str, extra: str, what: str) -> Any:
    """The module. Raises SeedbedError naming the extra that brings it; `what` is what cannot be done without."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        mend = f'Install it with: pip install "seedbed[{extra}]".'
        raise SeedbedError(what, f"needs the library {name}, which is not installed", mend) from error
