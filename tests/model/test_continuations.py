"""Log-likelihoods of continuations against a naive loop over tokens, boundaries and long contexts included."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.model.language_model import LanguageModel
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import initial_model

CONTEXT, END = 12, 0
WORDS = ["[END]", *["the", "cat", "sat", "on", "a", "mat", "and", "it", "was", "in"], ".", "-"]


@pytest.fixture(scope="module")
def asked():
    """(decoder, tokenizer, model that can be asked)."""
    decoder = initial_model(ModelShape(len(WORDS), 16, 2, 2, context=CONTEXT), 0)
    with torch.no_grad():
        decoder.model.embed_tokens.weight.mul_(60)
    decoder.requires_grad_(False)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "-"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return decoder, tokenizer, LanguageModel(decoder, END, tokenizer.to_str())


def naive(decoder, tokenizer, context, continuation):
    """(nats, greedy) of each token of the continuation: one pass a token over what fits in front of it."""
    front = tokenizer.encode(context).ids or [END]
    rest = tokenizer.encode(context + continuation).ids[len(tokenizer.encode(context).ids) :]
    stream, nats, greedy = [*front, *rest], 0.0, True
    for at in range(len(front), len(stream)):
        first = max(0, len(stream) - CONTEXT - 1)  # what fits together with the whole continuation
        if len(rest) > CONTEXT:  # windows of the continuation, each behind one token
            first = len(front) - 1 + (at - len(front)) // CONTEXT * CONTEXT
        logits = decoder(torch.tensor([stream[first:at]]))[0, -1].double()
        nats += float(logits.log_softmax(0)[stream[at]])
        greedy &= int(logits.argmax()) == stream[at]
    return nats, len(rest), greedy


def test_a_continuation_equals_a_naive_loop_at_every_length(asked):
    decoder, tokenizer, model = asked
    rng = np.random.default_rng(0)
    some = [" ".join(rng.choice(WORDS[1:], n)) for n in range(30)]
    lengths = [
        (0, 1),
        (0, 5),
        (1, 1),
        (3, 4),
        (5, 7),
        (6, 7),
        (11, 2),
        (12, 1),
        (25, 3),
        (2, 12),
        (2, 13),
        (0, 29),
        (29, 29),
    ]
    pairs = [(some[a], (" " if a else "") + some[b]) for a, b in lengths]
    nats, counts, greedy = model.continuation_log_likelihoods(*zip(*pairs, strict=True))
    expected = [naive(decoder, tokenizer, *pair) for pair in pairs]
    np.testing.assert_allclose(nats, [row[0] for row in expected], atol=1e-4)
    assert counts.tolist() == [b for _, b in lengths]
    assert greedy.tolist() == [row[2] for row in expected]


def test_what_the_model_would_write_is_greedy_and_a_change_in_it_is_not(asked):
    decoder, tokenizer, model = asked
    ids = tokenizer.encode("the cat").ids
    for _ in range(5):
        ids.append(int(decoder(torch.tensor([ids]))[0, -1].argmax()))
    written = " ".join(WORDS[i] for i in ids[2:])
    other = " ".join([WORDS[i] for i in ids[2:-1]] + [WORDS[1 + ids[-1] % 5]])
    _, _, greedy = model.continuation_log_likelihoods(["the cat"] * 3, [" " + written, " " + other, ""])
    assert greedy.tolist() == [True, False, True]


def test_an_empty_context_is_the_end_of_a_text_and_blanks_go_to_the_continuation(asked):
    _, _, model = asked
    text = "the cat sat on a mat"
    whole, counts = model.log_likelihoods(DocumentBatch.of([text, ""]))
    nats, n_tokens, _ = model.continuation_log_likelihoods(["", " \n", ""], [text, text, ""])
    np.testing.assert_allclose(nats, [whole[0], whole[0], 0], atol=1e-5)
    assert n_tokens.tolist() == [counts[0], counts[0], 0]
    blank = model.continuation_log_likelihoods(["the cat ", "the cat"], ["sat", " sat"])[0]
    assert blank[0] == blank[1] != 0
    assert [len(part) for part in model.continuation_log_likelihoods([], [])] == [0, 0, 0]


def test_tokens_that_melt_over_the_border_are_parted_by_count(asked):
    decoder, _, _ = asked
    vocabulary = {"[END]": 0, "a": 1, "b": 2, "c": 3, "ab": 4, "abc": 5, " ": 6}
    merging = Tokenizer(models.BPE(vocabulary, [("a", "b"), ("ab", "c")]))
    model = LanguageModel(decoder, END, merging.to_str())
    together = model.continuation_log_likelihoods(["c" * 4 + "a"], ["ba"])  # c c c c a | ba -> c c c c ab | a
    by_hand = decoder(torch.tensor([[3, 3, 3, 3, 1]]))[0, -1].double().log_softmax(0)[1]
    assert together[0][0] == pytest.approx(float(by_hand), abs=1e-5)
    swallowed = model.continuation_log_likelihoods(["a"], ["b"])  # a | b -> ab: nothing is left, so b stands alone
    by_hand = decoder(torch.tensor([[1]]))[0, -1].double().log_softmax(0)[2]
    assert swallowed[0][0] == pytest.approx(float(by_hand), abs=1e-5)
    assert swallowed[1].tolist() == [1]
    blank = model.continuation_log_likelihoods(["a  ", "a"], ["c", "  c"])  # blanks go to the continuation
    assert blank[0][0] == blank[0][1] != 0
    assert blank[1].tolist() == [3, 3]


def test_the_cost_counts_the_second_look_at_the_head(asked):
    decoder, tokenizer, _ = asked
    model = LanguageModel(decoder, END, tokenizer.to_str())
    model.continuation_log_likelihoods(["the cat"], [" sat on"])
    with_head = model.cost.flops_forward
    plain = LanguageModel(decoder, END, tokenizer.to_str())
    plain.log_likelihoods(DocumentBatch.of(["the cat sat on"]))
    assert with_head == plain.cost.flops_forward + 2 * 2 * 16 * len(WORDS)


def test_without_a_tokenizer_no_continuation_is_scored(asked):
    with pytest.raises(SeedbedError, match="without the model's tokenizer"):
        LanguageModel(asked[0], END).continuation_log_likelihoods(["a"], ["b"])
