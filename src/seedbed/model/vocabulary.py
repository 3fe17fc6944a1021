"""A tokenizer.json as data: merges that go on where its own end, and tokens that are taken out.

Read and written as the `tokenizers` library reads it. A token that is added to a vocabulary from outside gets its id
from the vocabulary's size there; so before anything changes, such tokens of a BPE vocabulary are entered in it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from seedbed.core.errors import SeedbedError
from seedbed.model.tokenizer import opened, tokenizer_of
from seedbed.text.bpe.learning import Pieces, encode_pieces, learn
from seedbed.text.bpe.letters import byte_letters, merges_of
from seedbed.text.bpe.merges import pair_table
from seedbed.text.bpe.wholes import Wholes, whole_table
from seedbed.text.kernel import Bytes, Ints

if TYPE_CHECKING:
    from seedbed.model.transforming import Initializer

Definition = dict[str, Any]
IntArray = npt.NDArray[np.int64]

_WHERE = "tokenizer.json"
_CHANGES = ("dropout", "continuing_subword_prefix", "end_of_word_suffix")
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_BATCH_TEXTS = 256


def usual_rows() -> Initializer:
    """How new tokens begin where nobody says it."""
    from seedbed.model.initializers.subtoken_mean import SubtokenMean

    return SubtokenMean()


def bounded(texts: Iterable[str], max_bytes: int) -> Iterator[str]:
    """Texts up to the one in which so many bytes of UTF-8 are reached."""
    left = max_bytes
    for text in texts:
        if left <= 0:
            return
        left -= len(text.encode())
        yield text


# Continuing


def next_merges(
    definition: str, texts: Iterable[str], n_merges: int, min_frequency: int, first_id: int
) -> list[tuple[int, int]]:
    """The merges that byte-level BPE would make next on these texts; merge k makes token first_id + k.

    Raises SeedbedError for a tokenizer that is no byte-level BPE, or that does more than merge by rank.
    """
    told = _byte_level(definition)
    words = _count_pieces(tokenizer_of(definition), texts)
    letters, spelled = byte_letters(), _spelled(told)
    if not words:
        return []
    data = "".join(words).translate({ord(letter): byte for letter, byte in letters.items()}).encode("latin-1")
    offsets = np.cumsum([0, *map(len, words)], dtype=np.int64)
    ids, ends = encode_pieces(np.frombuffer(data, np.uint8).copy(), offsets, *_merging(told, spelled))
    counts = np.fromiter(words.values(), np.int64, len(words))
    return learn(Pieces(ids, ends, counts), spelled, n_merges, min_frequency, first_id)


def with_merges(definition: str, merges: Sequence[tuple[int, int]], first_id: int) -> str:
    """The tokenizer.json with these merges behind its own; merge k makes token first_id + k, and old ids stay."""
    told = _settled(definition)
    model = told["model"]
    ids = cast("dict[str, int]", model["vocab"])
    name_of = {key: token for token, key in ids.items()}
    pairs = [list(pair) for pair in merges_of(model)]
    for key, (first, second) in enumerate(merges, first_id):
        pairs.append([name_of[first], name_of[second]])
        name_of[key] = name_of[first] + name_of[second]
        ids[name_of[key]] = key
    model["merges"] = pairs
    return _written(told)


def pieces_of(merges: Sequence[tuple[int, int]], first_id: int) -> tuple[IntArray, ...]:
    """What the tokenizer without these merges writes each of their tokens with."""
    found: list[IntArray] = []

    def of(key: int) -> IntArray:
        return found[key - first_id] if key >= first_id else np.array([key], np.int64)

    for first, second in merges:
        found.append(np.concatenate([of(first), of(second)]))
    return tuple(found)


def _byte_level(definition: str) -> Definition:
    """The definition, if it is one of byte-level BPE that merges by rank and does no more."""
    told = _settled(definition)
    model = told["model"]
    is_bytes = '"type": "ByteLevel"' in json.dumps(told.get("pre_tokenizer"))
    if model["type"] != "BPE" or not is_bytes or not byte_letters().keys() <= model["vocab"].keys():
        mend = "Merges can be continued where every byte has a token, as in GPT-2's, Llama 3's and byte_bpe's."
        raise SeedbedError(_WHERE, f"is no byte-level BPE (its model is {model['type']})", mend)
    changes = [name for name in _CHANGES if model.get(name)]
    if changes:
        raise SeedbedError(_WHERE, f"its model has {', '.join(changes)}: merges by rank alone can be continued")
    return told


def _count_pieces(tokenizer: Any, texts: Iterable[str]) -> Counter[str]:
    """How often each piece between which nothing is merged occurs, in letters for bytes."""
    counts = Counter[str]()
    normalizer, split = tokenizer.normalizer, tokenizer.pre_tokenizer
    for text in texts:
        plain = text if normalizer is None else normalizer.normalize_str(text)
        counts.update(map(itemgetter(0), split.pre_tokenize_str(plain)))
    return counts


def _spelled(told: Definition) -> dict[int, bytes]:
    """Id -> bytes, of the tokens that letters for bytes spell."""
    letters = byte_letters()
    table = {ord(letter): byte for letter, byte in letters.items()}
    ids = cast("dict[str, int]", told["model"]["vocab"])
    return {key: token.translate(table).encode("latin-1") for token, key in ids.items() if letters.keys() >= set(token)}


def _merging(told: Definition, spelled: dict[int, bytes]) -> tuple[Ints, npt.NDArray[np.uint64], Wholes]:
    """(ids of the bytes, table of merges, tokens that a piece becomes at once)."""
    model = told["model"]
    ids = cast("dict[str, int]", model["vocab"])
    of_bytes = np.zeros(256, np.int64)
    for letter, byte in byte_letters().items():
        of_bytes[byte] = ids[letter]
    pairs = merges_of(model)
    first, second = (np.array([ids[pair[side]] for pair in pairs], np.int64) for side in (0, 1))
    table = pair_table(first, second, np.array([ids["".join(pair)] for pair in pairs], np.int64))
    at_once = {key: token for key, token in spelled.items() if token} if model.get("ignore_merges") else {}
    data: Bytes = np.frombuffer(b"".join(at_once.values()), np.uint8).copy()  # kernels know writable arrays only
    offsets = np.cumsum([0, *map(len, at_once.values())], dtype=np.int64)
    return of_bytes, table, whole_table(data, offsets, np.array(list(at_once), np.int64))


# Trimming


def count_tokens(definition: str, texts: Iterable[str], n_tokens: int) -> IntArray:
    """count_V: how often each of the V ids occurs in the texts. Raises SeedbedError for an id beyond them."""
    tokenizer = tokenizer_of(definition)
    count_V = np.zeros(n_tokens, np.int64)
    waiting = iter(texts)
    while batch := list(islice(waiting, _BATCH_TEXTS)):
        ids = [encoded.ids for encoded in tokenizer.encode_batch_fast(batch, add_special_tokens=False)]
        found = np.bincount(np.concatenate([np.zeros(0, np.int64), *map(np.array, ids)]).astype(np.int64))
        if len(found) > n_tokens:
            raise misfit(len(found) - 1, n_tokens)
        count_V[: len(found)] += found
    return count_V


def misfit(token: int, rows: int) -> SeedbedError:
    """A tokenizer that is not this model's."""
    what = f"writes token {token}; the model has {rows} rows"
    return SeedbedError(_WHERE, what, "Use the tokenizer that the model was trained with.")


