"""Articles of Wikipedia dumps, in whatever language they are.

An encyclopedia is edited already: no rule of web text is asked. Stubs go by their size, what a bot wrote a thousand
times goes as a duplicate.
"""

from __future__ import annotations

import dataclasses

from seedbed.curate.dedup.exact import Exact
from seedbed.curate.dedup.minhash import Minhash
from seedbed.curate.extractors.main_content import MainContent
from seedbed.curate.filters.language import Language
from seedbed.curate.filters.size import Size
from seedbed.curate.plan import CuratePlan
from seedbed.curate.readers.wikipedia import Wikipedia
from seedbed.recipe import Recipe
from seedbed.recipes._pages import pages


def curation() -> CuratePlan:
    """Of .xml and .bz2 nothing is read but dumps, so no other recipe has their reader."""
    plan = pages(MainContent(), Size(min_bytes=200), Language(languages=None), Exact(), Minhash())
    return dataclasses.replace(plan, readers=(Wikipedia(),))


def recipe() -> Recipe:
    """Curation alone; give it pages-articles.xml.bz2."""
    return Recipe(name="wikipedia", about="articles of Wikipedia dumps (extra `documents`)", curate=curation())
