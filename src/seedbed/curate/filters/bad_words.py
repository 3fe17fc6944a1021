"""Bad words: does the page hold a word of a list of the user's for its language?

What      Counts listed words and phrases; drops by default any page that holds one, as C4 does. No list is shipped.
Source    Raffel et al. 2020, arXiv 1910.10683, section 2.2, with the "List of Dirty, Naughty, Obscene or Otherwise Bad
          Words"; for other languages Xue et al. 2021, mC4, arXiv 2010.11934; the pattern of tensorflow_datasets'
          c4_utils.
Formula   bad_words = places in the lower-cased text where a listed word stands between characters that are no letters,
          digits or underscores; in Japanese, Thai and Chinese anywhere. Dropped where bad_words > max_bad_words.
Shapes    documents_N -> bad_words_N.
Units     occurrences, without overlap.
Fidelity  Adapted: list entries are lower-cased too; the original lower-cases the text alone, so that entries with
          capitals never match. What it allows because it is a part of common words stays allowed: three words in
          Japanese, one in Chinese. It can keep a share of the pages with bad words; here the count is a signal. A
          language without a list measures 0.
Errors    A folder without lists raises before anything runs. An empty text, and a filter without lists, measure 0.
"""

from __future__ import annotations

import dataclasses
import re
from functools import lru_cache
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
from annotated_types import Ge

from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch, Signal
from seedbed.core.parameters import Json
from seedbed.curate.contract import Filter, Rule
from seedbed.text.list_files import Stamp, contents, entries, files, stamp
from seedbed.text.words.lists import WordList

WITHOUT_SPACES = ("ja", "th", "zh")
ALLOWED = {"ja": frozenset({"sm", "グロ", "女の子"}), "zh": frozenset({"性"})}


@dataclasses.dataclass(frozen=True)
class BadWords(Filter):
    """The lists, and how many of their words a page may hold; None switches the rule off.

    Args:
        lists: a folder with a file a language, named by its code (en, de, ... or en.txt): one word or phrase a line.
        default_language: the language of documents that name none.
    """

    libraries: ClassVar[tuple[str, ...]] = ("unicodedata",)
    columns: ClassVar[tuple[str, ...]] = ("language",)
    looked_up: ClassVar[str] = "lists"
    signals: ClassVar[tuple[Signal, ...]] = (Signal("bad_words", "occurrences", "int", low=0),)
    rules: ClassVar[tuple[Rule, ...]] = (Rule("max_bad_words", "bad_words", "max"),)

    lists: str = ""
    default_language: str = "en"
    max_bad_words: Annotated[int | None, Ge(0)] = 0

    def fingerprinted(self) -> dict[str, Json]:
        """The lists' content counts, not where they lie. Raises RecipeError for a folder without them."""
        return {**super().fingerprinted(), "lists": contents(self.lists, f"{self.name()}.lists")}

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """bad_words_N."""
        counts = np.zeros(len(documents), np.int64)
        if self.lists:
            lists = _lists(self.lists, f"{self.name()}.lists", stamp(self.lists))
            spoken = [language or self.default_language for language in documents.column("language")]
            for language, listed in lists.items():
                rows = [row for row, own in enumerate(spoken) if own == language]
                texts = [documents.texts()[row].lower() for row in rows]
                column = arrow.table({"text": arrow.column(texts, pa.large_string())})
                holds = listed.words.count(*arrow.text_buffers(column, "text")) > 0
                for at in np.flatnonzero(holds).tolist():
                    counts[rows[at]] = sum(1 for _ in listed.pattern.finditer(texts[at]))
        return self.table({"bad_words": counts})


@dataclasses.dataclass(frozen=True)
class _Listed:
    """One language's words: all at once as substrings, and as the pattern that has the last say."""

    words: WordList
    pattern: re.Pattern[str]


@lru_cache(maxsize=2)
def _lists(folder: str, where: str, changed: Stamp) -> dict[str, _Listed]:  # noqa: ARG001 - `changed` is part of the key
    found: dict[str, _Listed] = {}
    for language, file in files(folder, where).items():
        words = sorted(set(entries(file)) - ALLOWED.get(language, frozenset()), key=lambda word: (-len(word), word))
        any_of = "|".join(map(re.escape, words)) or r"(?!)"
        borders = ("", "") if language in WITHOUT_SPACES else (r"(?<!\w)", r"(?!\w)")
        found[language] = _Listed(WordList.of(words), re.compile(f"{borders[0]}(?:{any_of}){borders[1]}"))
    return found