def highest_id(definition: str) -> int:
    """The highest id of a tokenizer, added tokens included."""
    return max(cast("dict[str, int]", tokenizer_of(definition).get_vocab(with_added_tokens=True)).values(), default=-1)


def closed(definition: str, used: Set[int]) -> list[int]:
    """The ids that must stay so that text written in `used` is still written so, and no text is lost; ascending.

    Those are the tokens used, special tokens, bytes and what stands for the unknown; with BPE the parts of all these,
    down to the bytes (or characters, where bytes have no tokens); with Unigram also their single characters, so that
    other words of the same letters are not lost, and the piece of the lowest score, from which the score of an unknown
    character is reckoned.
    """
    told = _settled(definition)
    kept = set(used) | set(_added(definition)) | _of_processors(told)
    kind = told["model"]["type"]
    if kind == "BPE":
        return sorted(_closed_merges(told["model"], kept))
    if kind == "Unigram":
        return sorted(_closed_pieces(told["model"], kept))
    mend = "Tokenizers whose model is BPE or Unigram can be trimmed."
    raise SeedbedError(_WHERE, f"its model is {kind}", mend)


def without_others(definition: str, kept: Sequence[int]) -> str:
    """The tokenizer.json of the tokens `kept`, numbered from 0 in that order; merges that led to others are gone."""
    told = _settled(definition)
    model, new_id = told["model"], {old: new for new, old in enumerate(kept)}
    if model["type"] == "BPE":
        ids = cast("dict[str, int]", model["vocab"])
        model["vocab"] = {token: new_id[key] for token, key in ids.items() if key in new_id}
        model["merges"] = [list(pair) for pair in merges_of(model) if _survives(pair, model["vocab"])]
    else:
        listed = cast("list[Any]", model["vocab"])
        model["vocab"] = [listed[key] for key in kept if key < len(listed)]
        model["unk_id"] = None if model.get("unk_id") is None else new_id[model["unk_id"]]
    _renumber(told, new_id)
    return _written(told)


