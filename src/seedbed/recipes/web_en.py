"""English web text for training: FineWeb's rules, pages met twice by URL too, secrets and personal data masked."""

from __future__ import annotations

import dataclasses

from seedbed.curate.dedup.url import Url
from seedbed.curate.edits.mask_personal_data import MaskPersonalData
from seedbed.curate.edits.mask_secrets import MaskSecrets
from seedbed.curate.plan import CuratePlan
from seedbed.recipe import Recipe
from seedbed.recipes import fineweb_en


def curation() -> CuratePlan:
    """The steps of `fineweb_en`, which drops what FineWeb drops; then what a corpus to be trained on needs besides."""
    fineweb = fineweb_en.curation()
    return dataclasses.replace(fineweb, steps=(*fineweb.steps, Url(), MaskSecrets(), MaskPersonalData()))


def recipe() -> Recipe:
    """Curation alone; give it inputs."""
    return Recipe(
        name="web_en",
        about="English web text: FineWeb's rules, duplicates by text and URL, secrets and personal data masked",
        curate=curation(),
    )
