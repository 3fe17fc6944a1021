"""Does the perplexity of a model of harmful text alone find harmful documents, better than keywords and naive Bayes?

    python benchmarks/effect/select/harmful.py [--seeds 3] [--out benchmarks/results/effect_harmful.csv]

2,000 documents in five languages, 200 of them of a planted class. The class is a harmless STAND-IN for adult and
harmful advertising: advertisements for fortune-telling, made up by a small grammar in each language. It shares ordinary
words (card, star, free, call, future) with the clean text, a quarter of its phrases are not in the text that models are
fitted on, and up to half of a document is clean lines of its page. The 1,800 clean documents are passages of the
shipped pages; one in twenty quotes a sentence of the class, as news would.

Detectors, each fitted on 150 other planted documents a language:
  harmful_perplexity   the scorer as it comes: no clean text; the threshold is the valley in the pool's perplexities
  naive_bayes_narrow   also 150 clean passages a language, of one source only (databases in English)
  naive_bayes_pool     also 150 clean passages a language, of the same pages as the pool: the labels one seldom has
  keywords             share of words on a list, flagged at one word

`precision_at_recall` is the best precision of any threshold that finds at least 80 % (each detector's best case);
`precision`, `recall` and `f1` are those of the detector's own threshold. `otsu_explained`, `separation` (Ashman's D) and
`dip` (Hartigan and Hartigan 1985, with a p-value from uniform samples) say whether the scores fall into two groups.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import harmful_text
import numpy as np
from fastwarc.warc import ArchiveIterator, WarcRecordType
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding

from seedbed import sample
from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch
from seedbed.select.contract import Given
from seedbed.select.scorers.harmful_perplexity import HarmfulPerplexity
from seedbed.stats.auc import rank_auc
from seedbed.stats.valley import otsu, valley
from seedbed.text.features import Csr, hashed_ngrams
from seedbed.text.words.scripts import spaced

OUT = Path(__file__).parents[2] / "results" / "effect_harmful.csv"
CLEAN = {"en": 800, "es": 400, "de": 200, "fr": 200, "zh": 200}
BAD, SEEN, RECALL, BUCKETS = 40, 150, 0.8, 1 << 18
FOLDERS = {"es": "es", "zh_CN": "zh", "de-DE": "de", "fr-FR": "fr"}
OTHERS = {"ja", "ru", "el", "nl", "gnucash-guide-it", "gnucash-guide-pt"}
NARROW = ("sqlite3-doc", "postgresql-doc-15")
COLUMNS = ("seed", "language", "detector", "documents", "harmful", "precision", "recall", "f1", "precision_at_recall",
           "auc", "otsu_explained", "separation", "dip", "dip_p")  # fmt: skip
Detector = Callable[[DocumentBatch], tuple[np.ndarray, np.ndarray]]
"""documents -> (badness_N, flagged_N)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    passages = clean_passages()
    rows = [row for seed in range(args.seeds) for row in measured(passages, seed)]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        if row["language"] == "all":
            print(*(f"{name}={row[name]}" for name in COLUMNS if row.get(name, "") != ""))


def measured(passages: dict[str, list[tuple[str, str]]], seed: int) -> list[dict[str, object]]:
    """Rows of one draw of documents."""
    chance = random.Random(seed)
    pool, label, seen, pool_clean, narrow_clean = [], [], [], [], []
    for language, wanted in CLEAN.items():
        own = passages[language].copy()
        chance.shuffle(own)
        narrow = [piece for piece in own if language != "en" or piece[0] in NARROW][:SEEN]
        chosen = {text for _, text in narrow}
        own = [text for _, text in own if text not in chosen]
        narrow_clean += [(language, text) for _, text in narrow]
        clean, own = own[:wanted], own[wanted:]
        pool_clean += [(language, text) for text in (own or [text for _, text in narrow])[:SEEN]]
        lines = [line for text in own for line in text.splitlines()]
        pool += [(language, harmful_text.quoted(text, language, chance)) for text in clean]
        bad = [harmful_text.document(language, lines, chance, fresh=True) for _ in range(BAD)]
        pool += [(language, text) for text in bad]
        label += [False] * len(clean) + [True] * BAD
        seen += [(language, harmful_text.document(language, [], chance, fresh=False)) for _ in range(SEEN)]
    documents, harmful_N, languages = batch(pool), np.array(label), np.array([language for language, _ in pool])
    detectors: dict[str, Detector] = {
        "harmful_perplexity": by_perplexity(batch(seen), documents, seed),
        "naive_bayes_narrow": by_bayes(batch(seen), batch(narrow_clean)),
        "naive_bayes_pool": by_bayes(batch(seen), batch(pool_clean)),
        "keywords": by_keywords(),
    }
    rows = []
    for name, detector in detectors.items():
        badness_N, flagged_N = detector(documents)
        for language in ("all", *CLEAN):
            in_N = np.ones(len(pool), bool) if language == "all" else languages == language
            row = {"seed": seed, "language": language, "detector": name}
            rows.append(row | judged(badness_N[in_N], flagged_N[in_N], harmful_N[in_N]))
            if name == "harmful_perplexity":
                rows[-1] |= groups(badness_N[in_N], seed)
    return rows


