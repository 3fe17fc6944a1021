"""The n-gram classifier on the planted pool: which settings find the target, what permuted labels find, where to cut.

    classifier.py [--pool FOLDER] [--seed 0]

The pool (pool.py) is halved at random: the model learns from the target text and one half, and is judged on the other.
Writes benchmarks/results/select_classifier.csv, a row a setting: how often a document of the target domain scores above
another (auc), the same after labels were dealt out anew (auc_permuted, the mean of five deals), and which share of the
best tenth by tokens is of the target domain. Writes benchmarks/results/select_classifier_sweep.csv, a row a bound of
the probability: the share of documents kept, and how many of those are of the target domain. Copies of target passages
(near_copy, half_noise, shuffled) count as others, so 1 is not to be reached. Under a minute on one core.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
from pathlib import Path

import numpy as np
from pool import build

from seedbed import sample
from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch
from seedbed.select.contract import Given, Scored, Scorer
from seedbed.select.scorers.dsir import Dsir
from seedbed.select.scorers.ngram_classifier import NgramClassifier
from seedbed.select.selectors.threshold import Threshold
from seedbed.stats.auc import rank_auc

RESULTS = Path(__file__).parents[2] / "results"
SETTINGS: dict[str, Scorer] = {
    "dsir": Dsir(),
    "default": NgramClassifier(),
    "l2=1e-4": NgramClassifier(l2=1e-4),
    "l2=1e-5": NgramClassifier(l2=1e-5),
    "l2=1e-8": NgramClassifier(l2=1e-8),
    "words": NgramClassifier(ngrams=1),
    "word triples": NgramClassifier(ngrams=3),
    "characters, up to 3": NgramClassifier(unit="characters", ngrams=3),
    "2**14 buckets": NgramClassifier(buckets=2**14),
    "scale=l2, l2=1e-5": NgramClassifier(scale="l2", l2=1e-5),
    "scale=l2, l2=1e-3": NgramClassifier(scale="l2", l2=1e-3),
}
DEALS = 5


def tokenised(rows: list[dict[str, str]]) -> DocumentBatch:
    """Documents with a token a word: only their number counts here."""
    texts = [row["text"] for row in rows]
    offsets = np.cumsum([0, *(len(text.split()) for text in texts)]).astype(np.int64)
    documents = DocumentBatch.of(texts, source=[row.get("source", "") for row in rows])
    return DocumentBatch(documents.rows, (np.zeros(int(offsets[-1]), np.int64), offsets))


def read(file: Path) -> list[dict[str, str]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def measured(
    scorer: Scorer, target: DocumentBatch, pool: DocumentBatch, held: DocumentBatch, name: str = "score"
) -> np.ndarray:
    return arrow.numpy(scorer.fit(Given(target=[target], pool=[pool])).measure(held), name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, default=Path("runs/planted-pool"))
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if not (asked.pool / "pool.jsonl.gz").exists():
        build(asked.pool)
    rng = np.random.default_rng(asked.seed)
    whole = tokenised(read(asked.pool / "pool.jsonl.gz"))
    target = tokenised(read(sample.target_select()))
    order = rng.permutation(len(whole))
    pool, held = whole.some(order[::2]), whole.some(order[1::2])
    good = np.array(held.column("source")) == sample.TARGET
    n_tokens = np.diff(held.token_ids[1])
    mixed = tokenised([{"text": text} for text in [*target.texts(), *pool.texts()]])

    def tenth(score: np.ndarray) -> float:
        scored = Scored(score, n_tokens, np.arange(len(held), dtype=np.uint64))
        return float(good[Threshold(share=0.1).copies(scored, budget_tokens=10**12, seed=0) > 0].mean())

    rows = []
    for name, scorer in SETTINGS.items():
        score = measured(scorer, target, pool, held)
        deals = [rng.permutation(len(mixed)) for _ in range(DEALS)]
        n = len(target)
        chance = [rank_auc(measured(scorer, mixed.some(deal[:n]), mixed.some(deal[n:]), held), good) for deal in deals]
        found = (rank_auc(score, good), float(np.mean(chance)), tenth(score))
        rows.append(dict(zip(("setting", "auc", "auc_permuted", "target_in_best_tenth"), (name, *found), strict=True)))
        print(f"{name:<20} auc {found[0]:.3f}  permuted {found[1]:.3f}  of the best tenth {found[2]:.2f}", flush=True)
    write(RESULTS / "select_classifier.csv", rows)
    probability = measured(NgramClassifier(), target, pool, held, "probability")
    sweep = []
    for bound in np.linspace(0, 1, 101):
        kept = probability >= bound
        right = f"{good[kept].mean():.4f}" if kept.any() else ""
        sweep.append({"min_probability": f"{bound:.2f}", "kept_share": kept.mean(), "target_of_kept": right})
    write(RESULTS / "select_classifier_sweep.csv", sweep)


def write(file: Path, rows: list[dict]) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        table = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        table.writeheader()
        for row in rows:
            table.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()})


if __name__ == "__main__":
    main()
