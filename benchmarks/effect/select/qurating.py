"""Does QuRating's rater find a judge's hidden quality again, on pages that it has not seen?

    python benchmarks/effect/select/qurating.py [--pages 1000] [--pairs 250,1000,2500] [--seeds 3] [--out runs/pages]

Pages of the shipped sample (500 characters and more). A share of each page's runs of eight words, uniform from 0 to
0.9, is spoiled:
  templates   by sentences of a shop page
  letters     by words of random letters
  shuffled    by having their words in random order, over the page
The hidden quality z is the share that is whole, in standard deviations. A scripted judge finds the second text better
with probability sigmoid(1.5 (z_second - z_first)), leans to the second place by 0.5 of the logit, and gives no answer
once in twenty times; it votes 20 times on each order. Half of the pages are for fitting.

`judge` asks it about excerpts, `labels` reads a file that `labels_for` made. `pair_accuracy` is over pairs of held-out
pages on which the judge is confident as the paper asks (|P - 1/2| >= 1/4), against the side that it prefers; `ceiling`
is what the hidden quality itself reaches there. `spearman` is of rating and hidden quality over the held-out pages.

Writes benchmarks/results/effect_qurating.csv. A few minutes on one core.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import random
import re
import string
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy import stats

import seedbed as sb
from seedbed.core import arrow
from seedbed.core.cost import Cost
from seedbed.core.nouns import DocumentBatch
from seedbed.recipes import study
from seedbed.select.contract import Given
from seedbed.select.scorers.qurating import Qurating

RESULTS = Path(__file__).parents[2] / "results"
COLUMNS = (
    "spoiled_by",
    "from",
    "pairs",
    "seed",
    "fitted_pages",
    "held_out_pages",
    "pair_accuracy",
    "ceiling",
    "spearman",
)
RUN, SLOPE, LEANING, SILENT, VOTES = 8, 1.5, 0.5, 0.05, 20
SHOP = (
    "Add this item to your basket and check out today.",
    "Sign up for our letter and save ten percent.",
    "Delivery is free within three working days.",
    "Customers who bought this also looked at these.",
    "All rights reserved, terms and conditions apply.",
    "Share this page with your friends.",
)
QUALITY = {
    "near_copy": 0.8,
    "half_noise": -0.2,
    "easy": -0.5,
    "template": -1.0,
    "shuffled": -1.2,
    "offers": -1.5,
    "noise": -2.0,
}
"""Of the planted pool's passages; real text has 1."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--pairs", default="250,1000,2500")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/pages"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    texts = [text for _, text in pages(asked.out)]
    rows: list[dict[str, object]] = []
    for seed in range(asked.seeds):
        for kind in ("templates", "letters", "shuffled"):
            draw = random.Random(f"{seed} {kind}")
            share_N = [0.9 * draw.random() for _ in range(asked.pages)]
            drawn = zip(draw.sample(texts, asked.pages), share_N, strict=True)
            spoilt = [spoiled(text, share, kind, draw) for text, share in drawn]
            z_N = -(np.array(share_N) - 0.45) / (0.9 / 12**0.5)
            for pairs in map(int, asked.pairs.split(",")):
                for origin in ("judge", "labels"):
                    about = {"spoiled_by": kind, "from": origin, "pairs": pairs, "seed": seed}
                    rows.append(
                        {**about, **measured(spoilt, z_N, pairs, seed, asked.out if origin == "labels" else None)}
                    )
                    print(rows[-1], flush=True)
    asked.results.mkdir(exist_ok=True)
    with (asked.results / "effect_qurating.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def measured(texts: list[str], z_N: np.ndarray, pairs: int, seed: int, folder: Path | None) -> dict[str, object]:
    """Fit on the first half, by the judge or by labels in a file of that folder, and ask about the second."""
    half = len(texts) // 2
    pool = tokenised(texts)
    seen, unseen = pool.some(np.arange(half)), pool.some(np.arange(half, len(texts)))
    law = Qurating(pairs=pairs, votes=VOTES, criteria=("educational_value",))
    judge = Scripted(texts[:half], z_N[:half], seed)
    if folder is not None:
        file = folder / "labels.jsonl"
        labels_for(file, seen.ids, z_N[:half].tolist(), pairs=pairs, seed=seed)
        law = Qurating(labels=str(file))
    fitted = law.fit(Given(pool=[seen], judge=None if folder else judge, seed=seed))
    score_N = arrow.numpy(fitted.measure(unseen), "score")
    z_M = z_N[half:]
    chance = np.random.default_rng(seed + 1000)
    first, second = chance.integers(0, len(z_M), (2, 20_000))
    p = preferred(z_M[first] - z_M[second], chance)
    clear = (np.abs(p - 0.5) >= 0.25) & (first != second)
    better = p[clear] > 0.5
    agree = [float(np.mean((by[first] > by[second])[clear] == better)) for by in (score_N, z_M)]
    spearman = float(stats.spearmanr(score_N, z_M).statistic)
    found = {"pair_accuracy": agree[0], "ceiling": agree[1], "spearman": spearman}
    return {"fitted_pages": half, "held_out_pages": len(z_M), **{name: f"{value:.4f}" for name, value in found.items()}}


def labels_for(
    file: Path,
    ids: Sequence[bytes],
    quality: Sequence[float],
    *,
    criterion: str = "educational_value",
    pairs: int = 2500,
    seed: int = 0,
) -> None:
    """Write a file for the parameter `labels`: the scripted judge's votes on pairs of documents of known quality."""
    chance = np.random.default_rng(seed)
    first = chance.integers(0, len(ids), pairs)
    second = (first + chance.integers(1, len(ids), pairs)) % len(ids)
    z = np.asarray(quality)
    p = preferred(z[first] - z[second], chance)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as out:
        for i, j, probability in zip(first.tolist(), second.tolist(), p.tolist(), strict=True):
            row = {"first": ids[i].hex(), "second": ids[j].hex(), "criterion": criterion, "probability": probability}
            out.write(json.dumps(row) + "\n")


def labels_for_planted(file: Path, pool: Path, work: Path, quality_of: Mapping[str, float] = QUALITY) -> None:
    """Labels of the planted pool (pool.py) by what its passages are; `work` is a folder to read it in."""
    ids, sources = planted(pool, work)
    labels_for(file, ids, [quality_of.get(source, 1.0) for source in sources])


def planted(pool: Path, work: Path) -> tuple[list[bytes], list[str]]:
    """(ids, what each is) of the passages of a folder. Ids come from a file's name, place and bytes alone."""
    documents = read(str(pool), work)
    ids = [key if isinstance(key, bytes) else bytes.fromhex(key) for key in documents.column("id").to_pylist()]
    return ids, [source or "" for source in arrow.strings(documents, "source")]


def pages(folder: Path) -> list[tuple[str, str]]:
    """(package, text) of the sample's pages of 500 characters and more; what that folder holds is not done again."""
    documents = read("sample:pool", folder)
    urls, texts = (arrow.strings(documents, name) for name in ("url", "text"))
    found = [((url or "").split("/")[3], text or "") for url, text in zip(urls, texts, strict=True)]
    return [page for page in found if len(page[1]) >= 500]


def read(given: str, work: Path) -> pa.Table:
    """All documents, unfiltered."""
    whole = study.recipe()
    as_it_is = dataclasses.replace(whole, curate=dataclasses.replace(whole.curate, steps=(), survivors=()))
    return sb.curate(given, out=work, recipe=as_it_is, workers=1).documents()


def preferred(difference_P: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """What 20 votes on each order say of P(first better), where the judge leans to the second place."""
    said = [
        chance.binomial(VOTES, 1 / (1 + np.exp(-(SLOPE * sign * difference_P - LEANING)))) / VOTES for sign in (1, -1)
    ]  # the share of A, with the first text there and with the second
    return (said[0] + 1 - said[1]) / 2


class Scripted:
    """The judge, asked in prompts: it knows the page that an excerpt is from."""

    cost = Cost()

    def __init__(self, texts: list[str], z_N: np.ndarray, seed: int) -> None:
        self.chance = random.Random(seed)
        known = list(zip(texts, z_N.tolist(), strict=True))
        self.found = cache(lambda excerpt: next(z for text, z in known if excerpt in text))

    def answers(self, prompts: Sequence[str], votes: int = 1) -> list[list[str]]:
        given: list[list[str]] = []
        for prompt in prompts:
            match = re.search(r"\[Text A\]\n(.*)\n\n\[Text B\]\n(.*)\n\nWhich", prompt, re.DOTALL)
            assert match
            a, b = (self.found(text) for text in match.groups())
            p = 1 / (1 + np.exp(-(SLOPE * (b - a) + LEANING)))
            draws = [(self.chance.random() < SILENT, self.chance.random() < p) for _ in range(votes)]
            given.append(["I cannot say." if silent else "B" if second else "A" for silent, second in draws])
        return given


def spoiled(text: str, share: float, kind: str, draw: random.Random) -> str:
    """The text with about that share of its runs of eight words spoiled."""
    words = text.split(" ")
    runs = [words[at : at + RUN] for at in range(0, len(words), RUN)]
    hit = [at for at in range(len(runs)) if draw.random() < share]
    if kind == "shuffled":
        loose = [word for at in hit for word in runs[at]]
        draw.shuffle(loose)
        for at in hit:
            runs[at], loose = loose[: len(runs[at])], loose[len(runs[at]) :]
    else:
        for at in hit:
            runs[at] = [draw.choice(SHOP)] if kind == "templates" else [_letters(draw) for _ in runs[at]]
    return " ".join(word for run in runs for word in run)


def _letters(draw: random.Random) -> str:
    return "".join(draw.choices(string.ascii_lowercase, k=draw.randint(2, 9)))


def tokenised(texts: list[str]) -> DocumentBatch:
    """Documents with a token for every four bytes, which is what the demo's tokenizer comes to."""
    size_N = np.array([len(text.encode()) // 4 + 1 for text in texts], np.int64)
    offsets = np.concatenate([[0], np.cumsum(size_N)]).astype(np.int64)
    return DocumentBatch(DocumentBatch.of(texts).rows, (np.zeros(offsets[-1], np.int64), offsets))


if __name__ == "__main__":
    main()
