"""Every way to choose data on the planted pool: the same tokens, the same seeds, cost counted.

    python benchmarks/effect/select/planted.py [--seeds 5] [--arms random,dsir,...] [--out runs/planted] [--workers 2]

A model of 0.1 M parameters reads a tenth of the pool (pool.py says what is in it) and is asked about databases. Each
seed draws its own nine tenths of pool and target, and methods are fitted anew for it. Random documents are read at
other lengths too, each to the end of its own schedule. Killed anywhere, the same command goes on.

Writes benchmarks/results/select_planted_{comparison,summary,...}.csv.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import json
import os
import random
import shutil
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from dataman import labels_for_planted as ratings_for_planted
from pool import build
from qurating import labels_for_planted as pairs_for_planted

from seedbed import pipeline, sample
from seedbed.evaluate.tasks.minimal_pairs import MinimalPairs
from seedbed.evaluate.tasks.multiple_choice import MultipleChoice
from seedbed.model.shape import ModelShape
from seedbed.recipe import Arm, ComparePlan, EvaluatePlan, ProbePlan, Recipe, Stage
from seedbed.recipes import _arms as named
from seedbed.recipes import demo, study
from seedbed.select.contract import Scorer, Selector
from seedbed.select.mixers.data_mixing_law import DataMixingLaw
from seedbed.select.mixers.dcpt_law import DcptLaw
from seedbed.select.mixers.doge import Doge
from seedbed.select.mixers.doremi import Doremi
from seedbed.select.mixers.merge_proxy import MergeProxy
from seedbed.select.mixers.regmix import Regmix
from seedbed.select.mixers.skill_it import SkillIt
from seedbed.select.mixers.temperature import Temperature
from seedbed.select.mixers.unimax import Unimax
from seedbed.select.mixing import Mixer
from seedbed.select.scorers.clusters import Clusters
from seedbed.select.scorers.color_filter import ColorFilter
from seedbed.select.scorers.constant import Constant
from seedbed.select.scorers.dataman import Dataman
from seedbed.select.scorers.dsir import Dsir
from seedbed.select.scorers.harmful_perplexity import HarmfulPerplexity
from seedbed.select.scorers.mates import Mates
from seedbed.select.scorers.miniplm import Miniplm
from seedbed.select.scorers.ngram_classifier import NgramClassifier
from seedbed.select.scorers.ngram_perplexity import NgramPerplexity
from seedbed.select.scorers.perplexity import Perplexity
from seedbed.select.scorers.preselect import Preselect
from seedbed.select.scorers.quad import Quad
from seedbed.select.scorers.qurating import Qurating
from seedbed.select.scorers.rho import Rho
from seedbed.select.selectors.gumbel_top_k import GumbelTopK
from seedbed.select.selectors.quotas import Quotas
from seedbed.select.selectors.threshold import Threshold
from seedbed.select.selectors.top_k import TopK

RESULTS = Path(__file__).parents[2] / "results"
TABLES = ("comparison", "summary", "probes", "picked", "agreement", "break_even", "break_even_points")
VOCAB_SIZE = 1024
TOKENS = 200_000
CURVE = (0.25, 0.5, 2.0, 4.0, 8.0)
TRIAL, TRIALS = 50_000, 24
"""Tokens of a trial of a mixture, and how many of them."""


def arms(pool: Path) -> dict[str, Arm]:
    """Every arm by name, the floor and the ceiling first; labels are made from what the passages are."""
    top, sampled = TopK(), GumbelTopK(temperature=2.0)
    loss, asks = {"tokens": TOKENS, "shape": 0.5}, {"n_reference": 32}
    color = ColorFilter(prior_tokens=TOKENS, conditional_tokens=TOKENS // 2, shape=0.5)
    difference = Miniplm(teacher_tokens=4 * TOKENS, reference_tokens=TOKENS // 2)
    harmful = HarmfulPerplexity(files=(str(pool / "unwanted.jsonl.gz"),))
    rated, mates = Qurating(labels=str(pool / "pairs.jsonl")), Mates(n_probes=200, n_reliability=20, **asks)
    quad = Quad(n_probes=240, candidates=1200, clusters=32, n_factors=64, features="ngrams", **asks)
    first = Stage(Constant(), GumbelTopK(), share=0.2)
    one: list[tuple[str, Scorer, Selector]] = [
        ("dsir", Dsir(), GumbelTopK()),
        ("ngram_classifier", NgramClassifier(), top),
        ("color_filter", color, top),
        ("miniplm", difference, top),
        ("miniplm-sampled", difference, GumbelTopK(temperature=0.2)),
        ("miniplm-late", Miniplm(teacher_tokens=4 * TOKENS, reference_tokens=4 * TOKENS), top),
        ("perplexity-low", Perplexity(keep="low", **loss), top),
        ("perplexity-middle", Perplexity(keep="middle", **loss), top),
        ("perplexity-high", Perplexity(keep="high", **loss), top),
        ("ngram_perplexity", NgramPerplexity(), top),
        ("harmful_perplexity", harmful, Threshold()),
        ("preselect", Preselect(tokens=(60_000,) * 8, sample_documents=1000), top),
        ("qurating-top", rated, top),
        ("qurating-sampled", rated, sampled),
        ("dataman", Dataman(labels=str(pool / "ratings.jsonl")), top),
        ("clusters", Clusters(clusters=32), Quotas(by=("cluster",), shares="equal")),
    ]
    mixers: list[tuple[str, Mixer]] = [
        ("temperature", Temperature()),
        ("unimax", Unimax()),
        ("regmix", Regmix(n_trials=TRIALS, trial_tokens=TRIAL, trees=300, simulated=20_000)),
        ("data_mixing_law", DataMixingLaw(n_trials=TRIALS, trial_tokens=TRIAL)),
        ("dcpt_law", DcptLaw(domain=sample.TARGET, ratios=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0), lengths=(TRIAL // 2, TRIAL),
                             shapes=(1.0,), aim="lowest")),
        ("merge_proxy", MergeProxy(trial_tokens=TRIAL, start_tokens=TRIAL, candidates=64, weighted=64)),
        ("doremi", Doremi(tokens=TOKENS, sampling="pool")),
        ("doge", Doge(tokens=TOKENS, sampling="pool")),
    ]  # fmt: skip
    found = [named.RANDOM, named.ceiling((sample.TARGET,), "source")]
    found += [Arm(name, (Stage(scorer, selector),)) for name, scorer, selector in one]
    found += [Arm(name, (Stage(Constant(), GumbelTopK(), mixer=mixer),)) for name, mixer in mixers]
    found += [
        Arm("rho", (Stage(Rho(tokens=TOKENS // 2), top, share=0.25),) * 4),
        Arm("mates", (first, *(Stage(mates, GumbelTopK(), share=0.2),) * 4)),
        Arm("mates-top", (first, *(Stage(mates, top, share=0.2),) * 4)),
        Arm("mates-once", (first, Stage(mates, GumbelTopK(), share=0.8))),
        Arm("quad", (first, *(Stage(quad, top, share=0.4),) * 2)),
        Arm("skill_it", (Stage(Constant(), GumbelTopK(), mixer=SkillIt(trial_tokens=TRIAL), share=0.25),) * 4),
    ]
    return {arm.name: arm for arm in found}


def continuations(file: Path, n: int = 300, seed: int = 3) -> None:
    """Held-out passages of the target, each with its own next words and those of three others."""
    draw = random.Random(seed)
    with gzip.open(sample.heldout()[sample.TARGET], "rt", encoding="utf-8") as lines:
        words = [word for line in lines for word in json.loads(line)["text"].split()]
    starts = draw.sample(range(0, len(words) - 40, 40), min(n, len(words) // 40 - 1))
    endings = {start: " ".join(words[start + 30 : start + 38]) for start in starts}
    with file.open("w", encoding="utf-8") as out:
        for start in starts:
            others = draw.sample([ending for other, ending in endings.items() if other != start], 3)
            choices = [endings[start], *others]
            draw.shuffle(choices)
            item = {"question": " ".join(words[start : start + 30]), "choices": choices, "answer": endings[start]}
            out.write(json.dumps(item, ensure_ascii=False) + "\n")


def word_order(file: Path, n: int = 1000, seed: int = 4) -> None:
    """Held-out sentences of the target, each beside itself with two neighbouring words changed over."""
    draw = random.Random(seed)
    with gzip.open(sample.heldout()[sample.TARGET], "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    found = sorted(
        {s.strip() for text in texts for s in text.replace("\n", " ").split(". ") if 8 <= len(s.split()) <= 24}
    )
    with file.open("w", encoding="utf-8") as out:
        for sentence in draw.sample(found, min(n, len(found))):
            words = sentence.split()
            at = draw.randrange(1, len(words) - 2)
            words[at], words[at + 1] = words[at + 1], words[at]
            item = {"good": " ".join(sentence.split()), "bad": " ".join(words), "paradigm": "word order"}
            if item["good"] != item["bad"]:
                out.write(json.dumps(item, ensure_ascii=False) + "\n")


def labels(pool: Path, work: Path) -> None:
    """Judged pairs and ratings of the pool's passages, by what they are."""
    continuations(pool / "continuations.jsonl")
    word_order(pool / "word_order.jsonl")
    if not (pool / "ratings.jsonl").exists():
        pairs_for_planted(pool / "pairs.jsonl", pool / "pool.jsonl.gz", work)
        ratings_for_planted(pool / "ratings.jsonl", pool / "pool.jsonl.gz", work)


