"""Text from a model: greedy is the argmax of full passes, draws come as often as claimed, characters stay whole."""

import itertools
import math

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model import sampling
from seedbed.model.attentions.sliding_window import SlidingWindow
from seedbed.model.feed_forwards.gelu import GELU
from seedbed.model.norms.layer_norm import LayerNorm
from seedbed.model.positions.learned import LearnedPositions
from seedbed.model.sampling import probabilities, sample
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder

END = 256


def byte_tokens() -> str:
    """A token a byte, and end-of-text."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    hidden = itertools.count(256)
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    byte_of = {chr(byte): byte for byte in seen}
    byte_of |= {chr(next(hidden)): byte for byte in range(256) if byte not in seen}
    vocabulary = {letter: byte_of[letter] for letter in letters}
    tokenizer = Tokenizer(models.BPE({**vocabulary, "<|endoftext|>": END}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer.to_str()


TOKENIZER = byte_tokens()


def model(**parts) -> Decoder:
    decoder = Decoder(ModelShape(257, **{"d_model": 16, "n_layers": 2, "n_heads": 2, "context": 12, **parts}))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in decoder.named_parameters():
            parameter.normal_(0.0, 0.1 if name.endswith("bias") else 0.7, generator=generator)
    return decoder


def drawn(monkeypatch, tokens: list[int], **options) -> list[str]:
    """The pieces told of a model that writes these tokens."""
    monkeypatch.setattr(sampling, "_tokens", lambda *_: iter(tokens))
    return list(sample(model(), TOKENIZER, "", end_of_text=END, **options))


GPT_2 = {"norm": LayerNorm(), "positions": LearnedPositions(), "feed_forward": GELU(), "biases": "all"}


@pytest.mark.parametrize("parts", [{}, {"attention": SlidingWindow(3)}, {"n_kv_heads": 1}, GPT_2])
def test_greedy_is_the_argmax_of_full_passes_and_forgets_the_older_half_of_a_full_context(parts):
    decoder = model(**parts)
    ids = [END, *b"seed"]
    expected: list[int] = []
    with torch.no_grad():
        for _ in range(40):
            expected.append(int(decoder(torch.tensor([ids]))[0, -1].argmax()))
            ids = [*(ids if len(ids) < 12 else ids[-6:]), expected[-1]]
    tokens = sampling._tokens(decoder, [END, *b"seed"], 0.0, 0, 1.0, 0)
    assert list(itertools.islice(tokens, 40)) == expected
    assert len(set(expected)) > 5, "worth comparing"

    told = "".join(sample(decoder, TOKENIZER, "seed", max_tokens=40, temperature=0, end_of_text=END))
    written = bytes(itertools.takewhile(lambda token: token != END, expected))
    assert told == written.decode(errors="replace")


def test_a_prompt_longer_than_the_context_is_read_from_its_end():
    decoder = model()
    with torch.no_grad():
        expected = int(decoder(torch.tensor([[*b"the older end"][-12:]]))[0, -1].argmax())
    assert next(sampling._tokens(decoder, [END, *b"the older end"], 0.0, 0, 1.0, 0)) == expected


def test_only_the_likeliest_is_greedy_whatever_the_temperature_and_the_seed():
    greedy = "".join(sample(model(), TOKENIZER, "a", max_tokens=30, temperature=0))
    for options in [{"top_k": 1}, {"top_p": 1e-9}, {"temperature": 1e-9}]:
        assert "".join(sample(model(), TOKENIZER, "a", max_tokens=30, seed=9, **options)) == greedy


def test_a_seed_repeats_and_another_one_differs():
    texts = ["".join(sample(model(), TOKENIZER, "a", max_tokens=30, seed=seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    before = torch.random.get_rng_state()
    list(sample(model(), TOKENIZER, "a", max_tokens=3))
    assert torch.equal(torch.random.get_rng_state(), before), "the global generator is left alone"


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("top_k", [0, 1, 3, 99])
@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.3, 1e-9])
def test_probabilities_are_those_of_the_definition(temperature, top_k, top_p):
    logits = [0.3, 2.0, -1.0, 2.0, 0.9, -4.0]
    order = sorted(range(6), key=lambda token: -logits[token])
    order = order[: top_k or 6]
    weight = {token: math.exp(logits[token] / temperature) for token in order}
    total = sum(weight.values())
    nucleus = next(n for n in range(1, 7) if sum(weight[token] for token in order[:n]) >= (top_p - 1e-12) * total)
    total = sum(weight[token] for token in order[:nucleus])
    expected = [weight[token] / total if token in order[:nucleus] else 0.0 for token in range(6)]
    found = probabilities(torch.tensor(logits), temperature, top_k, top_p)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-7)


def test_draws_come_as_often_as_their_probabilities_say(monkeypatch):
    decoder = model()
    with torch.no_grad():
        logits = decoder(torch.tensor([[END]]))[0, -1]
    expected = probabilities(logits, 2.0, 8, 0.9)
    draws = [next(sampling._tokens(decoder, [END], 2.0, 8, 0.9, seed)) for seed in range(1500)]
    counts = torch.bincount(torch.tensor(draws), minlength=257).double()
    likely = expected > 0
    assert not counts[~likely].any()
    assert 3 <= int(likely.sum()) <= 8
    spread = (1500 * expected * (1 - expected)).sqrt()
    assert ((counts - 1500 * expected).abs() <= 4.5 * spread + 1)[likely].all()


def test_text_ends_with_the_end_of_text_or_after_so_many_tokens(monkeypatch):
    assert drawn(monkeypatch, [*b"abc", END, *b"more"]) == ["a", "b", "c"]
    assert drawn(monkeypatch, [*b"abcdef"], max_tokens=4) == ["a", "b", "c", "d"]
    assert drawn(monkeypatch, [END]) == []


def test_characters_are_told_whole_and_what_is_none_is_told_in_the_end(monkeypatch):
    assert drawn(monkeypatch, [*"aé🌱!".encode(), END]) == ["a", "é", "🌱", "!"]
    seedling, flag = "🌱".encode(), "é".encode()
    assert "".join(drawn(monkeypatch, [*seedling[:3], END])) == seedling[:3].decode(errors="replace")
    for broken in (seedling[:2] + flag, b"\xff" * 9 + seedling, b"\x80\xe2\x82a" + flag, seedling[:1] * 7 + b"z"):
        assert "".join(drawn(monkeypatch, [*broken, END])) == broken.decode(errors="replace")


def test_words_that_lose_their_space_at_the_start_of_a_text_keep_it_inside(monkeypatch):
    tokenizer = Tokenizer(models.WordLevel({"▁the": 0, "▁seed": 1, "ling": 2, "?": 3}, unk_token="?"))
    tokenizer.decoder = decoders.Metaspace()
    monkeypatch.setattr(sampling, "_tokens", lambda *_: iter([0, 1, 2, 1]))
    pieces = list(sample(model(), tokenizer.to_str(), "", end_of_text=END, max_tokens=4))
    assert pieces == ["the", " seed", "ling", " seed"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_k": -1}, "top_k"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
    ],
)
def test_what_cannot_be_meant_is_named_before_anything_is_drawn(options, field):
    with pytest.raises(RecipeError, match=f"sample.{field}"):
        sample(model(), TOKENIZER, "a", **options)


def test_a_start_is_needed_and_must_be_in_the_vocabulary():
    with pytest.raises(RecipeError, match="no end-of-text token to start from"):
        sample(model(), TOKENIZER, "")
    small = Decoder(ModelShape(50, 16, 2, 2))
    with pytest.raises(SeedbedError, match="the prompt has token 122, the model knows 50"):
        sample(small, TOKENIZER, "z")
