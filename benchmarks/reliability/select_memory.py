"""Scoring a pool streams: how much memory it takes, and what is left of it after a kill.

    python benchmarks/reliability/select_memory.py --scratch DIR [--megabytes 100 400] [--scorers dsir,...]

Makes pools of so many megabytes of text (passages put together by chance; some thirty tokens a document beside it) in
shards of 16 MB, without curating them. Each scorer then fits, scores and selects a tenth, in a fresh process. Its peak
of memory of its own (RssAnon, looked at every 10 ms) should not grow with the pool, but for some 150 bytes a document
that ids, scores and copies take. Pages of files, which the machine may drop at will, are told beside it (VmHWM).

Then everything is made again in another process, which is killed (SIGKILL) as soon as half of the shards are scored,
and once more by the same call, to the end. Scores and weights must be the same bytes, and the shards that were scored
before the kill must not be written again.

Writes benchmarks/results/select_memory.csv. Exit code 1 where bytes differ or a finished shard was made again, or where
a pool of 400 MB or more made the process grow by more than half of it.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import multiprocessing
import os
import queue
import shutil
import sys
import threading
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Request, Store
from seedbed.core.nouns import TOKEN_INDEX
from seedbed.curate.tasks import KEPT
from seedbed.model.checkpoint import save_model
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import initial_model
from seedbed.pipeline.choose import weights_of
from seedbed.pipeline.material import Material
from seedbed.pipeline.workplace import Workplace
from seedbed.recipes import demo
from seedbed.select.contract import Scorer
from seedbed.select.scorers.dsir import Dsir
from seedbed.select.scorers.ngram_classifier import NgramClassifier
from seedbed.select.scorers.ngram_perplexity import NgramPerplexity
from seedbed.select.scorers.perplexity import Perplexity
from seedbed.select.selectors.top_k import TopK
from seedbed.tokenize.run import Pool
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe

RESULTS = Path(__file__).parents[1] / "results" / "select_memory.csv"
ROW = ("scorer", "pool_megabytes", "documents", "shards", "peak_own_mb", "peak_resident_mb", "start_own_mb",
       "seconds", "killed_after_shards", "shards_kept", "identical")  # fmt: skip
SHAPE = ModelShape(vocab_size=300, d_model=16, n_layers=1, n_heads=2, context=32)
SHARD_BYTES, PASSAGES, PASSAGE_WORDS = 16 << 20, 2000, 120
MADE = ("signals-*", "weights-*")


def scorers(root: Path) -> dict[str, Scorer]:
    return {
        "dsir": Dsir(),
        "ngram_classifier": NgramClassifier(),
        "ngram_perplexity": NgramPerplexity(),
        "perplexity": Perplexity(folder=str(root / "model")),
    }


def build(root: Path, megabytes: int) -> None:
    """Kept documents and tokens of a pool and a target, a tokenizer and a model."""
    store, rng = Store(root), np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(rng.choice(letters, rng.integers(2, 10))) for _ in range(20_000)])
    ranks = np.minimum(rng.zipf(1.2, (PASSAGES, PASSAGE_WORDS)), len(words)) - 1
    passages = [" ".join(row) for row in words[ranks]]
    for label, size in (("pool", megabytes * 1_000_000), ("target", 500_000)):
        documents, tokens = (store.draft(Request(noun, label, {})) for noun in ("Documents", "Tokens"))
        left, shard, total = size, 0, 0
        while left > 0:
            rows = max(1, min(left, SHARD_BYTES) // (2 * len(passages[0])))
            picked = rng.integers(0, PASSAGES, (rows, 2))
            texts = [
                f"{label} {shard} {row}. {passages[a]}\n{passages[b]}" for row, (a, b) in enumerate(picked.tolist())
            ]
            left -= sum(map(len, texts))
            total += write_shard(documents, tokens, shard, texts, rng)
            shard += 1
        documents.finish({})
        tokens.finish({"tokens": total, "dtype": "<u2", "vocab_size": SHAPE.vocab_size})
    tokenizer = store.draft(Request("Tokenizer", "pool", {}))
    definition = ByteBpe(vocab_size=SHAPE.vocab_size).make(iter(passages[:50]))
    special = '{"end_of_text": "<|endoftext|>"}'
    tokenizer.write_text("tokenizer.json", definition)
    tokenizer.write_text("special.json", special)
    tokenizer.finish({"vocab_size": SHAPE.vocab_size})
    save_model(root / "model", initial_model(SHAPE, 0), definition)
    (root / "model" / "special.json").write_text(special)


def write_shard(documents: object, tokens: object, shard: int, texts: list[str], rng: np.random.Generator) -> int:
    """One shard of both; gives its tokens."""
    n = len(texts)
    id_N16 = rng.integers(0, 256, (n, 16), dtype=np.uint8)
    empty = {field.name: [""] * n for field in KEPT if field.name not in ("id", "text", "offset")}
    columns = {**empty, "id": arrow.hex_column(id_N16), "text": texts, "offset": np.arange(n)}
    documents.write_table(f"part-{shard:05d}.parquet", arrow.table({name: columns[name] for name in KEPT.names}, KEPT))
    n_tokens = rng.integers(20, 45, n)
    ids = rng.integers(1, SHAPE.vocab_size, int(n_tokens.sum())).astype("<u2")
    tokens.write(f"ids-{shard:05d}.bin", lambda file: ids.tofile(file) or len(ids))
    index = {"id": arrow.id_column(id_N16), "offset": np.cumsum(n_tokens) - n_tokens, "n_tokens": n_tokens,
             "n_bytes": np.array([len(text) for text in texts])}  # fmt: skip
    tokens.write_table(f"part-{shard:05d}.parquet", arrow.table(index, TOKEN_INDEX))
    return len(ids)


def select(root: Path, name: str, answers: multiprocessing.Queue) -> None:
    """Fit, score and select in this process, and say what memory that took."""
    watch = Watch()
    found = {label: Pool(*(Artifact(next((root / "artifacts").glob(f"{noun}-{label}-*")))
                           for noun in ("documents", "tokens"))) for label in ("pool", "target")}  # fmt: skip
    tokenizer = Artifact(next((root / "artifacts").glob("tokenizer-*")))
    with Workplace.open(root) as place:
        material = Material(found["pool"], found["target"], tokenizer, demo.small_training(1000))
        begun, start = time.monotonic(), watch.now()
        budget = found["pool"].n_tokens // 10
        weights_of(place, material, scorers(root)[name], TopK(), budget, seed=0)
    answers.put((watch.stop(), start, status("VmHWM"), time.monotonic() - begun))


class Watch(threading.Thread):
    """The largest RssAnon since the start, in MB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self._ended = 0.0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self._ended.wait(0.01):
            self.peak = max(self.peak, self.now())

    def now(self) -> float:
        return status("RssAnon")

    def stop(self) -> float:
        self._ended.set()
        return self.peak


