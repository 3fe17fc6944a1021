"""What one step on a document does to the loss on the target, and how well MATES and Quad tell it beforehand.

    python benchmarks/effect/select/influence.py [--seeds 3] [--probes 300] [--marks 40000,120000,200000] [--out FOLDER]

A model of 0.1 M parameters is trained on random documents of the planted pool (pool.py) and stopped at some marks. At
each, with the target's own documents as reference:

mates_spearman       rank correlation of the regression with the probes it was not fitted on
mates_reliability    rank correlation of probes with one half of the reference and with the other
probe_drift          rank correlation of the probes of the same documents with those of the mark before
mates_drift          the same of the regression's scores of the whole pool
quad_step            rank correlation of K-FAC influence and one AdamW step on each of 50 documents
quad_leave_one_out   the same with leaving each out of a short training of a few steps that contains it
quad_asked           share of the pool whose gradient was taken

At the last mark but one, training goes on, on the best tenth of the pool by Quad, by the influence of every document
(top), and at random: selected_loss is the loss on held-out text of the target, selected_entropy and
selected_source_entropy say in how many clusters, and kinds of text, the selection lies (nats).

Rows of one seed are added when it is done; seeds that are there are not run again. One core, about two minutes a seed.
Writes benchmarks/results/select_influence.csv.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from pool import build

from seedbed import sample
from seedbed.core import arrow
from seedbed.core.nouns import TOKEN_INDEX, DocumentBatch
from seedbed.model.cross_entropy import linear_cross_entropy
from seedbed.model.gradients import DecoderGradients
from seedbed.model.language_model import LanguageModel
from seedbed.model.shape import ModelShape
from seedbed.model.weights import weights_of
from seedbed.pipeline import data
from seedbed.pipeline.workplace import Workplace
from seedbed.recipes import demo
from seedbed.select.contract import Given, draw, joined, take_until
from seedbed.select.scorers.mates import Mates
from seedbed.select.scorers.quad import Quad
from seedbed.stats.ranks import spearman
from seedbed.stats.sampling import hashed, keys_of, order_by
from seedbed.tokenize.encode import Encoder
from seedbed.tokenize.run import Pool, make_tokenizer, tokenize
from seedbed.train import distributed
from seedbed.train.begin import CHECKPOINTS
from seedbed.train.plan import TrainPlan
from seedbed.train.probing import Standing, StepProbe
from seedbed.train.run import train
from seedbed.train.snapshot import newest_snapshot
from seedbed.train.source import TokenShard, TokenSource

RESULTS = Path(__file__).parents[2] / "results"
COLUMNS = ("seed", "tokens", "measure", "arm", "value", "n")
SHAPE = ModelShape(vocab_size=1024, d_model=48, n_layers=2, n_heads=3, context=128)
DOCUMENTS = 50
"""Whose influence is compared with what steps and trainings without them show."""
LATER_STEPS, LATER_SEQUENCES = 8, 4
"""Of the short training that a document is left out of."""


@dataclasses.dataclass(frozen=True)
class Text:
    """Tokenised documents: the pool, the target's, and held-out ones of the target."""

    pool: DocumentBatch
    target: DocumentBatch
    heldout: DocumentBatch
    end_of_text: int


def text(out: Path) -> Text:
    """Made once a folder."""
    folder = out / "pool"
    if not (folder / "pool.jsonl.gz").exists():
        build(folder)
    recipe = demo.recipe()
    assert recipe.tokenizer is not None
    with Workplace.open(out / "text", workers=1) as place:
        files = ([folder], [sample.target_select()], [sample.heldout()[sample.TARGET]])
        documents = [data.texts_into(place, recipe.curate, some) for some in files]
        maker = dataclasses.replace(recipe.tokenizer, vocab_size=SHAPE.vocab_size)
        tokenizer = make_tokenizer(maker, documents[0], place.store)
        tokens = [tokenize(some, tokenizer, place.store, place.engine) for some in documents]
        whole = [joined(list(Pool(*both))) for both in zip(documents, tokens, strict=True)]
        return Text(*whole, Encoder.open(tokenizer.path).end_id)


def source(name: str, documents: DocumentBatch, copies_N: np.ndarray, seed: int) -> TokenSource:
    """The documents with copies, as training reads them."""
    ids, offsets = documents.token_ids
    size_N = np.diff(offsets)
    columns = {"id": documents.ids, "offset": offsets[:-1], "n_tokens": size_N, "n_bytes": size_N}
    shard = TokenShard(ids.astype(np.uint16), arrow.table(columns, TOKEN_INDEX))
    return TokenSource(name, [shard], copies_N, seed=seed, context=SHAPE.context)


