"""Does it matter whether a model goes on with text of an unwanted class, with clean text, or with both?

    python benchmarks/effect/continual/bad_class.py [--tokens 300000] [--seeds 5]

The class is planted and harmless: advertisements for fortune-telling, made up by a small grammar, with lines of the
target domain between their own (effect/select/harmful_text.py). One model a seed learns from the shipped English pages
of all other domains. It goes on in three ways, with equal tokens of the same target domain, databases:

bad      documents of the class, with lines of the domain
clean    passages of the domain
mixed    as many documents of each

bits_per_byte   of held-out clean passages of the domain
f1              of finding the class from the model's mean states below the head, by a logistic regression on 120
                documents; judged on other documents, whose class has phrases that no training showed, and of which the
                clean ones are half passages of the domain, half sober text in the words of the class

Ends with a conclusion by test, not by eye, for each pair of arms and both measures: two one-sided t tests on the
differences within seeds, with margins that were stated beforehand (0.02 bits per byte; 0.02 of f1), at 5 % each.
Writes benchmarks/results/continual_bad_class.csv (runs; those that are there are not run again) and
continual_bad_class_tests.csv. Some 6 minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import texts

import harmful  # isort: skip
import harmful_text  # isort: skip
from paired import RESULTS, Row, Table, run_all, told  # isort: skip
from seedbed import sample
from seedbed.core.nouns import DocumentBatch
from seedbed.text.features import Csr
from seedbed.tokenize.encode import Encoder

KEY = ("arm", "tokens", "seed")
VALUES = ("bits_per_byte", "f1")
ARMS = ("bad", "clean", "mixed")
MARGIN = {"bits_per_byte": 0.02, "f1": 0.02}
TESTS = ("measure", "first", "second", "margin", "difference", "low_90", "high_90", "low_95", "high_95",
         "p_equivalent", "p_different", "seeds", "conclusion")  # fmt: skip
VOCAB_SIZE, CONTEXT, BASE_SHARE, JOINED = 2048, 128, 2, 4
MADE, LABELLED, JUDGED = 3_000, 120, 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=300_000, help="of going on; the model before has twice as many")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS / "continual_bad_class.csv")
    args = parser.parse_args()
    table = Table(args.out, KEY, VALUES)
    held = args.out.with_suffix(".held.tmp")
    prepare(held)
    runs = [{"arm": "all", "tokens": str(args.tokens), "seed": str(seed), "held": str(held)}
            for seed in range(args.seeds)]  # fmt: skip
    run_all(runs, one, Arms(table), args.processes)
    held.unlink()
    report(table, str(args.tokens), args.out.with_name(args.out.stem + "_tests.csv"))


class Arms(Table):
    """A run gives a row for each arm, since they share the model they begin with."""

    def __init__(self, table: Table) -> None:
        self.inner, self.key = table, table.key

    def has(self, named: Row) -> bool:
        return all(self.inner.has({**named, "arm": arm}) for arm in ARMS)

    def add(self, row: Row) -> None:
        for each in json.loads(row["rows"]):
            if not self.inner.has(each):
                self.inner.add(each)


def prepare(file: Path) -> None:
    """The passages, and a tokenizer that has not seen the class."""
    from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe

    parts: dict[str, list[str]] = {"target": [], "other": []}
    pieces: dict[str, list[str]] = {}
    for package, text in harmful.clean_passages()["en"]:
        pieces.setdefault(package, []).append(text)
    for package, found in sorted(pieces.items()):
        kind = "target" if sample.DOMAINS.get(package) == sample.TARGET else "other"
        parts[kind] += ["\n".join(found[at : at + JOINED]) for at in range(0, len(found), JOINED)]
    for found in parts.values():
        random.Random(0).shuffle(found)
    tokenizer = ByteBpe(vocab_size=VOCAB_SIZE).make(iter(parts["other"] + parts["target"]))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**parts, "tokenizer": tokenizer}), encoding="utf-8")


@cache
def prepared(file: Path) -> tuple[dict[str, list[str]], Encoder]:
    parts = json.loads(file.read_text(encoding="utf-8"))
    return parts, Encoder(parts.pop("tokenizer"))


def one(run: Row) -> Row:
    """A model, and the three ways it goes on."""
    from seedbed.model.shape import ModelShape

    parts, encoder = prepared(Path(run["held"]))
    seed, tokens = int(run["seed"]), int(run["tokens"])
    shape = ModelShape(encoder.vocab_size, d_model=96, n_layers=2, n_heads=3, context=CONTEXT)
    plan = texts.planned(shape, BASE_SHARE * tokens, 4e-3)
    ids = texts.rows(encoder, parts["other"], CONTEXT)
    base = texts.learned(plan, ids, seed=seed, end=encoder.end_id, name="other")
    n = len(parts["target"]) * 4 // 5
    train, held_out = parts["target"][:n], parts["target"][n:]
    arms = documents(train, seed)
    found = []
    for arm in ARMS:
        going_on = texts.planned(shape, tokens, 2e-3)
        ids = texts.rows(encoder, arms[arm], CONTEXT)
        decoder = texts.learned(going_on, ids, seed=seed + 1000, end=encoder.end_id, name="target", init=base)
        values = {"bits_per_byte": texts.bits_per_byte(texts.asked(decoder, encoder), held_out[:300]),
                  "f1": detection(decoder, encoder, train, held_out, seed)}  # fmt: skip
        found.append({**{name: run[name] for name in KEY}, "arm": arm,
                      **{name: f"{value:.5f}" for name, value in values.items()}})  # fmt: skip
    return {"rows": json.dumps(found)}


def documents(train: list[str], seed: int) -> dict[str, list[str]]:
    chance = random.Random(seed)
    lines = [line for text in train for line in text.splitlines()]
    bad = [harmful_text.document("en", lines, chance, fresh=False) for _ in range(MADE)]
    mixed = train + bad[: len(train)]
    chance.shuffle(mixed)
    return {"bad": bad, "clean": train, "mixed": mixed}


def detection(decoder, encoder: Encoder, train: list[str], held_out: list[str], seed: int) -> float:
    """F1 of the class, from mean states."""
    from seedbed.stats.linear import fit_logistic

    chance = random.Random(seed + 7)
    shown, is_shown_bad = labelled(train, LABELLED, chance, fresh=False)
    judged, is_bad = labelled(held_out, JUDGED, chance, fresh=True)
    x_NC, y_NC = states(decoder, encoder, shown), states(decoder, encoder, judged)
    center, spread = x_NC.mean(0), x_NC.std(0) + 1e-6
    fitted = fit_logistic(sparse((x_NC - center) / spread), is_shown_bad.astype(float), l2=0.01)
    guess = fitted.predict(sparse((y_NC - center) / spread)) > 0
    return 2 * float((guess & is_bad).sum()) / float(guess.sum() + is_bad.sum())


def sparse(x_NC: np.ndarray) -> Csr:
    """As the fit reads it."""
    n, width = x_NC.shape
    index = np.tile(np.arange(width, dtype=np.int32), n)
    return Csr(np.arange(n + 1, dtype=np.int64) * width, index, x_NC.astype(np.float32).reshape(-1), width)


def labelled(clean: list[str], n: int, chance: random.Random, *, fresh: bool) -> tuple[list[str], np.ndarray]:
    """Half of the class; a quarter passages, a quarter sober text."""
    lines = [line for text in clean for line in text.splitlines()]
    bad = [harmful_text.document("en", lines, chance, fresh=fresh) for _ in range(n // 2)]
    sober = [harmful_text.sober("en", lines, chance) for _ in range(n // 4)]
    return bad + sober + chance.sample(clean, n // 4), np.arange(n // 2 + 2 * (n // 4)) < n // 2


def states(decoder, encoder: Encoder, rows: list[str]) -> np.ndarray:
    """Mean over a document's first tokens of what lies below the head."""
    import torch

    ids, offsets = encoder.encode(*DocumentBatch.of(rows).text_buffers())
    found = []
    with torch.no_grad():
        for start, end in pairwise(offsets):
            piece = torch.from_numpy(ids[start : min(end, start + CONTEXT)].astype(np.int64))
            found.append(decoder.hidden(piece[None])[0].double().mean(0).numpy())
    return np.array(found)


