"""English web text, after the FineWeb pipeline (Penedo et al. 2024, arXiv 2406.17557), paper dialects."""

from __future__ import annotations

from seedbed.curate.dedup.exact import Exact
from seedbed.curate.dedup.minhash import Minhash
from seedbed.curate.edits.c4_lines import C4Lines
from seedbed.curate.extractors.main_content import MainContent
from seedbed.curate.filters.c4_quality import C4Quality
from seedbed.curate.filters.fineweb_quality import FinewebQuality
from seedbed.curate.filters.gopher_quality import GopherQuality
from seedbed.curate.filters.gopher_repetition import GopherRepetition
from seedbed.curate.filters.language import Language
from seedbed.curate.filters.size import Size
from seedbed.curate.plan import CuratePlan
from seedbed.recipe import Recipe
from seedbed.recipes._pages import pages


def curation() -> CuratePlan:
    """The steps in FineWeb's order; C4 without its rule on terminal punctuation, as FineWeb has it."""
    return pages(
        MainContent(),
        Size(),
        Language(),
        GopherRepetition(),
        GopherQuality(),
        C4Lines(dialect="datatrove", terminal_punctuation=False, min_words_per_line=3),
        C4Quality(min_sentences=5),
        FinewebQuality(),
        Exact(),
        Minhash(),
    )


def recipe() -> Recipe:
    """Curation alone; give it inputs."""
    return Recipe(
        name="fineweb_en",
        about="English web text: language, Gopher, C4 and FineWeb rules, exact and near duplicates",
        curate=curation(),
    )
