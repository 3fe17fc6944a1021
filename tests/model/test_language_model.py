"""Document losses and log-likelihoods against a naive loop over documents and tokens."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DOCUMENTS, DocumentBatch
from seedbed.model import counts
from seedbed.model.language_model import LanguageModel
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder, initial_model

SHAPE = ModelShape(40, 16, 2, 2, context=32)
END = 0


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    model = initial_model(SHAPE, 0)
    with torch.no_grad():
        model.model.embed_tokens.weight.mul_(40)
    return model


def tokenised(lengths: list[int], seed: int = 0) -> DocumentBatch:
    """Documents of these many tokens, the last of each END; the flat ids begin behind some foreign ones."""
    rng = np.random.default_rng(seed)
    pieces = [np.append(rng.integers(1, 40, max(0, n - 1)), END)[:n] for n in lengths]
    offsets = 5 + np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    flat = np.concatenate([np.full(5, 39), *pieces, np.full(3, 38)]).astype(np.uint16)
    rows = DocumentBatch.of([""] * len(lengths)).rows
    return DocumentBatch(rows, (flat, offsets))


def naive(decoder: Decoder, tokens: list[int]) -> list[float]:
    """Nats of every token, one window and one position at a time."""
    decoder.requires_grad_(False)
    losses: list[float] = []
    stream = [END, *tokens]
    for at in range(0, len(tokens), SHAPE.context):
        window = stream[at : at + SHAPE.context]
        for t in range(min(SHAPE.context, len(tokens) - at)):
            logits = decoder(torch.tensor([window[: t + 1]]))[0, -1].double()
            losses.append(float(-logits.log_softmax(0)[tokens[at + t]]))
    return losses


def test_document_losses_equal_a_naive_loop(decoder):
    lengths = [1, 5, 0, 16, 17, 31, 32, 33, 64, 65, 100, 0]
    batch = tokenised(lengths)
    found = LanguageModel(decoder, END).document_losses(batch)
    flat, offsets = batch.token_ids
    for i, length in enumerate(lengths):
        losses = naive(decoder, flat[offsets[i] : offsets[i + 1]].tolist())
        assert len(losses) == length
        assert found[i] == pytest.approx(np.mean(losses) if length else 0.0, abs=1e-5)


def test_a_document_is_blind_to_its_neighbours(decoder):
    batch = tokenised([3, 70, 15, 33, 1, 0, 200, 16] * 9, seed=3)
    together = LanguageModel(decoder, END).document_losses(batch)
    alone = [LanguageModel(decoder, END).document_losses(batch.one(row))[0] for row in range(len(batch))]
    np.testing.assert_allclose(together, alone, atol=1e-5, rtol=0)


def word_tokenizer() -> str:
    vocabulary = {"<|endoftext|>": 0, "?": 1, **{f"w{i}": i for i in range(2, 40)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer.to_str()


def test_log_likelihoods_leave_end_of_text_out(decoder):
    texts = ["w5 w6 w7", "", " ".join(f"w{2 + i % 38}" for i in range(50)), "🙂 \0", "w9"]
    model = LanguageModel(decoder, END, word_tokenizer())
    found, n_tokens = model.log_likelihoods(DocumentBatch.of(texts))
    assert n_tokens.tolist() == [3, 0, 50, 2, 1]
    expected = [5, 6, 7], [], [2 + i % 38 for i in range(50)], [1, 1], [9]
    for value, tokens in zip(found, expected, strict=True):
        assert value == pytest.approx(-sum(naive(decoder, tokens)), abs=1e-4)
    assert str(found[1]) == "0.0"


def test_the_cost_counts_padding(decoder):
    model = LanguageModel(decoder, END)
    model.document_losses(tokenised([5, 9, 33]))  # 16-wide windows: 5, 9 and the last token of 33; one of 32
    assert model.cost.flops_forward == counts.forward_flops(SHAPE, 4, 16) + counts.forward_flops(SHAPE, 1, 32)
    assert model.cost.flops_backward == 0
    before = model.cost.flops
    model.document_losses(tokenised([0, 0]))
    assert model.cost.flops == before


def test_no_documents_and_a_null_text(decoder):
    model = LanguageModel(decoder, END, word_tokenizer())
    assert model.document_losses(tokenised([])).shape == (0,)
    assert [len(part) for part in model.log_likelihoods(DocumentBatch.of([]))] == [0, 0]
    rows = arrow.table(
        {name: ["w3" if name == "text" else ""] for name in DOCUMENTS.names} | {"id": [b"x" * 16], "offset": [0]},
        DOCUMENTS,
    )
    assert model.log_likelihoods(DocumentBatch(rows))[1].tolist() == [1]


def test_foreign_ids_and_a_missing_tokenizer_are_named(decoder):
    rows = DocumentBatch.of([""]).rows
    foreign = DocumentBatch(rows, (np.array([3, 40]), np.array([0, 2], np.int64)))
    with pytest.raises(SeedbedError, match="the model knows 40"):
        LanguageModel(decoder, END).document_losses(foreign)
    with pytest.raises(SeedbedError, match="tokenizer"):
        LanguageModel(decoder, END).log_likelihoods(DocumentBatch.of(["a"]))
    with pytest.raises(SeedbedError, match="outside the vocabulary"):
        LanguageModel(decoder, 40)
