"""Is anything gained by a model that chooses its own data, or writes more of it? A pool of four languages.

    python benchmarks/effect/select/afrolm.py [--seeds 3] [--documents 100] [--epochs 2] [--out runs/afrolm]

The pool are passages of about 600 bytes of the shipped pages, as many in English, Spanish, French and Chinese each. A
model of 0.1 M parameters is trained on --epochs times as many tokens as the pool has; arms differ in what it reads. A
tenth of each language is frozen: no arm reads it, all are measured on it.

full            every other document, as often as the tokens allow
random          a random quarter of the pool, four times as often
own_loss        four stages, each a quarter of the training on a sixteenth of the pool, chosen from all of it: the first
                at random, the others where the arm's own model has the highest loss ("self-active")
own_loss_quotas the same, with as many tokens of each language as the pool has
own_loss_drawn  the same, drawn by softmax(loss / 0.5) within each language
own_loss_low    as own_loss, where its loss is lowest
..._again       a fresh model on all that the four stages of an arm chose, as often as `random` reads its quarter
self_training   three rounds of AfroLM, each of a fresh model, then a model on the grown corpus, as long as `full`
full_same       every other document, as long as training and writing of self_training took together

Columns: bits per byte of all frozen text and by language; tokens the model was trained on; FLOP of training, of
choosing or of rounds; documents that were written. Rows of a seed are added when it is done. One core, some two minutes
a seed. Writes benchmarks/results/effect_afrolm.csv.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import gzip
import json
import os
import random
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa
from fastwarc.warc import ArchiveIterator, WarcRecordType
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding

from seedbed import sample
from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Request
from seedbed.curate.tasks import KEPT
from seedbed.evaluate.tasks.bits_per_byte import BitsPerByte
from seedbed.model import counts
from seedbed.model.shape import ModelShape
from seedbed.pipeline import data
from seedbed.pipeline.arms import ArmRun, Job, walk
from seedbed.pipeline.augmenting import Round, rounds
from seedbed.pipeline.material import Material
from seedbed.pipeline.scoring import score_runs
from seedbed.pipeline.training import run_all
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import Arm, EvaluatePlan, Stage
from seedbed.recipes import demo
from seedbed.select.augmenters.afrolm import AfroLM
from seedbed.select.scorers.constant import Constant
from seedbed.select.scorers.own_loss import OwnLoss
from seedbed.select.selectors.gumbel_top_k import GumbelTopK
from seedbed.select.selectors.quotas import Quotas
from seedbed.select.selectors.top_k import TopK
from seedbed.tokenize.run import Pool, make_tokenizer, tokenize
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe

RESULTS = Path(__file__).parents[2] / "results" / "effect_afrolm.csv"
LANGUAGES = ("en", "es", "fr", "zh")
FOLDERS = {"es": "es", "zh_CN": "zh", "fr-FR": "fr"}
OTHERS = {"de-DE", "ja", "ru", "el", "nl", "gnucash-guide-it", "gnucash-guide-pt"}
COLUMNS = ("seed", "arm", "bits_per_byte", *LANGUAGES, "tokens", "flops_train", "flops_before", "written")
BYTES = 600
SHAPE = ModelShape(vocab_size=1024, d_model=48, n_layers=2, n_heads=3, context=128)


def passages() -> dict[str, list[str]]:
    """language -> passages of whole lines."""
    found: dict[str, list[str]] = {language: [] for language in LANGUAGES}
    for file in sample.pool():
        with file.open("rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
                _, *folders = str(record.headers["WARC-Target-URI"]).split("/")[3:]
                language = next((FOLDERS[name] for name in folders if name in FOLDERS), "en")
                if folders and OTHERS.isdisjoint(folders):
                    html = record.reader.read()
                    page = extract_plain_text(html.decode(detect_encoding(html), "replace"), main_content=True)
                    found[language] += cut(page)
    return {language: sorted(set(texts)) for language, texts in found.items()}


def cut(page: str) -> list[str]:
    pieces, lines, size = [], [], 0
    for line in filter(None, map(str.strip, page.splitlines())):
        lines.append(line)
        size += len(line.encode())
        if size >= BYTES:
            if size <= 2 * BYTES:
                pieces.append("\n".join(lines))
            lines, size = [], 0
    return pieces


def write_pool(file: Path, documents: int) -> None:
    """As many of each language."""
    rows: list[dict[str, str]] = []
    for language, texts in passages().items():
        random.Random(11).shuffle(texts)
        assert len(texts) >= documents, f"the pages give {len(texts)} passages of {language}"
        rows += [{"text": text, "language": language, "source": language} for text in texts[:documents]]
    random.Random(12).shuffle(rows)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode(), mtime=0))


def material_of(place: Workplace, file: Path, epochs: int) -> Material:
    recipe = demo.recipe()
    documents = data.texts_into(place, recipe.curate, [file])
    tokenizer = make_tokenizer(ByteBpe(vocab_size=SHAPE.vocab_size), documents, place.store)
    pool = Pool(documents, tokenize(documents, tokenizer, place.store, place.engine))
    plan = dataclasses.replace(demo.small_training(epochs * pool.n_tokens), shape=SHAPE)
    return Material(pool, None, tokenizer, plan)


def without(place: Workplace, material: Material, one: Round) -> Material:
    """The first corpus without what is frozen, as a pool of its own for arms to choose from."""
    frozen = set(arrow.strings(one.frozen.table(["id"]), "id"))

    def fill(draft):
        table = material.pool.documents.table()
        rows = [row for row, key in enumerate(arrow.strings(table, "id")) if key not in frozen]
        draft.write_table("part-00000.parquet", arrow.table(
            {name: arrow.take(table, rows).column(name) for name in KEPT.names}, KEPT))  # fmt: skip
        return {}

    parents = {"documents": material.pool.documents.fingerprint, "frozen": one.frozen.fingerprint}
    documents = place.store.make(Request("Documents", "not-frozen", {}, parents), fill)
    tokens = tokenize(documents, material.tokenizer, place.store, place.engine)
    return dataclasses.replace(material, pool=Pool(documents, tokens))


def arms(epochs: int) -> list[Arm]:
    everything, part = Stage(Constant(), GumbelTopK(), budget=1.0), 0.25 / epochs
    early = Stage(Constant(), GumbelTopK(), budget=part, share=0.25)
    hard = Stage(OwnLoss(), TopK(), budget=part, share=0.25)
    even = dataclasses.replace(hard, selector=Quotas(by=("language",)))
    drawn = dataclasses.replace(hard, selector=Quotas(by=("language",), temperature=0.5))
    easy = dataclasses.replace(hard, scorer=OwnLoss(keep="low"))
    return [
        Arm("full", (everything,)),
        Arm("random", (dataclasses.replace(everything, budget=part),)),
        Arm("own_loss", (early, hard, hard, hard)),
        Arm("own_loss_quotas", (early, even, even, even)),
        Arm("own_loss_drawn", (early, drawn, drawn, drawn)),
        Arm("own_loss_low", (early, easy, easy, easy)),
    ]


def chosen_again(place: Workplace, arm: ArmRun) -> Artifact:
    """Weights of all that an arm's stages chose, each document once."""

    def fill(draft):
        tables = [weights.table() for weights in arm.weights]
        copies = np.maximum.reduce([arrow.numpy(table, "copies") for table in tables])
        draft.write_table("part-00000.parquet", arrow.replace(tables[0], "copies", arrow.column(copies, pa.float64())))
        return {}

    parents = {f"stage {k}": weights.fingerprint for k, weights in enumerate(arm.weights)}
    return place.store.make(Request("Weights", f"{arm.arm}-again-{arm.seed}", {}, parents), fill)


