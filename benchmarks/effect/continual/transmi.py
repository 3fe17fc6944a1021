"""TransMI without a training step: what a model of Cyrillic text makes of the same language in Latin letters.

    python benchmarks/effect/continual/transmi.py --corpus FOLDER [--tokens 600000] [--seeds 3]

A decoder of 0.9 M parameters (half of them the tied embedding) with a Unigram vocabulary of 4,096 learns from Russian
documentation. Held-out documents are then put in their own letters and romanized: to the model as it is, and to the
model that TransMI made of it in each mode. No text in Latin letters is made for training.

original_*, latin_*     the probe's letters
*_bits_per_byte         of the whole text as it is written
*_accuracy              points: the text's next 60 characters among those of three other texts, by the sum of nats

Writes benchmarks/results/continual_transmi.csv; rows that are there are not run again. `latin_gain` in the last lines
is the fraction of bits per byte saved. Some 4 minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import json
from functools import cache
from pathlib import Path

import texts

from paired import RESULTS, Row, Table, run_all, told  # isort: skip
from seedbed.tokenize.encode import Encoder

KEY = ("mode", "tokens", "seed")
VALUES = ("pieces", "new_pieces", "original_bits_per_byte", "latin_bits_per_byte", "original_accuracy",
          "latin_accuracy", "original_tokens", "latin_tokens")  # fmt: skip
MODES = ("max", "min", "average")
VOCAB_SIZE, CONTEXT, LONGEST, PASSAGE, PASSAGES = 4096, 256, 20_000, 900, 3
PACKAGES = ("manpages-ru", "libreoffice-help-ru", "debian-handbook", "developers-reference-ru")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=600_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS / "continual_transmi.csv")
    args = parser.parse_args()
    table = Table(args.out, KEY, VALUES)
    prepare(args.corpus, args.out.with_suffix(".tokenizer.tmp"))
    given = {"corpus": str(args.corpus), "tokenizer": str(args.out.with_suffix(".tokenizer.tmp"))}
    runs = [{"mode": "none", "tokens": str(args.tokens), "seed": str(seed), **given} for seed in range(args.seeds)]
    runs = [run for run in runs if not all(table.has({**run, "mode": mode}) for mode in ("none", *MODES))]
    table.rows = [row for row in table.rows if not any(row["seed"] == run["seed"] for run in runs)]
    run_all(runs, one, Several(table), args.processes)
    Path(given["tokenizer"]).unlink()
    report(table, str(args.tokens))


class Several(Table):
    """A run gives a row for each mode."""

    def __init__(self, table: Table) -> None:
        self.inner, self.key = table, table.key

    def has(self, named: Row) -> bool:
        return self.inner.has(named)

    def add(self, row: Row) -> None:
        for each in json.loads(row["rows"]):
            self.inner.add(each)


def prepare(corpus: Path, file: Path) -> None:
    from seedbed.tokenize.tokenizers.unigram import Unigram

    train, _ = russian(corpus)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(Unigram(vocab_size=VOCAB_SIZE).make(iter(train)), encoding="utf-8")


@cache
def russian(corpus: Path) -> tuple[list[str], list[str]]:
    return texts.documents(corpus, lambda package, language: language == "ru" and package in PACKAGES, LONGEST)


def one(run: Row) -> Row:
    """Train a model, transform it in each mode, and ask all of them."""
    from seedbed.model.shape import ModelShape
    from seedbed.model.transforming import Checkpoint, Given
    from seedbed.model.transforms.transmi import TransMI

    seed = int(run["seed"])
    train, whole = russian(Path(run["corpus"]))
    held_out = [text[at * PASSAGE : (at + 1) * PASSAGE] for text in whole for at in range(PASSAGES)]
    held_out = [text for text in held_out if text]
    encoder = Encoder(Path(run["tokenizer"]).read_text(encoding="utf-8"))
    ids = texts.rows(encoder, train, CONTEXT)
    shape = ModelShape(encoder.vocab_size, d_model=112, n_layers=3, n_heads=4, context=CONTEXT)
    decoder = texts.learned(texts.planned(shape, int(run["tokens"]), 4e-3), ids, seed=seed, end=encoder.end_id)
    before = Checkpoint(decoder, encoder.definition, encoder.end_id)
    found = [row(before, "none", run, held_out)]
    found += [row(TransMI(mode=mode).apply(before, Given()), mode, run, held_out) for mode in MODES]
    return {"rows": json.dumps(found)}


def row(checkpoint, mode: str, run: Row, held_out: list[str]) -> Row:
    from seedbed.evaluate.tasks.multiple_choice import MultipleChoice

    encoder = Encoder(checkpoint.tokenizer_json)
    model = texts.asked(checkpoint.decoder, encoder)
    made: Row = {**{name: run[name] for name in KEY}, "mode": mode, "pieces": str(encoder.vocab_size),
                 "new_pieces": str(encoder.vocab_size - VOCAB_SIZE)}  # fmt: skip
    for letters in ("original", "latin"):
        probed = latin(tuple(held_out)) if letters == "latin" else held_out
        made[f"{letters}_bits_per_byte"] = f"{texts.bits_per_byte(model, probed):.5f}"
        items = texts.continuations(probed, len(probed))
        made[f"{letters}_accuracy"] = f"{texts.accuracy(MultipleChoice(), model, items):.2f}"
        made[f"{letters}_tokens"] = str(texts.rows(encoder, probed, 1).size)
    return made


@cache
def latin(held_out: tuple[str, ...]) -> list[str]:
    from seedbed.text.romanizing import romanized

    return [romanized(text) for text in held_out]


def report(table: Table, tokens: str) -> None:
    from seedbed.stats.intervals import mean_interval

    none = {"mode": "none", "tokens": tokens}
    for mode in MODES:
        mine = {"mode": mode, "tokens": tokens}
        for value in ("original_bits_per_byte", "latin_bits_per_byte", "original_accuracy", "latin_accuracy"):
            print(f"{value}, {mode} - unmodified: {told(table.difference(value, mine, none))}")
        after, before = (table.by_seed("latin_bits_per_byte", **named) for named in (mine, none))
        gain = mean_interval(texts.np.array([1 - after[seed] / before[seed] for seed in sorted(after)]))
        print(f"latin_gain, {mode}: {told(gain)}")


if __name__ == "__main__":
    main()
