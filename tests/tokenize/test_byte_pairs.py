"""Byte-level BPE by kernels: the ids that `tokenizers` gives, on every code point, or left to it."""

from __future__ import annotations

import copy
import itertools
import json
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from seedbed.core.nouns import DocumentBatch
from seedbed.text.bpe.pieces import piece_end
from seedbed.tokenize.byte_pairs import CL100K, GPT_2_AS_RELEASED, QWEN_2, BytePairs, merges_of
from seedbed.tokenize.contract import END_OF_TEXT
from seedbed.tokenize.encode import Encoder
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from tests.conftest import examples, sample_texts

TEXTS = [row["text"] for row in sample_texts()]
GPT_2_SPLIT: dict[str, Any] = json.loads(ByteBpe(vocab_size=2000).make(iter(TEXTS)))
BARE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def changed(told: dict[str, Any] = GPT_2_SPLIT, **changes: Any) -> dict[str, Any]:
    told = copy.deepcopy(told)
    told["model"] |= {name: value for name, value in changes.items() if name in told["model"]}
    return told | {name: value for name, value in changes.items() if name not in told["model"]}


def with_split(pattern: str) -> dict[str, Any]:
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return changed(pre_tokenizer={"type": "Sequence", "pretokenizers": [split, BARE_LEVEL]})


def shuffled() -> dict[str, Any]:
    """Merges in another order: the same vocabulary, other ids for most texts, tokens that merging does not reach."""
    merges = np.random.default_rng(3).permutation(GPT_2_SPLIT["model"]["merges"]).tolist()
    return changed(merges=merges)


def with_every_merge() -> dict[str, Any]:
    """Every way to put a token together is a merge, as in files that are made from a list of tokens."""
    vocabulary = GPT_2_SPLIT["model"]["vocab"]
    tokens = sorted((token for token in vocabulary if token != END_OF_TEXT), key=vocabulary.__getitem__)
    ways = [(token[:at], token[at:]) for token in tokens for at in range(1, len(token))]
    return changed(merges=[list(way) for way in ways if way[0] in vocabulary and way[1] in vocabulary])


DEFINITIONS = {
    "GPT-2": GPT_2_SPLIT,
    "GPT-2, as released": with_split(GPT_2_AS_RELEASED),
    "cl100k": with_split(CL100K),
    "Qwen 2": with_split(QWEN_2),
    "merges in another order": shuffled(),
    "tokens that merging does not reach": changed(shuffled(), ignore_merges=True),
    "every merge": with_every_merge(),
}
SPLITS = ["GPT-2", "cl100k", "Qwen 2"]
FAST = {name: BytePairs.of(json.dumps(told)) for name, told in DEFINITIONS.items()}
SLOW: dict[str, Any] = {name: Tokenizer.from_str(json.dumps(told)) for name, told in DEFINITIONS.items()}
END_ID = 65_535
PIECES = ["a", "the", " ", "  ", "\n", "\r\n", "\t", "'", "'s", "'S", "’s", "'ſ", "'ll", "'lL", "'RE", "'v", "'Ve",
          "re", "1", "12345", "٣", "²", "Ⅷ", "é", "e\u0301", "世界", "ﬁ", "ﬆ", "K", "\U0001f469\u200d\U0001f33e", "\0",
          "\x1c", "\x85", "\xa0", "\u180e", "\u200b", "\u2028", "\u3000", "\ufeff", ".", "...", "—", "\u0378",
          "\u1c89", "\U000323af", "\U0010ffff", END_OF_TEXT]  # fmt: skip
every_definition = pytest.mark.parametrize("name", DEFINITIONS)
every_split = pytest.mark.parametrize("name", SPLITS)


def slow(name: str, text: str) -> list[int]:
    SLOW[name].encode_special_tokens = True
    return SLOW[name].encode(text, add_special_tokens=False).ids


def fast(name: str, *texts: str, dtype: str = "<u2") -> list[list[int]]:
    core = FAST[name]
    assert core is not None
    ids, offsets = core.encode(*DocumentBatch.of(list(texts)).text_buffers(), END_ID, np.dtype(dtype))
    pieces = [ids[a:b].tolist() for a, b in itertools.pairwise(offsets.tolist())]
    assert all(piece[-1] == END_ID for piece in pieces)
    assert ids.dtype == np.dtype(dtype)
    assert sum(map(len, pieces)) == len(ids)
    return [piece[:-1] for piece in pieces]


