"""Re-warming: how long, how high, what it gains over starting again, and the rise of the loss that it brings.

    python benchmarks/effect/continual/warmup.py --corpus FOLDER [--tokens 300000] [--base-tokens 600000] [--seeds 3]

FOLDER holds jsonl/all.jsonl (text, metadata.package, metadata.lang). A decoder of 0.23 M parameters reads English
manuals under a cosine that ends at a tenth of the peak, and goes on with fresh moments, as from a published
checkpoint, on --packages in --language ("new") or on other English manuals ("same"):
rewarm   linear warm-up over 0, 0.5, 1 or 2 percent of the tokens to 0.5, 1 or 2 times the first peak, then a cosine
frozen   a rate of almost nothing: what the base would have said of the same batches
scratch  on "new" only: new weights, the base's vocabulary, warm-up of 1 percent, the same three peaks

The rise of an arm is the greatest excess of its training loss over that of `frozen` on the same batches, in the first
third, as a mean over 8 steps, 0 where there is none; `risen_until` is the last token at which it still stood above.
Losses are in bits per byte on held-out text of the new kind, of the old, and the rise in nats per token.

Writes benchmarks/results/continual_warmup.csv; rows that are there are not run again. The bases and the losses of each
step are kept below --work.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from functools import cache
from pathlib import Path

import numpy as np
import texts

from paired import RESULTS, Row, Table, run_all, told  # isort: skip
from seedbed.tokenize.encode import Encoder

KEY = ("domain", "text", "arm", "warmup", "peak", "tokens", "base_tokens", "seed")
VALUES = ("new_bits_per_byte", "old_bits_per_byte", "rise", "risen_until")
ENGLISH = ("manpages", "manpages-dev", "git-doc", "postgresql-doc-15", "apache2-doc", "libreoffice-help-en-us")
WARMUPS, PEAKS = ("0", "0.005", "0.01", "0.02"), ("0.5", "1", "2")
VOCAB_SIZE, CONTEXT, SEQUENCES, RATE, FLOOR, STEPS = 2048, 128, 4, 4e-3, 0.1, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--language", default="de")
    parser.add_argument("--packages", nargs="+", default=["manpages-de", "libreoffice-help-de"])
    parser.add_argument("--texts", nargs="+", choices=("new", "same"), default=["new", "same"])
    parser.add_argument("--tokens", type=int, default=300_000)
    parser.add_argument("--base-tokens", type=int, default=600_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("runs/effect_warmup"))
    parser.add_argument("--out", type=Path, default=RESULTS / "continual_warmup.csv")
    args = parser.parse_args()
    domain = "+".join([args.language, *args.packages])
    named = {"domain": domain, "tokens": str(args.tokens), "base_tokens": str(args.base_tokens)}
    prepare(args.corpus, args.language, tuple(args.packages), args.work / f"{domain}.json")
    table = Table(args.out, KEY, VALUES)
    seeds = [{**named, "seed": str(seed), "work": str(args.work)} for seed in range(args.seeds)]
    for seed in seeds:
        base(seed)
    frozen = [{"text": text, "arm": "frozen", "warmup": "0", "peak": "0"} for text in args.texts]
    again = [{"text": text, "arm": "rewarm", "warmup": warmup, "peak": peak}
             for text in args.texts for warmup in WARMUPS for peak in PEAKS]  # fmt: skip
    scratch = [
        {"text": "new", "arm": "scratch", "warmup": "0.01", "peak": peak} for peak in PEAKS if "new" in args.texts
    ]
    lost = [{**seed, **arm} for seed in seeds for arm in frozen if not curve({**seed, **arm}).exists()]
    table.rows = [row for row in table.rows if not any(all(row[name] == run[name] for name in KEY) for run in lost)]
    for arms in (frozen, [*again, *scratch]):  # the frozen ones first: the others are compared with them
        run_all([{**seed, **arm} for seed in seeds for arm in arms], one, table, args.processes)
    report(table, named, args.texts)


def prepare(corpus: Path, language: str, packages: tuple[str, ...], file: Path) -> None:
    from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe

    if file.exists():
        return
    old, old_held = texts.documents(corpus, lambda name, lang: lang == "en" and name in ENGLISH, 20_000)
    new, new_held = texts.documents(corpus, lambda name, lang: lang == language and name in packages, 20_000)
    rng = np.random.default_rng(0)  # packages lie one after the other
    old, new, old_held, new_held = ([part[i] for i in rng.permutation(len(part))]
                                    for part in (old, new, old_held, new_held))  # fmt: skip
    half = len(old) // 2
    tokenizer = ByteBpe(vocab_size=VOCAB_SIZE, max_train_bytes=10_000_000).make(iter(old[:half]))
    kept = {"old": old[:half], "same": old[half:], "new": new}
    kept |= {"old_held": [text[:1500] for text in old_held[:100]], "new_held": [text[:1500] for text in new_held[:100]]}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**kept, "tokenizer": tokenizer}), encoding="utf-8")


@cache
def prepared(file: Path) -> tuple[dict[str, list[str]], Encoder]:
    read = json.loads(file.read_text(encoding="utf-8"))
    return read, Encoder(read.pop("tokenizer"))


@cache
def rows(file: Path, part: str, tokens: int) -> np.ndarray:
    parts, encoder = prepared(file)
    return texts.rows(encoder, parts[part], CONTEXT, tokens + CONTEXT * SEQUENCES)


def planned(tokens: int, peak: float, warmup: float):
    from seedbed.model.shape import ModelShape
    from seedbed.train.schedules.cosine import Cosine

    shape = ModelShape(VOCAB_SIZE, d_model=64, n_layers=2, n_heads=2, context=CONTEXT)
    schedule = Cosine(warmup_fraction=warmup, floor=FLOOR)
    plan = texts.planned(shape, tokens, RATE * peak)
    return dataclasses.replace(plan, schedule=schedule, batch_sequences=SEQUENCES)


def base(run: Row):
    """The model that has read English; a second call finds it done."""
    from paired import source

    from seedbed.train.plan import Checkpoints
    from seedbed.train.run import train

    tokens, seed, work = int(run["base_tokens"]), int(run["seed"]), Path(run["work"])
    ids = rows(work / f"{run['domain']}.json", "old", tokens)
    plan = dataclasses.replace(planned(tokens, 1.0, 0.01), checkpoints=Checkpoints(10**6, 1))
    folder = work / f"base-{run['domain']}-{tokens}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    return train(plan, source("old", ids, seed=seed, context=CONTEXT), seed=seed, folder=folder).model


def one(run: Row) -> Row:
    import torch
    from paired import source, trained

    torch.set_num_threads(1)
    file, tokens, seed = Path(run["work"]) / f"{run['domain']}.json", int(run["tokens"]), int(run["seed"])
    parts, encoder = prepared(file)
    init = None if run["arm"] == "scratch" else base(run)
    plan = planned(tokens, float(run["peak"]) or 1e-9, float(run["warmup"]))
    losses: list[float] = []
    read = source(run["text"], rows(file, run["text"], tokens), seed=seed, context=CONTEXT)
    told = lambda report: losses.append(report.loss_nats_per_token)  # noqa: E731
    model = texts.asked(trained(plan, {read.name: read}, seed=seed, init=init, observe=told), encoder)
    np.save(curve(run), np.array(losses))
    measured = {f"{kind}_bits_per_byte": f"{texts.bits_per_byte(model, parts[f'{kind}_held']):.5f}"
                for kind in ("new", "old")}  # fmt: skip
    rise, until = risen(run) if run["arm"] == "rewarm" else ("", "")
    return {**{name: run[name] for name in KEY}, **measured, "rise": rise, "risen_until": until}


def curve(run: Row) -> Path:
    return Path(run["work"]) / ("-".join(run[name] for name in KEY) + ".npy")


def risen(run: Row) -> tuple[str, str]:
    """(greatest excess over the frozen base, tokens at its last step above it), in the first third."""
    frozen = np.load(curve({**run, "arm": "frozen", "warmup": "0", "peak": "0"}))
    excess = (np.load(curve(run)) - frozen)[: max(STEPS, len(frozen) // 3)]
    means = np.convolve(excess, np.full(STEPS, 1 / STEPS), "valid")
    above = np.flatnonzero(means > 0)
    return f"{max(0.0, means.max()):.4f}", str((above[-1] + STEPS) * CONTEXT * SEQUENCES if len(above) else 0)


def report(table: Table, named: Row, kinds: list[str]) -> None:
    scratch = [{**named, "text": "new", "arm": "scratch", "peak": peak} for peak in PEAKS]
    best = min(scratch, key=lambda arm: sum(table.by_seed("new_bits_per_byte", **arm).values()))
    if "new" in kinds:
        print(f"the best from scratch has {best['peak']} times the peak")
    for text in kinds:
        for warmup in WARMUPS:
            for peak in PEAKS:
                arm = {**named, "text": text, "arm": "rewarm", "warmup": warmup, "peak": peak}
                rises, until = (table.by_seed(name, **arm).values() for name in ("rise", "risen_until"))
                line = f"{text}, warm-up {warmup}, peak {peak}: rise {np.mean(list(rises)):.4f} nats"
                line += f", until {np.mean(list(until)):,.0f} tokens"
                if text == "new":
                    line += f"; against scratch {told(table.difference('new_bits_per_byte', arm, best))}"
                print(line)


if __name__ == "__main__":
    main()
