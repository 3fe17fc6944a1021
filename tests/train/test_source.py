"""Data order: a pure function of (seed, source, epoch, index); every sequence leads back to its documents."""

from collections import Counter

import numpy as np
import pytest

from seedbed.core.errors import SeedbedError
from seedbed.stats.sampling import mix64 as mix
from seedbed.train.source import TokenSource, document_keys, unit_interval
from tests.train.markov_language import END, ids, shards, source

T = 8


def numbered(lengths: list[int]) -> list[np.ndarray]:
    """Documents whose tokens say where they come from: 100 * document + position, END last."""
    return [np.append(100 * (i + 1) + np.arange(n - 1), END).astype(np.uint16) for i, n in enumerate(lengths)]


LENGTHS = [5, 1, 30, 8, 9, 2, 17, 3, 12, 40]


def make(sizes: list[int], order: list[int] | None = None, copies: float = 1.0, **about) -> TokenSource:
    order = order or list(range(len(LENGTHS)))
    made, names = numbered(LENGTHS), ids(len(LENGTHS))
    laid = shards([made[i] for i in order], [names[i] for i in order], sizes)
    given = {"name": "s", "seed": 0, **about}
    return TokenSource(given["name"], laid, np.full(len(order), copies), seed=given["seed"], context=T)


def stream(made: TokenSource, count: int) -> list[list[int]]:
    return [made.sequence(i).tolist() for i in range(count)]


def test_sequences_overlap_by_one_token_and_cover_an_epoch_but_its_tail():
    made, total = make([10]), sum(LENGTHS)
    count = (total - 1) // T
    sequences = stream(made, count + 1)
    assert [made.epoch(i) for i in (0, count - 1, count, 2 * count)] == [0, 0, 1, 2]
    places = [made._locate(i)[1] for i in range(count)]
    assert sorted(places) == list(range(count)) != places
    in_stream = [sequence for _, sequence in sorted(zip(places, sequences[:count], strict=True))]
    flat = [in_stream[0][0]]
    for sequence in in_stream:
        assert len(sequence) == T + 1
        assert sequence[0] == flat[-1]
        flat += sequence[1:]
    assert len(flat) == count * T + 1 > total - T
    every = Counter(token for document in numbered(LENGTHS) for token in document.tolist())
    assert not Counter(flat) - every
    assert sequences[count] != sequences[0]


def test_the_order_is_that_of_the_ids_not_of_shards_rows_or_access():
    expected = stream(make([10]), 60)
    assert stream(make([3, 0, 6, 1]), 60) == expected
    assert stream(make([4, 6], order=[9, 2, 5, 0, 1, 8, 3, 7, 6, 4]), 60) == expected
    shuffled = make([10])
    for i in [59, 3, 58, 0, 30, 59, 3, 14]:
        assert shuffled.sequence(i).tolist() == expected[i]


def test_seed_and_name_change_the_order():
    expected = stream(make([10]), 15)
    assert stream(make([10], seed=1), 15) != expected
    assert stream(make([10], name="t"), 15) != expected
    assert stream(make([10], seed=-1), 15) != stream(make([10], seed=1), 15)


def test_every_sequence_leads_back_to_its_documents():
    made, by_id = make([3, 7], copies=1.5), dict(zip(ids(len(LENGTHS)), numbered(LENGTHS), strict=True))
    for i in range(80):
        tokens, named = made.sequence(i).tolist(), made.documents(i)
        parts = [by_id[name].tolist() for name in named]
        inside = [token for part in parts[1:-1] for token in part]
        if len(parts) == 1:
            assert str(tokens)[1:-1] in str(parts[0])
            continue
        at = next(k for k in range(1, T + 1) if tokens[:k] == parts[0][-k:] and tokens[k : k + len(inside)] == inside)
        assert tokens[at + len(inside) :] == parts[-1][: T + 1 - at - len(inside)] != []


def test_copies_are_read_as_often_as_they_say():
    copies = np.random.default_rng(0).choice([0.0, 0.25, 1.0, 2.5], 400)
    documents = [np.array([i + 1, i + 1, END], np.uint16) for i in range(400)]
    made = TokenSource("s", shards(documents, ids(400), [400]), copies, seed=0, context=2)
    readings = np.zeros((400, 30))
    for epoch in range(30):
        first = made._epoch(epoch)
        counted = Counter(made._ids[d] for d in first.document_R)
        readings[:, epoch] = [counted[name] for name in ids(400)]
    assert ((readings == np.floor(copies)[:, None]) | (readings == np.ceil(copies)[:, None])).all()
    for value, spread in ((0.25, 0.433), (2.5, 0.5)):
        mine = readings[copies == value]
        assert mine.mean() == pytest.approx(value, abs=4 * spread / np.sqrt(mine.size))
        assert mine.std(axis=1).mean() > 0  # the coin is thrown anew each epoch


def test_repeats_lie_apart():
    made = make([10], copies=3.0)
    order = made._epoch(0).document_R
    assert (order[1:] == order[:-1]).mean() < 0.4


def test_two_epochs_are_remembered_at_most():
    made = make([10])
    for i in range(0, 200, 7):
        made.sequence(i)
        assert len(made._epochs) <= 2


def test_too_few_tokens_bad_copies_and_double_ids_are_errors():
    with pytest.raises(SeedbedError, match="one sequence needs 9"):
        make([10], copies=0.05)
    with pytest.raises(SeedbedError, match="one sequence needs 9"):
        make([10], copies=0.0)
    with pytest.raises(SeedbedError, match="finite"):
        make([10], copies=float("nan"))
    made = numbered([20, 20])
    with pytest.raises(SeedbedError, match="1 copies for 2 documents"):
        TokenSource("s", shards(made, ids(2), [2]), np.ones(1), seed=0, context=T)
    with pytest.raises(SeedbedError, match="share an id"):
        TokenSource("s", shards(made, ids(1) * 2, [2]), np.ones(2), seed=0, context=T)


def test_exactly_one_sequence_is_enough():
    made = TokenSource("s", shards(numbered([T + 1]), ids(1), [1]), np.ones(1), seed=0, context=T)
    assert stream(made, 3) == [numbered([T + 1])[0].tolist()] * 3


def test_the_hash_is_splitmix64_and_even():
    # the first outputs of SplitMix64 from state 0 (the published test vector)
    states = (np.arange(3, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    assert mix(states).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    units = unit_interval(document_keys(ids(4000)))
    assert units.min() >= 0
    assert units.max() < 1
    assert np.abs(np.sort(units) - (np.arange(4000) + 0.5) / 4000).max() < 1.63 / np.sqrt(4000)


def test_the_chain_source_has_the_context_it_was_given():
    assert source(50, context=32).sequence(0).shape == (33,)
