"""What decontamination finds of benchmark items planted in real text, and what it finds where nothing was planted.

    python benchmarks/effect/curate/decontamination.py --corpus DIR [--items 800] [--megabytes 40] [--repeats 5]

DIR holds JSONL files with the fields text and metadata.lang. Items are passages of 20 to 120 words, one from each of
some documents, which are then left out of the corpus. Each item is planted once, in one of these forms:
verbatim; half (its first half); respelled (case, quotes, dashes and commas changed, so that no 13 words in a row are
spelled alike); swapped-10, -20 and -30 (each word is another word with that probability); shuffled (its words in
another order: what is found of it is found by chance). One eighth is planted nowhere. Passages of which anything is
found before planting are left out, and counted. Writes benchmarks/results/decontamination.csv: a row a form with the
items by verdict (by_chance: of the same items with their words in another order), and the speed in the last rows.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.benchmark_overlap import VERDICTS, BenchmarkOverlap

RESULTS = Path(__file__).parents[2] / "results" / "decontamination.csv"
FORMS = ("verbatim", "half", "respelled", "swapped-10", "swapped-20", "swapped-30", "shuffled", "not planted")
BATCH = 512


def read(corpus: Path, megabytes: int) -> list[str]:
    """English documents, every one once."""
    texts: dict[str, None] = {}
    size = 0
    for file in sorted(corpus.glob("**/*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                if record["metadata"].get("lang") in ("en", None) and record["text"] not in texts:
                    texts[record["text"]] = None
                    size += len(record["text"].encode())
                if size > megabytes * 1e6:
                    return list(texts)
    return list(texts)


def passages(texts: list[str], n: int, rng: random.Random) -> tuple[list[str], list[str]]:
    """(items, what is left of the texts): of each chosen document one line of prose that stands nowhere else."""
    seen = Counter(line for text in texts for line in set(text.split("\n")))
    items, left = [], []
    for text in texts:
        prose = [line for line in text.split("\n") if 20 <= len(line.split()) <= 120 and line.count(".") < 8]
        lines = [line for line in prose if seen[line] == 1]
        if len(items) < n and lines and rng.random() < 0.2:
            items.append(rng.choice(lines))
        else:
            left.append(text)
    return items, left


def changed(item: str, form: str, words: list[str], rng: random.Random) -> str:
    """The item as it is planted."""
    if form == "verbatim":
        return item
    given = item.split()
    if form == "half":
        return " ".join(given[: (len(given) + 1) // 2])
    if form == "respelled":
        marks = [", ", "; ", " \u2013 ", " (", ") "]
        return "".join(w.upper() + rng.choice(marks) if k % 6 == 5 else w + " " for k, w in enumerate(given))
    if form.startswith("swapped"):
        share = int(form.partition("-")[2]) / 100
        return " ".join(rng.choice(words) if rng.random() < share else w for w in given)
    if form == "shuffled":
        rng.shuffle(given)
    return " ".join(given)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--items", type=int, default=800)
    parser.add_argument("--megabytes", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    rng = random.Random(1)
    items, texts = passages(read(asked.corpus, asked.megabytes), 2 * asked.items, rng)
    words = " ".join(texts[::50]).split()
    before = [row["verdict"] for row in report(items, texts, 1)[0]]
    items = [item for item, verdict in zip(items, before, strict=True) if verdict == "clean"][: asked.items]
    forms = [FORMS[i % len(FORMS)] for i in range(len(items))]
    for item, form in zip(items, forms, strict=True):
        if form != "not planted":
            row = rng.randrange(len(texts))
            lines = texts[row].split("\n")
            lines.insert(rng.randrange(len(lines) + 1), changed(item, form, words, rng))
            texts[row] = "\n".join(lines)
    found, seconds = report(items, texts, asked.repeats)
    size = sum(len(text.encode()) for text in texts) / 1e6
    with RESULTS.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["planted", "items", *VERDICTS, "by_chance", "median_share", "median_likeness"])
        writer.writerows(by_form(found, forms))
        writer.writerow(["passages before planting", len(before), *(before.count(verdict) for verdict in VERDICTS)])
        writer.writerow(["megabytes of text", f"{size:.1f}"])
        writer.writerow(["megabytes per CPU-second", f"{size / seconds:.1f}"])
    print(RESULTS.read_text())


def report(items: list[str], texts: list[str], repeats: int) -> tuple[list[dict[str, object]], float]:
    """(the report's rows, CPU-seconds over all texts: median)."""
    batches = [DocumentBatch.of(texts[i : i + BATCH]).rows for i in range(0, len(texts), BATCH)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "planted.jsonl"
        file.write_text("".join(json.dumps({"text": item}) + "\n" for item in items))
        method = BenchmarkOverlap(items=str(file))
        method.measure(DocumentBatch(batches[0]))
        spent: list[float] = []
        shards: list[tuple[list[str], list[str]]] = []
        for _ in range(repeats):
            start = time.process_time()
            signals = [method.measure(DocumentBatch(rows)) for rows in batches]
            spent.append(time.process_time() - start)
            ids = [[key.hex() for key in DocumentBatch(rows).ids] for rows in batches]
            shards = [(some, table["found"].to_pylist()) for some, table in zip(ids, signals, strict=True)]
        return method.item_report(shards).to_pylist(), statistics.median(spent)


def by_form(found: list[dict[str, object]], forms: list[str]) -> list[list[object]]:
    """A row a form."""
    rows: list[list[object]] = []
    for form in FORMS:
        mine = [row for row, planted in zip(found, forms, strict=True) if planted == form]
        counts = Counter(row["verdict"] for row in mine)
        chance = sum(row["by_chance"] not in ("clean", "untestable") for row in mine)
        middle = [f"{statistics.median(float(row[name]) for row in mine):.3f}" for name in ("share", "likeness")]
        rows.append([form, len(mine), *(counts[verdict] for verdict in VERDICTS), chance, *middle])
    return rows


if __name__ == "__main__":
    main()
