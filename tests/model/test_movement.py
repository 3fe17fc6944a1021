"""Movement against a naive loop over places, and against functions whose movement is known in closed form."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from seedbed.core.errors import SeedbedError
from seedbed.model.movement import MOST_CHARACTERS, ROUNDING, moved
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder, initial_model
from seedbed.model.transforming import Checkpoint

WORDS = ["<|endoftext|>", "a", "b", "c", "d", "e", "f", "g"]
TEXTS = ["a b c d e f g a c e g b d f", "g f e d c b a", "a a b"]


def tokenizer(words):
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=words[0]))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return made.to_str()


def checkpoint(seed=0, words=WORDS, tied=True, context=8):
    decoder = initial_model(ModelShape(len(words), 16, 2, 2, context=context, tied_embeddings=tied), seed)
    with torch.no_grad():
        for weight in decoder.parameters():
            weight.mul_(4)
    return Checkpoint(decoder, tokenizer(words), 0)


def with_rows(old, words, rows):
    """The model with the vocabulary `words`: old rows where the word is known, else those of `rows`."""
    shape = dataclasses.replace(old.decoder.shape, vocab_size=len(words))
    state = dict(old.decoder.state_dict())
    known = {word: i for i, word in enumerate(WORDS)}
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        if name in state:
            state[name] = torch.stack([state[name][known[w]] if w in known else rows[w] for w in words])
    decoder = Decoder(shape)
    decoder.load_state_dict(state)
    return Checkpoint(decoder, tokenizer(words), words.index(WORDS[0]))


def naive(before, after, ids, pairs):
    """(largest, mean, divergence, same, gained) of one sequence in words, a place at a time, in plain arithmetic."""
    found = []
    was, now = [p[0] for p in pairs], [p[1] for p in pairs]
    to = dict(pairs)
    for t in range(len(ids)):
        with torch.no_grad():
            old = before.decoder(torch.tensor([ids[: t + 1]]))[0, -1].double().tolist()
            new = after.decoder(torch.tensor([[to[i] for i in ids[: t + 1]]]))[0, -1].double().tolist()
        x, y = [old[i] for i in was], [new[i] for i in now]
        gaps = [abs((b - np.mean(y)) - (a - np.mean(x))) for a, b in zip(x, y, strict=True)]
        p, q = np.exp(x) / np.exp(x).sum(), np.exp(y) / np.exp(y).sum()
        same = to.get(int(np.argmax(old))) == int(np.argmax(new))
        gained = 1 - np.exp(y).sum() / np.exp(new).sum()
        found.append((max(gaps), np.mean(gaps), float((p * np.log(p / q)).sum()), same, gained))
    return found


def test_every_number_is_that_of_a_naive_loop():
    """Words in another order, one gone and two new: matched by word, cut where one is gone, windows of the context."""
    words = ["new", "g", "a", "c", "<|endoftext|>", "b", "d", "f", "other"]  # without e
    rows = {word: torch.randn(16, generator=torch.Generator().manual_seed(i)) for i, word in enumerate(words)}
    before, after = checkpoint(), with_rows(checkpoint(1), words, rows)
    found = moved(before, after, TEXTS, "none")
    pairs = [(i, words.index(word)) for i, word in enumerate(WORDS) if word in words]
    expected = []
    for text in TEXTS:
        for piece in text.split(" e "):
            ids = [WORDS.index(word) for word in piece.split()]
            inputs = [0, *ids[:-1]]
            for at in range(0, len(inputs), 8):
                expected += naive(before, after, inputs[at : at + 8], pairs)
    largest, mean, divergence, same, gained = zip(*expected, strict=True)
    assert found.places == len(expected)
    assert found.unknown_tokens == pytest.approx(3 / 24)
    assert found.shared_tokens == 7
    assert found.max_logit_difference == pytest.approx(max(largest), rel=1e-5)
    assert found.mean_logit_difference == pytest.approx(np.mean(mean), rel=1e-5)
    assert found.kl_nats == pytest.approx(np.mean(divergence), rel=1e-5)
    assert found.same_likeliest == np.mean(same)
    assert found.new_token_probability == pytest.approx(np.mean(gained), rel=1e-5)
    assert found.lost_token_probability > 0
    assert found.tokens_per_byte_before == pytest.approx(24 / sum(len(text) for text in TEXTS))
    assert found.bytes_after - found.bytes_before == 4 * 16


def test_bits_per_byte_are_those_of_the_texts_alone():
    side = checkpoint()
    nats = 0.0
    for text in TEXTS:
        ids = [0] + [WORDS.index(word) for word in text.split()]
        for at in range(0, len(ids) - 1, 8):
            window = ids[at : at + 9]
            with torch.no_grad():
                logs = side.decoder(torch.tensor([window[:-1]]))[0].double().log_softmax(-1)
            nats -= float(logs[torch.arange(len(window) - 1), window[1:]].sum())
    found = moved(side, side, TEXTS, "exact")
    size = sum(len(text) for text in TEXTS)
    assert found.bits_per_byte_before == pytest.approx(nats / math.log(2) / size, rel=1e-5)
    assert found.bits_per_byte_after == found.bits_per_byte_before


def test_nothing_moved_is_nothing():
    side = checkpoint()
    found = moved(side, side, TEXTS, "exact")
    assert (found.max_logit_difference, found.kl_nats, found.same_likeliest) == (0, 0, 1)
    assert (found.new_token_probability, found.lost_token_probability, found.broken) == (0, 0, "")
    assert found.parameters_before == found.parameters_after


def test_a_constant_on_all_logits_of_a_place_is_no_movement():
    """Every row of an untied head moved by one vector: the logits of a place all move by its product with it."""
    before = checkpoint(tied=False)
    after = Checkpoint(copy.deepcopy(before.decoder), before.tokenizer_json, 0)
    with torch.no_grad():
        after.decoder.lm_head.weight += torch.linspace(-1, 1, 16)
        raw = after.decoder(torch.tensor([[0, 1, 2]])) - before.decoder(torch.tensor([[0, 1, 2]]))
    assert raw.abs().max() > 0.1
    found = moved(before, after, TEXTS, "exact")
    assert found.broken == ""
    assert found.max_logit_difference < 1e-5


@pytest.mark.parametrize(("by", "is_kept"), [(1e-6, True), (1e-2, False)])
def test_exact_is_up_to_rounding(by, is_kept):
    before = checkpoint(tied=False)
    after = Checkpoint(copy.deepcopy(before.decoder), before.tokenizer_json, 0)
    with torch.no_grad():
        after.decoder.lm_head.weight[3] *= 1 + by
    found = moved(before, after, TEXTS, "exact")
    assert found.logits_are_kept == is_kept
    assert (found.broken == "") == is_kept
    assert found.max_logit_difference > 0


def test_exact_asks_as_much_of_a_model_of_small_logits():
    before = checkpoint(tied=False)
    with torch.no_grad():
        before.decoder.lm_head.weight.mul_(1e-5)
    after = Checkpoint(copy.deepcopy(before.decoder), before.tokenizer_json, 0)
    with torch.no_grad():
        after.decoder.lm_head.weight[3].mul_(2)
    found = moved(before, after, TEXTS, "exact")
    assert found.max_logit_difference < ROUNDING  # absolute, it would pass
    assert "the logits should be the same" in found.broken


def test_a_new_token_within_the_hull_keeps_the_likeliest_one_and_a_loud_one_does_not():
    before = checkpoint(tied=False)
    mean = before.decoder.lm_head.weight.detach().mean(0)
    # the head's rows alone matter here: no text has the new words
    quiet = with_rows(before, [*WORDS, "new"], {"new": mean})
    kept = moved(before, quiet, TEXTS, "greedy")
    assert kept.broken == ""
    assert kept.same_likeliest == 1
    assert 0 < kept.new_token_probability < 0.5
    assert kept.max_logit_difference < 1e-5
    loud = with_rows(before, [*WORDS, "new", "wen"], {"new": mean + 5, "wen": mean - 5})
    broken = moved(before, loud, TEXTS, "greedy")
    assert "the likeliest token should be the same" in broken.broken
    assert moved(before, loud, TEXTS, "exact").broken == ""  # logits of known tokens are what they were


def test_a_tie_is_no_change_of_mind():
    before = checkpoint(tied=False)
    head = before.decoder.lm_head.weight.detach()
    words = ["copy", *WORDS]  # in front, so that it is taken first of equals
    with torch.no_grad():
        ids = torch.tensor([[0, *(WORDS.index(word) for word in TEXTS[0].split()[:7])]])
        likeliest = int(before.decoder(ids).argmax(-1)[0, 0])
    same = with_rows(before, words, {"copy": head[likeliest]})
    assert moved(before, same, TEXTS, "greedy").broken == ""
    ahead = with_rows(before, words, {"copy": head[likeliest] * 1.01})
    assert moved(before, ahead, TEXTS, "greedy").broken != ""


def test_without_texts_or_tokenizer_random_tokens_are_read_and_it_is_said():
    bare = [Checkpoint(checkpoint(seed).decoder) for seed in (0, 1)]
    for texts in ([], TEXTS):
        found = moved(*bare, texts, "none")
        assert found.texts == 0
        assert found.places == 16 * 8
        assert found.bits_per_byte_before is None
        assert found.tokens_per_byte_after is None
        assert "random tokens" in found.told()[0]
    assert moved(*bare, [], "none") == moved(*bare, [], "none")
    assert moved(checkpoint(), checkpoint(1), [], "exact").broken


def test_a_vocabulary_that_grew_without_a_tokenizer_keeps_its_numbers():
    before = checkpoint()
    grown = with_rows(before, [*WORDS, "new"], {"new": torch.zeros(16)})
    found = moved(Checkpoint(before.decoder), Checkpoint(grown.decoder), [], "exact")
    assert found.broken == ""
    assert found.shared_tokens == 8


def test_a_shorter_context_is_compared_where_both_reach():
    before = checkpoint(context=8)
    short = Checkpoint(checkpoint(context=4).decoder, before.tokenizer_json, 0)
    assert moved(before, short, TEXTS, "exact").broken == ""


def test_a_long_text_is_read_in_part():
    side = checkpoint()
    found = moved(side, side, ["a b " * MOST_CHARACTERS, "c"], "exact")
    assert found.texts == 1
    assert found.places == MOST_CHARACTERS // 2


@pytest.mark.parametrize("texts", [[""], ["", "a"], ["a"], ["zzz"]])
def test_odd_texts(texts):
    side = checkpoint()
    assert moved(side, side, texts, "exact").broken == ""


def test_models_of_nothing_in_common_and_numbers_that_are_none_are_errors():
    side = checkpoint()
    other = checkpoint(words=["x", "y", "z"])
    with pytest.raises(SeedbedError, match="a single token in common"):
        moved(side, other, TEXTS, "none")
    sick = Checkpoint(copy.deepcopy(side.decoder), side.tokenizer_json, 0)
    with torch.no_grad():
        sick.decoder.model.norm.weight[0] = float("nan")
    with pytest.raises(SeedbedError, match="the transform made a model whose logits are no numbers"):
        moved(side, sick, TEXTS, "none")
    with pytest.raises(SeedbedError, match="the model gives logits that are no numbers"):
        moved(sick, side, TEXTS, "none")


def test_nobody_is_changed_and_it_is_told_as_json():
    sides = [checkpoint(), checkpoint(1)]
    kept = [copy.deepcopy(side.decoder.state_dict()) for side in sides]
    found = moved(*sides, TEXTS, "greedy")
    for side, state in zip(sides, kept, strict=True):
        assert all(torch.equal(value, state[name]) for name, value in side.decoder.state_dict().items())
    told = found.to_json()
    assert told["broken"] == found.broken != ""
    assert told["places"] == found.places
    assert all(math.isfinite(value) for value in told.values() if isinstance(value, float))
