"""A new script: expand the vocabulary or not, with which first rows, and trim afterwards; bytes, loss, speed, size.

    python benchmarks/effect/continual/vocabulary.py --corpus FOLDER [--language ru] [--tokens 500000]
        [--new-bytes 400000] [--added 500] [--vocab 4096] [--seeds 3] [--processes 1] [--out runs/vocabulary]

A decoder (96 wide, 2 layers, context 128, tied tables) and a byte-level BPE of --vocab tokens are trained on English
documentation. Then the model goes on with the help and manual pages of another language, with its own tokens or with
--added more by each initializer. Arms are read with equal bytes of new text, and those of --flop-arms also with the
FLOP that the arm without new tokens takes for those bytes (fewer tokens a byte, so more text). Bits per byte are of
held-out documents, new and old, before that training and after it; greedy is the share of places of old text where the
likeliest token is the same before training. At last the arm `subtoken_mean` is trimmed to the new language
(rows trimmed_K: tokens that come K times in its text stay; logits are compared where the text holds no other).
Learned rows may be good for loss though greedy decoding changes; both are told. What the initializer itself cost is in
`seconds_rows`; seconds are of one thread and mean something on a quiet machine only.

--tokens-only writes the other table alone, which needs no model: tokens a byte of held-out text for 0 to 2000 new
tokens, learned on another language and on another domain of the same one (PostgreSQL's manual).

Writes benchmarks/results/continual_vocabulary.csv and continual_vocabulary_tokens.csv; rows that are there are not run
again, and are told apart by arm, reading and seed alone: give other settings another --results.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import texts as shared

from seedbed.tokenize.encode import Encoder

from paired import RESULTS, Row, Table, run_all, told, wins  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedbed.model.transforming import Checkpoint, Initializer

OLD = ("python3.11-doc", "git-doc", "apache2-doc", "manpages", "twisted-doc")
DOMAIN = ("postgresql-doc-15",)
CONTEXT, MOST_CHARACTERS, MOST_DOCUMENTS = 128, 8000, 1500
HELD_BYTES = 60_000
READ = 4
"""Times --new-bytes: what tokens and rows may be learned from; the arm of equal FLOP reads some three times as many."""
OLD_RATE, NEW_RATE = 4e-3, 2e-3
INITIALIZERS = ("mean", "gaussian", "gaussian_unscaled", "subtoken_mean", "constrained_word2vec", "token_distillation")
FLOP_ARMS = ("gaussian", "subtoken_mean", "constrained_word2vec")
KEY = ("arm", "reading", "seed")
VALUES = (
    "tokens_per_byte_new", "tokens_per_byte_old", "greedy", "new_before", "old_before", "new_after", "old_after",
    "tokens", "flops", "seconds", "tokens_per_second", "seconds_rows", "parameters",
    "max_logit_difference", "unknown_tokens", "scoring_speedup",
)  # fmt: skip
LEAST = (1, 5, 25)
"""How often a token must be used in the new language to stay."""
SIZES = (0, 125, 250, 500, 1000, 2000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--language", default="ru")
    parser.add_argument("--tokens", type=int, default=500_000)
    parser.add_argument("--new-bytes", type=int, default=400_000)
    parser.add_argument("--added", type=int, default=500)
    parser.add_argument("--vocab", type=int, default=4096)
    parser.add_argument("--flop-arms", nargs="*", choices=INITIALIZERS, default=list(FLOP_ARMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--tokens-only", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("runs/vocabulary"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    out = prepared(asked.corpus, asked.language, asked.vocab, asked.out)
    tokenizers(out, asked.results / "continual_vocabulary_tokens.csv", asked.language)
    if asked.tokens_only:
        return
    table = Table(asked.results / "continual_vocabulary.csv", KEY, VALUES)
    common = {"out": str(out), "tokens": str(asked.tokens), "bytes": str(asked.new_bytes), "added": str(asked.added)}
    seeds = [{**common, "seed": str(seed)} for seed in range(asked.seeds)]
    run_all([{**seed, "arm": "base", "reading": ""} for seed in seeds], base, table, asked.processes)
    run_all([{**seed, "arm": "none", "reading": "bytes"} for seed in seeds], one, table, asked.processes)
    arms = [(arm, "bytes") for arm in INITIALIZERS] + [(arm, "flop") for arm in asked.flop_arms]
    runs = [{**seed, "arm": arm, "reading": reading} for seed in seeds for arm, reading in arms]
    run_all(runs, one, table, asked.processes)
    cuts = [{**seed, "arm": f"trimmed_{least}", "reading": "bytes"} for seed in seeds for least in LEAST]
    run_all(cuts, trimmed, table, asked.processes)
    report(table)


def prepared(corpus: Path, language: str, vocab: int, out: Path) -> Path:
    """The folder with the texts of both languages and the tokenizer of the old one."""
    from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe

    out = out / f"{language}-{vocab}"
    if (out / "tokenizer.json").exists():
        return out
    out.mkdir(parents=True, exist_ok=True)
    held = {
        "old": shared.documents(corpus, lambda package, lang: lang == "en" and package in OLD, MOST_CHARACTERS),
        "domain": shared.documents(corpus, lambda package, lang: lang == "en" and package in DOMAIN, MOST_CHARACTERS),
        "new": shared.documents(corpus, lambda _, lang: lang == language, MOST_CHARACTERS),
    }
    few = {name: [part[:: max(1, len(part) // MOST_DOCUMENTS)] for part in parts] for name, parts in held.items()}
    (out / "texts.json").write_text(json.dumps(few), encoding="utf-8")
    (out / "tokenizer.json").write_text(ByteBpe(vocab_size=vocab).make(iter(few["old"][0])), encoding="utf-8")
    return out


def texts_of(out: Path, name: str) -> tuple[list[str], list[str]]:
    """(to train on, held out)."""
    train, held = json.loads((out / "texts.json").read_text(encoding="utf-8"))[name]
    return train, of_bytes(held, HELD_BYTES)


def of_bytes(texts: Sequence[str], most: int) -> list[str]:
    """Texts up to so many bytes; the last one is cut."""
    kept: list[str] = []
    for text in texts:
        if most <= 0:
            break
        kept.append(text.encode()[:most].decode(errors="ignore"))
        most -= len(text.encode())
    return kept


def tokens_per_byte(encoder: Encoder, texts: Sequence[str]) -> float:
    """End-of-text tokens not counted."""
    from seedbed.core.nouns import DocumentBatch

    ids, _ = encoder.encode(*DocumentBatch.of(list(texts)).text_buffers())
    return (len(ids) - len(texts)) / sum(len(text.encode()) for text in texts)


def tokenizers(out: Path, file: Path, language: str) -> None:
    """What new tokens save, without a model; a table that is there is not made again."""
    if file.exists():
        return
    from seedbed.model.vocabulary import next_merges, with_merges

    definition = (out / "tokenizer.json").read_text(encoding="utf-8")
    first = Encoder(definition).vocab_size
    found: list[Row] = []
    for name in ("new", "domain"):
        train, held = texts_of(out, name)
        started = time.perf_counter()
        merges = next_merges(definition, train, max(SIZES), 2, first)
        seconds = time.perf_counter() - started
        plain = tokens_per_byte(Encoder(definition), held)
        for size in SIZES:
            encoder = Encoder(with_merges(definition, merges[:size], first))
            now = tokens_per_byte(encoder, held)
            row = {"text": language if name == "new" else "domain", "added": str(len(merges[:size]))}
            row |= {"tokens_per_byte": f"{now:.5f}", "saved": f"{1 - now / plain:.4f}"}
            row["old_text_tokens_per_byte"] = f"{tokens_per_byte(encoder, texts_of(out, 'old')[1]):.5f}"
            found.append(row)
            print(row, flush=True)
        print(f"{len(merges)} merges from {sum(len(t.encode()) for t in train):,} bytes in {seconds:.1f} s")
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, list(found[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)


def base(run: Row) -> Row:
    """Train the old model and keep it."""
    from seedbed.model.checkpoint import save_model
    from seedbed.model.shape import ModelShape

    out = Path(run["out"])
    encoder = Encoder((out / "tokenizer.json").read_text(encoding="utf-8"))
    train, held = texts_of(out, "old")
    shape = ModelShape(encoder.vocab_size, d_model=96, n_layers=2, n_heads=3, context=CONTEXT)
    plan = shared.planned(shape, int(run["tokens"]), OLD_RATE)
    started = time.perf_counter()
    model = shared.learned(plan, shared.rows(encoder, train, CONTEXT), seed=int(run["seed"]), end=encoder.end_id)
    seconds = time.perf_counter() - started
    save_model(out / f"base-{run['tokens']}-{run['seed']}", model, encoder.definition)
    score = f"{shared.bits_per_byte(shared.asked(model, encoder), held):.5f}"
    return {
        **{name: run[name] for name in KEY},
        "old_after": score,
        "tokens": run["tokens"],
        "seconds": f"{seconds:.1f}",
    }


def one(run: Row) -> Row:
    """Expand, or not; look; train on the new language; look again."""
    from seedbed.model import counts
    from seedbed.model.checkpoint import load_model, save_model
    from seedbed.model.movement import moved
    from seedbed.model.transforming import Checkpoint

    out, seed = Path(run["out"]), int(run["seed"])
    (new_train, new_held), old_held = texts_of(out, "new"), texts_of(out, "old")[1]
    decoder, definition = load_model(out / f"base-{run['tokens']}-{seed}")
    assert definition is not None
    old_encoder = Encoder(definition)
    old = Checkpoint(decoder, definition, old_encoder.end_id)
    started = time.perf_counter()
    readable = of_bytes(new_train, READ * int(run["bytes"]))
    now = old if run["arm"] == "none" else expanded(old, run, readable)
    seconds_rows = time.perf_counter() - started
    encoder = Encoder(now.tokenizer_json or "")
    before = looked(now, encoder, new_held, old_held)
    some = of_bytes(new_train, int(run["bytes"]))
    tokens = shared.rows(encoder, some, CONTEXT).size
    if run["reading"] == "flop":
        budget = shared.rows(old_encoder, some, CONTEXT).size * counts.training_flops(decoder.shape, 1, CONTEXT)
        tokens = int(budget / counts.training_flops(now.decoder.shape, 1, CONTEXT))
        some = readable
    ids = shared.rows(encoder, some, CONTEXT)
    plan = shared.planned(now.decoder.shape, tokens, NEW_RATE)
    started = time.perf_counter()
    model = shared.learned(plan, ids, seed=seed, end=encoder.end_id, init=now.decoder)
    seconds = time.perf_counter() - started
    if run["arm"] == "subtoken_mean" and run["reading"] == "bytes":
        save_model(out / f"expanded-{run['tokens']}-{run['bytes']}-{run['added']}-{seed}", model, encoder.definition)
    after = looked(Checkpoint(model, encoder.definition, encoder.end_id), encoder, new_held, old_held)
    return {
        **{name: run[name] for name in KEY},
        "tokens_per_byte_new": f"{tokens_per_byte(encoder, new_held):.5f}",
        "tokens_per_byte_old": f"{tokens_per_byte(encoder, old_held):.5f}",
        "greedy": f"{moved(old, now, old_held, 'none').same_likeliest:.5f}",
        "new_before": before[0],
        "old_before": before[1],
        "new_after": after[0],
        "old_after": after[1],
        "tokens": str(plan.total_tokens),
        "flops": f"{plan.total_tokens / CONTEXT * counts.training_flops(model.shape, 1, CONTEXT):.4g}",
        "seconds": f"{seconds:.2f}",
        "tokens_per_second": f"{plan.total_tokens / seconds:.0f}",
        "seconds_rows": f"{seconds_rows:.2f}",
        "parameters": str(counts.total_parameters(model.shape)),
    }


def expanded(old: Checkpoint, run: Row, texts: list[str]) -> Checkpoint:
    from seedbed.model.transforming import Given
    from seedbed.model.transforms.expand_vocabulary import ExpandVocabulary

    transform = ExpandVocabulary(tokens=int(run["added"]), initializer=initializer(run["arm"]))
    return transform.apply(old, Given(texts=lambda: iter(texts), seed=int(run["seed"])))


def initializer(name: str) -> Initializer:
    from seedbed.model.initializers.constrained_word2vec import ConstrainedWord2Vec
    from seedbed.model.initializers.gaussian import Gaussian
    from seedbed.model.initializers.mean import Mean
    from seedbed.model.initializers.subtoken_mean import SubtokenMean
    from seedbed.model.initializers.token_distillation import TokenDistillation

    known = (Mean(), Gaussian(), SubtokenMean(), ConstrainedWord2Vec(), TokenDistillation())
    return {"gaussian_unscaled": Gaussian(scale=1.0)}.get(name) or {each.name(): each for each in known}[name]


def looked(checkpoint: Checkpoint, encoder: Encoder, new: list[str], old: list[str]) -> tuple[str, str]:
    """Bits per byte of new and old held-out text."""
    model = shared.asked(checkpoint.decoder, encoder)
    return f"{shared.bits_per_byte(model, new):.5f}", f"{shared.bits_per_byte(model, old):.5f}"


def trimmed(run: Row) -> Row:
    """The expanded model that was trained with equal bytes, without the tokens that the new language never uses."""
    from seedbed.model.checkpoint import load_model
    from seedbed.model.movement import moved
    from seedbed.model.transforming import Checkpoint, Given
    from seedbed.model.transforms.trim_vocabulary import TrimVocabulary

    out = Path(run["out"])
    (train, held), old_held = texts_of(out, "new"), texts_of(out, "old")[1]
    readable, least = of_bytes(train, READ * int(run["bytes"])), int(run["arm"].removeprefix("trimmed_"))
    decoder, definition = load_model(out / f"expanded-{run['tokens']}-{run['bytes']}-{run['added']}-{run['seed']}")
    large = Checkpoint(decoder, definition, Encoder(definition or "").end_id)
    small = TrimVocabulary(min_count=least).apply(large, Given(texts=lambda: iter(readable)))
    movement = moved(large, small, held, "exact")
    encoder = Encoder(small.tokenizer_json or "")
    assert not movement.broken, movement.broken
    after = looked(small, encoder, held, old_held)
    return {
        **{name: run[name] for name in KEY},
        "tokens_per_byte_new": f"{tokens_per_byte(encoder, held):.5f}",
        "tokens_per_byte_old": f"{tokens_per_byte(encoder, old_held):.5f}",
        "greedy": f"{movement.same_likeliest:.5f}",
        "new_before": f"{movement.bits_per_byte_before:.5f}",
        "new_after": after[0],
        "old_after": after[1],
        "parameters": str(movement.parameters_after),
        "max_logit_difference": f"{movement.max_logit_difference:.3g}",
        "unknown_tokens": f"{movement.unknown_tokens:.5f}",
        "scoring_speedup": f"{scoring_speed(small, held) / scoring_speed(large, held):.3f}",
    }


def scoring_speed(checkpoint: Checkpoint, texts: list[str]) -> float:
    """Bytes of these texts a second, the better of two."""
    from seedbed.core.nouns import DocumentBatch

    encoder = Encoder(checkpoint.tokenizer_json or "")
    model, best = shared.asked(checkpoint.decoder, encoder), 0.0
    batch = DocumentBatch.of(texts)
    for _ in range(2):
        started = time.perf_counter()
        model.log_likelihoods(batch)
        best = max(best, sum(len(text.encode()) for text in texts) / (time.perf_counter() - started))
    return best


def report(table: Table) -> None:
    """Each arm beside none, random rows and the multivariate Gaussian, paired by seed."""
    none = {"arm": "none", "reading": "bytes"}
    for reading in ("bytes", "flop"):
        print(f"\nequal {reading}: bits per byte of new text after training, less than without new tokens if negative")
        there = [arm for arm in INITIALIZERS if table.by_seed("new_after", arm=arm, reading=reading)]
        for arm in there:
            named = {"arm": arm, "reading": reading}
            print(f"{arm:22s} {told(table.difference('new_after', named, none))};"
                  f" old text {told(table.difference('old_after', named, none))}")  # fmt: skip
        for arm in (name for name in ("subtoken_mean", "constrained_word2vec", "token_distillation") if name in there):
            for other in (name for name in ("gaussian_unscaled", "gaussian", "mean") if name in there):
                pair = {"arm": arm, "reading": reading}, {"arm": other, "reading": reading}
                print(f"{arm} - {other}: {told(table.difference('new_after', *pair))}; "
                      f"{wins(table, 'new_after', *pair)}")  # fmt: skip
    print("\nbefore training")
    for arm in ("none", *INITIALIZERS):
        means = (mean(table, value, arm) for value in ("tokens_per_byte_new", "greedy", "new_before", "old_before"))
        print(f"{arm:22s} tokens/byte {next(means):.4f} greedy {next(means):.4f} new {next(means):.4f} "
              f"old {next(means):.4f}")  # fmt: skip
    for least in LEAST:
        arm, before = f"trimmed_{least}", mean(table, "parameters", "subtoken_mean")
        print(f"\n{arm}: {1 - mean(table, 'parameters', arm) / before:.1%} fewer parameters, "
              f"{mean(table, 'unknown_tokens', arm):.2%} of held-out tokens gone, "
              f"tokens a byte {mean(table, 'tokens_per_byte_new', arm):.4f}, scored "
              f"{mean(table, 'scoring_speedup', arm):.2f} times as many bytes a second, other logits moved by at most "
              f"{max(table.by_seed('max_logit_difference', arm=arm).values()):.2g}")  # fmt: skip


def mean(table: Table, value: str, arm: str) -> float:
    found = table.by_seed(value, arm=arm, reading="bytes")
    return sum(found.values()) / len(found)


if __name__ == "__main__":
    main()
