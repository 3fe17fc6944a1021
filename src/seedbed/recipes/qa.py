"""Questions and answers from the web, after RedStone (arXiv 2412.03398)."""

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
    "stackexchange.com",
    "stackoverflow.com",
    "superuser.com",
    "serverfault.com",
    "askubuntu.com",
)
"""Hosts that are known for it: their pages need no other sign."""


def curation() -> CuratePlan:
    """A question and an answer in the page, or a host that holds nothing else; short pages are kept."""
    return pages(
        RichContent(),
        Size(min_bytes=200),
        Language(),
        DomainSignals(min_questions=1, min_answers=1, hosts=HOSTS),
        GopherQuality(min_words=30),
        Exact(),
        Minhash(),
    )


def recipe() -> Recipe:
    """Curation alone; give it inputs."""
    return Recipe(name="qa", about="pages with questions and answers", curate=curation())
