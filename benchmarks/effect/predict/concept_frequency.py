"""Does recall grow with the logarithm of how often the corpus says a fact? Facts planted 1, 2, 4, ... 1,024 times.

    python benchmarks/effect/predict/concept_frequency.py [--corpus FOLDER] [--seeds 3] [--filler 2000000]

Facts about invented names, equally many at every power of two (Zipf's law: as many in every octave), are written among
the text of a corpus (FOLDER/jsonl/all.jsonl; without it a language of a few words, as in effect/evaluate/probes.py).
The names are then counted in that text, a decoder of 0.2 M parameters reads it about once, and every fact is asked for:
its answer must be likelier than the seven others of its kind. The law is fitted to (frequency, right or wrong) of
single facts; again to the facts said up to 256 times, to forecast those said 512 and 1,024 times; and, as a control,
200 times with frequencies dealt out anew among the facts: its row has the mean of slope and r with the range of 95 % of
the shuffles, and as p the share of shuffles whose p is below 0.05.

Writes predict_concept_frequency.csv (a row a seed and frequency) and predict_concept_frequency_fits.csv (a row a seed
and fit, and all seeds' facts together). A seed that is there is not trained again. Minutes on one core.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

from seedbed import api
from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch
from seedbed.evaluate.accuracy import by_frequency
from seedbed.evaluate.answers import ANSWERS
from seedbed.evaluate.concepts import Concepts, trend_rows
from seedbed.evaluate.facts import Fact, make_facts, sentences
from seedbed.evaluate.items import Line
from seedbed.evaluate.tasks.planted_facts import PlantedFacts
from seedbed.pipeline.models import open_model
from seedbed.predict.laws.concept_frequency import ConceptFrequency

sys.path += [str(Path(__file__).parents[1] / room) for room in ("evaluate", "continual")]

RESULTS = Path(__file__).parents[2] / "results"
FREQUENCIES = (0, *(2**k for k in range(11)))
KNOWN = 256
CHARACTERS_PER_TOKEN = 2.9
"""Of a vocabulary of 1,024 on this text, a little below what is seen: the pool is read about once."""
CURVE = ("seed", "corpus", "frequency", "facts", "accuracy", "low", "high", "chance", "bits_per_byte")
FITS = ("seed", "corpus", "fit", "facts", "slope", "slope_low", "slope_high", "r", "r_low", "r_high", "p", "binned_r2",
        "warnings", "forecast_at", "forecast", "seen")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--filler", type=int, default=2_000_000, help="characters of text beside the facts")
    parser.add_argument("--per-frequency", type=int, default=8, help="facts of each relation and frequency")
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--work", type=Path, default=Path("runs/effect_predict/concepts"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    curve, fits, asked_of = list[dict[str, object]](), list[dict[str, object]](), list[pa.Table]()
    for seed in range(asked.seeds):
        facts = make_facts(FREQUENCIES, asked.per_frequency, seed=seed)
        answers = answered(seed, facts, asked)
        about = {"seed": seed, "corpus": "sentences" if asked.corpus is None else "text"}
        curve += [about | row for row in curve_of(answers)]
        fits += [about | row for row in fits_of(answers, seed)]
        asked_of.append(answers)
        if seed and seed == asked.seeds - 1:
            fits += [about | {"seed": "all"} | row for row in fits_of(arrow.concat(asked_of, ANSWERS), 0)]
        asked.out.mkdir(parents=True, exist_ok=True)
        write(asked.out / "predict_concept_frequency.csv", CURVE, curve)
        write(asked.out / "predict_concept_frequency_fits.csv", FITS, fits)
        for row in fits[-3:]:
            print(" ".join(f"{name}={value}" for name, value in row.items()), flush=True)


def answered(seed: int, facts: list[Fact], asked: argparse.Namespace):
    """What the model of this seed says of every fact; frequencies are counted in the text it read."""
    folder = asked.work / f"{'sentences' if asked.corpus is None else 'text'}-{asked.filler}-seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    pool = folder / "pool.jsonl"
    documents = mixed(filler(asked, seed), sentences(facts, seed=seed), seed)
    pool.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents), encoding="utf-8")
    counts = Concepts([fact.name for fact in facts]).count([DocumentBatch.of(documents)])
    counted = arrow.numpy(counts, "occurrences").tolist()
    assert counted == [fact.frequency for fact in facts], "the counter disagrees with what was planted"
    run = folder / "run"
    if not (run / "model" / "config.json").exists():
        tokens = int(sum(len(text) for text in documents) / CHARACTERS_PER_TOKEN)
        train(pool, run, tokens, seed, asked.learning_rate)
    probe = PlantedFacts()
    lines = [fact.line() | {"frequency": n} for fact, n in zip(facts, counted, strict=True)]
    items = [probe.item(Line("facts.jsonl", i, line)) for i, line in enumerate(lines, 1)]
    return probe.score(open_model(run), items)


def filler(asked: argparse.Namespace, seed: int) -> list[str]:
    """Lines of text that say nothing of the facts."""
    if asked.corpus is None:
        from probes import language

        return language(np.random.default_rng(seed), asked.filler // 45, set())
    from texts import documents

    read, _ = documents(asked.corpus, lambda _package, language: language == "en", 4000)
    order = np.random.default_rng(seed).permutation(len(read)).tolist()
    found, size = list[str](), 0
    for at in order:
        for line in read[at].splitlines():
            if len(line) > 40:
                found.append(line)
                size += len(line)
        if size > asked.filler:
            break
    return found


def mixed(text: list[str], said: list[str], seed: int) -> list[str]:
    """Documents of a dozen lines, facts strewn among the text."""
    order = np.random.default_rng(seed + 1000).permutation(len(text) + len(said)).tolist()
    lines = [(text + said)[at] for at in order]
    return ["\n".join(lines[at : at + 12]) for at in range(0, len(lines), 12)]


def train(pool: Path, out: Path, tokens: int, seed: int, learning_rate: float) -> None:
    """A small model that reads the pool as it is."""
    recipe = api.load_recipe("pretrain")
    recipe = dataclasses.replace(recipe, curate=dataclasses.replace(recipe.curate, steps=(), survivors=()))
    shape = {"d_model": 64, "n_layers": 3, "n_heads": 4, "context": 128}
    settings = {f"train.shape.{name}": value for name, value in shape.items()}
    settings |= {
        "tokenize.tokenizers.byte_bpe.vocab_size": 1024,
        "train.batch_sequences": 8,
        "train.learning_rate": learning_rate,
    }
    api.train(recipe, out, inputs=[pool], tokens=tokens, seed=seed, settings=settings)


def curve_of(answers) -> list[dict[str, object]]:
    return [
        {
            "frequency": f"{frequency:g}",
            "facts": of.items,
            "accuracy": f"{of.accuracy.value:.4f}",
            "low": f"{of.accuracy.low:.4f}",
            "high": f"{of.accuracy.high:.4f}",
            "chance": f"{of.chance:.4f}",
            "bits_per_byte": f"{of.bits_per_byte:.4f}",
        }
        for frequency, of in by_frequency(answers).items()
    ]


def fits_of(answers, seed: int) -> list[dict[str, object]]:
    """Of all facts, of those said up to 256 times, and of all with their frequencies shuffled."""
    rows, law = trend_rows(answers), ConceptFrequency(min_per_bin=5)
    frequency_N, accuracy_N = arrow.numpy(rows, "frequency"), arrow.numpy(rows, "accuracy")
    few_N = frequency_N <= KNOWN
    some = {"frequency": frequency_N[few_N], "accuracy": accuracy_N[few_N]}
    tables = {"facts": rows, f"up to {KNOWN}": arrow.table(some)}
    found: list[dict[str, object]] = []
    for name, table in tables.items():
        fitted = law.fit(table)
        m, r = fitted.coefficients["m"], fitted.coefficients["r"]
        row: dict[str, object] = {"fit": name, "facts": fitted.line.n}
        row |= {"slope": f"{m.value:.4f}", "slope_low": f"{m.low:.4f}", "slope_high": f"{m.high:.4f}"}
        row |= {"r": f"{r.value:.3f}", "r_low": f"{r.low:.3f}", "r_high": f"{r.high:.3f}"}
        row |= {"p": f"{fitted.line.p_value:.3g}", "binned_r2": f"{fitted.facts['binned_r2']:.3f}"}
        row |= {"warnings": len(fitted.warnings)}
        if name.startswith("up to"):
            later = sorted(set(frequency_N[~few_N].tolist()))
            row["forecast_at"] = " ".join(f"{f:g}" for f in later)
            row["forecast"] = " ".join(f"{fitted.forecast({'frequency': f}).value:.3f}" for f in later)
            row["seen"] = " ".join(f"{accuracy_N[frequency_N == f].mean():.3f}" for f in later)
        found.append(row)
    return [*found, shuffled(frequency_N, accuracy_N, seed)]


def shuffled(frequency_N: np.ndarray, accuracy_N: np.ndarray, seed: int, times: int = 200) -> dict[str, object]:
    """The control: frequencies dealt out anew."""
    rng, law = np.random.default_rng(seed), ConceptFrequency(min_per_bin=5)
    tables = [{"frequency": rng.permutation(frequency_N), "accuracy": accuracy_N} for _ in range(times)]
    fits = [law.fit(arrow.table(table)) for table in tables]
    row: dict[str, object] = {"fit": "shuffled", "facts": fits[0].line.n}
    for name, values in {
        "slope": [fit.line.slope for fit in fits],
        "r": [fit.line.correlation for fit in fits],
    }.items():
        low, high = np.quantile(values, [0.025, 0.975])
        row |= {name: f"{np.mean(values):.4f}", f"{name}_low": f"{low:.4f}", f"{name}_high": f"{high:.4f}"}
    row["p"] = f"{np.mean([fit.line.p_value < 0.05 for fit in fits]):.3f}"
    row["binned_r2"] = f"{np.mean([fit.facts['binned_r2'] for fit in fits]):.3f}"
    return row


def write(file: Path, columns: tuple[str, ...], rows: list[dict[str, object]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
