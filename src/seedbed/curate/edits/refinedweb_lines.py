"""RefinedWeb lines: drop lines in capitals, of digits, of counters, of one word, and what buttons say.

What      Removes the leftovers of a page's furniture that stand on lines of their own. Put the filter
          `refinedweb_removal` before it: it drops pages of which this edit would take too many words.
Source    Penedo et al. 2023, RefinedWeb, arXiv 2306.01116, section 3.2 and appendix G.2. The paper names the rules
          without their thresholds; the dialects are two reconstructions: DCLM (Li et al. 2024, arXiv 2406.11794, commit
          361714b, dclm_baseline_refinedweb.yaml) and RedStone (Chang et al. 2024, arXiv 2412.03398, commit e731748,
          ruleset/refinedweb.py).
Formula   dialect "dclm", rule after rule over lines between newlines, the text stripped in between:
          drop   where more than 0.5 of the characters are upper case
          drop   where more than 0.999999 of them are digits
          drop   counters: a number with or without k, m, b, then likes, shares, comments, views, ... and nothing else
          drop   where it has fewer than 2 words, unless it is empty
          cut    in lines of at most 10 words: "items in cart" anywhere; "Read more..." at the end, with any three
                 characters for the dots; "Sign-in" at the front; each with one whitespace beside it, in any case.
                 Lines of which nothing is left go.
          dialect "redstone": lines that break any of these go, all but the first judged after NFKC, lower case and
          stripping:
          more than 0.6 of the letters are upper case; only numbers, separators and controls; digits and one word of
          a to z; exactly 1 word; "sign in", "sign-in", "sign up", "sign-up" at the front, "read more..." at the end,
          with any three characters for the dots, "items in cart" anywhere.
Shapes    documents_N -> texts_N.
Units     Words are split at Unicode whitespace.
Fidelity  Exact for "dclm". Adapted for "redstone": RedStone splits pages into sentences and applies the rules to those,
          this edit applies them to lines, as RedStone itself does where its splitter takes too long. RedStone keeps its
          patterns in a generator: the first line that is searched to the end uses them up, and from then on the rule is
          dead for the whole process, so that what "Sign in" leads to depends on the documents before. Here every
          document is judged alone.
Errors    No text raises. A text of which no line is kept becomes empty.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.contract import Edit, Edited
from seedbed.text.rules import refinedweb


@dataclasses.dataclass(frozen=True)
class RefinedwebLines(Edit):
    """Whose reconstruction of the rules; each brings its thresholds."""

    version: ClassVar[int] = 2

    dialect: Literal["dclm", "redstone"] = "dclm"

    def edit(self, documents: DocumentBatch) -> Edited:
        """The lines that stay, joined by newlines."""
        cleaned = documents.derive(refinedweb.CLEANERS[self.dialect])
        return Edited(arrow.text_column(cleaned.data, cleaned.offsets))
