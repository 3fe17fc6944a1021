"""Untie the Knots: what is tied can be untied from the tags alone, and nothing is lost, cut off or trained on twice."""

import itertools

import numpy as np
import pytest
from tokenizers import Tokenizer

from seedbed.core.errors import RecipeError
from seedbed.tokenize.byte_pairs import byte_letters
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from seedbed.train.contract import Example, Reading
from seedbed.train.objectives.untie_the_knots import UntieTheKnots

END = 9
TAILS_AND_HEADS, IDS, LETTERS = (1001, 1002, 1003, 1004), (1005, 1006, 1007, 1008, 1009), (1100, 1101, 1102, 1103)


def knots(**about) -> UntieTheKnots:
    given = {"probability": 1.0, "id_length": 3, "documents": 4, "chunk_tags": TAILS_AND_HEADS}
    return UntieTheKnots(**{**given, "backtracking_tags": IDS, "letters": LETTERS, **about})


def packed(rng: np.random.Generator, length: int, longest: int = 40) -> Reading:
    """Documents of content 10..., each ended by END, cut somewhere."""
    tokens: list[int] = []
    starts: list[int] = []
    while len(tokens) < 2 * length:
        starts.append(len(tokens))
        tokens += [*rng.integers(10, 1000, rng.integers(1, longest)).tolist(), END]
    first = int(rng.integers(0, length // 2))
    inside = sorted({first, *(start for start in starts if first < start < first + length)})
    start = np.isin(inside, starts)
    made = np.array(tokens[first : first + length])
    return Reading(made, np.array(inside) - first, start, np.zeros(len(inside), np.int64))


def documents(reading: Reading) -> list[list[int]]:
    edges = [*reading.begin_P.tolist(), len(reading.tokens)]
    return [reading.tokens[low:high].tolist() for low, high in itertools.pairwise(edges)]


def stream(example: Example) -> list[int]:
    return [int(example.inputs[0]), *example.targets.tolist()]


def untied(tokens: list[int], id_length: int) -> list[list[int]]:
    """The documents, put together again by a reader who knows the tags and END, and nothing else."""
    begin, stop, ask, between, answered = IDS
    pieces: dict[tuple[int, ...], list[int]] = {}
    orders: list[list[tuple[int, ...]]] = []
    whole: list[list[int]] = []
    while tokens[-1] == TAILS_AND_HEADS[0]:  # padding: a last chunk has no tail
        tokens = tokens[:-1]
    at = 0
    while at < len(tokens):
        name: tuple[int, ...] = ()
        if tokens[at] == begin:
            name, at = tuple(tokens[at + 1 : at + 1 + id_length]), at + 1 + id_length
            assert tokens[at] == stop
            at += 1
            if tokens[at] in TAILS_AND_HEADS[1::2]:
                at += 1
        text: list[int] = []
        while at < len(tokens) and tokens[at] < 1000:
            text.append(tokens[at])
            at += 1
            if text[-1] == END:
                break
        if at < len(tokens) and tokens[at] in TAILS_AND_HEADS[0::2]:
            at += 1
        if at < len(tokens) and tokens[at] == ask:
            last = tokens.index(answered, at)
            inner = tokens[at + 1 : last]
            orders.append([tuple(inner[i : i + id_length]) for i in range(0, len(inner), id_length + 1)])
            assert all(inner[i] == between for i in range(id_length, len(inner), id_length + 1))
            at = last + 1
        assert text
        if name:
            assert name not in pieces, "ids do not repeat"
            pieces[name] = text
        else:
            whole.append(text)
    assert sorted(itertools.chain(*orders)) == sorted(pieces)
    return whole + [[token for name in order for token in pieces[name]] for order in orders]


@pytest.mark.parametrize("keep_order", [False, True])
@pytest.mark.parametrize("lengths", ["random", "equal"])
@pytest.mark.parametrize("seed", range(12))
def test_knots_come_undone_from_the_tags_alone(seed, lengths, keep_order):
    method = knots(lengths=lengths, keep_order=keep_order)
    reading = packed(np.random.default_rng(seed), method.reads(300))
    tokens = stream(method.example(reading, key=seed))
    assert len(tokens) == 301
    found = untied(tokens, method.id_length)
    assert sorted(found) == sorted(documents(reading))


def origins(method: UntieTheKnots, seed: int, length: int) -> tuple[Reading, Example]:
    """A reading in which every token is another one, so that each can be told wherever it lies."""
    shape = packed(np.random.default_rng(seed), length)
    reading = Reading(5000 + np.arange(length), shape.begin_P, shape.start_P, shape.metadata_P)
    return reading, method.example(reading, key=seed)


@pytest.mark.parametrize("backtracking", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_text_is_kept_and_trained_on_once_and_tags_never(seed, backtracking):
    method = knots(backtracking=backtracking)
    reading, example = origins(method, seed, method.reads(300))
    tokens = np.array(stream(example))
    text = tokens[tokens >= 5000]
    assert sorted(text.tolist()) == reading.tokens.tolist()
    trained = example.targets[example.weight > 0]
    of_text = trained[trained >= 5000]
    assert len(set(of_text.tolist())) == len(of_text)
    assert reading.tokens[0] not in of_text
    assert set(example.weight.tolist()) <= {0.0, 1.0}
    assert not set(trained.tolist()) & {*TAILS_AND_HEADS, *IDS[:3]}
    tags = {*TAILS_AND_HEADS, *IDS, *LETTERS}
    for i, target in enumerate(example.targets.tolist()):
        if target >= 5000 and example.inputs[i] in tags:
            assert example.weight[i] == 0.0
    lost = len(reading.tokens) - 1 - len(of_text)
    assert lost <= method.documents * method.chunks + len(reading.begin_P)


@pytest.mark.parametrize("seed", range(10))
def test_answers_are_trained_on_and_ids_in_front_are_not(seed):
    _, example = origins(knots(), seed, knots().reads(300))
    begin, _, ask, _, answered = IDS
    inside = ""
    for token, weight, before in zip(example.targets.tolist(), example.weight, example.inputs.tolist(), strict=True):
        inside = {begin: "name", ask: "answer"}.get(before, inside)
        if before == answered:
            assert weight == 0.0
            inside = ""
        if token in LETTERS:
            assert weight == (1.0 if inside == "answer" else 0.0)


@pytest.mark.parametrize("seed", range(10))
def test_the_last_chunk_stays_last_and_order_is_kept_where_asked(seed):
    for keep_order in (False, True):
        method = knots(keep_order=keep_order, backtracking=False)
        reading, example = origins(method, seed, method.reads(300))
        tokens = [token for token in stream(example) if token >= 5000]
        assert tokens[-1] == reading.tokens[-1]
        if keep_order:
            pieces = np.searchsorted(reading.begin_P, np.array(tokens) - 5000, side="right")
            for piece in set(pieces.tolist()):
                inside = np.array(tokens)[pieces == piece]
                assert (np.diff(inside) > 0).all()


def test_every_place_is_as_likely_as_another():
    """Three documents of 3 chunks, the last chunk fixed: each of the 8 others stands anywhere equally often."""
    tokens = 5000 + np.arange(90)
    reading = Reading(tokens, np.array([0, 30, 60]), np.ones(3, bool), np.zeros(3, np.int64))
    method = knots(lengths="equal", backtracking=False)
    counts = np.zeros((9, 9))
    for key in range(1000):
        text = [token - 5000 for token in stream(method.example(reading, key)) if token >= 5000]
        counts[np.arange(9), np.array(text[::10]) // 10] += 1
    assert counts[8, 8] == 1000
    expected = np.full((8, 8), 125.0)
    chi2 = float(((counts[:8, :8] - expected) ** 2 / expected).sum())
    assert chi2 < 85.4  # 99.9 % of 49 degrees of freedom
    assert np.allclose(counts.sum(0), 1000)


def test_chance_comes_from_the_key_alone():
    method = knots(probability=0.3)
    reading = packed(np.random.default_rng(0), method.reads(300))
    tied = 0
    for key in range(400):
        one, other = method.example(reading, key), method.example(reading, key)
        assert np.array_equal(one.targets, other.targets)
        assert np.array_equal(one.weight, other.weight)
        tied += not np.array_equal(one.targets[: len(reading.tokens) - 1], reading.tokens[1:])
    assert 90 < tied < 150


def test_an_untouched_sequence_is_plain_next_token_prediction_and_padding():
    method = knots(probability=0.0)
    reading = packed(np.random.default_rng(0), method.reads(300))
    example = method.example(reading, key=1)
    size = len(reading.tokens) - 1
    assert example.inputs[:size].tolist() == reading.tokens[:-1].tolist()
    assert example.targets[:size].tolist() == reading.tokens[1:].tolist()
    assert example.weight.tolist() == [1.0] * size + [0.0] * method.room
    assert len(example.inputs) == 300
    assert example.document is None  # attention inside documents makes no sense here, and the loop refuses it


def test_the_room_is_what_the_tags_of_the_longest_documents_need():
    method = knots()
    assert method.room == 4 * (4 + 3 * 5 + 1 + 3 * 3 + 2 + 1)
    reading = Reading(
        5000 + np.arange(method.reads(300)), np.arange(0, 160, 16), np.ones(10, bool), np.zeros(10, np.int64)
    )
    example = method.example(reading, key=0)
    tokens = stream(example)
    assert tokens.count(IDS[2]) == 4  # as many answers as documents that were cut, of ten
    assert tokens[-1] != TAILS_AND_HEADS[0]  # no padding is left, and nothing was cut off
    assert sum(token >= 5000 for token in tokens) == len(reading.tokens)


def test_wrong_tags_are_errors():
    with pytest.raises(RecipeError, match="4 tags, here are 3"):
        knots(chunk_tags=(1, 2, 3))
    with pytest.raises(RecipeError, match="needs 5 tags"):
        knots(backtracking_tags=(1, 2))
    with pytest.raises(RecipeError, match="different"):
        knots(letters=(1001, 7, 8))
    with pytest.raises(RecipeError, match="too few ids"):
        knots(letters=(7,))
    with pytest.raises(RecipeError, match=r"take 128 of 200 positions.*Cut fewer"):
        knots().reads(200)
    with pytest.raises(ValueError, match="two tokens"):
        knots().example(Reading.of(np.arange(1)), key=0)


def test_the_default_tags_are_bytes_that_no_text_has():
    tokenizer = Tokenizer.from_str(ByteBpe(vocab_size=300).make(iter(["any text at all"])))
    id_of = {byte: tokenizer.token_to_id(letter) for letter, byte in byte_letters().items()}
    absent = [id_of[byte] for byte in (0xC0, 0xC1, *range(0xF5, 0x100))]
    method = UntieTheKnots()
    assert [*method.chunk_tags, *method.backtracking_tags] == absent[:9]
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    assert list(method.letters) == [id_of[ord(letter)] for letter in alphabet]
