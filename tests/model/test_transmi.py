"""TransMI: means are means, the likeliest is found by its score, and nothing old is touched."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.errors import SeedbedError
from seedbed.model.language_model import LanguageModel
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder, initial_model
from seedbed.model.transforming import Checkpoint, Given
from seedbed.model.transforms.transmi import TransMI
from seedbed.text.romanizing import romanized
from seedbed.tokenize.contract import END_OF_TEXT
from seedbed.tokenize.encode import Encoder
from seedbed.tokenize.tokenizers.unigram import BYTES, Unigram
from tests.conftest import examples

pytest.importorskip("uroman")

# е and э both become e, щ and сч do not: "эта" and "ета" collide in "eta"; the lower score comes first
PIECES = [("▁ета", -9.0), ("▁эта", -4.0), ("▁эта́", -6.5), ("▁мир", -3.0), ("мир", -5.0), ("ь", -4.5), ("▁the", -3.5)]
LETTERS = [(letter, -12.0) for letter in "етамирэьыщ"]


def definition(pieces: list[tuple[str, float]]) -> str:
    told = json.loads(Unigram(vocab_size=512).make(iter([])))
    vocab = told["model"]["vocab"]
    ascii_only = [(piece, -15.0) for piece, score in vocab[257:] if len(piece) == 1]
    told["model"]["vocab"] = [*vocab[:257], *pieces, *ascii_only]
    return json.dumps(told)


OLD = definition([*PIECES, *LETTERS])
VOCAB = json.loads(OLD)["model"]["vocab"]
SHAPE = ModelShape(vocab_size=len(VOCAB), d_model=16, n_layers=1, n_heads=2, context=32)


def checkpoint(shape: ModelShape = SHAPE, tokenizer: str | None = OLD) -> Checkpoint:
    return Checkpoint(initial_model(shape, 3), tokenizer, 0)


def vocab_of(found: Checkpoint) -> dict[str, tuple[int, float]]:
    assert found.tokenizer_json is not None
    entries = json.loads(found.tokenizer_json)["model"]["vocab"]
    return {piece: (number, score) for number, (piece, score) in enumerate(entries)}


def row(decoder: Decoder, number: int) -> torch.Tensor:
    return decoder.model.embed_tokens.weight[number].detach()


OLD_IDS = {piece: number for number, (piece, _) in enumerate(VOCAB)}
COLLIDING = ("▁ета", "▁эта", "▁эта́")


@pytest.mark.parametrize(
    ("mode", "score", "source"), [("max", -4.0, "▁эта"), ("min", -9.0, "▁ета"), ("average", -6.5, None)]
)
@pytest.mark.parametrize("tied", [True, False])
def test_pieces_that_collide_give_one_by_score_or_mean(mode: str, score: float, source: str | None, tied: bool) -> None:
    """Fidelity: the mean, not the sum of the published code; the best score, not the first in the vocabulary."""
    before = checkpoint(dataclasses.replace(SHAPE, tied_embeddings=tied))
    after = TransMI(mode=mode).apply(before, Given())
    number, given_score = vocab_of(after)["▁eta"]
    assert given_score == pytest.approx(score)
    assert number >= len(VOCAB)
    for was, now in ((before.decoder.model.embed_tokens.weight, after.decoder.model.embed_tokens.weight),
                     (before.decoder.head_weight, after.decoder.head_weight)):  # fmt: skip
        rows = was.detach()[[OLD_IDS[piece] for piece in COLLIDING]]
        expected = rows.mean(0) if source is None else was[OLD_IDS[source]]
        torch.testing.assert_close(now[number].detach(), expected.detach())
        if source is None:
            assert now[number].norm() < rows.sum(0).norm() / 2
    assert (after.decoder.lm_head is None) == tied


def test_everything_old_stays_where_it_was() -> None:
    before = checkpoint()
    copy = {name: value.clone() for name, value in before.decoder.state_dict().items()}
    after = TransMI().apply(before, Given())
    assert after.tokenizer_json is not None
    assert json.loads(after.tokenizer_json)["model"]["vocab"][: len(VOCAB)] == VOCAB
    assert after.end_of_text == 0
    for name, value in after.decoder.state_dict().items():
        assert torch.equal(value[: len(copy[name])], copy[name])
    for name, value in before.decoder.state_dict().items():
        assert torch.equal(value, copy[name])


def test_only_other_scripts_become_new_pieces_and_the_boundary_mark_stays() -> None:
    new = [piece for piece, (number, _) in vocab_of(TransMI().apply(checkpoint(), Given())).items()
           if number >= len(VOCAB)]  # fmt: skip
    assert new == ["▁eta", "▁mir", "mir", "shch"]  # ь becomes nothing, single letters are there already
    assert not {END_OF_TEXT, *BYTES} & set(new)


def test_a_special_token_in_another_script_is_left_alone() -> None:
    told = json.loads(OLD)
    told["added_tokens"].append({**told["added_tokens"][0], "id": OLD_IDS["мир"], "content": "мир"})
    after = TransMI().apply(checkpoint(tokenizer=json.dumps(told)), Given())
    assert "mir" not in vocab_of(after)
    assert "▁mir" in vocab_of(after)


@given(st.text(alphabet="етамирэьы щ", max_size=14))
@examples(40)
def test_text_in_the_old_script_is_cut_as_before(text: str) -> None:
    after = TransMI().apply(checkpoint(), Given())
    assert after.tokenizer_json is not None
    encoders = Encoder(OLD), Encoder(after.tokenizer_json)
    data = np.frombuffer(text.encode(), np.uint8), np.array([0, len(text.encode())], np.int64)
    old, new = (encoder.encode(*data)[0].tolist() for encoder in encoders)
    assert old == new
    assert encoders[1].decode(new) == text


@pytest.mark.parametrize("word", ["eta", "mir", "etamir", "mirshch", "the"])
def test_the_new_tokenizer_still_finds_the_likeliest_segmentation(word: str) -> None:
    after = TransMI().apply(checkpoint(), Given())
    assert after.tokenizer_json is not None
    entries = vocab_of(after)
    marked, best = "▁" + word, (-math.inf, ())
    for cuts in itertools.product([False, True], repeat=len(marked) - 1):
        at = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), len(marked)]
        parts = tuple(marked[a:b] for a, b in itertools.pairwise(at))
        if all(part in entries for part in parts):
            best = max(best, (sum(entries[part][1] for part in parts), parts))
    encoder = Encoder(after.tokenizer_json)
    ids, _ = encoder.encode(np.frombuffer(word.encode(), np.uint8), np.array([0, len(word)], np.int64))
    assert ids[:-1].tolist() == [entries[part][0] for part in best[1]]


def test_a_word_read_in_latin_letters_is_seen_as_the_word_itself() -> None:
    """Where one piece stands for one word: the same states below the head, so the same next word among the old."""
    after = TransMI().apply(checkpoint(), Given())
    assert after.tokenizer_json is not None
    encoder = Encoder(after.tokenizer_json)
    ids = [encoder.encode(np.frombuffer(text.encode(), np.uint8), np.array([0, len(text.encode())], np.int64))[0]
           for text in ("эта мир", romanized("эта мир"))]  # fmt: skip
    assert ids[0].tolist() != ids[1].tolist()
    hidden = [after.decoder.hidden(torch.from_numpy(each.astype(np.int64))[None]) for each in ids]
    torch.testing.assert_close(hidden[0], hidden[1])


def test_rows_that_pad_the_model_are_used_first() -> None:
    before = checkpoint(dataclasses.replace(SHAPE, vocab_size=len(VOCAB) + 64))
    after = TransMI().apply(before, Given())
    assert after.decoder.shape.vocab_size == len(VOCAB) + 64
    number, _ = vocab_of(after)["▁mir"]
    assert torch.equal(row(after.decoder, number), row(before.decoder, OLD_IDS["▁мир"]))


def test_the_result_answers_questions() -> None:
    after = TransMI().apply(checkpoint(), Given())
    model = LanguageModel(after.decoder, 0, after.tokenizer_json)
    nats, count, _ = model.continuation_log_likelihoods(["eta"], [" mir"])
    assert np.isfinite(nats).all()
    assert count.tolist() == [1]


def test_what_cannot_be_transformed_says_why() -> None:
    with pytest.raises(SeedbedError, match="the checkpoint has no tokenizer"):
        TransMI().apply(checkpoint(tokenizer=None), Given())
    told = json.loads(OLD)
    told["model"] = {"type": "BPE", "vocab": {}, "merges": []}
    with pytest.raises(SeedbedError, match="needs a Unigram tokenizer, this one is BPE"):
        TransMI().apply(checkpoint(tokenizer=json.dumps(told)), Given())
    told = json.loads(OLD)
    told["added_tokens"].append({**told["added_tokens"][0], "id": len(VOCAB), "content": "<mask>"})
    with pytest.raises(SeedbedError, match="<mask> have ids behind the vocabulary"):
        TransMI().apply(checkpoint(tokenizer=json.dumps(told)), Given())
    with pytest.raises(SeedbedError, match="the model 300 rows"):
        TransMI().apply(checkpoint(dataclasses.replace(SHAPE, vocab_size=300)), Given())


def test_romanizing_keeps_lines_and_latin_letters() -> None:
    assert romanized("Привет, мир\n\nHello <0x41>\n") == "Privet, mir\n\nHello <0x41>\n"
    assert romanized("\u2581функция") == "\u2581funktsiya"
    assert romanized("г", "ukr") != romanized("г", "rus")