def measured(place: Workplace, run: Artifact, texts: dict[str, Artifact]) -> dict[str, str]:
    plan = EvaluatePlan(texts=dict.fromkeys(texts, ""), target="bits_per_byte", task=BitsPerByte())
    return {
        name: f"{one.bits_per_byte:.4f}" for name, one in score_runs(place, [run], texts, plan)[run.path.name].items()
    }


def by_language(place: Workplace, frozen: Artifact) -> dict[str, Artifact]:
    """The frozen documents, all and by language."""
    found = {"bits_per_byte": frozen}
    for language in LANGUAGES:

        def fill(draft, language=language):
            table = frozen.table()
            rows = [row for row, value in enumerate(arrow.strings(table, "language")) if value == language]
            draft.write_table("part-00000.parquet", arrow.take(table, rows))
            return {}

        request = Request("Documents", f"frozen-{language}", {"language": language}, {"frozen": frozen.fingerprint})
        found[language] = place.store.make(request, fill)
    return found


def seed_rows(place: Workplace, material: Material, asked: argparse.Namespace, seed: int) -> list[dict[str, object]]:
    method = AfroLM(frozen=asked.frozen, most=asked.most, all_up_to=asked.most)
    budget = material.plan.tokens
    done = rounds(place, material, method, budget_tokens=budget, seed=seed)
    pool, texts = without(place, material, done[0]), by_language(place, done[0].frozen)
    before = sum(one.cost.flops for one in done)
    written = sum(one.proposed.rows for one in done)
    per_token = counts.training_flops(SHAPE, 1, SHAPE.context) / SHAPE.context
    plan = dataclasses.replace(material.plan, tokens=budget + round(before / per_token))
    last = done[-1]
    chosen: list[ArmRun] = walk(place, [Job(arm, seed, pool, {}) for arm in arms(asked.epochs)])
    loops = {f"{arm.arm}_again": arm for arm in chosen if len(arm.weights) > 1}
    tasks = [pool.task(place, f"{name}-{seed}", seed, material.plan, chosen_again(place, arm))
             for name, arm in loops.items()]  # fmt: skip
    tasks += [last.material.task(place, f"self_training-{seed}", seed, material.plan, last.all_read),
             pool.task(place, f"full_same-{seed}", seed, plan, None)]  # fmt: skip
    *again, grown, same = run_all(tasks, place.store, place.engine, "train").values()
    found: list[tuple[str, Artifact, float, int]] = []
    found += [(arm.arm, arm.run, arm.flops_select, 0) for arm in chosen]
    paid = [arm.flops_select + arm.flops_train for arm in loops.values()]
    found += [(name, run, flops, 0) for name, run, flops in zip(loops, again, paid, strict=True)]
    found += [("self_training", grown, before, written), ("full_same", same, 0.0, 0)]
    return [
        {"seed": seed, "arm": arm, **measured(place, run, texts), "tokens": run.about["tokens"],
         "flops_train": f"{run.about['flops_train']:.4g}", "flops_before": f"{flops:.4g}", "written": n}
        for arm, run, flops, n in found
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--documents", type=int, default=100, help="of each language")
    parser.add_argument("--epochs", type=int, default=2, help="of the pool")
    parser.add_argument("--frozen", type=float, default=0.1)
    parser.add_argument("--most", type=int, default=100, help="documents of a language that a round continues")
    parser.add_argument("--out", type=Path, default=Path("runs/afrolm"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    file = asked.out / f"pool-{asked.documents}.jsonl.gz"
    if not file.exists():
        write_pool(file, asked.documents)
    rows: list[dict[str, object]] = []
    with Workplace.open(asked.out / "out") as place:
        material = material_of(place, file, asked.epochs)
        print(f"{counts.total_parameters(SHAPE)} parameters, {material.pool.n_tokens} tokens", flush=True)
        for seed in range(asked.seeds):
            rows += seed_rows(place, material, asked, seed)
            with asked.results.open("w", newline="", encoding="utf-8") as out:
                writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
            for row in rows[-12:]:
                print(*(f"{name}={row[name]}" for name in COLUMNS), flush=True)


if __name__ == "__main__":
    main()