def cut(documents: DocumentBatch, most: int) -> DocumentBatch:
    """The first tokens of each document: what a step sees of it."""
    ids, offsets = documents.token_ids
    size_N = np.minimum(np.diff(offsets), most)
    ends_N = np.cumsum(size_N)
    place = np.repeat(offsets[:-1] - (ends_N - size_N), size_N) + np.arange(ends_N[-1])
    return DocumentBatch(documents.rows, (ids[place], np.concatenate([[0], ends_N]).astype(np.int64)))


class Recorder:
    """A probe that keeps its first answer."""

    def __init__(self, probe: StepProbe) -> None:
        self._probe = probe
        self.first = np.zeros(0)

    @property
    def cost(self):
        return self._probe.cost

    def loss(self, reference: DocumentBatch) -> float:
        return self._probe.loss(reference)

    def losses_after_step(self, documents: DocumentBatch, reference: DocumentBatch) -> np.ndarray:
        found = self._probe.losses_after_step(documents, reference)
        self.first = self.first if len(self.first) else found
        return found


def sequence(tokens: np.ndarray, end: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of the first context of a document; targets of -1 are padding."""
    targets = np.full(SHAPE.context, -1, np.int64)
    targets[: min(len(tokens), SHAPE.context)] = tokens[: SHAPE.context]
    return np.append(end, np.maximum(targets[:-1], 0)), targets


def leave_one_out(
    at: Standing, documents: DocumentBatch, others: DocumentBatch, reference: DocumentBatch
) -> np.ndarray:
    """loss_N of the reference after a short training that lacks each of the documents, minus that which has them all.

    The document is one sequence more in the first batch.
    """
    ids, offsets = others.token_ids
    rows = [sequence(ids[offsets[i] : offsets[i + 1]], at.end_of_text) for i in range(LATER_STEPS * LATER_SEQUENCES)]
    mine, bounds = documents.token_ids
    own = [sequence(mine[bounds[i] : bounds[i + 1]], at.end_of_text) for i in range(len(documents))]
    return _later(at, rows, None, reference) - np.array([_later(at, rows, one, reference) for one in own])


def _later(at: Standing, rows: list, own: tuple | None, reference: DocumentBatch) -> float:
    held = newest_snapshot(at.folder / CHECKPOINTS)
    assert held is not None
    optimizer = at.plan.optimizer.build(weights_of(held.model))
    distributed.load_full_optimizer(optimizer, held.optimizer)
    rate = at.plan.peak_learning_rate * at.plan.schedule.value(at.plan.at(held.state.tokens))
    for step in range(LATER_STEPS):
        batch = rows[step * LATER_SEQUENCES : (step + 1) * LATER_SEQUENCES] + ([own] if step == 0 and own else [])
        inputs, targets = (torch.from_numpy(np.stack(side)) for side in zip(*batch, strict=True))
        counts = (targets >= 0).float()
        loss = linear_cross_entropy(held.model.hidden(inputs), held.model.head_weight, targets.clamp(min=0))
        ((loss * counts).sum() / (LATER_SEQUENCES * SHAPE.context)).backward()
        distributed.clip(held.model.parameters(), at.plan.grad_clip)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["lr_scale"]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return mean_loss(LanguageModel(held.model, at.end_of_text), reference)


def mean_loss(model: LanguageModel, documents: DocumentBatch) -> float:
    return float(model.token_losses(*documents.token_ids).mean(dtype=np.float64))


def entropy(labels: list) -> float:
    """Of the shares of different labels, in nats."""
    share = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(share * np.log(share)).sum())


def trained_to(plan: TrainPlan, pool: TokenSource, marks: list[int], out: Path, seed: int) -> Iterator[Path]:
    """The run's states at each mark, one folder after the other."""
    before = None
    for mark in marks:
        folder = out / f"at-{mark}"
        train(plan, pool, seed=seed, folder=folder, continue_from=before, until_tokens=mark)
        yield folder
        before = folder


def rows_of(asked: argparse.Namespace, words: Text, seed: int) -> Iterator[tuple[int, str, str, float, int]]:
    """(tokens, measure, arm, value, n)."""
    marks = [int(mark) for mark in asked.marks.split(",")]
    law = demo.small_training(2 * marks[-1])
    plan = dataclasses.replace(law, shape=SHAPE)
    reference = cut(draw([words.target], asked.reference, seed + 100), 2 * SHAPE.context)
    out = asked.out / f"seed-{seed}"
    shutil.rmtree(out, ignore_errors=True)
    pool, n = words.pool, len(words.pool)
    given = Given(target=[reference], pool=[pool], seed=seed)
    before: tuple[np.ndarray, np.ndarray] | None = None
    for mark, folder in zip(
        marks, trained_to(plan, source("pool", pool, np.ones(n), seed), marks, out, seed), strict=True
    ):
        at = Standing(folder, plan, words.end_of_text)
        snapshot = newest_snapshot(folder / CHECKPOINTS)
        assert snapshot is not None
        recorder, gradients = Recorder(StepProbe(at)), DecoderGradients(snapshot.model, words.end_of_text)
        mates = Mates(n_probes=asked.probes, n_reference=asked.reference, held_out=asked.held_out)
        fitted = mates.fit(dataclasses.replace(given, probe=recorder))
        yield mark, "mates_spearman", "", fitted.told["spearman"], round(asked.held_out * asked.probes)
        yield mark, "mates_reliability", "", fitted.told.get("reliability", float("nan")), mates.n_reliability
        scores = arrow.numpy(fitted.measure(pool), "score")
        if before is not None:
            yield mark, "probe_drift", "", spearman(before[0], recorder.first), asked.probes
            yield mark, "mates_drift", "", spearman(before[1], scores), n
        before = recorder.first, scores
        quad = Quad(candidates=DOCUMENTS, n_reference=asked.reference, unsampled="mean")
        short = cut(pool, SHAPE.context)
        fifty = draw([short], DOCUMENTS, seed + 2)
        own = quad.fit(dataclasses.replace(given, pool=[short], gradients=gradients))
        influence = arrow.numpy(own.measure(fifty), "score")
        step = -recorder.losses_after_step(fifty, reference)
        without = leave_one_out(at, fifty, draw([pool], LATER_STEPS * LATER_SEQUENCES, seed + 200), reference)
        yield mark, "quad_step", "", spearman(influence, step), len(fifty)
        yield mark, "quad_leave_one_out", "", spearman(influence, without), len(fifty)
        if mark == marks[-2]:
            yield from selected(at, given, gradients, words, mark, out, seed)


def selected(
    at: Standing, given: Given, gradients: DecoderGradients, words: Text, mark: int, out: Path, seed: int
) -> Iterator[tuple[int, str, str, float, int]]:
    """What becomes of a tenth of the pool chosen in three ways, and where it lies."""
    pool, n = words.pool, len(words.pool)
    n_tokens = np.diff(pool.token_ids[1])
    tie = hashed(seed, keys_of(pool.ids))
    laws = {"quad": Quad(), "top": Quad(n_probes=n, candidates=n, max_share=1.0, unsampled="mean"), "random": None}
    cluster, kinds = np.zeros(n, np.int64), pool.column("source")
    for arm, law in laws.items():
        score = np.zeros(n)
        if law is not None:
            fitted = law.fit(dataclasses.replace(given, gradients=gradients))
            table = fitted.measure(pool)
            score = arrow.numpy(table, "score")
            if arm == "quad":
                cluster = arrow.numpy(table, "cluster")
                yield mark, "quad_asked", arm, fitted.told["asked_share"], n
        copies = take_until(order_by(score, tie), n_tokens, int(n_tokens.sum()) // 10)
        kept = np.flatnonzero(copies)
        yield mark, "selected_entropy", arm, entropy(cluster[kept].tolist()), len(kept)
        yield mark, "selected_source_entropy", arm, entropy([kinds[i] for i in kept]), len(kept)
        chosen = source(f"pool {arm}", pool, copies, seed)
        after = train(at.plan, chosen, seed=seed, folder=out / arm, continue_from=at.folder, until_tokens=2 * mark)
        loss = mean_loss(LanguageModel(after.model, words.end_of_text), words.heldout)
        yield mark, "selected_loss", arm, loss, len(words.heldout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--probes", type=int, default=300)
    parser.add_argument("--reference", type=int, default=48)
    parser.add_argument("--held-out", type=float, default=0.25)
    parser.add_argument("--marks", default="40000,120000,200000")
    parser.add_argument("--out", type=Path, default=Path("runs/influence"))
    parser.add_argument("--results", type=Path, default=RESULTS / "select_influence.csv")
    asked = parser.parse_args()
    done: list[dict[str, str]] = []
    if asked.results.exists():
        with asked.results.open(newline="", encoding="utf-8") as lines:
            done = list(csv.DictReader(lines))
    words = text(asked.out)
    for seed in range(asked.seeds):
        if any(row["seed"] == str(seed) for row in done):
            continue
        for tokens, measure, arm, value, n in rows_of(asked, words, seed):
            row = (str(seed), str(tokens), measure, arm, f"{value:.4f}", str(n))
            print(*row, flush=True)
            done.append(dict(zip(COLUMNS, row, strict=True)))
        with asked.results.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(done)
    for measure in dict.fromkeys(row["measure"] for row in done):
        for arm in dict.fromkeys(row["arm"] for row in done if row["measure"] == measure):
            values = [float(row["value"]) for row in done if (row["measure"], row["arm"]) == (measure, arm)]
            print(f"{measure:24} {arm:8} mean {np.mean(values):+.3f}, {min(values):+.3f} to {max(values):+.3f}")


if __name__ == "__main__":
    main()
