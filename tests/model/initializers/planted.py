"""Languages of words with a planted likeness, and tokenizers that know the words."""

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers

from seedbed.model.transforming import Checkpoint, NewTokens


def words(ids):
    return " ".join(f"w{number}" for number in ids)


def tokenizer(size):
    made = Tokenizer(models.WordLevel({f"w{number}": number for number in range(size)}, unk_token="w0"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return made.to_str()


def chain(old, texts, length, seed):
    """(texts, length) words of a language in which each of `old` words is followed by one of three, and one in a
    hundred by any."""
    follow = np.random.default_rng(9).permuted(np.tile(np.arange(old), (old, 1)), axis=1)[:, :3]
    rng = np.random.default_rng(seed)
    made = np.zeros((texts, length), np.int64)
    made[:, 0] = rng.integers(0, old, texts)
    for at in range(1, length):
        usual = follow[made[:, at - 1], rng.integers(0, 3, texts)]
        made[:, at] = np.where(rng.random(texts) < 0.01, rng.integers(0, old, texts), usual)
    return made


def with_twins(ids, old, twins, seed):
    """Every second of each twin's original becomes the twin: number `old` and up."""
    changed = np.random.default_rng(seed).random(ids.shape) < 0.5
    for number, original in enumerate(twins):
        ids = np.where(changed & (ids == original), old + number, ids)
    return ids


def new_tokens(decoder, pieces, ids=(), *, seed=0, end=None):
    size = decoder.shape.vocab_size + len(pieces)
    texts = [words(row) for row in ids]
    return NewTokens(Checkpoint(decoder, end_of_text=end), tokenizer(size), tuple(pieces), lambda: iter(texts), seed)