def judged(badness_N: np.ndarray, flagged_N: np.ndarray, harmful_N: np.ndarray) -> dict[str, object]:
    hits = int((flagged_N & harmful_N).sum())
    precision, recall = hits / max(int(flagged_N.sum()), 1), hits / int(harmful_N.sum())
    best = 0.0
    for at in np.unique(badness_N):
        above = badness_N >= at
        if (above & harmful_N).sum() >= RECALL * harmful_N.sum():
            best = max(best, float((above & harmful_N).sum() / above.sum()))
    found = {"precision": precision, "recall": recall, "f1": 2 * hits / (flagged_N.sum() + harmful_N.sum()),
             "precision_at_recall": best, "auc": rank_auc(badness_N, harmful_N)}  # fmt: skip
    counts = {"documents": len(harmful_N), "harmful": int(harmful_N.sum())}
    return counts | {name: f"{value:.4f}" for name, value in found.items()}


def groups(badness_N: np.ndarray, seed: int) -> dict[str, object]:
    """How clearly the scores fall into two."""
    statistic, rng = dip(badness_N), np.random.default_rng(seed)
    as_far = sum(dip(rng.random(len(badness_N))) >= statistic for _ in range(99))
    told = {"otsu_explained": otsu(badness_N).explained, "separation": valley(badness_N).separation, "dip": statistic}
    return {name: f"{value:.4f}" for name, value in told.items()} | {"dip_p": f"{(1 + as_far) / 100:.2f}"}


def by_perplexity(seen: DocumentBatch, pool: DocumentBatch, seed: int) -> Detector:
    fitted = HarmfulPerplexity().fit(Given(texts={"harmful": [seen]}, pool=[pool], seed=seed))

    def detect(documents: DocumentBatch) -> tuple[np.ndarray, np.ndarray]:
        score_N = arrow.numpy(fitted.measure(documents), "score")
        return -score_N, score_N <= 0

    return detect


def by_bayes(bad: DocumentBatch, clean: DocumentBatch) -> Detector:
    """Multinomial naive Bayes over words, one class a side, add-one smoothing, equal priors; scores a word."""
    bad_K, clean_K = (counted(words_of(side)) + 1.0 for side in (bad, clean))
    weight_K = np.log(bad_K / bad_K.sum()) - np.log(clean_K / clean_K.sum())

    def detect(documents: DocumentBatch) -> tuple[np.ndarray, np.ndarray]:
        words = words_of(documents).scaled("mean")
        badness_N = np.array([weight_K[words.index[a:b]] @ words.value[a:b]
                              for a, b in zip(words.indptr_N1[:-1], words.indptr_N1[1:], strict=True)])  # fmt: skip
        return badness_N, badness_N > 0

    return detect


def words_of(documents: DocumentBatch) -> Csr:
    return hashed_ngrams(*documents.derive(spaced), ngrams=1, buckets=BUCKETS)


def counted(words: Csr) -> np.ndarray:
    return np.bincount(words.index, words.value, minlength=BUCKETS)


def by_keywords() -> Detector:
    def detect(documents: DocumentBatch) -> tuple[np.ndarray, np.ndarray]:
        share_N = np.array([harmful_text.keyword_share(text, language)
                            for text, language in zip(documents.texts(), documents.column("language"), strict=True)])  # fmt: skip
        return share_N, share_N > 0

    return detect


def batch(rows: Sequence[tuple[str, str]]) -> DocumentBatch:
    return DocumentBatch.of([text for _, text in rows], language=[language for language, _ in rows])


def clean_passages() -> dict[str, list[tuple[str, str]]]:
    """language -> (package, passage): whole lines of the shipped pages, some 40 words (80 signs in Chinese) at a time."""
    found: dict[str, list[tuple[str, str]]] = {language: [] for language in CLEAN}
    for file in sample.pool():
        with file.open("rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
                _, _, _, package, folder, *_ = str(record.headers["WARC-Target-URI"]).split("/")
                language = FOLDERS.get(folder, "" if folder in OTHERS else "en")
                if language:
                    html = record.reader.read()
                    page = extract_plain_text(html.decode(detect_encoding(html), "replace"), main_content=True)
                    found[language] += [(package, text) for text in cut(page, language)]
    return found


def cut(page: str, language: str) -> list[str]:
    pieces, lines, size = [], [], 0
    for line in filter(None, map(str.strip, page.splitlines())):
        lines.append(line)
        size += len(line) / 2 if language == "zh" else len(line.split())
        if size >= 40:
            pieces.append("\n".join(lines))
            lines, size = [], 0
    return pieces


def dip(value_N: np.ndarray) -> float:
    """The largest distance of the empirical distribution from the nearest that is convex, then concave."""
    x = np.sort(value_N)
    n, low, high = len(x), 1, len(x)
    while high - low > 1:  # farther right the convex part fits worse, and the concave part better
        at = (low + high) // 2
        low, high = (at, high) if _convex(x[:at], n) <= _convex(-x[at:][::-1], n) else (low, at)
    return min(max(_convex(x[:at], n), _convex(-x[at:][::-1], n)) for at in (low, high))


def _convex(x: np.ndarray, n: int) -> float:
    """Half the largest gap between the steps of the distribution and the greatest convex function below them."""
    hull: list[int] = []
    for i in range(len(x)):
        while len(hull) > 1 and (hull[-1] - hull[-2]) * (x[i] - x[hull[-1]]) >= (i - hull[-1]) * (x[hull[-1]] - x[hull[-2]]):
            hull.pop()
        hull.append(i)
    below = np.interp(x, x[hull], np.array(hull) / n) if len(x) else np.zeros(0)
    return float(((np.arange(len(x)) + 1) / n - below).max(initial=0.0)) / 2


if __name__ == "__main__":
    main()
