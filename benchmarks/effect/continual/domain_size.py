"""From scratch or continue, for a domain or language with little text or much: where does the line run?

    python benchmarks/effect/continual/domain_size.py --corpus FOLDER [--line 30:4 30:16 300:4 3000:1] [--seeds 3]

FOLDER holds jsonl/all.jsonl (text, metadata.package, metadata.lang). A decoder of 0.23 M parameters, held-out text of
the domain in bits per byte, pairs by seed. Two tables of runs:

line    30 KB to 3 MB of the domain's text, read as often as --line says but no more than --tokens tokens in all:
        scratch_own   from scratch, with a vocabulary learned from that text
        scratch_base  from scratch, with the base's vocabulary
        further       the base (English manuals), re-warmed
        Of each arm and amount the better number of readings is compared, by its mean over the seeds.
mixed   10, 30 or 100 percent of --full kilobytes, from one package ("single") or half from each of two ("mixed"), from
        scratch or further, with the base's vocabulary, read 8 times but no more than --mixed-tokens; a probe beside:
        which of four passages follows, in points. Held-out text is of both packages, in equal parts.

Writes benchmarks/results/continual_domain_size.csv; rows that are there are not run again. The bases are kept below
--work.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import texts

from paired import RESULTS, Row, Table, run_all, told, wins  # isort: skip
from seedbed.tokenize.encode import Encoder

KEY = ("domain", "kilobytes", "text", "arm", "readings", "tokens", "base_tokens", "seed")
VALUES = ("bits_per_byte", "probe", "tokens_read")
ENGLISH = ("manpages", "manpages-dev", "git-doc", "postgresql-doc-15", "apache2-doc", "libreoffice-help-en-us")
LINE, MIXED = ("scratch_own", "scratch_base", "further"), ("scratch_base", "further")
VOCAB_SIZE, CONTEXT, RATE, LONGEST, HELD_OUT = 2048, 128, 4e-3, 8000, 80


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--language", default="de")
    parser.add_argument("--packages", nargs=2, default=["manpages-de", "libreoffice-help-de"], help="two of them")
    parser.add_argument("--line", nargs="+", default=["30:4", "30:16", "300:4", "3000:1"], help="kilobytes:readings")
    parser.add_argument("--full", type=int, default=1000, help="kilobytes that are 100 percent of `mixed`")
    parser.add_argument("--tokens", type=int, default=1_000_000, help="read at most")
    parser.add_argument("--mixed-tokens", type=int, default=300_000, help="read at most, in the table `mixed`")
    parser.add_argument("--base-tokens", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("runs/effect_domain_size"))
    parser.add_argument("--out", type=Path, default=RESULTS / "continual_domain_size.csv")
    args = parser.parse_args()
    domain = "+".join([args.language, *args.packages])
    named = {"domain": domain, "tokens": str(args.tokens), "base_tokens": str(args.base_tokens)}
    prepare(args.corpus, args.language, args.packages, args.work / f"{domain}.json")
    line = [tuple(pair.split(":")) for pair in args.line]
    shares = [str(args.full * percent // 100) for percent in (10, 30, 100)]
    arms = [{"kilobytes": size, "text": "line", "arm": arm, "readings": readings}
            for size, readings in line for arm in LINE]  # fmt: skip
    mixed = {**named, "tokens": str(args.mixed_tokens)}
    arms += [{**mixed, "kilobytes": size, "text": text, "arm": arm, "readings": "8"}
             for size in shares for text in ("single", "mixed") for arm in MIXED]  # fmt: skip
    table = Table(args.out, KEY, VALUES)
    seeds = [{**named, "seed": str(seed), "work": str(args.work)} for seed in range(args.seeds)]
    for seed in seeds:
        base(seed)
    run_all([{**seed, **arm} for seed in seeds for arm in arms], one, table, args.processes)
    report(table, named, line, mixed, shares)


def prepare(corpus: Path, language: str, packages: Sequence[str], file: Path) -> None:
    """The base's text and vocabulary; of both packages what is trained on, in random order, and what is held out."""
    from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe

    if file.exists():
        return
    rng = np.random.default_rng(0)
    english, _ = texts.documents(corpus, lambda name, lang: lang == "en" and name in ENGLISH, 20_000)
    kept: dict[str, object] = {"base": [english[i] for i in rng.permutation(len(english))]}
    held: list[str] = []
    for number, package in enumerate(packages):
        wanted = lambda name, lang, package=package: lang == language and name == package  # noqa: E731
        train, out = texts.documents(corpus, wanted, LONGEST)
        kept[f"domain_{number}"] = [train[i] for i in rng.permutation(len(train))]
        held += [out[i][:1500] for i in rng.permutation(len(out))[:HELD_OUT]]
    tokenizer = ByteBpe(vocab_size=VOCAB_SIZE, max_train_bytes=10_000_000).make(iter(kept["base"]))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**kept, "held_out": held, "tokenizer": tokenizer}), encoding="utf-8")