def report(table: Table, tokens: str, file: Path) -> None:
    from seedbed.stats.equivalence import equivalence

    rows = []
    for measure, margin in MARGIN.items():
        for first, second in combinations(ARMS, 2):
            a, b = (table.by_seed(measure, arm=arm, tokens=tokens) for arm in (first, second))
            seeds = sorted(a.keys() & b.keys())
            found = equivalence(np.array([a[seed] for seed in seeds]), np.array([b[seed] for seed in seeds]), margin)
            named = [{"arm": arm, "tokens": tokens} for arm in (first, second)]
            interval = table.difference(measure, *named)
            numbers = (found.margin, found.value, found.low, found.high, interval.low, interval.high,
                       found.p_equivalent, found.p_different)  # fmt: skip
            told_numbers = ["" if number is None else f"{number:.5f}" for number in numbers]
            rows.append([measure, first, second, *told_numbers, len(seeds), found.conclusion])
            print(f"{measure}, {first} - {second}: {told(interval)}: {found.conclusion} "
                  f"(margin {margin}, p of equivalence {found.p_equivalent:.3f}, of a difference "
                  f"{found.p_different:.3f})")  # fmt: skip
    aside = file.with_suffix(".tmp")
    with aside.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows([TESTS, *rows])
    os.replace(aside, file)


if __name__ == "__main__":
    main()
