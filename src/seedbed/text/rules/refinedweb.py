"""RefinedWeb's line rules, by dialect; ask through `documents.derive(CLEANERS[dialect])`."""

from __future__ import annotations

from collections.abc import Callable

from seedbed.core.nouns import DocumentBatch
from seedbed.text.rules import refinedweb_dclm, refinedweb_redstone
from seedbed.text.rules.refinedweb_dclm import Cleaned


def clean_dclm(documents: DocumentBatch) -> Cleaned:
    """As DCLM has them."""
    return refinedweb_dclm.clean(*documents.text_buffers())


def clean_redstone(documents: DocumentBatch) -> Cleaned:
    """As RedStone has them."""
    return refinedweb_redstone.clean(*documents.text_buffers())


CLEANERS: dict[str, Callable[[DocumentBatch], Cleaned]] = {"dclm": clean_dclm, "redstone": clean_redstone}
