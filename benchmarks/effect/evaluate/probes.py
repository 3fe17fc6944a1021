"""Do the probes measure what a model learned? Grammar of a small language, and invented facts said 0 to 64 times.

    python benchmarks/effect/evaluate/probes.py [--tokens 2000000] [--seeds 3] [--sentences 20000] [--out runs/probes]

A language of English words with two agreements (determiner and noun, subject and verb, the latter also over a noun of
the other number), without the sentences that the minimal pairs ask; among its sentences stand facts about invented
names, at frequencies 1, 4, 16 and 64, and some are never said. A decoder of 0.2 M parameters is trained on both. What
should be seen: on the pairs it beats chance and length, which gets every singular right or every plural, never both,
and beats words' neighbours (a trigram model of the same text) where another noun stands between; recall grows with
frequency, and is at chance for what was never said.

Writes benchmarks/results/effect_probes.csv: a row a seed, probe and group. Some minutes on one core.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np

from seedbed import api
from seedbed.core.nouns import DocumentBatch
from seedbed.evaluate.accuracy import difference, growth, summarise_answers
from seedbed.evaluate.baselines import ShorterWins, ngram_baseline
from seedbed.evaluate.facts import make_facts, sentences
from seedbed.evaluate.items import Line
from seedbed.evaluate.tasks.minimal_pairs import MinimalPairs
from seedbed.evaluate.tasks.planted_facts import PlantedFacts
from seedbed.pipeline.models import open_model

RESULTS = Path(__file__).parents[2] / "results"
FREQUENCIES = (0, 1, 4, 16, 64)
NOUNS = ["dog", "cat", "horse", "farmer", "teacher", "painter", "sailor", "child", "doctor", "singer", "baker", "pilot"]
PLURAL = {"child": "children"}
VERBS = ["sleep", "walk", "sing", "wait", "run", "dance", "hide", "swim", "work", "smile"]
PLACES = ["near", "behind", "beside", "with"]
ENDS = ["", " today", " at home", " by the river", " in the garden", " every day"]
COLUMNS = (
    "seed",
    "probe",
    "group",
    "items",
    "accuracy",
    "low",
    "high",
    "chance",
    "shorter_wins",
    "ngrams",
    "ahead_of_ngrams",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=2_000_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=Path("runs/probes"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    rows = [row for seed in range(asked.seeds) for row in one(seed, asked)]
    asked.results.mkdir(parents=True, exist_ok=True)
    with (asked.results / "effect_probes.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def one(seed: int, asked: argparse.Namespace) -> list[dict[str, object]]:
    """Text, model, answers of one seed."""
    rng = np.random.default_rng(seed)
    pairs = minimal_pairs(rng)
    facts = make_facts(FREQUENCIES, 32, seed=seed)
    said = language(rng, asked.sentences, {pair["good"] for pair in pairs}) + sentences(facts, seed=seed)
    said = [said[i] for i in rng.permutation(len(said)).tolist()]
    folder = asked.out / f"seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    documents = [" ".join(said[at : at + 8]) for at in range(0, len(said), 8)]
    pool = folder / "pool.jsonl"
    pool.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents), encoding="utf-8")
    model = open_model(train(pool, folder / "run", asked.tokens, seed))
    ngrams = ngram_baseline([DocumentBatch.of(["\n".join(said)])], order=3)
    found: list[dict[str, object]] = []
    for probe, lines in ((MinimalPairs(), pairs), (PlantedFacts(), [fact.line() for fact in facts])):
        items = [probe.item(Line(f"{probe.name()}.jsonl", i, line)) for i, line in enumerate(lines, 1)]
        answers = probe.score(model, items)
        others = {"shorter_wins": probe.score(ShorterWins(), items), "ngrams": probe.score(ngrams, items)}
        whole, beside = summarise_answers(answers), {name: summarise_answers(rows) for name, rows in others.items()}
        ahead = difference(answers, others["ngrams"])
        for group, of in {"all": whole.overall, **whole.groups}.items():
            base = {name: (told.groups[group] if group != "all" else told.overall) for name, told in beside.items()}
            row = {"seed": seed, "probe": probe.name(), "group": group, "items": of.items, "chance": f"{of.chance:.3f}"}
            row |= {"accuracy": f"{of.accuracy.value:.3f}"}
            row |= {"low": f"{of.accuracy.low:.3f}", "high": f"{of.accuracy.high:.3f}"}
            row |= {name: f"{told.accuracy.value:.3f}" for name, told in base.items()}
            row["ahead_of_ngrams"] = f"{ahead['' if group == 'all' else group].value:+.3f}"
            found.append(row)
            print(" ".join(f"{name}={value}" for name, value in row.items()), flush=True)
        if isinstance(probe, PlantedFacts):
            grown = growth(answers)
            row = {"seed": seed, "probe": probe.name(), "group": "gained by ten times the frequency"}
            row |= {"accuracy": f"{grown.slope.value:.3f}"}
            row |= {"low": f"{grown.slope.low:.3f}", "high": f"{grown.slope.high:.3f}"}
            print(row, f"rank correlation {grown.rank_correlation:.2f}", flush=True)
            found.append(row)
    return found


def train(pool: Path, out: Path, tokens: int, seed: int) -> Path:
    """The folder of a small model, trained on the pool as it is."""
    recipe = api.load_recipe("pretrain")
    recipe = dataclasses.replace(recipe, curate=dataclasses.replace(recipe.curate, steps=(), survivors=()))
    shape = {"d_model": 64, "n_layers": 3, "n_heads": 2, "context": 96}
    settings = {f"train.shape.{name}": value for name, value in shape.items()}
    settings |= {
        "tokenize.tokenizers.byte_bpe.vocab_size": 768,
        "train.batch_sequences": 16,
        "train.learning_rate": 4e-3,
    }
    return api.train(recipe, out, inputs=[pool], tokens=tokens, seed=seed, settings=settings).model


def noun(stem: str, plural: bool) -> str:
    return PLURAL.get(stem, stem + "s") if plural else stem


def verb(stem: str, plural: bool) -> str:
    return stem if plural else {"dance": "dances", "hide": "hides", "smile": "smiles"}.get(stem, stem + "s")


def language(rng: np.random.Generator, n: int, without: set[str]) -> list[str]:
    """Sentences, without those that are asked about."""
    found: list[str] = []
    while len(found) < n:
        plural, other = bool(rng.integers(2)), bool(rng.integers(2))
        first, second = rng.choice(NOUNS, 2, replace=False)
        middle = f" {rng.choice(PLACES)} the {noun(second, other)}" if rng.random() < 0.5 else ""
        front = rng.choice(["These", "Those"] if plural else ["This", "That"]) if rng.random() < 0.6 else "The"
        said = f"{front} {noun(first, plural)}{middle} {verb(str(rng.choice(VERBS)), plural)}{rng.choice(ENDS)}."
        if said not in without:
            found.append(said)
    return found


def minimal_pairs(rng: np.random.Generator) -> list[dict[str, str]]:
    """Good and bad sentences of three paradigms, as many of singulars as of plurals."""
    pairs: list[dict[str, str]] = []
    for (first, second), plural in itertools.product(itertools.permutations(NOUNS[:10], 2), (False, True)):
        said, number = verb(str(rng.choice(VERBS)), plural), "plural" if plural else "singular"
        wrong = next(verb(stem, not plural) for stem in VERBS if verb(stem, plural) == said)
        this, these = ("These", "This") if plural else ("This", "These")
        end = str(rng.choice(ENDS))
        between = f"{noun(first, plural)} {rng.choice(PLACES)} the {noun(second, not plural)}"
        alone = noun(first, plural)
        pairs += [
            {
                "paradigm": f"determiner, {number}",
                "good": f"{this} {alone} {said}{end}.",
                "bad": f"{these} {alone} {said}{end}.",
            },
            {"paradigm": f"verb, {number}", "good": f"The {alone} {said}{end}.", "bad": f"The {alone} {wrong}{end}."},
            {
                "paradigm": f"verb over a noun, {number}",
                "good": f"The {between} {said}{end}.",
                "bad": f"The {between} {wrong}{end}.",
            },
        ]
    return list({pair["good"]: pair for pair in pairs}.values())


if __name__ == "__main__":
    main()
