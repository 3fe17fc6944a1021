"""How much memory the duplicates of a large corpus take: groups from stored signatures, then all decisions.

    python benchmarks/reliability/dedup_memory.py --scratch DIR [--documents 10000000]

Makes the artifacts of a corpus without its text: ids, the signals of two filters, and MinHash signatures of 14 bands in
which documents collide as near duplicates do: a third of the documents lie in clusters whose sizes are heavy-tailed
(Pareto, exponent 1.2, up to 100,000), a member agrees with its cluster in each band with the probability that a Jaccard
similarity of 0.7 to 1 gives, and one band is also shared by one document in 10,000, as boilerplate is. Each stage then
runs in a fresh process. Writes benchmarks/results/dedup_memory.csv.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Request, Store
from seedbed.core.nouns import DOCUMENTS, EVENTS, Signal, signals_schema
from seedbed.curate.contract import Filter
from seedbed.curate.dedup.minhash import Minhash
from seedbed.curate.extractors.all_text import AllText
from seedbed.curate.filters.gopher_quality import GopherQuality
from seedbed.curate.filters.size import Size
from seedbed.curate.plan import CuratePlan
from seedbed.curate.readers.jsonl import Jsonl
from seedbed.curate.replay import Measured, replay
from seedbed.curate.run import decide, group
from seedbed.curate.survivors.longest import Longest

RESULTS = Path(__file__).parents[1] / "results" / "dedup_memory.csv"
SHARD = 100_000
MINHASH, FILTERS = Minhash(), (Size(), GopherQuality())
PLAN = CuratePlan((Jsonl(),), AllText(), (*FILTERS, MINHASH), (Longest(),))


def clusters(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(cluster, agreement) of every document; -1 outside any. Members of a cluster lie anywhere in the corpus."""
    sizes = np.minimum(2 + (rng.pareto(1.2, n // 6)).astype(np.int64), min(100_000, n // 20))
    sizes = sizes[: int(np.searchsorted(np.cumsum(sizes), n // 3))]
    cluster = np.full(n, -1, np.int64)
    members = rng.permutation(n)[: int(sizes.sum())]
    cluster[members] = np.repeat(np.arange(len(sizes)), sizes)
    agreement = rng.uniform(0.7, 1.0, len(sizes)) ** MINHASH.rows
    return cluster, np.append(agreement, 0.0)[cluster]


def band(number: int, cluster: np.ndarray, agreement: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The keys of one band."""
    keys = rng.integers(1, 2**64 - 1, len(cluster), dtype=np.uint64)
    agrees = rng.random(len(cluster)) < agreement
    shared = np.random.default_rng(1000 + number).integers(1, 2**64 - 1, int(cluster.max()) + 2, dtype=np.uint64)
    keys[agrees] = shared[cluster[agrees]]
    if number == 0:
        boilerplate = rng.random(len(cluster)) < 0.0001
        keys[boilerplate] = np.uint64(42)
    return keys


def build(root: Path, n: int) -> None:
    """All artifacts, shard by shard."""
    store, rng = Store(root), np.random.default_rng(0)
    cluster, agreement = clusters(n, rng)
    keys = np.memmap(root / "keys", np.uint64, "w+", shape=(MINHASH.bands, n))
    for number in range(MINHASH.bands):
        keys[number] = band(number, cluster, agreement, rng)
    names = ["read", *(method.name() for method in (*FILTERS, MINHASH))]
    drafts = {name: store.draft(request(name)) for name in names}
    for shard, start in enumerate(range(0, n, SHARD)):
        rows = min(SHARD, n - start)
        file, events = f"part-{shard:05d}.parquet", f"events-{shard:05d}.parquet"
        columns = {field.name: [""] * rows for field in DOCUMENTS if field.name not in ("id", "offset")}
        ids = arrow.id_column(rng.integers(0, 256, (rows, 16), dtype=np.uint8))
        about = {"read": rows}
        documents = arrow.table({**columns, "id": ids, "offset": np.arange(rows)}, None).select(DOCUMENTS.names)
        drafts["read"].write_table(file, documents.cast(DOCUMENTS), about)
        for method in FILTERS:
            drafts[method.name()].write_table(file, signals(method, rows, rng))
        bands = {s.name: np.array(keys[i, start : start + rows]) for i, s in enumerate(MINHASH.signature_signals())}
        drafts[MINHASH.name()].write_table(file, arrow.table(bands, signals_schema(MINHASH.signature_signals())))
        for draft in drafts.values():
            draft.write_table(events, EVENTS.empty_table())
    for name, draft in drafts.items():
        draft.finish({"read": n} if name == "read" else {})
    (root / "keys").unlink()


def request(name: str) -> Request:
    return Request("Documents" if name == "read" else "Signals", name, {"synthetic": True})


def signals(method: Filter, rows: int, rng: np.random.Generator) -> object:
    """Plausible numbers: a tenth of the documents breaks some rule."""
    return arrow.table({s.name: values(s, rows, rng) for s in method.signals}, signals_schema(method.signals))


def values(signal: Signal, rows: int, rng: np.random.Generator) -> np.ndarray:
    if signal.kind == "int":
        return rng.lognormal(6, 1, rows).astype(np.int64)
    return np.clip(
        rng.normal(0.85 if "alphabetic" in signal.name else 5 if "length" in signal.name else 0.03, 0.02, rows), 0, None
    )


def measured(store: Store, with_groups: bool) -> Measured:
    found = {name: store.find(request(name)) for name in ("read", *(m.name() for m in (*FILTERS, MINHASH)))}
    made = {name: artifact for name, artifact in found.items() if artifact is not None}
    groups = {MINHASH.name(): group(MINHASH, made[MINHASH.name()], store)} if with_groups else {}
    own = {name: artifact for name, artifact in made.items() if name != "read"}
    return Measured(made["read"], {}, own, groups, {"read": made["size"]})


def find_groups(root: Path) -> str:
    store = Store(root)
    found = measured(store, with_groups=True).groups[MINHASH.name()].table()
    sizes = np.bincount(arrow.numpy(found, "group"))
    return f"{found.num_rows} documents in {np.count_nonzero(sizes)} groups, the largest of {sizes.max()}"


def decide_all(root: Path) -> str:
    store = Store(root)
    return str(decide(PLAN, measured(store, with_groups=True), [], store).about["kept"]) + " kept"


def decide_again(root: Path) -> str:
    """What a changed threshold costs."""
    store = Store(root)
    about = measured(store, with_groups=True)
    decided = Artifact(next((root / "artifacts").glob("decisions-*")))
    changed = CuratePlan(PLAN.readers, PLAN.extractor, (Size(min_bytes=300), *PLAN.steps[1:]), PLAN.survivors)
    return f"{int(replay(changed, about, decided).kept_N.sum())} kept"


def stage(work: Callable[[Path], str], root: Path, answers: multiprocessing.Queue) -> None:
    start, before = time.monotonic(), time.process_time()
    said = work(root)
    answers.put((time.monotonic() - start, time.process_time() - before, peak_megabytes(), said))


def peak_megabytes() -> float:
    """The most memory that was resident; what `getrusage` says would include the parent before it started this one."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=10_000_000)
    asked = parser.parse_args()
    root = asked.scratch / f"corpus{asked.documents}"
    if not (root / "done").exists():
        build(root, asked.documents)
        (root / "done").touch()
    context = multiprocessing.get_context("spawn")
    rows: list[list[object]] = []
    for work in (find_groups, decide_all, decide_again):
        answers = context.Queue()
        process = context.Process(target=stage, args=(work, root, answers))
        process.start()
        seconds, cpu, peak, said = answers.get()
        process.join()
        rows.append([work.__name__, asked.documents, f"{seconds:.1f}", f"{cpu:.1f}", f"{peak:.0f}", said])
        print(*rows[-1])
    with RESULTS.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["stage", "documents", "seconds", "cpu_seconds", "peak_resident_mb", "result"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
