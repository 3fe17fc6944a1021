"""Mask secrets: private keys, access tokens, web tokens and passwords in URLs give way to a word of their kind.

What      Replaces what the filter `secrets` counts. Which passages went is told by place and kind, never by what they
          said.
Source    The practice: Li et al. 2023, StarCoder, arXiv 2305.06161, section 4 (keys and passwords in code give way to
          placeholders). The forms: see `secrets`.
Formula   text with every passage of a family replaced by the family's word, searched again until nothing is found.
Shapes    documents_N -> texts_N, and spans of what was replaced.
Units     spans in bytes of the incoming text; their kind names the issuer, such as github_token.
Fidelity  Adapted: StarCoder finds secrets with a trained tagger, this edit by their documented forms.
Errors    No text raises. A replacement that is a secret itself raises RecipeError.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from seedbed.core import arrow
from seedbed.core.errors import RecipeError
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.contract import Edit, Edited
from seedbed.text.patterns.mask import is_placeholder, mask
from seedbed.text.patterns.secrets import TOKENS, find


@dataclasses.dataclass(frozen=True)
class MaskSecrets(Edit):
    """What is written in place of each family; None leaves it as it is. Of a URL the password alone goes."""

    libraries: ClassVar[tuple[str, ...]] = ()

    private_key: str | None = "<PRIVATE_KEY>"
    token: str | None = "<TOKEN>"
    web_token: str | None = "<TOKEN>"
    url_password: str | None = "<PASSWORD>"

    def __post_init__(self) -> None:
        """Raises RecipeError for a replacement that would be masked again."""
        super().__post_init__()
        for kind, put in self._replacements().items():
            if not is_placeholder(put) and len(find(*DocumentBatch.of([put, f"a://b:{put}@c.d"]).text_buffers())):
                raise RecipeError(f"{self.name()}.{kind}", f"{put!r} is a secret itself", "Use a plain word.")

    def edit(self, documents: DocumentBatch) -> Edited:
        """The masked texts."""
        data, offsets, found = mask(*documents.text_buffers(), find, self._replacements())
        return Edited(arrow.text_column(data, offsets), found.spans())

    def _replacements(self) -> dict[str, str]:
        given = {"private_key": self.private_key, "json_web_token": self.web_token, "url_password": self.url_password}
        given |= dict.fromkeys(TOKENS, self.token)
        return {kind: put for kind, put in given.items() if put is not None}