def cut(name: str, text: str) -> list[str]:
    core = FAST[name]
    assert core is not None
    data, offsets = DocumentBatch.of([text]).text_buffers()
    core.encode(data, offsets, END_ID, np.dtype("<u2"))  # asks what the code points are
    ends = [0]
    while ends[-1] < offsets[-1]:
        ends.append(piece_end(data, ends[-1], offsets[-1], core.vocabulary.kinds, core.vocabulary.split))
    return [bytes(data[a:b]).decode() for a, b in itertools.pairwise(ends)]


def slow_cut(name: str, text: str) -> list[str]:
    return [text[a:b] for _, (a, b) in SLOW[name].pre_tokenizer.pre_tokenize_str(text)]


@every_definition
@given(st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.sampled_from(PIECES)).map("".join)))
@examples(150)
def test_ids_are_those_of_tokenizers(name: str, text: str) -> None:
    assert fast(name, text) == [slow(name, text)]


@every_split
@given(st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.sampled_from(PIECES)).map("".join)))
@examples(150)
def test_pieces_are_those_of_tokenizers(name: str, text: str) -> None:
    """Ids do not show where a text is cut if no merge would reach over the cut."""
    assert cut(name, text) == slow_cut(name, text)


@every_split
def test_pieces_are_those_of_tokenizers_around_every_code_point(name: str) -> None:
    rare = [*range(0x3400, 0xA000, 61), *range(0xAC00, 0xD7A4, 61), *range(0x17000, 0x1B000, 61)]
    rare += [*range(0xE000, 0xF900, 61), *range(0x20000, 0x33480, 61), 0xE0001, 0xE0100, 0x10FFFF]
    codes = [*range(0x3400), *range(0xA000, 0xAC00), *range(0xF900, 0x17000, 3), *range(0x1B000, 0x20000, 3), *rare]
    for start in range(0, len(codes), 20_000):
        text = "".join(f"a{chr(code)}b {chr(code)}1\n'{chr(code)}" for code in codes[start : start + 20_000])
        assert cut(name, text) == slow_cut(name, text)


@every_split
@pytest.mark.parametrize("piece", ["a", " ", "\n", ".", "ab", "\U0001f600", " x", "'s", "语", "the"])
def test_one_piece_of_any_length_is_encoded(name: str, piece: str) -> None:
    for count in [*range(1, 50, 3), 20_000]:
        assert fast(name, piece * count) == [slow(name, piece * count)]


@every_definition
def test_real_texts_are_encoded_alike_each_blind_to_the_others(name: str) -> None:
    texts = ["", *TEXTS, "", END_OF_TEXT, *TEXTS[::-1]]
    expected = [slow(name, text) for text in texts]
    assert fast(name, *texts) == expected
    assert fast(name, *texts, dtype="<u4") == expected
    assert [fast(name, text) for text in texts] == [[ids] for ids in expected]
    assert fast(name) == []


def test_the_special_cases_are_not_the_plain_ones() -> None:
    """Else nothing above would tell them apart."""
    text = "".join(TEXTS[:4]) + " It'S 12345.\n\n"
    told = [slow(name, text) for name in DEFINITIONS if name not in ("GPT-2, as released", "every merge")]
    assert len({tuple(ids) for ids in told}) == len(told)
    assert len(merges_of(DEFINITIONS["every merge"]["model"])) > 1.3 * len(merges_of(GPT_2_SPLIT["model"]))


def test_a_megabyte_of_one_letter_takes_no_longer_than_its_length_says() -> None:
    fast("GPT-2", "e" * 100)
    seconds = {}
    for n in (100_000, 1_000_000):
        start = time.process_time()
        (ids,) = fast("GPT-2", "e" * n)
        seconds[n] = time.process_time() - start
        assert len(ids) < n
    assert seconds[1_000_000] < 50 * seconds[100_000] + 0.1