def recipe(pool: Path, chosen: tuple[Arm, ...], seeds: int) -> Recipe:
    """The whole run; the pool is read as it is."""
    whole = study.recipe()
    assert whole.train is not None
    shape = ModelShape(vocab_size=VOCAB_SIZE, d_model=48, n_layers=2, n_heads=3, context=128)
    evaluation = demo.heldout()
    return dataclasses.replace(
        whole,
        name="planted",
        about="ways to choose data on a pool whose documents are known",
        inputs=(str(pool / "pool.jsonl.gz"),),
        target=(f"sample:{sample.target_select().name}",),
        curate=dataclasses.replace(whole.curate, steps=(), survivors=(), shard_bytes=2 << 20),
        tokenizer=dataclasses.replace(demo.recipe().tokenizer, vocab_size=VOCAB_SIZE),
        train=dataclasses.replace(demo.small_training(TOKENS), shape=shape),
        compare=ComparePlan(chosen, "random", "ceiling", seeds=seeds, resample=0.9, curve=CURVE),
        evaluate=EvaluatePlan(
            evaluation.texts,
            evaluation.target,
            evaluation.task,
            evaluation.audit,
            {
                "continuations": ProbePlan(str(pool / "continuations.jsonl"), MultipleChoice(normalise="bytes")),
                "word_order": ProbePlan(str(pool / "word_order.jsonl"), MinimalPairs()),
            },
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--arms", default="")
    parser.add_argument("--out", type=Path, default=Path("runs/planted"))
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    pool = asked.out.with_name(asked.out.name + "-pool")
    if not (pool / "unwanted.jsonl.gz").exists():
        build(pool)
    labels(pool, pool / "work")
    known = arms(pool)
    chosen = tuple(known[name] for name in asked.arms.split(",")) if asked.arms else tuple(known.values())
    index = pipeline.run(recipe(pool, chosen, asked.seeds), asked.out, workers=asked.workers)
    if not asked.arms:
        for table in TABLES:
            shutil.copyfile(asked.out / f"{table}.csv", RESULTS / f"select_planted_{table}.csv")
    print("\n".join(index["compare"]["verdict"]))


if __name__ == "__main__":
    main()
