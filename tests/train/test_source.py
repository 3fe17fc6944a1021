"""Data order: a pure function of (seed, source, epoch, index); every sequence leads back to its documents."""

import itertools
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, strategies

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import hash_bytes
from seedbed.core.nouns import TOKEN_INDEX
from seedbed.stats.sampling import mix64 as mix
from seedbed.train import source as sources
from seedbed.train.source import Metadata, TokenShard, TokenSource, document_keys, unit_interval
from tests.conftest import examples
from tests.train.markov_language import END, documents, ids, shards, source, transitions

T = 8


def numbered(lengths: list[int]) -> list[np.ndarray]:
    """Documents whose tokens say where they come from: 100 * document + position, END last."""
    return [np.append(100 * (i + 1) + np.arange(n - 1), END).astype(np.uint16) for i, n in enumerate(lengths)]


LENGTHS = [5, 1, 30, 8, 9, 2, 17, 3, 12, 40]


def make(sizes: list[int], order: list[int] | None = None, copies: float | np.ndarray = 1.0, **about) -> TokenSource:
    order = order or list(range(len(LENGTHS)))
    made, names = numbered(LENGTHS), ids(len(LENGTHS))
    laid = shards([made[i] for i in order], [names[i] for i in order], sizes)
    given = {"seed": 0, "context": T, **about}
    return TokenSource(given.pop("name", "s"), laid, np.broadcast_to(copies, len(order)), **given)


def stream(made: TokenSource, count: int) -> list[list[int]]:
    return [made.reading(i).tokens.tolist() for i in range(count)]


def labels(count: int) -> Metadata:
    """Document i of `numbered` is preceded by i tokens: 50001, 50002, ..."""
    sizes = np.arange(count)
    return Metadata(np.concatenate([50001 + np.arange(n) for n in sizes]), np.append(0, np.cumsum(sizes)))


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
        assert shuffled.reading(i).tokens.tolist() == expected[i]


def test_seed_and_name_change_the_order():
    expected = stream(make([10]), 15)
    assert stream(make([10], seed=1), 15) != expected
    assert stream(make([10], name="t"), 15) != expected
    assert stream(make([10], seed=-1), 15) != stream(make([10], seed=1), 15)


def test_every_sequence_leads_back_to_its_documents():
    made, by_id = make([3, 7], copies=1.5), dict(zip(ids(len(LENGTHS)), numbered(LENGTHS), strict=True))
    for i in range(80):
        tokens, named = made.reading(i).tokens.tolist(), made.documents(i)
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
        counted = Counter(made._id_N16[d].tobytes() for d in first.document_R)
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
        made.reading(i)
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
    units = unit_interval(document_keys(np.frombuffer(b"".join(ids(4000)), np.uint8).reshape(-1, 16)))
    assert units.min() >= 0
    assert units.max() < 1
    assert np.abs(np.sort(units) - (np.arange(4000) + 0.5) / 4000).max() < 1.63 / np.sqrt(4000)


def test_the_chain_source_has_the_context_it_was_given():
    assert source(50, context=32).reading(0).tokens.shape == (33,)


def test_the_order_is_the_one_it_has_always_been():
    """Golden: another order would make runs of before this change impossible to go on with, or to repeat."""
    chain = source(300, context=32, seed=5)
    read = [chain.reading(i).tokens.tobytes() for i in range(3000)]
    assert (hash_bytes(*read).hex(), chain.epoch(2999)) == ("f1e3c8141e808d0013ae5a0b5f232b30", 28)
    copies = np.random.default_rng(1).choice([0, 0.3, 1, 2.7], 300)
    laid = shards(documents(300, 1, transitions(0)), ids(300), [100, 0, 200])
    replay = TokenSource("replay", laid, copies, seed=-7, context=24)
    read = [replay.reading(i).tokens.tobytes() for i in range(3000)]
    assert (hash_bytes(*read).hex(), replay.epoch(2999)) == ("45ccd7ea4131431fa53d6525b06cb01a", 19)


