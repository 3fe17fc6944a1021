"""Tokens: no byte lost, every sequence on the way back to its document, any tokenizer.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core import arrow
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.pipeline import data
from seedbed.pipeline.workplace import Workplace
from seedbed.recipes import load
from seedbed.tokenize.contract import END_OF_TEXT
from seedbed.tokenize.encode import Encoder
from seedbed.tokenize.run import Pool
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from seedbed.tokenize.tokenizers.from_file import FromFile
from tests.conftest import examples, sample_texts

TEXTS = [row["text"] for row in sample_texts()[:8]]
ENCODER = Encoder(ByteBpe(vocab_size=400).make(iter(TEXTS)))


def encode(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    return ENCODER.encode(*DocumentBatch.of(texts).text_buffers())


@given(st.lists(st.text(), max_size=5))
@examples(60)
def test_no_byte_is_lost_and_every_document_ends(texts: list[str]) -> None:
    ids, offsets = encode(texts)
    assert len(offsets) == len(texts) + 1
    for i, text in enumerate(texts):
        piece = ids[offsets[i] : offsets[i + 1]].tolist()
        assert piece[-1] == ENCODER.end_id
        assert ENCODER.end_id not in piece[:-1]
        assert ENCODER.decode(piece) == text


def test_the_end_token_written_in_a_text_stays_text() -> None:
    text = f"before {END_OF_TEXT} after"
    ids, _ = encode([text])
    assert ids.tolist().count(ENCODER.end_id) == 1
    assert ENCODER.decode(ids.tolist()) == text


def test_the_vocabulary_is_as_large_as_asked_and_learned_from_the_pool() -> None:
    assert ENCODER.vocab_size == 400
    ids, _ = encode(TEXTS)
    assert len(ids) < 0.75 * sum(len(text.encode()) for text in TEXTS)
    with pytest.raises(RecipeError, match="vocab_size: 256 must be >= 257"):
        ByteBpe(vocab_size=256)


def test_tokens_lead_back_to_documents(corpus: Path, tmp_path: Path) -> None:
    recipe = load("fineweb_en")
    with Workplace.open(tmp_path) as place:
        curated = data.curate_into(place, recipe, [str(corpus)])
        _, pool = data.tokenize_into(place, ByteBpe(vocab_size=300), curated.kept)
        again = Pool(curated.kept, pool.tokens)
    kept = {row["id"]: row["text"] for row in curated.kept.table().to_pylist()}
    encoder = Encoder.open(next((tmp_path / "artifacts").glob("tokenizer-*")))
    seen = 0
    for batch in again:
        ids, offsets = batch.token_ids
        for i, key in enumerate(batch.ids):
            assert encoder.decode(ids[offsets[i] : offsets[i + 1]].tolist()) == kept[key.hex()]
            seen += 1
    assert seen == len(kept)
    index = pool.index()
    assert pool.n_tokens == arrow.numpy(index, "n_tokens").sum()
    assert arrow.numpy(index, "n_bytes").sum() == sum(len(text.encode()) for text in kept.values())
    assert pool.ids("00000").dtype == np.dtype("<u2")


def test_any_tokenizer_file_with_an_end_of_text(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(ENCODER.definition)
    assert FromFile(file=str(file)).make(iter([])) == ENCODER.definition
    with pytest.raises(SeedbedError, match=r"no token '</s>'.*<\|endoftext\|>"):
        FromFile(file=str(file), end_of_text="</s>").make(iter([]))
    with pytest.raises(SeedbedError, match="no such tokenizer file"):
        FromFile(file=str(tmp_path / "none.json")).make(iter([]))
    file.write_text(json.dumps({"model": 3}))
    with pytest.raises(SeedbedError, match=r"is no tokenizer\.json"):
        FromFile(file=str(file)).make(iter([]))
    assert FromFile(file=str(file)).identity() != FromFile(file=str(tmp_path / "none.json")).identity()