def status(field: str) -> float:
    told = Path("/proc/self/status").read_text(encoding="ascii")
    return int(told.partition(f"{field}:")[2].split()[0]) / 1024


def ask(root: Path, name: str) -> tuple[float, float, float, float]:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=select, args=(root, name, answers))
    process.start()
    while True:
        try:
            told = answers.get(timeout=1)
            break
        except queue.Empty:
            if not process.is_alive():
                sys.exit(f"{name} failed")
    process.join()
    return told


def kill_half_way(root: Path, name: str, shards: int) -> int:
    """Start it and kill it when half of the shards are there; how many there were."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=select, args=(root, name, answers))
    process.start()
    while process.is_alive() and len(scored(root)) < max(1, shards // 2):
        time.sleep(0.002)
    process.kill()
    process.join()
    return len(scored(root))


def scored(root: Path) -> dict[str, int]:
    """Shards of scores in the draft that have their receipts -> inode; one without is made again."""
    notes = (root / "artifacts").glob("signals-*.partial/.part-*.receipt")
    files = (note.with_name(note.name.removeprefix(".").removesuffix(".receipt")) for note in notes)
    return {file.name: file.stat().st_ino for file in files}


def forget(root: Path) -> None:
    """Leave the pool alone."""
    for pattern in MADE:
        for folder in (root / "artifacts").glob(pattern):
            shutil.rmtree(folder)
    shutil.rmtree(root / "cache", ignore_errors=True)


def digest(root: Path) -> str:
    """Of every byte of scores and weights."""
    files = [file for pattern in MADE for file in (root / "artifacts").glob(f"{pattern}/*") if file.is_file()]
    told = hashlib.sha256()
    for file in sorted(files):
        told.update(f"{file.relative_to(root)}\n".encode())
        told.update(file.read_bytes())
    return told.hexdigest()


def trial(root: Path, name: str, megabytes: int) -> dict[str, object]:
    shards = len(list((root / "artifacts").glob("documents-pool-*/part-*.parquet")))
    forget(root)
    peak, start, resident, seconds = ask(root, name)
    whole = digest(root)
    forget(root)
    killed_after = kill_half_way(root, name, shards)
    before = scored(root)
    ask(root, name)
    after = {file.name: file.stat().st_ino for file in (root / "artifacts").glob("signals-*/part-*.parquet")}
    documents = Artifact(next((root / "artifacts").glob("documents-pool-*"))).rows
    numbers = {"peak_own_mb": peak, "peak_resident_mb": resident, "start_own_mb": start, "seconds": seconds}
    return {
        "scorer": name,
        "pool_megabytes": megabytes,
        "documents": documents,
        "shards": shards,
        **{key: f"{value:.0f}" for key, value in numbers.items()},
        "killed_after_shards": killed_after,
        "shards_kept": sum(after[shard] == node for shard, node in before.items()),
        "identical": digest(root) == whole,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[100, 400])
    parser.add_argument("--scorers", default="dsir,ngram_classifier,ngram_perplexity,perplexity")
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    rows: list[dict[str, object]] = []
    for megabytes in asked.megabytes:
        root = asked.scratch / f"pool{megabytes}"
        if not (root / "built").exists():
            shutil.rmtree(root, ignore_errors=True)
            build(root, megabytes)
            (root / "built").touch()
        for name in asked.scorers.split(","):
            rows.append(trial(root, name, megabytes))
            print(rows[-1], flush=True)
    with asked.results.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, ROW, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    if any(wrong(row) for row in rows):
        sys.exit(1)


def wrong(row: dict[str, object]) -> bool:
    grown = float(str(row["peak_own_mb"])) - float(str(row["start_own_mb"]))
    megabytes = int(str(row["pool_megabytes"]))
    made_again = row["shards_kept"] != row["killed_after_shards"]
    return not row["identical"] or made_again or (megabytes >= 400 and grown > megabytes / 2)


if __name__ == "__main__":
    main()