def walked(made: TokenSource, epoch: int, labelled: bool) -> list[tuple[int, bytes, bool, bool]]:
    """The stream of an epoch, token by token: (token, document, whether it starts it, whether it is metadata)."""
    numbers = {name: i for i, name in enumerate(ids(len(LENGTHS)))}
    texts, found = numbered(LENGTHS), []
    for document in made._epoch(epoch).document_R:
        name = made._id_N16[document].tobytes()
        ahead = list(range(50001, 50001 + numbers[name])) if labelled else []
        whole = ahead + texts[numbers[name]].tolist()
        found += [(token, name, k == 0, k < len(ahead)) for k, token in enumerate(whole)]
    return found


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("reads", [None, 5, 2, 31])
def test_a_reading_says_where_documents_and_their_metadata_lie_in_it(reads, labelled):
    metadata = labels(len(LENGTHS)) if labelled else None
    copies = np.where(np.arange(len(LENGTHS)) % 4 == 1, 0.0, 1.5)  # some documents are not read at all
    made = make([3, 7], copies=copies, metadata=metadata, reads=reads)
    assert made.stride == (reads or T + 1) - 1
    streams = [walked(made, epoch, labelled) for epoch in range(3)]
    assert {(len(stream) - 1) // made.stride for stream in streams} != {0}
    for index in range(sum((len(stream) - 1) // made.stride for stream in streams)):
        epoch, within = made._locate(index)
        span = streams[epoch][within * made.stride :][: made.stride + 1]
        one = made.reading(index)
        assert one.tokens.tolist() == [token for token, *_ in span]
        cuts = [k for k, (_, name, starts, _) in enumerate(span) if k == 0 or starts]
        assert one.begin_P.tolist() == cuts
        assert one.start_P.tolist() == [span[k][2] for k in cuts]
        ends = [*cuts[1:], len(span)]
        assert one.metadata_P.tolist() == [sum(e[3] for e in span[a:b]) for a, b in zip(cuts, ends, strict=True)]
        assert made.documents(index) == [span[k][1] for k in cuts]


def test_metadata_follows_its_document_wherever_its_shard_and_row_are():
    order = [9, 2, 5, 0, 1, 8, 3, 7, 6, 4]
    ordered = labels(len(LENGTHS))
    pieces = [ordered.ids[ordered.offset_N1[i] : ordered.offset_N1[i + 1]] for i in order]
    moved = Metadata(np.concatenate(pieces), np.append(0, np.cumsum([len(piece) for piece in pieces])))
    expected = stream(make([10], metadata=ordered), 40)
    assert stream(make([4, 6], order=order, metadata=moved), 40) == expected
    assert stream(make([4, 6], order=order, metadata=ordered), 40) != expected
    with pytest.raises(SeedbedError, match="metadata of 9 documents where there are 10"):
        make([10], metadata=labels(9))


def test_parts_share_the_documents_out_by_their_ids_alone():
    def read(**about) -> set[bytes]:
        laid = shards([np.array([i + 1, END], np.uint16) for i in range(1000)], ids(1000), [300, 700])
        made = TokenSource(about.pop("name", "s"), laid, np.ones(1000), context=1, **{"seed": 0, **about})
        return {made._id_N16[d].tobytes() for d in made._epoch(0).document_R}

    first, rest = read(part=(0.0, 0.3)), read(part=(0.3, 1.0))
    assert not first & rest
    assert first | rest == set(ids(1000)) == read()
    assert len(first) == pytest.approx(300, abs=4 * np.sqrt(1000 * 0.3 * 0.7))
    assert read(part=(0.0, 0.3), name="s+cooldown", seed=9) == first
    assert read(part=(0.0, 0.2)) < first
    with pytest.raises(SeedbedError, match="has 0 selected tokens"):
        read(part=(0.4, 0.4))


def test_the_part_says_nothing_about_the_coin_of_copies():
    names = np.frombuffer(b"".join(ids(4000)), np.uint8).reshape(-1, 16)
    laid = shards([np.array([1, END], np.uint16) for _ in range(4000)], ids(4000), [4000])
    whole = TokenSource("s", laid, np.full(4000, 0.5), seed=0, context=1)
    half = TokenSource("s", laid, np.full(4000, 0.5), seed=0, context=1, part=(0.0, 0.5))
    inside = np.isin(document_keys(names), half._key_N)
    assert whole._repeats(0)[inside].mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(inside.sum()))
    assert sources._hash(whole._stream, 1, 0, whole._key_N)[inside].astype(float).mean() == pytest.approx(
        2**63, rel=0.06
    )


def test_threads_may_read_at_once():
    expected = stream(make([10], copies=1.5), 400)
    made = make([10], copies=1.5)
    order = np.random.default_rng(0).permutation(400).tolist()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: made.reading(i).tokens.tolist(), order))
    assert found == [expected[i] for i in order]


