import itertools
import math

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import OUTCOMES, DocumentBatch
from seedbed.evaluate import run
from seedbed.evaluate.tasks.bits_per_byte import BitsPerByte, summarise, summarise_domains


class ByteUnigram:
    """A real language model: add-one byte frequencies of some training text; a token is `piece` bytes."""

    def __init__(self, training=b"", piece=1):
        counts = np.bincount(np.frombuffer(training, np.uint8), minlength=256) + 1
        self.log_p, self.piece = np.log(counts / counts.sum()), piece

    def log_likelihoods(self, documents):
        data, offsets = documents.text_buffers()
        nats = np.array([self.log_p[data[a:b]].sum() for a, b in itertools.pairwise(offsets)])
        return nats, -(-np.diff(offsets) // self.piece)


ITEMS = ["a plain sentence", "", "zß🌱", "x" * 500]


def test_a_uniform_byte_model_has_eight_bits_a_byte_and_any_tokenizer_agrees():
    for piece in (1, 3):
        outcomes = BitsPerByte().score(ByteUnigram(piece=piece), DocumentBatch.of(ITEMS), "web")
        found = summarise(outcomes)
        assert found.bits_per_byte == pytest.approx(8, abs=1e-12)
        assert (found.bytes, found.items) == (16 + 7 + 500, 4)
        assert found.loss_nats_per_token == pytest.approx(8 * math.log(2) * found.bytes / found.tokens)


def test_the_ratio_of_sums_is_not_the_mean_of_ratios():
    model = ByteUnigram(b"x" * 1000)
    batch = DocumentBatch.of(ITEMS)
    outcomes = BitsPerByte().score(model, batch, "web")
    assert outcomes.schema.equals(OUTCOMES)
    assert arrow.strings(outcomes, "item") == [identifier.hex() for identifier in batch.ids]
    nats = arrow.numpy(outcomes, "log_likelihood_nats")
    n_bytes = np.array([len(text.encode()) for text in ITEMS])
    assert arrow.numpy(outcomes, "n_bytes").tolist() == n_bytes.tolist()
    found = summarise(outcomes).bits_per_byte
    assert found == pytest.approx(-nats.sum() / n_bytes.sum() / math.log(2))
    full = n_bytes > 0
    assert abs(found - np.mean(-nats[full] / n_bytes[full]) / math.log(2)) > 1


def test_domains_are_summed_apart_and_splitting_items_into_batches_changes_nothing():
    model = ByteUnigram(b"the quick brown fox")
    parts = {"web": [DocumentBatch.of(["the", "fox"]), DocumentBatch.of(["zzz"])], "law": [DocumentBatch.of(["qed"])]}
    found = summarise_domains(run.score_domains(BitsPerByte(), model, parts))
    assert list(found) == ["web", "law"]
    whole = summarise(run.score(BitsPerByte(), model, DocumentBatch.of(["the", "fox", "zzz"]), "web"))
    assert found["web"] == whole
    assert found["law"].to_json()["bytes"] == 3


@pytest.mark.parametrize("value", [np.nan, -np.inf, 0.5])
def test_impossible_likelihoods_are_refused(value):
    class Broken:
        def log_likelihoods(self, documents):
            return np.array([-1.0, value]), np.array([1, 1])

    batch = DocumentBatch.of(["a", "b"])
    with pytest.raises(SeedbedError, match=f"web: item {batch.ids[1].hex()}"):
        BitsPerByte().score(Broken(), batch, "web")


def test_nothing_to_sum_up_is_an_error_and_lost_items_too():
    with pytest.raises(SeedbedError, match="no text"):
        summarise(BitsPerByte().score(ByteUnigram(), DocumentBatch.of([""]), "web"))
    with pytest.raises(SeedbedError, match="no text"):
        summarise(run.score_domains(BitsPerByte(), ByteUnigram(), {}))

    class Losing(BitsPerByte):
        def score(self, model, items, domain):
            return super().score(model, items, domain).slice(1)

    with pytest.raises(SeedbedError, match="1 outcomes for 2 items"):
        run.score(Losing(), ByteUnigram(), DocumentBatch.of(["a", "b"]), "web")
