"""Does DataMan's annotator give every page 14 ratings and the domain that its source has?

    python benchmarks/effect/select/dataman.py [--test 300] [--train 900] [--seeds 3] [--out runs/pages]

Pages of the shipped sample (500 characters and more); a page's domain follows from its package (gnucash: finance,
octave: mathematics, ...). `text` is "whole", or "spoiled": a share of each page's runs of eight words, from 0 to
0.9, is replaced by sentences of a shop page, which gives the ratings, from 5 for none to 1. Labels come from a file
that `labels_for` made of the training pages; the test pages are others, of the domains in turn. `in_schema` is the
share of test pages with 14 ratings from 1 to 5 and one of the 15 domains; macro-F1 the mean of F1 over the domains
of the test, where there is more than one.

`split` is "page" (pages of the same packages are in training) or "package" (in turn, one package of a domain that has
several is only in the test: its domain must show in what it is about).

Writes benchmarks/results/effect_dataman.csv. A few minutes on one core.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from qurating import QUALITY, pages, planted, spoiled, tokenised
from scipy import stats

from seedbed.core import arrow
from seedbed.select.contract import Given
from seedbed.select.scorers.dataman import CRITERIA, DOMAINS, Dataman

RESULTS = Path(__file__).parents[2] / "results"
COLUMNS = ("split", "left_out", "text", "seed", "train_pages", "test_pages", "domains", "in_schema", "macro_f1",
           "accuracy", "rating_spearman", "rating_error")  # fmt: skip
DOMAIN_OF = {
    "sqlite3-doc": "coding", "postgresql-doc-15": "coding", "abs-guide": "coding", "git-doc": "coding",
    "gimp-help-en": "entertainment", "gimp-help-en-gb": "entertainment", "png-definitive-guide": "entertainment",
    "hugin-data": "entertainment", "csound-doc": "entertainment", "debian-handbook": "technology",
    "harden-doc": "technology", "installation-guide-amd64": "technology", "installation-guide-i386": "technology",
    "libreoffice-help-en-us": "technology", "anarchism": "culture", "cfi-en": "culture", "gnucash-docs": "finance",
    "mh-book": "telecommunication", "grass-doc": "transportation", "octave-doc": "mathematics",
}  # fmt: skip
"""Stand-ins: grass-doc is about maps, and the pages on pictures and sound count as entertainment."""
PLANTED_DOMAIN = {
    "databases": "coding", "society": "culture", "graphics": "entertainment", "debian": "technology",
    "email": "telecommunication", "maps": "transportation", "template": "retail", "offers": "retail",
}  # fmt: skip
"""Of the planted pool's passages; all else is "other"."""
LEFT_OUT = ("postgresql-doc-15", "hugin-data", "harden-doc", "cfi-en")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--train", type=int, default=900)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/pages"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    known = [(package, text) for package, text in pages(asked.out) if package in DOMAIN_OF]
    rows: list[dict[str, object]] = []
    for seed in range(asked.seeds):
        for left_out in ("", *LEFT_OUT):
            train, test = parted(known, left_out, asked.train, asked.test, seed)
            for text in ("whole", "spoiled") if not left_out else ("whole",):
                about = {"split": "package" if left_out else "page", "left_out": left_out, "text": text, "seed": seed}
                file = asked.out / "ratings.jsonl"
                rows.append({**about, **measured(train, test, seed, file, spoil=text == "spoiled")})
                print(rows[-1], flush=True)
    asked.results.mkdir(exist_ok=True)
    with (asked.results / "effect_dataman.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


Page = tuple[str, str]


def parted(known: list[Page], left_out: str, n_train: int, n_test: int, seed: int) -> tuple[list[Page], list[Page]]:
    """(training pages, test pages): of the left out package, or of all domains in turn, no more than half of each."""
    draw = random.Random(seed)
    shuffled = draw.sample(known, len(known))
    if left_out:
        test = [page for page in shuffled if page[0] == left_out][:n_test]
        return [page for page in shuffled if page[0] != left_out][:n_train], test
    turns = sorted((place, *page) for place, page in _turns(shuffled))
    test = [(package, text) for _, package, text in turns[:n_test]]
    taken = set(test)
    return [page for page in shuffled if page not in taken][:n_train], test


def _turns(shuffled: list[Page]) -> Iterator[tuple[int, Page]]:
    """(how many of its domain came before, page), of the first half of each domain."""
    size: dict[str, int] = {}
    for package, _ in shuffled:
        size[DOMAIN_OF[package]] = size.get(DOMAIN_OF[package], 0) + 1
    came: dict[str, int] = dict.fromkeys(size, 0)
    for page in shuffled:
        domain = DOMAIN_OF[page[0]]
        if came[domain] < size[domain] // 2:
            yield came[domain], page
        came[domain] += 1


def measured(train: list[Page], test: list[Page], seed: int, file: Path, *, spoil: bool) -> dict[str, object]:
    """Fit on labels of the training pages, and ask about the others."""
    draw = random.Random(seed)
    share_N = np.array([0.9 * draw.random() if spoil else 0.0 for _ in (*train, *test)])
    texts = [
        spoiled(text, share, "templates", draw)
        for (_, text), share in zip((*train, *test), share_N.tolist(), strict=True)
    ]
    domain = [DOMAIN_OF[package] for package, _ in (*train, *test)]
    rating_N = 1 + np.rint(4 * (1 - share_N / 0.9))
    pool, n = tokenised(texts), len(train)
    seen, unseen = pool.some(np.arange(n)), pool.some(np.arange(n, len(texts)))
    labels_for(file, seen.ids, rating_N[:n].tolist(), domain[:n])
    table = Dataman(labels=str(file)).fit(Given(pool=[seen], seed=seed)).measure(unseen)
    found = [name or "" for name in arrow.strings(table, "domain")]
    ratings = np.array([arrow.numpy(table, name) for name in CRITERIA])
    in_schema = (ratings >= 1).all(axis=0) & (ratings <= 5).all(axis=0) & np.isin(found, DOMAINS)
    score_N = arrow.numpy(table, "score")
    numbers = {
        "in_schema": float(in_schema.mean()),
        "accuracy": float(np.mean(np.array(found) == np.array(domain[n:]))),
    }
    if len(set(domain[n:])) > 1:
        numbers["macro_f1"] = macro_f1(found, domain[n:])
    if spoil:
        numbers["rating_spearman"] = float(stats.spearmanr(score_N, rating_N[n:]).statistic)
        numbers["rating_error"] = float(np.mean(np.abs(score_N - rating_N[n:])))
    sizes = {"train_pages": n, "test_pages": len(test), "domains": len(set(domain[n:]))}
    return {**sizes, **{name: f"{value:.4f}" for name, value in numbers.items()}}


def macro_f1(found: Sequence[str], true: Sequence[str]) -> float:
    """Mean of F1 over the domains that are there."""
    f1: list[float] = []
    for name in sorted(set(true)):
        hits = sum(a == b == name for a, b in zip(found, true, strict=True))
        f1.append(2 * hits / (sum(a == name for a in found) + sum(b == name for b in true)))
    return sum(f1) / len(f1)


def labels_for(file: Path, ids: Sequence[bytes], rating: Sequence[float], domain: Sequence[str]) -> None:
    """Write a file of ratings for the parameter `labels`: the same rating by all criteria, and the domain."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as out:
        for key, rated, name in zip(ids, rating, domain, strict=True):
            out.write(json.dumps({"id": key.hex(), **dict.fromkeys(CRITERIA, rated), "domain": name}) + "\n")


def labels_for_planted(
    file: Path, pool: Path, work: Path, quality_of: Mapping[str, float] = QUALITY, documents: int = 2000
) -> None:
    """Ratings and domains of the planted pool (pool.py) by what its passages are; `work` is a folder to read it in."""
    ids, sources = planted(pool, work)
    chosen = random.Random(0).sample(range(len(ids)), min(documents, len(ids)))
    rating = [max(1.0, min(5.0, 4 + quality_of.get(sources[at], 1.0))) for at in chosen]
    domain = [PLANTED_DOMAIN.get(sources[at], "other") for at in chosen]
    labels_for(file, [ids[at] for at in chosen], rating, domain)


if __name__ == "__main__":
    main()