def _closed_merges(model: Definition, kept: set[int]) -> set[int]:
    ids = cast("dict[str, int]", model["vocab"])
    if byte_letters().keys() <= ids.keys():
        kept |= {ids[letter] for letter in byte_letters()}
    elif model.get("byte_fallback"):
        kept |= {key for token, key in ids.items() if _BYTE.fullmatch(token)}
    else:
        kept |= {key for token, key in ids.items() if len(token) == 1}
    if model.get("unk_token") is not None:
        kept.add(ids[model["unk_token"]])
    parts: dict[int, list[int]] = {}
    for first, second in merges_of(model):
        parts.setdefault(ids[first + second], []).extend((ids[first], ids[second]))
    waiting = list(kept)
    while waiting:
        new = set(parts.get(waiting.pop(), ())) - kept
        kept |= new
        waiting += new
    return kept


def _closed_pieces(model: Definition, kept: set[int]) -> set[int]:
    listed = cast("list[tuple[str, float]]", model["vocab"])
    if model.get("unk_id") is not None:
        kept.add(model["unk_id"])
    if model.get("byte_fallback"):
        kept |= {key for key, (piece, _) in enumerate(listed) if _BYTE.fullmatch(piece)}
    single = {piece: key for key, (piece, _) in enumerate(listed) if len(piece) == 1}
    seen = set("".join(listed[key][0] for key in kept if key < len(listed)))
    kept |= {single[character] for character in seen & single.keys()}
    kept.add(min(range(len(listed)), key=lambda key: listed[key][1]))
    return kept


def _survives(pair: tuple[str, str], ids: dict[str, int]) -> bool:
    return pair[0] in ids and pair[1] in ids and "".join(pair) in ids


# Both


def _settled(definition: str) -> Definition:
    """The definition as data, older layouts made like newer ones and added tokens of BPE entered in its vocabulary."""
    told = cast(Definition, json.loads(cast(str, opened(definition).to_str())))
    if told["model"]["type"] == "BPE":
        told["model"]["vocab"] |= {content: key for key, content in _added(definition).items()}
    return told


def _added(definition: str) -> dict[int, str]:
    """Id -> content, of the tokens added from outside, as the library numbers them."""
    return {key: token.content for key, token in opened(definition).get_added_tokens_decoder().items()}


def _processors(told: Definition) -> list[Definition]:
    """What adds tokens to texts, sequences laid open."""
    found, waiting = list[Definition](), [told.get("post_processor")]
    while waiting:
        part = waiting.pop()
        if part:
            found.append(part)
            waiting += part.get("processors", [])
    return found


def _of_processors(told: Definition) -> set[int]:
    named = {part[name][1] for part in _processors(told) for name in ("sep", "cls") if name in part}
    templates = [entry for part in _processors(told) for entry in part.get("special_tokens", {}).values()]
    padding = {told["padding"]["pad_id"]} if told.get("padding") else set[int]()
    return named | padding | {key for entry in templates for key in entry["ids"]}


def _renumber(told: Definition, new_id: dict[int, int]) -> None:
    """Every id outside the vocabulary."""
    for token in told["added_tokens"]:
        token["id"] = new_id[token["id"]]
    for part in _processors(told):
        for name in ("sep", "cls"):
            if name in part:
                part[name][1] = new_id[part[name][1]]
        for entry in part.get("special_tokens", {}).values():
            entry["ids"] = [new_id[key] for key in entry["ids"]]
    if told.get("padding"):
        told["padding"]["pad_id"] = new_id[told["padding"]["pad_id"]]


def _written(told: Definition) -> str:
    """As text, as the library lays it out."""
    return cast(str, opened(json.dumps(told, ensure_ascii=False)).to_str())
