"""Ways to choose data on a real pool: multilingual technical pages, and one project's documentation as the target.

    python benchmarks/effect/select/real.py [--corpus ../shared/corpus/out] [--target postgresql-doc] [--megabytes 40]
        [--seeds 5] [--arms random,dsir,...] [--tokens 1M] [--out runs/real] [--workers 2]

The corpus is the folder that ../shared/corpus/get_corpus.sh filled; its jsonl/all.jsonl is read. Every page of the
packages whose names begin with --target is taken out: half of them are for the methods to learn from, half to measure
on. Pool pages of which a fifth of the 13-grams of words stand in the target are dropped as near-duplicates of it; so
are target pages half of whose 13-grams are still in the pool, and measured pages half of whose are among those to
learn from. Pages of other languages are held out too, as further domains. A page's source is its package.

A model of 0.4 M parameters reads --tokens tokens of the pool. Each seed draws its own nine tenths of pool and target,
and methods are fitted anew for it. Random pages are read at other lengths too. Killed anywhere, the same command goes
on. Writes benchmarks/results/select_real_{comparison,summary,...}.csv where all arms run, and select_real_pool.csv:
what the pool is made of.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from seedbed import pipeline
from seedbed.core import arrow, units
from seedbed.core.nouns import DocumentBatch
from seedbed.evaluate.audits.ngram_overlap import NgramOverlap
from seedbed.evaluate.tasks.bits_per_byte import BitsPerByte
from seedbed.recipe import Arm, ComparePlan, EvaluatePlan, Recipe, Stage
from seedbed.recipes import _arms as named
from seedbed.recipes import demo, study
from seedbed.select.mixers.temperature import Temperature
from seedbed.select.mixers.unimax import Unimax
from seedbed.select.scorers.clusters import Clusters
from seedbed.select.scorers.color_filter import ColorFilter
from seedbed.select.scorers.constant import Constant
from seedbed.select.scorers.dsir import Dsir
from seedbed.select.scorers.miniplm import Miniplm
from seedbed.select.scorers.ngram_classifier import NgramClassifier
from seedbed.select.scorers.ngram_perplexity import NgramPerplexity
from seedbed.select.scorers.perplexity import Perplexity
from seedbed.select.selectors.gumbel_top_k import GumbelTopK
from seedbed.select.selectors.quotas import Quotas
from seedbed.select.selectors.top_k import TopK
from seedbed.text.repeats.overlap import KnownGrams, ngrams, plain_words

RESULTS = Path(__file__).parents[2] / "results"
TABLES = ("comparison", "summary", "picked", "agreement", "break_even", "break_even_points")
CURVE = (0.25, 0.5, 2.0, 4.0, 8.0)
LANGUAGES = ("de", "fr", "ja")
"""Beside the target, pages of these are held out, to see what choosing for the target costs elsewhere."""

SHORTEST, LONGEST = 200, 60_000
"""Bytes of a page: longer ones are cut, so that no page is a large part of what is read."""
HALF_BYTES, HELDOUT_BYTES = 400_000, 100_000
"""Text to learn from and to measure on, at most; of each further domain."""
GRAM, NEAR, LEAKED = 13, 0.2, 0.5
"""Words; from which shares on a pool page is a near-duplicate of the target, and a target page stands in the pool."""
BATCH = 500
Row = dict[str, str]


def arms(tokens: int) -> dict[str, Arm]:
    """Every arm by name, the floor first; small models read as much as in the planted pool's comparison."""
    top = TopK()
    color = ColorFilter(prior_tokens=tokens, conditional_tokens=tokens // 2, shape=0.5)
    one = [
        ("dsir", Dsir(), GumbelTopK()),
        ("ngram_classifier", NgramClassifier(), top),
        ("color_filter", color, top),
        ("miniplm", Miniplm(teacher_tokens=4 * tokens, reference_tokens=tokens // 2), top),
        ("perplexity", Perplexity(tokens=tokens, shape=0.5), top),
        ("ngram_perplexity", NgramPerplexity(), top),
        ("clusters", Clusters(clusters=64), Quotas(by=("cluster",), shares="equal")),
    ]
    mixers = [("unimax", Unimax()), ("temperature", Temperature())]
    found = [named.RANDOM, *(Arm(name, (Stage(scorer, selector),)) for name, scorer, selector in one)]
    found += [Arm(name, (Stage(Constant(), GumbelTopK(), mixer=mixer, domain="language"),)) for name, mixer in mixers]
    return {arm.name: arm for arm in found}


def build(corpus: Path, prefix: str, megabytes: float, folder: Path) -> None:
    """pool, target, measured and a file a further language, as JSON Lines; what is there already is left."""
    asked = {"corpus": str(corpus.resolve()), "target": prefix, "megabytes": megabytes}
    done = folder / "built.json"
    if done.exists():
        if json.loads(done.read_text(encoding="utf-8"))["asked"] != asked:
            raise SystemExit(f"{folder} was built from something else ({done}). Choose another --out, or remove it.")
        return
    pages, pool = split(corpus / "jsonl" / "all.jsonl", prefix, megabytes * 1e6)
    heldout = {language: take_heldout(pool, language) for language in LANGUAGES}
    pool, near = without_near_copies(pool, pages)
    learn, measure = (capped(half, HALF_BYTES) for half in halves(pages))
    learn = clean(learn, batches(pool))
    measure = clean(clean(measure, batches(pool)), batches(learn))
    if not learn or not measure:
        raise SystemExit(
            f"No page of packages {prefix}* is left to learn from and to measure on. Name another --target."
        )
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"pool": pool, "target": learn, "measured": measure, **{k: v for k, v in heldout.items() if v}}
    for name, rows in texts.items():
        write(folder / f"{name}.jsonl.gz", rows)
    counts = {name: {"pages": len(rows), "bytes": size(rows)} for name, rows in texts.items()}
    told = {"asked": asked, "texts": counts, "near_copies_of_the_target": near}
    done.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(told))


def split(file: Path, prefix: str, most: float) -> tuple[list[Row], list[Row]]:
    """(pages of the target's packages, other pages until they come to so many bytes)."""
    mine: list[Row] = []
    others: list[Row] = []
    left = most
    for row in pages(file):
        if row["source"].startswith(prefix):
            mine.append(row)
        elif left > 0:
            others.append(row)
            left -= len(row["text"].encode())
    if not mine:
        raise SystemExit(f"{file} has no page of a package that begins with {prefix!r}. Name another --target.")
    return mine, others


def pages(file: Path) -> Iterator[Row]:
    """text, url, source (the package) and language of each page, in the corpus's own order, which is shuffled."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            row: dict[str, Any] = json.loads(line)
            text = row["text"].encode()[:LONGEST].decode("utf-8", "ignore")
            if len(text.encode()) >= SHORTEST:
                about = row["metadata"]
                yield {"text": text, "url": row["url"], "source": about["package"], "language": about["lang"]}


def take_heldout(pool: list[Row], language: str) -> list[Row]:
    """Pages of a language, taken out of the pool: one in ten, until they are enough."""
    taken = [row for row in pool if row["language"] == language and digest(row, "heldout") % 10 == 0]
    taken = capped(taken, HELDOUT_BYTES)
    urls = {row["url"] for row in taken}
    pool[:] = [row for row in pool if row["url"] not in urls]
    return taken


def without_near_copies(pool: list[Row], target: list[Row]) -> tuple[list[Row], int]:
    """(the pool without pages that stand in the target to a fifth, how many those are)."""
    words = [batch.derive(plain_words) for batch in batches(target)]
    known = KnownGrams(np.concatenate([ngrams(some.first, some.hash, GRAM)[0] for some in words]))
    kept: list[Row] = []
    for at in range(0, len(pool), BATCH):
        rows = pool[at : at + BATCH]
        some = as_batch(rows).derive(plain_words)
        found_N = np.bincount(known.ngrams_in(some.first, some.hash, GRAM)[0], minlength=len(rows))
        share_N = found_N / np.maximum(np.diff(some.first) - GRAM + 1, 1)
        kept += [row for row, share in zip(rows, share_N, strict=True) if share < NEAR]
    return kept, len(pool) - len(kept)


def clean(rows: list[Row], among: Iterable[DocumentBatch]) -> list[Row]:
    """Those of which less than half stands in the other texts."""
    findings = NgramOverlap(n=GRAM, leaked_share=LEAKED).findings(among, as_batch(rows))
    verdicts = arrow.strings(findings, "verdict")
    return [row for row, verdict in zip(rows, verdicts, strict=True) if verdict in ("clean", "suspect")]


def halves(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """By a hash of each page's address."""
    first = [row for row in rows if digest(row, "half") % 2 == 0]
    return first, [row for row in rows if digest(row, "half") % 2 == 1]


def capped(rows: list[Row], most: int) -> list[Row]:
    """The first in the order of a hash, until they come to so many bytes."""
    kept: list[Row] = []
    left = most
    for row in sorted(rows, key=lambda row: digest(row, "cap")):
        if left > 0:
            kept.append(row)
            left -= len(row["text"].encode())
    return kept


def digest(row: Row, purpose: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{purpose} {row['url']}".encode()).digest()[:8], "little")


def size(rows: Sequence[Row]) -> int:
    return sum(len(row["text"].encode()) for row in rows)


def batches(rows: Sequence[Row]) -> Iterator[DocumentBatch]:
    for at in range(0, len(rows), BATCH):
        yield as_batch(rows[at : at + BATCH])


def as_batch(rows: Sequence[Row]) -> DocumentBatch:
    return DocumentBatch.of([row["text"] for row in rows])


def write(file: Path, rows: Sequence[Row]) -> None:
    with file.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as out:
        for row in rows:
            out.write((json.dumps(row, ensure_ascii=False) + "\n").encode())


def recipe(folder: Path, chosen: tuple[Arm, ...], tokens: int, seeds: int) -> Recipe:
    """The whole run; the pool is read as it is."""
    whole = study.recipe()
    texts = {name: folder / f"{name}.jsonl.gz" for name in ("measured", *LANGUAGES)}
    return dataclasses.replace(
        whole,
        name="real",
        about="ways to choose data on multilingual technical pages, for one project's documentation",
        inputs=(str(folder / "pool.jsonl.gz"),),
        target=(str(folder / "target.jsonl.gz"),),
        curate=dataclasses.replace(whole.curate, steps=(), survivors=(), shard_bytes=8 << 20),
        tokenizer=demo.recipe().tokenizer,
        train=demo.small_training(tokens),
        compare=ComparePlan(chosen, "random", seeds=seeds, resample=0.9, curve=CURVE),
        evaluate=EvaluatePlan(
            {name: str(file) for name, file in texts.items() if file.exists()},
            "measured",
            BitsPerByte(),
            NgramOverlap(),
        ),
    )


def write_pool_table(folder: Path) -> None:
    """What the pool is made of."""
    counts: dict[tuple[str, str], list[int]] = {}
    with gzip.open(folder / "pool.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            told = counts.setdefault((row["language"], row["source"]), [0, 0])
            told[0], told[1] = told[0] + 1, told[1] + len(row["text"].encode())
    with (RESULTS / "select_real_pool.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, ("language", "source", "pages", "bytes"), lineterminator="\n")
        writer.writeheader()
        for (language, source), (n, n_bytes) in sorted(counts.items()):
            writer.writerow({"language": language, "source": source, "pages": n, "bytes": n_bytes})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=Path(__file__).parents[4] / "shared" / "corpus" / "out")
    parser.add_argument("--target", default="postgresql-doc")
    parser.add_argument("--megabytes", type=float, default=40.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--arms", default="")
    parser.add_argument("--tokens", default="1M")
    parser.add_argument("--out", type=Path, default=Path("runs/real"))
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    if not (asked.corpus / "jsonl" / "all.jsonl").exists():
        how = f"Build it once: bash ../shared/corpus/get_corpus.sh {asked.corpus} .venv/bin/python"
        parser.error(
            f"there is no corpus in {asked.corpus} (jsonl/all.jsonl is missing). {how}, or name it with --corpus."
        )
    tokens = units.count(asked.tokens, "--tokens")
    known = arms(tokens)
    if unknown := [name for name in asked.arms.split(",") if name and name not in known]:
        parser.error(f"there is no arm {unknown[0]!r}; known: {', '.join(known)}")
    chosen = tuple(known[name] for name in asked.arms.split(",")) if asked.arms else tuple(known.values())
    folder = asked.out.with_name(asked.out.name + "-pool")
    build(asked.corpus, asked.target, asked.megabytes, folder)
    index = pipeline.run(recipe(folder, chosen, tokens, asked.seeds), asked.out, workers=asked.workers)
    if not asked.arms:
        write_pool_table(folder)
        for table in TABLES:
            shutil.copyfile(asked.out / f"{table}.csv", RESULTS / f"select_real_{table}.csv")
    print("\n".join(index["compare"]["verdict"]))


if __name__ == "__main__":
    main()
