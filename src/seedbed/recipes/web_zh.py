"""Chinese web text, after the rules of ChineseWebText 2.0 (Zhang et al. 2024, arXiv 2411.19668)."""

from __future__ import annotations

from seedbed.curate.dedup.exact import Exact
from seedbed.curate.dedup.minhash import Minhash
from seedbed.curate.dedup.url import Url
from seedbed.curate.edits.mask_personal_data import MaskPersonalData
from seedbed.curate.edits.mask_secrets import MaskSecrets
from seedbed.curate.extractors.main_content import MainContent
from seedbed.curate.filters.chinese_web_text import ChineseWebText
from seedbed.curate.filters.language import Language
from seedbed.curate.filters.size import Size
from seedbed.curate.plan import CuratePlan
from seedbed.recipe import Recipe
from seedbed.recipes._pages import pages


def curation() -> CuratePlan:
    """Its model-free rules. Rules on words are left out: they were made for languages with spaces."""
    return pages(
        MainContent(),
        Size(),
        Language(languages=("zh",)),
        ChineseWebText(),
        Exact(),
        Minhash(),
        Url(),
        MaskSecrets(),
        MaskPersonalData(),
    )


def recipe() -> Recipe:
    """Curation alone; give it inputs, and a list of unwanted words as `curate.filters.chinese_web_text.word_list`."""
    return Recipe(
        name="web_zh",
        about="Simplified Chinese web text: ChineseWebText's rules, exact and near duplicates, personal data masked",
        curate=curation(),
    )
