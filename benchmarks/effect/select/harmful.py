"""Does the perplexity of a model of harmful text alone find harmful documents, better than keywords and naive Bayes?

    python benchmarks/effect/select/harmful.py [--seeds 3] [--out benchmarks/results/effect_harmful.csv]

Every draw has 2,000 documents, 200 of them of the class to be found; stand-ins only, nothing here is harmful.

planted   Four languages. The class is advertisements for fortune-telling, made up by a small grammar in each language.
          A quarter of its phrases are not in the text that detectors are fitted on, and up to half as many lines of
          clean text stand between its own. Of the 1,800 clean documents nine in ten are passages of the shipped pages,
          one in twenty of these with a quoted phrase of the class, as in news; one in ten is sober text in the same
          words (the zodiac is a band of the sky ...). Detectors are fitted on 150 other planted documents a language.
accounting, society, graphics
          English. The class is real passages of one subject of the shipped pages, the clean documents those of all
          others. Detectors are fitted on 1,200 other passages of the subject. No keywords: the subject has no list.

harmful_perplexity   the scorer as it comes: no clean text; the threshold is the valley in the pool's perplexities, or
                     where there is none, what 95 % of held-out text of the class lies below
naive_bayes_narrow   also clean passages of one source only (databases in English): 60 a language, or 1,200
naive_bayes_pool     also as many clean documents drawn as the pool's are: labels that one seldom has
keywords             share of words on a list, flagged at one word

`precision_at_recall` is the best precision of any threshold that finds at least 80 % (each detector's best case);
`precision`, `recall` and `f1` are those of the detector's own threshold. `otsu_explained`, `separation` (Ashman's D)
and `dip` (Hartigan and Hartigan 1985, with a p-value from uniform samples) say whether the scores fall into two groups;
the dip does not see a group of a few percent.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
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
CLEAN = {"en": 1240, "es": 200, "fr": 160, "zh": 200}
BAD, SEEN, SEEN_CLEAN, RECALL, BUCKETS = 50, 150, 60, 0.8, 1 << 18
WORDS = 25
FOLDERS = {"es": "es", "zh_CN": "zh", "fr-FR": "fr"}
OTHERS = {"de-DE", "ja", "ru", "el", "nl", "gnucash-guide-it", "gnucash-guide-pt"}
NARROW = ("sqlite3-doc", "postgresql-doc-15")
SUBJECTS = ("accounting", "society", "graphics")
REAL_CLEAN, REAL_BAD, REAL_SEEN = 1800, 200, 1200
COLUMNS = ("task", "seed", "language", "detector", "documents", "harmful", "precision", "recall", "f1",
           "precision_at_recall", "auc", "otsu_explained", "separation", "dip", "dip_p")  # fmt: skip
Detector = Callable[[DocumentBatch], tuple[np.ndarray, np.ndarray]]
"""documents -> (badness_N, flagged_N)."""
Text = tuple[str, str]
"""(language, text)."""


@dataclasses.dataclass
class Draw:
    """What is searched, which of it is of the class, and what detectors are fitted on."""

    pool: list[Text] = dataclasses.field(default_factory=list)
    label: list[bool] = dataclasses.field(default_factory=list)
    seen: list[Text] = dataclasses.field(default_factory=list)
    clean_narrow: list[Text] = dataclasses.field(default_factory=list)
    clean_pool: list[Text] = dataclasses.field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    passages = clean_passages()
    rows: list[dict[str, object]] = []
    for seed in range(args.seeds):
        rows += measured("planted", planted(passages, seed), seed)
        for subject in SUBJECTS:
            rows += measured(subject, real(passages["en"], subject, seed), seed)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        if row["language"] == "all" or row["task"] != "planted":
            print(*(f"{name}={row[name]}" for name in COLUMNS if row.get(name, "") != ""))


def planted(passages: dict[str, list[Text]], seed: int) -> Draw:
    chance, draw = random.Random(seed), Draw()
    for language, wanted in CLEAN.items():
        own = passages[language].copy()
        chance.shuffle(own)
        narrow = [text for package, text in own if language != "en" or package in NARROW][:SEEN_CLEAN]
        texts = sorted({text for _, text in own} - set(narrow))
        chance.shuffle(texts)
        spare, texts = texts[: SEEN_CLEAN * 9 // 10], texts[SEEN_CLEAN * 9 // 10 :]
        lines = [line for text in texts for line in text.splitlines()]
        n_sober = wanted // 10
        clean = [harmful_text.quoted(text, language, chance) for text in texts[: wanted - n_sober]]
        clean += [harmful_text.sober(language, lines, chance) for _ in range(n_sober)]
        bad = [harmful_text.document(language, lines, chance, fresh=True) for _ in range(BAD)]
        like = [harmful_text.quoted(text, language, chance) for text in spare]
        like += [harmful_text.sober(language, lines, chance) for _ in range(SEEN_CLEAN // 10)]
        draw.pool += [(language, text) for text in clean + bad]
        draw.label += [False] * len(clean) + [True] * len(bad)
        draw.clean_pool += [(language, text) for text in like]
        draw.clean_narrow += [(language, text) for text in narrow]
        draw.seen += [(language, harmful_text.document(language, [], chance, fresh=False)) for _ in range(SEEN)]
    assert len(draw.pool) == sum(CLEAN.values()) + BAD * len(CLEAN), "the pages give too few passages of a language"
    return draw


def real(passages: list[Text], subject: str, seed: int) -> Draw:
    """The passages are (package, text) here."""
    own = sorted(set(passages))
    random.Random(seed).shuffle(own)
    bad = [("en", text) for package, text in own if sample.DOMAINS[package] == subject]
    clean = [("en", text) for package, text in own if sample.DOMAINS[package] != subject]
    pool = clean[:REAL_CLEAN] + bad[:REAL_BAD]
    narrow = [("en", text) for package, text in own if package in NARROW and ("en", text) not in set(pool)]
    label = [False] * REAL_CLEAN + [True] * REAL_BAD
    like = clean[REAL_CLEAN : REAL_CLEAN + REAL_SEEN]
    return Draw(pool, label, bad[REAL_BAD : REAL_BAD + REAL_SEEN], narrow[:REAL_SEEN], like)


def measured(task: str, draw: Draw, seed: int) -> list[dict[str, object]]:
    """Rows of one draw, all languages together first."""
    documents, seen, harmful_N = batch(draw.pool), batch(draw.seen), np.array(draw.label)
    languages = np.array([language for language, _ in draw.pool])
    detectors: dict[str, Detector] = {
        "harmful_perplexity": by_perplexity(seen, documents, seed),
        "naive_bayes_narrow": by_bayes(seen, batch(draw.clean_narrow)),
        "naive_bayes_pool": by_bayes(seen, batch(draw.clean_pool)),
    }
    if task == "planted":
        detectors["keywords"] = by_keywords()
    rows = []
    for name, detector in detectors.items():
        badness_N, flagged_N = detector(documents)
        for language in ("all", *CLEAN) if task == "planted" else ("en",):
            in_N = np.ones(len(languages), bool) if language == "all" else languages == language
            row = {"task": task, "seed": seed, "language": language, "detector": name}
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
        rows = zip(documents.texts(), documents.column("language"), strict=True)
        share_N = np.array([harmful_text.keyword_share(text, language) for text, language in rows])
        return share_N, share_N > 0

    return detect


def batch(rows: Sequence[Text]) -> DocumentBatch:
    return DocumentBatch.of([text for _, text in rows], language=[language for language, _ in rows])


def clean_passages() -> dict[str, list[Text]]:
    """language -> (package, passage): lines of the shipped pages, some 25 words (50 signs in Chinese) at a time."""
    found: dict[str, list[Text]] = {language: [] for language in CLEAN}
    for file in sample.pool():
        with file.open("rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
                package, *folders = str(record.headers["WARC-Target-URI"]).split("/")[3:]
                language = next((FOLDERS[name] for name in folders if name in FOLDERS), "en")
                if folders and OTHERS.isdisjoint(folders):
                    html = record.reader.read()
                    page = extract_plain_text(html.decode(detect_encoding(html), "replace"), main_content=True)
                    found[language] += [(package, text) for text in cut(page, language)]
    return found


def cut(page: str, language: str) -> list[str]:
    pieces, lines, size = [], [], 0
    for line in filter(None, map(str.strip, page.splitlines())):
        lines.append(line)
        size += len(line) / 2 if language == "zh" else len(line.split())
        if size >= WORDS:
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
        while len(hull) > 1 and (hull[-1] - hull[-2]) * (x[i] - x[hull[-1]]) >= (i - hull[-1]) * (
            x[hull[-1]] - x[hull[-2]]
        ):
            hull.pop()
        hull.append(i)
    below = np.interp(x, x[hull], np.array(hull) / n) if len(x) else np.zeros(0)
    return float(((np.arange(len(x)) + 1) / n - below).max(initial=0.0)) / 2


if __name__ == "__main__":
    main()
