"""How fast near duplicates are found, beside rensa and datatrove on the same documents, and which pairs each misses.

    python benchmarks/speed/curate/near_duplicates.py --corpus DIR --peer-python PYTHON [--megabytes 100] [--repeats 5]

DIR holds *.jsonl files, one document a line with `text` and `language` (or `lang` in its `metadata`); English ones are
taken until there are enough. PYTHON is an interpreter with rensa 0.5.0, datatrove[io,processing] 0.10.1 and spacy.
The job is: JSONL file -> texts -> shingles -> signatures -> bands -> groups -> which documents stay; CPU-seconds of the
whole process tree, medians, every tool after the other in each round. Kernels are warm, imports are not counted.

A pair is found where both documents are in one group. Recall is over pairs of given true Jaccard similarity of their
5-grams of words, once as the peers split (lower case, whitespace) and once folded; pairs come from a looser sketch.
Writes benchmarks/results/speed_near_duplicates.csv.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.artifact import Store
from seedbed.core.nouns import DOCUMENTS, DocumentBatch
from seedbed.curate.decide import Members, Preference, settle
from seedbed.curate.dedup.minhash import Minhash
from seedbed.curate.dedup_quality import jaccard
from seedbed.curate.extractors.all_text import AllText
from seedbed.curate.plan import CuratePlan
from seedbed.curate.readers.jsonl import Jsonl
from seedbed.curate.run import curate
from seedbed.engine.local import LocalEngine

RESULTS = Path(__file__).parents[2] / "results" / "speed_near_duplicates.csv"
PEERS = Path(__file__).parent / "peers"
BATCH = 1024
STRATA = ((0.7, 0.8), (0.8, 0.9), (0.9, 1.01))
MOST_PAIRS = 20_000

Groups = list[int]
Answer = tuple[float, Groups]


def take(corpus: Path, megabytes: float, file: Path) -> tuple[int, float]:
    """Write English documents of the corpus to `file`; (documents, megabytes of text)."""
    n, size = 0, 0
    with file.open("w", encoding="utf-8") as out:
        for line in (line for each in sorted(corpus.rglob("*.jsonl")) for line in each.open(encoding="utf-8")):
            row = json.loads(line)
            if (row.get("language") or row.get("metadata", {}).get("lang")) != "en":
                continue
            out.write(json.dumps({"text": row["text"], "id": str(n)}, ensure_ascii=False) + "\n")
            n, size = n + 1, size + len(row["text"].encode())
            if size >= megabytes * 1e6:
                break
    return n, size / 1e6


def texts_of(file: Path) -> list[str]:
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def batches(texts: list[str]) -> Iterator[DocumentBatch]:
    """The texts as methods see them, without ids and sources, which no signature looks at."""
    for start in range(0, len(texts), BATCH):
        column = pa.array(texts[start : start + BATCH], pa.large_string())
        rest = {field.name: pa.nulls(len(column), field.type) for field in DOCUMENTS if field.name != "text"}
        yield DocumentBatch(pa.table({"text": column, **rest}).select(DOCUMENTS.names))


def ours(file: Path, method: Minhash) -> Answer:
    """The job in memory: (CPU-seconds, group of every document); the longest of a group stays."""
    start = time.process_time()
    texts = texts_of(file)
    signatures = pa.concat_tables([method.signatures(batch) for batch in batches(texts)])
    group_N = method.groups(signatures)
    members = Members.of(method.name(), group_N)
    size_U = np.array([len(texts[row]) for row in members.row_M], np.float64)
    preference = Preference.of(
        members.row_M, [size_U], members.row_M.astype(np.uint64), np.zeros(len(size_U), np.bool_)
    )
    n = len(texts)
    kept = settle((), np.zeros((n, 0), np.bool_), np.zeros(n, np.bool_), [members], preference).kept_N
    assert int(kept.sum()) == len(np.unique(group_N))
    return time.process_time() - start, group_N.tolist()


def whole_run(file: Path, method: Minhash) -> Answer:
    """`seedbed curate` with this one step: every stage written to disk as an artifact, kept documents as Parquet."""
    with tempfile.TemporaryDirectory() as out:
        start = time.process_time()
        done = curate(CuratePlan((Jsonl(),), AllText(), (method,)), [file], Store(Path(out)), LocalEngine(1))
        spent = time.process_time() - start
        group_N = np.arange(done.read.rows)
        found = done.groups[method.name()].table()
        group_N[arrow.numpy(found, "row")] = arrow.numpy(found, "group")
    return spent, group_N.tolist()


def peer(python: str, script: str, file: Path, *options: str) -> Answer:
    """The same by a peer, in its own interpreter and one thread."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "answer.json")
        environment = {**os.environ, "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
        command = [python, str(PEERS / script), str(file), str(answer), *options]
        subprocess.run(command, check=True, env=environment, cwd=folder, capture_output=True)
        told = json.loads(answer.read_text(encoding="ascii"))
    return told["cpu_seconds"], told["groups"]


def true_pairs(texts: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Definition -> (pairs_P2, Jaccard similarity_P) of pairs that agree in one of 40 bands of 3."""
    loose = Minhash(bands=40, rows=3, seed=7)
    keys = pa.concat_tables([loose.signatures(batch) for batch in batches(texts)])
    found: set[tuple[int, int]] = set()
    rng = np.random.default_rng(0)
    for name in keys.column_names:
        key = keys.column(name).to_numpy()
        order = np.argsort(key, kind="stable")
        order = order[key[order] > 0]
        starts = np.r_[np.flatnonzero(np.r_[True, np.diff(key[order]) != 0]), len(order)]
        for start, stop in itertools.pairwise(starts.tolist()):
            if stop - start > 1:
                bucket = order[start:stop]
                pairs = zip(bucket.tolist(), rng.permutation(bucket).tolist(), strict=True)
                found.update((min(pair), max(pair)) for pair in pairs if pair[0] != pair[1])
    chosen = np.array(sorted(found))
    chosen = chosen[rng.permutation(len(chosen))[:MOST_PAIRS]]
    needed = sorted(set(chosen.reshape(-1).tolist()))
    folded: dict[int, np.ndarray] = {}
    for row in needed:
        folded[row] = np.unique(loose.shingles(next(batches([texts[row]])))[1])
    plain = {row: grams(texts[row]) for row in needed}
    as_folded = [jaccard(folded[i], folded[j]) for i, j in chosen.tolist()]
    as_plain = [len(plain[i] & plain[j]) / len(plain[i] | plain[j]) for i, j in chosen.tolist()]
    return {"whitespace": (chosen, np.array(as_plain)), "folded": (chosen, np.array(as_folded))}


def grams(text: str) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))}


def recalls(groups: Groups, truth: dict[str, tuple[np.ndarray, np.ndarray]]) -> list[str]:
    """Recall a definition and stratum, as text, with the number of pairs."""
    group_N = np.array(groups)
    said: list[str] = []
    for pairs, similarity in truth.values():
        together = group_N[pairs[:, 0]] == group_N[pairs[:, 1]]
        for low, high in STRATA:
            here = (similarity >= low) & (similarity < high)
            said.append(f"{together[here].mean():.4f}" if here.any() else "")
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=os.environ.get("SEEDBED_CORPUS"), required=False)
    parser.add_argument("--peer-python")
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--datatrove-megabytes", type=float, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder, "large", "documents.jsonl"), Path(folder, "small", "documents.jsonl")
        for file in (large, small):
            file.parent.mkdir()
        python, one, other = asked.peer_python, Minhash(), Minhash(bands=16, rows=8)
        jobs: dict[str, Callable[[], Answer]] = {
            "seedbed 14 x 8": lambda: ours(large, one),
            "seedbed 16 x 8": lambda: ours(large, other),
            "seedbed 14 x 8, whole run with artifacts": lambda: whole_run(large, one),
        }
        if python:
            jobs["rensa R128, 16 x 8"] = lambda: peer(python, "rensa_groups.py", large, "128", "16")
            jobs["rensa R112, 14 x 8"] = lambda: peer(python, "rensa_groups.py", large, "112", "14")
        rows += compare(large, take(asked.corpus, asked.megabytes, large), jobs, asked.repeats)
        jobs = {"seedbed 14 x 8": lambda: ours(small, one)}
        if python:
            jobs["datatrove 14 x 8, spaCy"] = lambda: peer(python, "datatrove_groups.py", small, "spacy")
            jobs["datatrove 14 x 8, str.split"] = lambda: peer(python, "datatrove_groups.py", small, "whitespace")
        rows += compare(small, take(asked.corpus, asked.datatrove_megabytes, small), jobs, asked.repeats)
    names = [
        f"recall_{kind}_{low:.1f}_{min(1.0, high):.1f}" for kind in ("whitespace", "folded") for low, high in STRATA
    ]
    with RESULTS.open("w", newline="") as out:
        writer = csv.writer(out)
        about = ["tool", "documents", "megabytes", "rounds", "cpu_seconds", "megabytes_per_cpu_second", "kept"]
        writer.writerow([*about, *names])
        writer.writerows(rows)


def compare(
    file: Path, size: tuple[int, float], jobs: dict[str, Callable[[], Answer]], repeats: int
) -> list[list[object]]:
    """A row a job; in every round each is run once, after one round that is not counted for ours, to compile."""
    documents, megabytes = size
    texts = texts_of(file)
    truth = true_pairs(texts)
    counts = {k: [int(((s >= low) & (s < high)).sum()) for low, high in STRATA] for k, (_, s) in truth.items()}
    print(f"{documents} documents, {megabytes:.1f} MB, true pairs by similarity {counts}")
    spent: dict[str, list[float]] = {name: [] for name in jobs}
    groups: dict[str, Groups] = {}
    for name, job in jobs.items():
        if name.startswith("seedbed"):
            job()
    for _ in range(repeats):
        for name, job in jobs.items():
            seconds, groups[name] = job()
            spent[name].append(seconds)
    rows: list[list[object]] = []
    for name in jobs:
        median = statistics.median(spent[name])
        row: list[object] = [name, documents, f"{megabytes:.1f}", repeats, f"{median:.3f}", f"{megabytes / median:.2f}"]
        rows.append([*row, len(set(groups[name])), *recalls(groups[name], truth)])
        print(*rows[-1])
    return rows


if __name__ == "__main__":
    main()
