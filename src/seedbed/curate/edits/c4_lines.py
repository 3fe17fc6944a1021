"""C4 lines: keep the lines that look like sentences, and drop menus, notices and citation marks.

What      Removes lines that do not end like a sentence, are short, hold an over-long word, or speak of JavaScript or of
          cookies and policies; removes Wikipedia's citation marks. Lines for which C4 drops the page stay in, for
          the filter `c4_quality` to see.
Source    Raffel et al. 2020, arXiv 1910.10683, section 2.2; clean_page of tensorflow_datasets' c4_utils for the order,
          the citation pattern and the policy phrases.
Formula   for each line, trimmed, in this order:
          drop   where a word is longer than max_word_length
          remove [digits] [] [edit] [citation needed]
          drop   where terminal_punctuation is asked and it does not end in one of . ? ! " ' or ends in ...
          drop   where it had fewer than min_words_per_line words before citations were removed
          keep   where it holds "lorem ipsum" (the page goes)
          drop   where it holds "javascript"
          keep   where it holds "{" (the page goes)
          drop   where it holds one of six policy phrases
          keep   otherwise
Shapes    documents_N -> texts_N.
Units     max_word_length in characters, min_words_per_line in words split at Unicode whitespace.
Fidelity  Exact: this edit and `c4_quality` together keep a page where the original does and leave the same text, up to
          the sentence count of `c4_quality`. The original's list of bad words is no part of it.
Errors    No text raises. A text of which no line is kept becomes empty.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Annotated

from annotated_types import Ge

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.contract import Edit, Edited

_CITATION = re.compile(r"\[(?:\d*|edit|citation needed)\]")
_ENDS = (".", "?", "!", '"', "'")
_POLICY = re.compile("terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies")


@dataclasses.dataclass(frozen=True)
class C4Lines(Edit):
    """Which lines stay. FineWeb turns `terminal_punctuation` off."""

    terminal_punctuation: bool = True
    min_words_per_line: Annotated[int, Ge(0)] = 3
    max_word_length: Annotated[int, Ge(1)] = 1000

    def edit(self, documents: DocumentBatch) -> Edited:
        """The lines that stay, joined by newlines."""
        return Edited.of([self._page(text) for text in documents.texts()])

    def _page(self, text: str) -> str:
        kept = (self._line(line.strip()) for line in text.splitlines())
        return "\n".join(line for line in kept if line is not None).strip()

    def _line(self, line: str) -> str | None:
        """The line as it stays, or None."""
        n = self.min_words_per_line
        if n > 0 and len(line.split(None, n - 1)) < n:
            return None
        if len(line) > self.max_word_length and max(map(len, line.split())) > self.max_word_length:
            return None
        if "[" in line:
            line = _CITATION.sub("", line)
        if self.terminal_punctuation and (not line.endswith(_ENDS) or line.endswith("...")):
            return None
        return line if _stays(line.lower()) else None


def _stays(line: str) -> bool:
    """The phrases, in the order in which the original looks for them."""
    if "lorem ipsum" in line:
        return True
    if "javascript" in line:
        return False
    return "{" in line or _POLICY.search(line) is None
