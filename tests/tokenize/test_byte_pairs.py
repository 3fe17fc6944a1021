"""Byte-level BPE through tiktoken's core: the ids that `tokenizers` gives, on every code point, or left to it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from seedbed.tokenize.byte_pairs import CL100K, GPT_2, QWEN_2, BytePairs
from seedbed.tokenize.contract import END_OF_TEXT
from seedbed.tokenize.encode import Encoder
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from tests.conftest import sample_texts

TEXTS = [row["text"] for row in sample_texts()]
GPT_2_SPLIT: dict[str, Any] = json.loads(ByteBpe(vocab_size=2000).make(iter(TEXTS)))
BARE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def with_split(pattern: str) -> dict[str, Any]:
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {**GPT_2_SPLIT, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, BARE_LEVEL]}}


DEFINITIONS = {"GPT-2": GPT_2_SPLIT, "cl100k": with_split(CL100K), "Qwen 2": with_split(QWEN_2)}
FAST = {name: BytePairs.of(json.dumps(told)) for name, told in DEFINITIONS.items()}
SLOW: dict[str, Any] = {name: Tokenizer.from_str(json.dumps(told)) for name, told in DEFINITIONS.items()}
PIECES = ["a", "the", " ", "  ", "\n", "\r\n", "\t", "'s", "'S", "’s", "'ſ", "1", "12345", "٣", "é", "e\u0301", "世界",
          "ﬁ", "\U0001f469\u200d\U0001f33e", "\0", "\x1c", "\x85", "\u2028", "\ufeff", ".", "...", "—",
          END_OF_TEXT]  # fmt: skip
names = pytest.mark.parametrize("name", DEFINITIONS)


def slow(name: str, text: str) -> list[int]:
    SLOW[name].encode_special_tokens = True
    return SLOW[name].encode(text, add_special_tokens=False).ids


def fast(name: str, text: str) -> list[int]:
    core = FAST[name]
    assert core is not None
    return core.encode(text).tolist()


@names
@given(st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.sampled_from(PIECES)).map("".join)))
@settings(max_examples=150, deadline=None, database=None)
def test_ids_are_those_of_tokenizers(name: str, text: str) -> None:
    assert fast(name, text) == slow(name, text)


@names
def test_ids_are_those_of_tokenizers_around_every_code_point(name: str) -> None:
    assigned = [*range(0xD800), *range(0xE000, 0x20000), *range(0x20000, 0x33480, 61), 0xE0001, 0xE0100, 0x10FFFF]
    for start in range(0, len(assigned), 20_000):
        text = "".join(f"a{chr(code)}b {chr(code)}1\n" for code in assigned[start : start + 20_000])
        assert fast(name, text) == slow(name, text)


@names
@pytest.mark.parametrize("piece", ["a", " ", "\n", ".", "ab", "\U0001f600", " x", "'s", "语"])
def test_one_piece_of_any_length_is_encoded(name: str, piece: str) -> None:
    assert fast(name, piece * 20_000) == slow(name, piece * 20_000)


def test_real_texts_are_encoded_alike_and_end_with_the_end_token() -> None:
    encoder = Encoder(json.dumps(GPT_2_SPLIT))
    ids, offsets = encoder.encode(["", *TEXTS, END_OF_TEXT])
    for i, text in enumerate(["", *TEXTS, END_OF_TEXT]):
        assert ids[offsets[i] : offsets[i + 1]].tolist() == [*slow("GPT-2", text), encoder.end_id]
    assert encoder.encode([])[0].shape == (0,)
    assert encoder.encode([])[1].tolist() == [0]


def changed(**changes: Any) -> dict[str, Any]:
    told = copy.deepcopy(GPT_2_SPLIT)
    told["model"] |= {name: value for name, value in changes.items() if name in told["model"]}
    return told | {name: value for name, value in changes.items() if name not in told["model"]}


def reordered() -> dict[str, Any]:
    """Two merges in the other order: the same vocabulary, other ids for some texts."""
    told = copy.deepcopy(GPT_2_SPLIT)
    merges = told["model"]["merges"]
    merges[0], merges[1] = merges[1], merges[0]
    return told


def out_of_reach() -> dict[str, Any]:
    """A token whose parts are never neighbours, since an earlier merge takes one of them away."""
    told = copy.deepcopy(GPT_2_SPLIT)
    vocabulary, merges = told["model"]["vocab"], told["model"]["merges"]
    first, second = next((a, b) for a, b in map(tuple, merges) if len(a) == 1 and len(b) == 1 and a != b)
    token = first + second + second  # (first, second + second) comes after (first, second)
    for pair in ([second, second], [first, second + second]):
        if "".join(pair) not in vocabulary:
            vocabulary["".join(pair)] = max(vocabulary.values()) + 1
            merges.append(pair)
    assert token in vocabulary
    return told


@pytest.mark.parametrize(
    "told",
    [
        changed(normalizer={"type": "NFC"}),
        changed(dropout=0.1),
        changed(unk_token=END_OF_TEXT),
        changed(pre_tokenizer={**BARE_LEVEL, "use_regex": True, "add_prefix_space": True}),
        changed(pre_tokenizer=BARE_LEVEL),
        changed(pre_tokenizer={"type": "Whitespace"}),
        changed(pre_tokenizer=None),
        changed(ignore_merges=True),
        with_split(r"\w+|\W"),
        reordered(),
        out_of_reach(),
        changed(added_tokens=[{**GPT_2_SPLIT["added_tokens"][0], "special": False}]),
    ],
)
def test_what_tiktoken_could_encode_otherwise_is_left_to_tokenizers(told: dict[str, Any]) -> None:
    assert BytePairs.of(json.dumps(told)) is None
    texts = ["Öl and oil, don't 12345", "", f"a {END_OF_TEXT}"]
    tokenizer: Any = Tokenizer.from_str(json.dumps(told))
    if told["model"]["dropout"] is None:
        tokenizer.encode_special_tokens = True
        ids, offsets = Encoder(json.dumps(told)).encode(texts)
        for i, text in enumerate(texts):
            expected = tokenizer.encode(text, add_special_tokens=False).ids
            assert ids[offsets[i] : offsets[i + 1] - 1].tolist() == expected


def test_where_ids_do_not_rise_with_the_merges_tiktoken_would_give_others() -> None:
    told = copy.deepcopy(GPT_2_SPLIT)
    letters = {token: key for token, key in told["model"]["vocab"].items() if len(token) == 1}
    told["model"]["merges"] = [["b", "c"], ["a", "b"]]
    told["model"]["vocab"] = {**letters, "bc": 1001, "ab": 1000}
    tokenizer: Any = Tokenizer.from_str(json.dumps(told))
    assert tokenizer.encode("abc", add_special_tokens=False).ids == [letters["a"], 1001]
    ranks = {bytes([byte]): 2000 + byte for byte in range(256)} | {b"bc": 1001, b"ab": 1000}
    assert BytePairs(GPT_2, ranks).encode("abc").tolist() == [1000, 2000 + ord("c")]
    assert BytePairs.of(json.dumps(told)) is None


def test_older_files_write_a_merge_as_one_text() -> None:
    told = copy.deepcopy(GPT_2_SPLIT)
    told["model"]["merges"] = [" ".join(pair) for pair in told["model"]["merges"]]
    core = BytePairs.of(json.dumps(told))
    assert core is not None
    assert core.encode(TEXTS[0]).tolist() == slow("GPT-2", TEXTS[0])
