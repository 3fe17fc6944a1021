"""Vocabularies that grow and shrink: greedy decoding that stays, logits that stay to the bit, texts cut as before."""

import copy
import json
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

from seedbed.core.errors import SeedbedError
from seedbed.model.counts import total_parameters
from seedbed.model.initializers.gaussian import Gaussian
from seedbed.model.initializers.mean import Mean
from seedbed.model.initializers.subtoken_mean import SubtokenMean
from seedbed.model.movement import moved
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import initial_model
from seedbed.model.transforming import Checkpoint, Given, Initializer
from seedbed.model.transforms.expand_vocabulary import ExpandVocabulary
from seedbed.model.transforms.trim_vocabulary import TrimVocabulary
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from tests.conftest import examples, sample_texts

ENGLISH = [row["text"][:3000] for row in sample_texts()][:20]
RUSSIAN = ["Показать версию и выйти. Файл не найден: проверьте путь к файлу.", "Файлы каталога показаны по порядку."]
SHAPE = ModelShape(vocab_size=400, d_model=16, n_layers=1, n_heads=2, context=32)


def trained(size, texts, min_frequency=2):
    return ByteBpe(vocab_size=size, min_frequency=min_frequency).make(iter(texts))


def model_trained_on(definition, texts, shape, steps=40):
    """A decoder after some steps, so that its tables and its hidden states are no noise."""
    model = initial_model(shape, seed=1)
    ids = np.concatenate([np.array(e.ids) for e in Tokenizer.from_str(definition).encode_batch(texts)])
    rows = torch.from_numpy(ids[: len(ids) // 33 * 33].reshape(-1, 33).astype(np.int64))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for step in range(steps):
        batch = rows[(step * 16) % (len(rows) - 16) :][:16]
        loss = torch.nn.functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


@cache
def english(tied=True, rows=400):
    definition = trained(400, ENGLISH)
    shape = replace(SHAPE, tied_embeddings=tied, vocab_size=rows)
    return Checkpoint(model_trained_on(definition, ENGLISH, shape), definition, 0)


def of(texts, **more):
    return Given(texts=lambda: iter(texts), **more)


def ids_of(checkpoint, text):
    return Tokenizer.from_str(checkpoint.tokenizer_json).encode(text, add_special_tokens=False).ids


def logits(checkpoint, ids):
    with torch.no_grad():
        return checkpoint.decoder(torch.tensor(ids)[None, :32])[0]


@dataclass(frozen=True)
class Odd(Initializer):
    """Rows that are wrong in one way."""

    fault: str = ""

    def rows(self, new):
        rows = torch.zeros(len(new.pieces), new.old.decoder.shape.d_model)
        if self.fault == "infinite":
            rows[0, 0] = torch.inf
        if self.fault == "few":
            rows = rows[1:]
        return rows, rows if self.fault == "two" else None


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("initializer", [Mean(), Mean(apart=0.5), SubtokenMean()])
def test_greedy_decoding_of_a_trained_model_does_not_change_with_convex_rows(initializer, tied):
    old = english(tied)
    transform = ExpandVocabulary(tokens=80, min_frequency=1, initializer=initializer)
    new = transform.apply(old, of(RUSSIAN))
    assert new.decoder.shape == replace(old.decoder.shape, vocab_size=480)
    assert (new.decoder.lm_head is None) == tied
    movement = moved(old, new, [*ENGLISH[:6], *RUSSIAN], transform.promise(SHAPE))
    assert movement.promise == "greedy"
    assert not movement.broken
    for text in [*ENGLISH[:6], *RUSSIAN]:
        before, after = logits(old, ids_of(old, text)), logits(new, ids_of(old, text))
        assert torch.equal(before.argmax(-1), after.argmax(-1))
        torch.testing.assert_close(after[:, :400], before, atol=1e-6, rtol=1e-6)


def test_rows_drawn_as_wide_as_the_old_ones_promise_nothing():
    wide = Gaussian(scale=1.0)
    assert ExpandVocabulary(initializer=wide).promise(SHAPE) == "none"
    old = english(tied=False)
    new = ExpandVocabulary(tokens=80, min_frequency=1, initializer=wide).apply(old, of(RUSSIAN))
    flips = [(logits(new, ids_of(old, t)).argmax(-1) >= 400).float().mean() for t in ENGLISH]
    assert float(torch.stack(flips).mean()) > 0.02


def test_old_rows_ids_and_texts_stay_and_new_texts_take_fewer_tokens():
    old = english()
    new = ExpandVocabulary(tokens=80, min_frequency=1).apply(old, of(RUSSIAN))
    assert torch.equal(new.decoder.head_weight[:400], old.decoder.head_weight)
    assert new.end_of_text == old.end_of_text
    for text in ENGLISH:
        found = ids_of(new, text)
        if max(found) < 400:
            assert found == ids_of(old, text)
    plain = [text for text in ENGLISH if text.isascii()]
    assert plain
    assert all(ids_of(new, text) == ids_of(old, text) for text in plain)
    for text in RUSSIAN:
        assert len(ids_of(new, text)) < 0.7 * len(ids_of(old, text))
        assert Tokenizer.from_str(new.tokenizer_json).decode(ids_of(new, text)) == text


def test_rows_that_no_token_has_stay_and_new_ids_follow_them():
    old = english(rows=416)
    new = ExpandVocabulary(tokens=30, min_frequency=1).apply(old, of(RUSSIAN))
    assert new.decoder.shape.vocab_size == 446
    found = {key for text in RUSSIAN for key in ids_of(new, text) if key >= 400}
    assert min(found) >= 416
    assert max(found) < 446


def test_special_tokens_behind_the_vocabulary_keep_their_ids():
    """As Llama 3 has them: not in the model's vocabulary, with ids behind it."""
    tokenizer = Tokenizer.from_str(trained(400, ENGLISH))
    tokenizer.add_special_tokens(["<|begin|>", "<|stop|>"])
    old = replace(english(rows=402), tokenizer_json=tokenizer.to_str(), end_of_text=401)
    new = ExpandVocabulary(tokens=30, min_frequency=1).apply(old, of(RUSSIAN))
    grown = Tokenizer.from_str(new.tokenizer_json)
    assert [grown.token_to_id(name) for name in ("<|endoftext|>", "<|begin|>", "<|stop|>")] == [0, 400, 401]
    assert grown.encode("<|begin|>Файл<|stop|>").ids[0] == 400
    assert grown.get_vocab_size() == 432
    assert sorted(grown.get_vocab().values()) == list(range(432))


@pytest.mark.parametrize(
    ("fault", "tied", "told"),
    [
        ("infinite", True, "odd|not finite"),
        ("few", True, r"\(29, 16\) where \(30, 16\)"),
        ("two", True, "gave further rows"),
        ("", False, "gave no rows"),
    ],
)
def test_rows_that_cannot_be_are_refused(fault, tied, told):
    transform = ExpandVocabulary(tokens=30, min_frequency=1, initializer=Odd(fault))
    with pytest.raises(SeedbedError, match=told):
        transform.apply(english(tied), of(RUSSIAN))


@pytest.mark.parametrize("transform", [ExpandVocabulary(), TrimVocabulary()])
def test_what_cannot_be_transformed_is_told(transform):
    old = english()
    with pytest.raises(SeedbedError, match="no tokenizer"):
        transform.apply(replace(old, tokenizer_json=None), of(RUSSIAN))
    with pytest.raises(SeedbedError, match="writes token 399; the model has 300 rows"):
        transform.apply(replace(old, decoder=initial_model(replace(SHAPE, vocab_size=300), 0)), of(RUSSIAN))
    with pytest.raises(SeedbedError, match=r"no pair of tokens comes 2 times|there is no text"):
        transform.apply(old, of([""]))
    words = Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).to_str()
    with pytest.raises(SeedbedError, match="WordLevel"):
        transform.apply(replace(old, tokenizer_json=words), of(RUSSIAN))
    with pytest.raises(SeedbedError, match="is no tokenizer's definition"):
        transform.apply(replace(old, tokenizer_json="{}"), of(RUSSIAN))


# Trimming


@cache
def two_scripts(tied=True, kind="bpe"):
    """A model of English and Russian."""
    texts = [*ENGLISH[:4], *RUSSIAN * 3]
    definition = trained(1000, texts, min_frequency=1) if kind == "bpe" else unigram(texts, kind == "bytes")
    rows = Tokenizer.from_str(definition).get_vocab_size() + 5
    shape = replace(SHAPE, vocab_size=rows, tied_embeddings=tied)
    return Checkpoint(model_trained_on(definition, texts, shape), definition, 0)


def unigram(texts, with_bytes):
    """As sentencepiece makes it: scores, blanks as U+2581, and perhaps bytes for what is unknown."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "<unk>", "</s>"]
    trainer = trainers.UnigramTrainer(vocab_size=400, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    told = json.loads(tokenizer.to_str())
    if with_bytes:
        told["model"]["vocab"][3:3] = [[f"<0x{byte:02X}>", 0.0] for byte in range(256)]
        told["model"]["byte_fallback"] = True
        told["decoder"] = {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]}
    return json.dumps(told)


def mapping(old, new):
    """Old id -> new id of the tokens that are left, by their text."""
    before, after = (Tokenizer.from_str(c.tokenizer_json).get_vocab() for c in (old, new))
    assert set(after) <= set(before)
    assert sorted(after.values()) == list(range(len(after)))
    order = sorted(after, key=before.__getitem__)
    assert [after[token] for token in order] == list(range(len(after))), "not in the old order"
    return {before[token]: after[token] for token in after}


@pytest.mark.parametrize("kind", ["bpe", "unigram", "bytes"])
@pytest.mark.parametrize("tied", [True, False])
def test_logits_over_the_tokens_that_stay_are_the_same_to_the_bit(tied, kind):
    old = two_scripts(tied, kind)
    new = TrimVocabulary().apply(old, of(RUSSIAN))
    new_id = mapping(old, new)
    kept = torch.tensor(sorted(new_id))
    for text in RUSSIAN:
        ids = ids_of(old, text)
        assert [new_id[key] for key in ids] == ids_of(new, text), "cut otherwise than before"
        assert torch.equal(logits(new, ids_of(new, text)), logits(old, ids)[:, kept])
    assert new.end_of_text == new_id[old.end_of_text]
    assert not moved(old, new, RUSSIAN, "exact").broken


def test_a_script_that_is_never_written_leaves_with_its_rows():
    old = two_scripts()
    new = TrimVocabulary().apply(old, of(RUSSIAN))
    before, after = total_parameters(old.decoder.shape), total_parameters(new.decoder.shape)
    assert after <= 0.7 * before


@examples(40)
@given(st.text(max_size=30))
def test_a_trimmed_tokenizer_loses_no_text(text):
    for kind in ("bpe", "bytes"):
        new = trimmed(kind)
        plain = text.replace("▁", " ")
        found = Tokenizer.from_str(new.tokenizer_json).decode(ids_of(new, plain), skip_special_tokens=False)
        assert found == plain if kind == "bpe" else found.replace("▁", " ").removeprefix(" ") == plain.removeprefix(" ")


@cache
def trimmed(kind, min_count=1):
    return TrimVocabulary(min_count=min_count).apply(two_scripts(True, kind), of(RUSSIAN))


@examples(40)
@given(st.data())
def test_any_text_whose_tokens_all_stay_is_cut_as_before(data):
    kind = data.draw(st.sampled_from(["bpe", "unigram", "bytes"]))
    old, new = two_scripts(True, kind), trimmed(kind, data.draw(st.sampled_from([1, 3])))
    new_id = mapping(old, new)
    names = Tokenizer.from_str(new.tokenizer_json)
    keys = data.draw(st.lists(st.integers(0, names.get_vocab_size() - 1), max_size=12))
    text = names.decode(keys, skip_special_tokens=True).replace("▁", " ").replace("�", "")
    before = ids_of(old, text)
    if set(before) <= new_id.keys():
        assert [new_id[key] for key in before] == ids_of(new, text)


def test_the_score_of_the_unknown_stays_with_the_lowest_of_all():
    """x alone is unknown: at the lowest score - 10 it loses to four pieces, at -9 - 10 it would win."""
    scores = {
        "<unk>": 0.0,
        "xa": -9.0,
        "a": -9.0,
        "b": -9.0,
        "c": -9.0,
        "d": -9.0,
        "abcd": -1.0,
        "e": -5.0,
        "zz": -40.0,
    }
    definition = Tokenizer(models.Unigram(list(scores.items()), unk_id=0, byte_fallback=False)).to_str()
    old = Checkpoint(initial_model(replace(SHAPE, vocab_size=len(scores)), 0), definition)
    new = TrimVocabulary().apply(old, of(["xabcd", "abcd"]))
    kept = Tokenizer.from_str(new.tokenizer_json)
    assert kept.encode("xabcd").tokens == ["xa", "b", "c", "d"]
    assert set(kept.get_vocab()) == set(scores) - {"e"}


def test_other_words_of_the_same_letters_are_not_unknown():
    scores = {"<unk>": 0.0, "ab": -1.0, "a": -3.0, "b": -3.0, "c": -3.0, "d": -9.0}
    definition = Tokenizer(models.Unigram(list(scores.items()), unk_id=0, byte_fallback=False)).to_str()
    old = Checkpoint(initial_model(replace(SHAPE, vocab_size=len(scores)), 0), definition)
    new = TrimVocabulary().apply(old, of(["abab"]))
    assert Tokenizer.from_str(new.tokenizer_json).encode("baab").tokens == ["b", "a", "ab"]
    assert "c" not in Tokenizer.from_str(new.tokenizer_json).get_vocab()


def test_tokens_that_come_seldom_leave_and_their_parts_stay():
    old = two_scripts()
    often, once = (mapping(old, trimmed("bpe", least)) for least in (2, 1))
    assert often.keys() < once.keys()
    letters = Tokenizer.from_str(old.tokenizer_json).get_vocab()
    assert {letters[letter] for letter in pre_tokenizers.ByteLevel.alphabet()} <= often.keys()
    model = json.loads(trimmed("bpe", 2).tokenizer_json)["model"]
    assert all(first in model["vocab"] and second in model["vocab"] for first, second in model["merges"])


def test_ids_elsewhere_in_the_definition_follow():
    old = two_scripts()
    tokenizer = Tokenizer.from_str(old.tokenizer_json)
    tokenizer.add_special_tokens(["<|begin|>"])
    begin = tokenizer.token_to_id("<|begin|>")
    template = processors.TemplateProcessing("<|begin|> $A", None, [("<|begin|>", begin)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    tokenizer.enable_padding(pad_id=begin, pad_token="<|begin|>")
    new = TrimVocabulary().apply(replace(old, tokenizer_json=tokenizer.to_str()), of(RUSSIAN))
    found = Tokenizer.from_str(new.tokenizer_json)
    assert found.get_vocab_size() == new.decoder.shape.vocab_size
    last = found.get_vocab_size() - 1
    assert found.token_to_id("<|begin|>") == last
    assert found.encode(RUSSIAN[0]).ids[0] == last
    assert found.padding["pad_id"] == last
    added = {token["content"]: token["id"] for token in json.loads(new.tokenizer_json)["added_tokens"]}
    assert added == {"<|endoftext|>": 0, "<|begin|>": last}


def test_nothing_is_changed_in_place():
    old = english(tied=False)
    before = copy.deepcopy(old.decoder.state_dict())
    ExpandVocabulary(tokens=5, min_frequency=1).apply(old, of(RUSSIAN))
    TrimVocabulary().apply(old, of(RUSSIAN))
    assert all(torch.equal(value, before[name]) for name, value in old.decoder.state_dict().items())


def test_what_was_added_can_be_taken_out_again():
    """Expanded by Russian, trimmed to English: the English model's own tokens and rows."""
    old = english()
    grown = ExpandVocabulary(tokens=60, min_frequency=1).apply(old, of(RUSSIAN))
    back = TrimVocabulary().apply(grown, of(ENGLISH))
    known = Tokenizer.from_str(old.tokenizer_json).get_vocab()
    assert set(Tokenizer.from_str(back.tokenizer_json).get_vocab()) <= set(known)