def test_a_cut_token_file_is_an_error_of_the_index():
    laid = shards(numbered([20, 20]), ids(2), [1, 1])
    cut = TokenShard(laid[1].tokens[:-1], laid[1].index)
    with pytest.raises(SeedbedError, match="the index of shard 1 points behind its 19 tokens"):
        TokenSource("s", [laid[0], cut], np.ones(2), seed=0, context=T)


def test_a_large_index_is_read_without_a_loop_over_documents():
    """300,000 documents: a loop in Python over them would take longer than all of this."""
    n = 300_000
    flat, rng = np.ones(8 * n, np.uint16), np.random.default_rng(0)
    columns = {"offset": np.arange(n) * 8, "n_tokens": np.full(n, 8), "n_bytes": np.full(n, 8)}
    index = arrow.table({"id": arrow.id_column(rng.integers(0, 256, (n, 16), dtype=np.uint8)), **columns}, TOKEN_INDEX)
    metadata = Metadata(np.ones(2 * n, np.uint16), 2 * np.arange(n + 1))
    calls = 0

    def count(*_) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        made = TokenSource("s", [TokenShard(flat, index)], np.ones(n), seed=0, context=T, metadata=metadata)
        made.reading(0)
    finally:
        sys.setprofile(None)
    assert calls < 2000


RANKED = [4.0, -1.0, 2.5, 7.0, 0.0, 3.0, 9.0, 1.0, 8.0, 5.0]


def ranked(sizes: list[int], buckets: int, order: list[int] | None = None, **about) -> TokenSource:
    laid = order or list(range(len(LENGTHS)))
    return make(sizes, order, rank_N=np.array(RANKED)[laid], buckets=buckets, **about)


def test_a_curriculum_reads_every_epoch_from_the_lowest_rank_to_the_highest():
    one = ranked([10], 10)
    by_rank = np.argsort(RANKED)
    stream_of_documents = np.concatenate([numbered(LENGTHS)[i] for i in by_rank])
    count = (sum(LENGTHS) - 1) // T
    for i in range(3 * count):
        within = i % count * T
        assert one.reading(i).tokens.tolist() == stream_of_documents[within : within + T + 1].tolist()
        assert one.epoch(i) == i // count


@examples(60)
@given(
    data=strategies.data(),
    count=strategies.integers(2, 40),
    buckets=strategies.integers(1, 50),
    copies=strategies.sampled_from([1.0, 0.6, 2.5]),
)
def test_buckets_are_equal_parts_in_the_order_of_ranks_and_hold_what_was_read_before(data, count, buckets, copies):
    """Few different ranks, so that there are ties."""
    rank = np.array(data.draw(strategies.lists(strategies.integers(-2, 3), min_size=count, max_size=count)), float)
    laid = shards([np.full(9, i + 1, np.uint16) for i in range(count)], ids(count), [count])
    about = {"seed": data.draw(strategies.integers(-3, 3)), "context": 1}
    plain = TokenSource("s", laid, np.full(count, copies), **about)
    made = TokenSource("s", laid, np.full(count, copies), **about, rank_N=rank, buckets=buckets)
    for epoch in range(2):
        bucket = made._bucketed(epoch, rank)
        sizes = np.bincount(bucket, minlength=buckets)
        filled = sizes[sizes > 0]
        assert filled.max() - filled.min() <= 1
        assert len(filled) == min(buckets, count)
        order, before = made._epoch(epoch).document_R, plain._epoch(epoch).document_R
        assert sorted(order) == sorted(before), "the same repeats"
        assert (np.diff(bucket[order]) >= 0).all()
        for b in set(bucket[order].tolist()):
            inside = order[bucket[order] == b]
            assert inside.tolist() == [d for d in before.tolist() if bucket[d] == b], "shuffled as without"
        for lower, upper in itertools.pairwise(sorted(set(bucket.tolist()))):
            assert rank[bucket == lower].max() <= rank[bucket == upper].min()


