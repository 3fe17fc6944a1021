"""Code in its context: pages whose code blocks are explained in prose, after RedStone (arXiv 2412.03398)."""

from __future__ import annotations

from seedbed.curate.dedup.exact import Exact
from seedbed.curate.dedup.minhash import Minhash
from seedbed.curate.extractors.rich_content import RichContent
from seedbed.curate.filters.domain_signals import DomainSignals
from seedbed.curate.filters.gopher_quality import GopherQuality
from seedbed.curate.filters.size import Size
from seedbed.curate.plan import CuratePlan
from seedbed.recipe import Recipe
from seedbed.recipes._pages import pages

HOSTS = (
    "stackoverflow.com",
    "docs.python.org",
    "developer.mozilla.org",
    "rosettacode.org",
)
"""Hosts that are known for it: their pages need no other sign."""


def curation() -> CuratePlan:
    """Code in a page that also explains it, in any language; symbols and long names do not count against it."""
    return pages(
        RichContent(),
        Size(min_bytes=200),
        DomainSignals(min_code_blocks=1, min_code_bytes=0.05, hosts=HOSTS),
        GopherQuality(max_symbol_ratio=None, max_average_word_length=15.0, min_alphabetic_words=0.5, min_stop_words=1),
        Exact(),
        Minhash(),
    )


def recipe() -> Recipe:
    """Curation alone; give it inputs."""
    return Recipe(name="code", about="pages with code blocks, kept with their layout", curate=curation())
