"""URL blocklist: does the address of the page stand on a list, or hold words that do?

What      Looks up the host, the whole URL and its words in lists of the user; drops what they name. Nothing is shipped:
          lists of adult, gambling or licence-bound sites are the user's choice.
Source    Penedo et al. 2023, RefinedWeb, arXiv 2306.01116, appendix G.1 (domains; strict, hard and soft words); the
          substrings and the two soft words as in DCLM's recipe, Li et al. 2024, arXiv 2406.11794; whole URLs as in
          FineWeb, Penedo et al. 2024, arXiv 2406.17557.
Formula   blocked_domain  1 where the host, or a domain it lies in, is listed in `domains`
          blocked_url     1 where the URL without scheme, www., final slash and fragment is listed in `urls`
          strict_words    listed words that are in the URL as substrings, hyphens and dots taken out
          hard_words, soft_words   listed words among the URL's, split at all that is no letter or digit
          dropped where blocked_domain, blocked_url, strict_words, hard_words > 0, or soft_words > 1
Shapes    documents_N -> five columns of N.
Units     1 or 0; different words.
Fidelity  Adapted: RefinedWeb's own lists are not published. A listed domain covers its subdomains; datatrove compares
          the registered name and the host. Everything is compared in lower case; percent-encoding is left as it is.
Errors    A folder without lists raises before anything runs. A document without a URL, and a filter without lists,
          measure 0: nothing is dropped for what is not known.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from annotated_types import Ge

from seedbed.core import arrow
from seedbed.core.errors import RecipeError, did_you_mean
from seedbed.core.nouns import DocumentBatch, Signal
from seedbed.core.parameters import Json
from seedbed.curate.contract import Filter, Rule
from seedbed.text.list_files import Stamp, contents, entries, files, stamp
from seedbed.text.words.lists import WordList

LISTS = ("domains", "urls", "strict_words", "hard_words", "soft_words")
_WORD = re.compile(r"[^\W_]+")
_GLUE = re.compile(r"[-.]")
_Keys = npt.NDArray[np.uint64]


@dataclasses.dataclass(frozen=True)
class UrlBlocklist(Filter):
    """The lists, and how many of their entries a URL may hold; None switches a rule off.

    Args:
        lists: a folder with some of the files domains, urls, strict_words, hard_words, soft_words (each .txt or bare):
            one entry a line, # before a comment.
    """

    libraries: ClassVar[tuple[str, ...]] = ("unicodedata",)
    columns: ClassVar[tuple[str, ...]] = ("url",)
    looked_up: ClassVar[str] = "lists"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("blocked_domain", "1 or 0", "int", low=0, high=1),
        Signal("blocked_url", "1 or 0", "int", low=0, high=1),
        Signal("strict_words", "words", "int", low=0),
        Signal("hard_words", "words", "int", low=0),
        Signal("soft_words", "words", "int", low=0),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("max_blocked_domain", "blocked_domain", "max"),
        Rule("max_blocked_url", "blocked_url", "max"),
        Rule("max_strict_words", "strict_words", "max"),
        Rule("max_hard_words", "hard_words", "max"),
        Rule("max_soft_words", "soft_words", "max"),
    )

    lists: str = ""
    max_blocked_domain: Annotated[int | None, Ge(0)] = 0
    max_blocked_url: Annotated[int | None, Ge(0)] = 0
    max_strict_words: Annotated[int | None, Ge(0)] = 0
    max_hard_words: Annotated[int | None, Ge(0)] = 0
    max_soft_words: Annotated[int | None, Ge(0)] = 1

    def fingerprinted(self) -> dict[str, Json]:
        """The lists' content counts, not where they lie. Raises RecipeError for a folder without them."""
        return {**super().fingerprinted(), "lists": contents(self.lists, f"{self.name()}.lists")}

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """The five columns of every document."""
        if not self.lists:
            return self.table({name: np.zeros(len(documents), np.int64) for name in self._names()})
        lists = _lists(self.lists, f"{self.name()}.lists", stamp(self.lists))
        urls = [url.strip().lower() for url in documents.column("url")]
        joined = arrow.table({"url": arrow.column(_each(_unglued, urls), pa.large_string())})
        words = [set(_WORD.findall(url)) for url in urls]
        columns = {
            "blocked_domain": _hold(lists.domains, [_domains(url) for url in urls]),
            "blocked_url": _hold(lists.urls, [[_bare(url)] if url else [] for url in urls]),
            "strict_words": lists.strict.count(*arrow.text_buffers(joined, "url")),
            "hard_words": np.array([len(found & lists.hard) for found in words], np.int64),
            "soft_words": np.array([len(found & lists.soft) for found in words], np.int64),
        }
        return self.table(columns)

    def _names(self) -> list[str]:
        return [signal.name for signal in self.signals]


@dataclasses.dataclass(frozen=True)
class _Lists:
    """The lists as they are searched. Millions of domains are kept as sorted 64-bit hashes."""

    domains: _Keys
    urls: _Keys
    strict: WordList
    hard: frozenset[str]
    soft: frozenset[str]


@lru_cache(maxsize=2)
def _lists(folder: str, where: str, changed: Stamp) -> _Lists:  # noqa: ARG001 - `changed` is part of the key
    found = files(folder, where)
    for name in found:
        if name not in LISTS:
            raise RecipeError(where, f"{folder!r} holds a list {name!r}", did_you_mean(name, LISTS))
    domains, urls, strict, hard, soft = (entries(found[name]) if name in found else [] for name in LISTS)
    return _Lists(
        _keys([_bare(domain) for domain in domains]),
        _keys(_each(_bare, urls)),
        WordList.of(_each(_unglued, strict)),
        frozenset(hard),
        frozenset(soft),
    )


def _each(change: Callable[[str], str], texts: Sequence[str]) -> list[str]:
    return [change(text) for text in texts]


def _keys(texts: Sequence[str]) -> _Keys:
    return np.unique(np.array([xxhash.xxh3_64_intdigest(text.encode()) for text in texts], np.uint64))


def _unglued(text: str) -> str:
    return _GLUE.sub("", text)


def _bare(url: str) -> str:
    """A URL or host without scheme, www., fragment and final slash."""
    return _after_scheme(url).removeprefix("www.").partition("#")[0].rstrip("/")


def _after_scheme(url: str) -> str:
    return url.partition("://")[2] if "://" in url else url


def _domains(url: str) -> list[str]:
    """The host and every domain it lies in: a.b.c, b.c, c."""
    host = re.split(r"[/?#]", _after_scheme(url), maxsplit=1)[0]
    host = host.rpartition("@")[2].partition(":")[0].strip(".")
    labels = host.split(".") if host else []
    return [".".join(labels[i:]) for i in range(len(labels))]


def _hold(listed: _Keys, texts: Sequence[Sequence[str]]) -> npt.NDArray[np.int64]:
    """1 for each document one of whose texts is listed."""
    found = np.zeros(len(texts), np.int64)
    if len(listed):
        rows = [row for row, some in enumerate(texts) for _ in some]
        keys = np.array([xxhash.xxh3_64_intdigest(text.encode()) for some in texts for text in some], np.uint64)
        places = np.minimum(np.searchsorted(listed, keys), len(listed) - 1)
        found[np.array(rows, np.int64)[listed[places] == keys]] = 1
    return found
