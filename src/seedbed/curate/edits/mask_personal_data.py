"""Mask personal data: e-mail and IP addresses, telephone, account and card numbers give way to a word of their kind.

What      Replaces what the filter `personal_data` counts. Which passages went is told by place and kind, never by
          what they said.
Source    Masking instead of dropping: Soldaini et al. 2024, Dolma, arXiv 2402.00159; datatrove's
          PIIFormatter, Penedo et al. 2024, arXiv 2406.17557. The forms: see `personal_data`.
Formula   text with every passage of a kind replaced by the kind's word, searched again until nothing is found.
Shapes    documents_N -> texts_N, and spans of what was replaced.
Units     spans in bytes of the incoming text.
Fidelity  Adapted: Dolma writes " |||EMAIL_ADDRESS||| ", datatrove rotates made-up addresses, of which its IP addresses
          are public and are found again; here one word a kind, so that masking twice is masking once.
Errors    No text raises. A replacement that is personal data itself raises RecipeError.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from seedbed.core import arrow
from seedbed.core.errors import RecipeError
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.contract import Edit, Edited
from seedbed.text.patterns.mask import is_placeholder, mask
from seedbed.text.patterns.personal import KINDS, find


@dataclasses.dataclass(frozen=True)
class MaskPersonalData(Edit):
    """What is written in place of each kind; None leaves the kind as it is."""

    libraries: ClassVar[tuple[str, ...]] = ()

    email: str | None = "<EMAIL>"
    phone: str | None = "<PHONE>"
    ipv4: str | None = "<IP_ADDRESS>"
    ipv6: str | None = "<IP_ADDRESS>"
    iban: str | None = "<IBAN>"
    card: str | None = "<CARD_NUMBER>"

    def __post_init__(self) -> None:
        """Raises RecipeError for a replacement that would be masked again."""
        super().__post_init__()
        for kind, put in self._replacements().items():
            if not is_placeholder(put) and len(find(*DocumentBatch.of([put]).text_buffers())):
                raise RecipeError(f"{self.name()}.{kind}", f"{put!r} is personal data itself", "Use a plain word.")

    def edit(self, documents: DocumentBatch) -> Edited:
        """The masked texts."""
        data, offsets, found = mask(*documents.text_buffers(), find, self._replacements())
        return Edited(arrow.text_column(data, offsets), found.spans())

    def _replacements(self) -> dict[str, str]:
        given = {kind: getattr(self, kind) for kind in KINDS}
        return {kind: put for kind, put in given.items() if put is not None}