def test_batches_follow_one_another() -> None:
    """What is remembered of one batch changes nothing in the next, not even once the memory is full."""
    core = BytePairs.of(json.dumps(GPT_2_SPLIT))
    assert core is not None
    generator = np.random.default_rng(5)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyzßéжщ語"))
    words = ["".join(word) for word in generator.choice(letters, (60_000, 6)).tolist()]
    for some in (words[:40_000], words[20_000:]):
        text = " ".join(some)
        ids, _ = core.encode(*DocumentBatch.of([text]).text_buffers(), END_ID, np.dtype("<u2"))
        assert ids.tolist() == [*slow("GPT-2", text), END_ID]


def test_an_encoder_ends_each_text_with_the_end_token() -> None:
    encoder = Encoder(json.dumps(GPT_2_SPLIT))
    ids, offsets = encoder.encode(*DocumentBatch.of(["", *TEXTS, END_OF_TEXT]).text_buffers())
    for i, text in enumerate(["", *TEXTS, END_OF_TEXT]):
        assert ids[offsets[i] : offsets[i + 1]].tolist() == [*slow("GPT-2", text), encoder.end_id]
    ids, offsets = encoder.encode(*DocumentBatch.of([]).text_buffers())
    assert (ids.tolist(), offsets.tolist()) == ([], [0])


@pytest.mark.parametrize(
    "told",
    [
        changed(normalizer={"type": "NFC"}),
        changed(dropout=0.1),
        changed(pre_tokenizer={**BARE_LEVEL, "use_regex": True, "add_prefix_space": True}),
        changed(pre_tokenizer=BARE_LEVEL),
        changed(pre_tokenizer={"type": "Whitespace"}),
        changed(pre_tokenizer=None),
        changed(pre_tokenizer={"type": "Sequence", "pretokenizers": []}),
        with_split(r"\w+|\W"),
        changed(added_tokens=[{**GPT_2_SPLIT["added_tokens"][0], "special": False}]),
        json.loads(Tokenizer.from_str(json.dumps(GPT_2_SPLIT)).to_str()) | {"model": {
            "type": "WordLevel", "vocab": {END_OF_TEXT: 0, "?": 1}, "unk_token": "?"}},
    ],
)  # fmt: skip
def test_what_the_kernels_could_encode_otherwise_is_left_to_tokenizers(told: dict[str, Any]) -> None:
    assert BytePairs.of(json.dumps(told)) is None
    texts = ["Öl and oil, don't 12345", "", f"a {END_OF_TEXT}"]
    tokenizer: Any = Tokenizer.from_str(json.dumps(told))
    if told["model"].get("dropout") is None:
        tokenizer.encode_special_tokens = True
        ids, offsets = Encoder(json.dumps(told)).encode(*DocumentBatch.of(texts).text_buffers())
        for i, text in enumerate(texts):
            expected = tokenizer.encode(text, add_special_tokens=False).ids
            assert ids[offsets[i] : offsets[i + 1] - 1].tolist() == expected


def test_where_ids_do_not_rise_with_the_merges_the_merges_count() -> None:
    told = copy.deepcopy(GPT_2_SPLIT)
    letters = {token: key for token, key in told["model"]["vocab"].items() if len(token) == 1}
    told["model"]["merges"] = [["b", "c"], ["a", "b"]]
    told["model"]["vocab"] = {**letters, "bc": 1001, "ab": 1000}
    tokenizer: Any = Tokenizer.from_str(json.dumps(told))
    core = BytePairs.of(json.dumps(told))
    assert core is not None
    ids, _ = core.encode(*DocumentBatch.of(["abc"]).text_buffers(), END_ID, np.dtype("<u2"))
    assert ids.tolist() == [letters["a"], 1001, END_ID]
    assert tokenizer.encode("abc", add_special_tokens=False).ids == ids.tolist()[:-1]


def test_older_files_write_a_merge_as_one_text() -> None:
    told = changed(merges=[" ".join(pair) for pair in GPT_2_SPLIT["model"]["merges"]])
    core = BytePairs.of(json.dumps(told))
    assert core is not None
    ids, _ = core.encode(*DocumentBatch.of(TEXTS[:1]).text_buffers(), END_ID, np.dtype("<u2"))
    assert ids.tolist() == [*slow("GPT-2", TEXTS[0]), END_ID]