@examples(30)
@given(
    index=strategies.lists(strategies.integers(0, 70), min_size=1, max_size=12),
    order=strategies.permutations(range(len(LENGTHS))),
    buckets=strategies.sampled_from([1, 3, 10, 1000]),
)
def test_a_curriculum_is_a_function_of_the_index_alone(index, order, buckets):
    """Whatever was asked before, and wherever shards and rows put the documents."""
    straight = ranked([10], buckets, copies=1.5)
    expected = [straight.reading(i).tokens.tolist() for i in range(71)]
    other = ranked([3, 0, 6, 1], buckets, order, copies=1.5)
    assert [other.reading(i).tokens.tolist() for i in index] == [expected[i] for i in index]


def test_equal_ranks_are_the_documents_order_without_a_curriculum_and_new_in_every_epoch():
    same, plain = make([10], rank_N=np.zeros(10), buckets=4), make([10])
    orders = [same._epoch(epoch).document_R.tolist() for epoch in range(3)]
    assert orders == [plain._epoch(epoch).document_R.tolist() for epoch in range(3)]
    assert len({tuple(order) for order in orders}) == 3
    assert ranked([10], 1)._epoch(0).document_R.tolist() == orders[0], "one bucket knows no ranks"


def test_a_part_and_copies_of_none_leave_the_others_in_their_order():
    copies = np.array([1.0, 0, 1, 1, 0, 1, 1, 1, 1, 1])
    rank = np.where(copies > 0, RANKED, np.nan)  # what is not read need not have a rank
    made = make([10], copies=copies, rank_N=rank, buckets=8)
    found = [ids(10).index(made._id_N16[d].tobytes()) for d in made._epoch(0).document_R]
    assert found == [i for i in np.argsort(RANKED).tolist() if copies[i]]
    half = ranked([10], 10, part=(0.0, 0.6))
    kept = [ids(10).index(half._id_N16[d].tobytes()) for d in half._epoch(1).document_R]
    assert kept == [i for i in np.argsort(RANKED).tolist() if i in kept]
    assert 0 < len(kept) < 10


def test_the_order_of_a_curriculum_is_the_one_it_has_always_been():
    """Golden, as for the order without."""
    laid = shards(documents(300, 1, transitions(0)), ids(300), [100, 0, 200])
    copies = np.random.default_rng(1).choice([0, 0.3, 1, 2.7], 300)
    rank = np.random.default_rng(2).integers(0, 40, 300).astype(float)
    made = TokenSource("replay", laid, copies, seed=-7, context=24, rank_N=rank, buckets=7)
    read = [made.reading(i).tokens.tobytes() for i in range(3000)]
    assert (hash_bytes(*read).hex(), made.epoch(2999)) == ("80f25f884998f91db555f6833dcb45ee", 19)


def test_ranks_that_say_no_order_are_errors():
    with pytest.raises(SeedbedError, match="9 ranks for 10 documents"):
        make([10], rank_N=np.zeros(9))
    with pytest.raises(SeedbedError, match="no finite number"):
        make([10], rank_N=np.full(10, np.nan))
    with pytest.raises(SeedbedError, match="0 buckets"):
        make([10], rank_N=np.zeros(10), buckets=0)