@cache
def prepared(file: Path) -> tuple[dict[str, list[str]], Encoder]:
    read = json.loads(file.read_text(encoding="utf-8"))
    return read, Encoder(read.pop("tokenizer"))


def first(documents: Sequence[str], kilobytes: float) -> list[str]:
    """The first documents of so many bytes in all; the last is cut."""
    kept, left = [], round(kilobytes * 1000)
    for text in documents:
        kept.append(text.encode()[:left].decode(errors="ignore"))
        left -= len(kept[-1].encode())
        if left < 4:
            return kept
    raise SystemExit(f"there are {left} bytes too few for {kilobytes} KB")


def read_by(run: Row, parts: dict[str, list[str]]) -> list[str]:
    """The documents of a run: those of fewer kilobytes are among those of more."""
    size = float(run["kilobytes"])
    if run["text"] == "single":
        return first(parts["domain_0"], size)
    return first(parts["domain_0"], size / 2) + first(parts["domain_1"], size / 2)


def planned(vocab_size: int, tokens: int):
    from seedbed.model.shape import ModelShape

    shape = ModelShape(vocab_size, d_model=64, n_layers=2, n_heads=2, context=CONTEXT)
    sequences = 8 if tokens >= 200_000 else 4  # little text, smaller steps: else there are too few
    return dataclasses.replace(texts.planned(shape, tokens, RATE), batch_sequences=sequences)


def base(run: Row):
    """The model that has read English; a second call finds it done."""
    from paired import source

    from seedbed.train.plan import Checkpoints
    from seedbed.train.run import train

    tokens, seed, work = int(run["base_tokens"]), int(run["seed"]), Path(run["work"])
    parts, encoder = prepared(work / f"{run['domain']}.json")
    folder = work / f"base-{run['domain']}-{tokens}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    ids = texts.rows(encoder, parts["base"], CONTEXT, tokens + 8 * CONTEXT)
    plan = dataclasses.replace(planned(encoder.vocab_size, tokens), checkpoints=Checkpoints(10**6, 1))
    return train(plan, source("base", ids, seed=seed, context=CONTEXT), seed=seed, folder=folder).model


def one(run: Row) -> Row:
    import torch

    from seedbed.evaluate.tasks.multiple_choice import MultipleChoice
    from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe

    torch.set_num_threads(1)
    parts, encoder = prepared(Path(run["work"]) / f"{run['domain']}.json")
    documents = read_by(run, parts)
    if run["arm"] == "scratch_own":
        encoder = Encoder(ByteBpe(vocab_size=VOCAB_SIZE).make(iter(documents)))
    ids = texts.rows(encoder, documents, CONTEXT)
    tokens = min(int(run["tokens"]), ids.size * int(run["readings"]))
    init = base(run) if run["arm"] == "further" else None
    plan = planned(encoder.vocab_size, tokens)
    model = texts.asked(texts.learned(plan, ids, seed=int(run["seed"]), end=encoder.end_id, init=init), encoder)
    held = parts["held_out"]
    return {
        **{name: run[name] for name in KEY},
        "bits_per_byte": f"{texts.bits_per_byte(model, held):.5f}",
        "probe": f"{texts.accuracy(MultipleChoice(), model, texts.continuations(held, 400)):.2f}",
        "tokens_read": str(tokens),
    }


def report(table: Table, named: Row, line: list[tuple[str, ...]], mix: Row, shares: list[str]) -> None:
    for size in dict.fromkeys(size for size, _ in line):
        best = {arm: chosen(table, {**named, "kilobytes": size, "text": "line", "arm": arm}) for arm in LINE}
        for arm in LINE[:2]:
            apart = table.difference("bits_per_byte", best["further"], best[arm])
            print(f"{size} KB, further ({best['further']['readings']} readings) - {arm} ({best[arm]['readings']}): "
                  f"{told(apart)}")  # fmt: skip
    for size in shares:
        for arm in MIXED:
            single, mixed = ({**mix, "kilobytes": size, "arm": arm, "text": text} for text in ("single", "mixed"))
            for value in ("probe", "bits_per_byte"):
                print(f"{size} KB, {arm}, {value}, mixed - single: {told(table.difference(value, mixed, single))}")
            print(f"    single's probe {wins(table, 'probe', single, mixed)} as mixed's")


def chosen(table: Table, arm: Row) -> Row:
    """With the number of readings that is better on average."""
    found: dict[str, list[float]] = {}
    for row in table.rows:
        if all(row[name] == value for name, value in arm.items()):
            found.setdefault(row["readings"], []).append(float(row["bits_per_byte"]))
    return {**arm, "readings": min(found, key=lambda readings: float(np.mean(found[readings])))}


if __name__ == "__main__":
    main()
