"""A curated and tokenised folder that several tests ask about; a test that changes it works on a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from seedbed import api

SMALL = {"curate.shard_bytes": 40_000}


@pytest.fixture(scope="session")
def asked(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small corpus, curated and tokenised; only to be read."""
    out = tmp_path_factory.mktemp("asked") / "out"
    api.curate(corpus, out=out, settings=SMALL)
    api.tokenize(out, settings={"tokenize.tokenizers.byte_bpe.vocab_size": 300})
    return out


@pytest.fixture
def changed(asked: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(asked, tmp_path / "out")
    return tmp_path / "out"
