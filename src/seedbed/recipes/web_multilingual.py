"""Web text in any language: Gopher's and FineWeb's rules on words of any script, by language where they must differ.

As in FineWeb-2 (Penedo et al. 2025, arXiv 2506.20920), C4's rules and the one on short lines are left out, and a tenth
of a text may be repeated lines. Its thresholds by language are for words from one tokenizer a language, and do not hold
for these words; yours go into `curate.by_language`.
"""

from __future__ import annotations

import dataclasses

from seedbed.curate.by_language import ByLanguage, Thresholds
from seedbed.curate.dedup.exact import Exact
from seedbed.curate.dedup.minhash import Minhash
from seedbed.curate.dedup.url import Url
from seedbed.curate.edits.mask_personal_data import MaskPersonalData
from seedbed.curate.edits.mask_secrets import MaskSecrets
from seedbed.curate.extractors.main_content import MainContent
from seedbed.curate.filters.fineweb_quality import FinewebQuality
from seedbed.curate.filters.gopher_quality import GopherQuality
from seedbed.curate.filters.gopher_repetition import GopherRepetition
from seedbed.curate.filters.language import Language
from seedbed.curate.filters.size import Size
from seedbed.curate.plan import CuratePlan
from seedbed.recipe import Recipe
from seedbed.recipes._pages import pages

UNSPACED = ("zh", "wuu", "yue", "ja", "my", "th", "lo", "km")
"""Languages written without spaces between words."""
UNSTOPPED = ("th", "lo", "km")
"""Those in which a sentence ends without a mark that Unicode knows as such."""


def by_language() -> ByLanguage:
    """Stop words are English. A word without spaces is an ideograph or a syllable, a Korean one a few syllables."""
    found: dict[str, dict[str, Thresholds]] = {
        "en": {"gopher_quality": {"min_stop_words": 2}},
        "ko": {"gopher_quality": {"min_average_word_length": 2.0}},
    }
    for language in UNSPACED:
        found[language] = {"gopher_quality": {"min_average_word_length": 1.0}}
    for language in UNSTOPPED:
        found[language]["fineweb_quality"] = {"min_terminal_punctuation": None}
    return found


def curation() -> CuratePlan:
    """Every language that is identified is kept, at cc_net's threshold (Wenzek et al. 2019, arXiv 1911.00359)."""
    plan = pages(
        MainContent(),
        Size(),
        Language(languages=None, min_language_score=0.5),
        GopherRepetition(words="scripts"),
        GopherQuality(words="scripts", min_stop_words=None),
        FinewebQuality(words="scripts", max_short_lines=None, max_duplicate_line_chars=0.1),
        Exact(),
        Minhash(),
        Url(),
        MaskSecrets(),
        MaskPersonalData(),
    )
    return dataclasses.replace(plan, by_language=by_language())


def recipe() -> Recipe:
    """Curation alone; give it inputs."""
    return Recipe(
        name="web_multilingual",
        about="Web text in any language: Gopher and FineWeb rules by language, duplicates, personal data masked",
        curate=curation(),
    )
