"""How fast documents become token shards, beside the libraries underneath on the same texts.

    python benchmarks/speed/tokenize/bpe.py --corpus DIR [--megabytes 25] [--repeats 5] [--vocab-size 32768]

A byte-level BPE vocabulary is learned from the texts and split as GPT-2 does; the same vocabulary with the split of
cl100k and Llama 3 comes second, and with a normalizer it stands for all that is left to the library. Needs
`pip install tiktoken`. One process and one thread each, everything loaded, CPU-seconds, medians of `repeats`, the
engines taking turns; the libraries encode texts that lie in memory, the shards are read from Parquet and written, with
the document index. Writes benchmarks/results/speed_tokenize.csv. `identical` counts the documents whose ids are those
of `tokenizers`.

DIR holds *.jsonl files with `text`, and `language` at the top or `lang` in `metadata`.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tiktoken
from tokenizers import Tokenizer

from seedbed.core.artifact import Artifact, Store
from seedbed.engine.local import LocalEngine
from seedbed.pipeline.data import texts_into
from seedbed.pipeline.workplace import Workplace
from seedbed.recipes import fineweb_en
from seedbed.tokenize.byte_pairs import CL100K, GPT_2, byte_letters, merges_of
from seedbed.tokenize.run import Pool, make_tokenizer, texts_of, tokenize
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from seedbed.tokenize.tokenizers.from_file import FromFile

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import slices  # noqa: E402

RESULTS = HERE.parents[1] / "results" / "speed_tokenize.csv"
COLUMNS = ["engine", "tokenizer", "documents", "megabytes", "tokens", "cpu_seconds", "megabytes_per_cpu_second",
           "million_tokens_per_cpu_second", "repeats", "identical"]  # fmt: skip
PLAIN, LLAMA, NORMALIZED = "byte-level BPE", "byte-level BPE, cl100k split", "byte-level BPE, NFC first"
LLAMA_SPLIT = {"type": "Sequence", "pretokenizers": [
    {"type": "Split", "pattern": {"Regex": CL100K}, "behavior": "Isolated", "invert": False},
    {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]}  # fmt: skip
Ids = list[list[int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=os.environ.get("SEEDBED_CORPUS"))
    parser.add_argument("--megabytes", type=float, default=25)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--vocab-size", type=int, default=32768)
    asked = parser.parse_args()
    if asked.corpus is None:
        parser.error("--corpus DIR, or SEEDBED_CORPUS, says where the documents are")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with tempfile.TemporaryDirectory() as scratch:
        rows = measure(asked, Path(scratch))
    with RESULTS.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def measure(asked: argparse.Namespace, scratch: Path) -> list[dict[str, Any]]:
    """All engines, in turns."""
    folder = slices.cut(Path(asked.corpus), asked.megabytes, scratch / "in")
    with Workplace.open(scratch / "out") as place:
        documents = texts_into(place, fineweb_en.curation(), sorted(folder.glob("*.jsonl")))
        plain = make_tokenizer(ByteBpe(vocab_size=asked.vocab_size), documents, place.store)
        definition = json.loads((plain.path / "tokenizer.json").read_text(encoding="utf-8"))
        llama = made(place, documents, scratch / "llama.json", {**definition, "pre_tokenizer": LLAMA_SPLIT})
        normalized = made(place, documents, scratch / "nfc.json", {**definition, "normalizer": {"type": "NFC"}})
    texts = list(texts_of(documents))
    core, core_llama = tiktoken_core(definition, GPT_2), tiktoken_core(definition, CL100K)
    engines: dict[tuple[str, str], Callable[[], Any]] = {
        ("seedbed, to shards", PLAIN): lambda: shards(documents, plain, scratch),
        ("tokenizers encode_batch_fast", PLAIN): lambda: encoded(plain, texts),
        ("tiktoken encode_ordinary_batch", PLAIN): lambda: core.encode_ordinary_batch(texts, num_threads=1),
        ("tiktoken encode_to_numpy", PLAIN): lambda: [core.encode_to_numpy(t, disallowed_special=()) for t in texts],
        ("seedbed, to shards", LLAMA): lambda: shards(documents, llama, scratch),
        ("tokenizers encode_batch_fast", LLAMA): lambda: encoded(llama, texts),
        ("tiktoken encode_ordinary_batch", LLAMA): lambda: core_llama.encode_ordinary_batch(texts, num_threads=1),
        ("seedbed, to shards", NORMALIZED): lambda: shards(documents, normalized, scratch),
        ("tokenizers encode_batch_fast", NORMALIZED): lambda: encoded(normalized, texts),
    }
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in engines}
    ids: dict[tuple[str, str], Ids] = {}
    for _ in range(asked.repeats):
        for key, work in engines.items():
            start = time.process_time()
            given = work()
            seconds[key].append(time.process_time() - start)
            ids[key] = as_lists(given, documents)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    return [row(key, seconds[key], ids[key], ids["tokenizers encode_batch_fast", key[1]], megabytes) for key in engines]


def made(place: Workplace, documents: Artifact, file: Path, definition: dict[str, Any]) -> Artifact:
    """A tokenizer of this definition."""
    file.write_text(json.dumps(definition), encoding="utf-8")
    return make_tokenizer(FromFile(file=str(file)), documents, place.store)


def tiktoken_core(definition: dict[str, Any], pattern: str) -> tiktoken.Encoding:
    """tiktoken over the same merges: in a vocabulary learned here their order is that of the ids."""
    vocabulary, letters = definition["model"]["vocab"], byte_letters()
    tokens = [*letters, *("".join(pair) for pair in merges_of(definition["model"]))]
    ranks = {bytes(letters[letter] for letter in token): vocabulary[token] for token in tokens}
    return tiktoken.Encoding("core", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def shards(documents: Artifact, tokenizer: Artifact, scratch: Path) -> Artifact:
    """The whole step, into a store that does not know it yet."""
    fresh = Path(tempfile.mkdtemp(dir=scratch))
    return tokenize(documents, tokenizer, Store(fresh), LocalEngine())


def encoded(tokenizer: Artifact, texts: list[str]) -> Ids:
    """What the library gives, as it is."""
    library: Any = opened(tokenizer.path)
    return [item.ids for item in library.encode_batch_fast(texts, add_special_tokens=False)]


@cache
def opened(folder: Path) -> Any:
    library: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
    library.encode_special_tokens = True
    return library


def as_lists(given: Any, documents: Artifact) -> Ids:
    """The ids of every document, without the token that ends it."""
    if not isinstance(given, Artifact):
        return [np.asarray(ids).tolist() for ids in given]
    pieces = []
    for batch in Pool(documents, given):
        ids, offsets = batch.token_ids
        pieces += [ids[a : b - 1].tolist() for a, b in itertools.pairwise(offsets.tolist())]
    return pieces


def row(key: tuple[str, str], seconds: list[float], ids: Ids, expected: Ids, megabytes: float) -> dict[str, Any]:
    spent, tokens = statistics.median(seconds), sum(map(len, ids))
    found = {
        "engine": key[0],
        "tokenizer": key[1],
        "documents": len(ids),
        "megabytes": f"{megabytes:.1f}",
        "tokens": tokens,
        "cpu_seconds": f"{spent:.3f}",
        "megabytes_per_cpu_second": f"{megabytes / spent:.2f}",
        "million_tokens_per_cpu_second": f"{tokens / 1e6 / spent:.2f}",
        "repeats": len(seconds),
        "identical": sum(one == other for one, other in zip(ids, expected, strict=True)),
    }
    print(found, flush=True)
    return found


if __name__ == "__main__":
    main()
