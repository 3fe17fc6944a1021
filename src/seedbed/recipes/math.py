"""Mathematics: pages with formulas, kept as LaTeX, after InfiMM-WebMath (arXiv 2409.12568) and RedStone."""

from __future__ import annotations

from seedbed.curate.dedup.exact import Exact
from seedbed.curate.dedup.minhash import Minhash
from seedbed.curate.extractors.rich_content import RichContent
from seedbed.curate.filters.domain_signals import DomainSignals
from seedbed.curate.filters.gopher_quality import GopherQuality
from seedbed.curate.filters.language import Language
from seedbed.curate.filters.size import Size
from seedbed.curate.plan import CuratePlan
from seedbed.recipe import Recipe
from seedbed.recipes._pages import pages

HOSTS = (
    "math.stackexchange.com",
    "mathoverflow.net",
    "arxiv.org",
    "mathworld.wolfram.com",
    "proofwiki.org",
    "ncatlab.org",
)
"""Hosts that are known for it: their pages need no other sign."""


def curation() -> CuratePlan:
    """Few formulas are no mathematics, mere formulas no text; symbols do not count against a page as in prose."""
    return pages(
        RichContent(),
        Size(min_bytes=200),
        Language(),
        DomainSignals(min_formulas=3, max_formula_bytes=0.5, hosts=HOSTS),
        GopherQuality(max_symbol_ratio=None, min_alphabetic_words=0.5, min_stop_words=1),
        Exact(),
        Minhash(),
    )


def recipe() -> Recipe:
    """Curation alone; give it inputs."""
    return Recipe(
        name="math", about="pages with formulas, kept as LaTeX with their code and pictures", curate=curation()
    )
