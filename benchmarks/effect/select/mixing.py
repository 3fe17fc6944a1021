"""Mixtures on the shipped pages: do merged models foretell trained ones, does a law, and what do mixers gain?

    python benchmarks/effect/select/mixing.py merge|dcpt|mixers|all [--scale 1.0] [--workers 2] [--out runs/mixing]

merge   A model for each of six domains from one start (trained on the other domains), the average of each of the 15
        pairs, and a model really trained on each pair; beside it the mean of the single losses, and the same from six
        different random starts. Writes mixing_merge.csv (a row a pair and target domain) and mixing_merge_summary.csv.
dcpt    The databases' share in 6 steps, 2 sizes and 2 lengths; the law of domain and general loss on held-out runs,
        the best share beside that of the grid, and the law carried to another domain with two runs. Writes
        mixing_dcpt.csv and mixing_dcpt_summary.csv.
mixers  Shares by each mixer, then 3 models each: loss on held-out text of the target. Writes mixing_arms.csv.
Trained models stay in --out: what is there is not trained again. --scale multiplies all lengths.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import gzip
import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seedbed import sample
from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request
from seedbed.pipeline import data
from seedbed.pipeline.material import Material, column_of, whole_table
from seedbed.pipeline.mixing import mixture_of
from seedbed.pipeline.models import open_model
from seedbed.pipeline.training import run_all
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import Stage
from seedbed.recipes import demo
from seedbed.select.allot import weights_by_shares
from seedbed.select.contract import Scored
from seedbed.select.mixers import data_mixing_law, dcpt_law, merge_proxy, regmix, temperature, unimax
from seedbed.select.mixing import Domains, Mixer, Mixture, Seen, Trial
from seedbed.select.scorers.constant import Constant
from seedbed.select.selectors.gumbel_top_k import GumbelTopK
from seedbed.stats.dcpt import DcptFit
from seedbed.stats.sampling import keys_of
from seedbed.tokenize.run import Pool, make_tokenizer, tokenize
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from seedbed.train.plan import Checkpoints

RESULTS = Path(__file__).parents[2] / "results"
PARTS = ("audio", "databases", "graphics", "office", "numerics", "society")
"""Partitions of `merge`."""
UNIT, START, ARM, SEEDS = 60_000, 240_000, 300_000, 3
RATIOS = (0.0, 0.1, 0.33, 0.67, 0.9, 1.0)
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("merge", "dcpt", "mixers", "all"))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", default="runs/mixing")
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    asked.results.mkdir(parents=True, exist_ok=True)
    with Workplace.open(asked.out, asked.workers) as place:
        ground = Ground.made(place, asked.scale, asked.results)
        for name, part in (("merge", merge), ("dcpt", dcpt), ("mixers", mixers)):
            if asked.part in (name, "all"):
                part(ground)


@dataclasses.dataclass(frozen=True)
class Ground:
    """The shipped pages by domain, and text held out: `material` aims at all its domains, `databases` at that one."""

    place: Workplace
    scale: float
    results: Path
    material: Material
    databases: Material
    heldout: Pool

    @classmethod
    def made(cls, place: Workplace, scale: float, results: Path) -> Ground:
        recipe = demo.recipe()
        assert recipe.train is not None
        pages = data.texts_into(place, recipe.curate, ["sample:pool"])
        folder = place.out / "texts"
        if not folder.is_dir():
            by_domain(pages, place.out / "texts.partial")
            (place.out / "texts.partial").rename(folder)
        kept = data.texts_into(place, recipe.curate, [folder / "pool"])
        tokenizer = make_tokenizer(ByteBpe(vocab_size=1024), kept, place.store)

        def pool(name: str) -> Pool:
            documents = kept if name == "pool" else data.texts_into(place, recipe.curate, [folder / name])
            return Pool(documents, tokenize(documents, tokenizer, place.store, place.engine))

        shape = dataclasses.replace(recipe.train.shape, vocab_size=1024, d_model=64, n_layers=2, n_heads=2)
        plan = dataclasses.replace(
            recipe.train, shape=shape, batch_sequences=8, tokens=tokens(ARM, scale), checkpoints=Checkpoints(10**6)
        )
        whole = Material(pool("pool"), pool("all"), tokenizer, plan)
        return cls(place, scale, results, whole, dataclasses.replace(whole, target=pool("select")), pool("heldout"))

    def say(self, mixer: Mixer, material: Material | None = None) -> Artifact:
        """What a mixer says."""
        used = material or self.material
        stage = Stage(Constant(), GumbelTopK(), mixer=mixer)
        return mixture_of(self.place, used, stage, budget_tokens=used.plan.tokens, seed=0)

    def write(self, name: str, rows: Sequence[Row]) -> None:
        with (self.results / name).open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            for row in rows:
                writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
                print({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}, flush=True)


def by_domain(pages: Artifact, folder: Path) -> None:
    """Pool and held-out texts as JSON lines whose source is the domain."""
    for name in ("pool", "all", "select", "heldout"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    table = pages.table(["text", "url"])
    by: dict[str, list[str]] = {}
    for text, url in zip(arrow.strings(table, "text"), arrow.strings(table, "url"), strict=True):
        domain = sample.DOMAINS[(url or "").split("/")[3]]
        by.setdefault(domain, []).append(json.dumps({"text": text, "source": domain}) + "\n")
    for domain, lines in by.items():
        (folder / "pool" / f"{domain}.jsonl").write_text("".join(lines), encoding="utf-8")
    for domain, file in {**sample.heldout(), "select": sample.target_select()}.items():
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            texts = [json.loads(line)["text"] for line in lines]
        source = sample.TARGET if domain == "select" else domain
        for place in ("select",) if domain == "select" else ("all", *(("heldout",) if source == sample.TARGET else ())):
            rows = "".join(json.dumps({"text": text, "source": source}) + "\n" for text in texts)
            (folder / place / f"{source}.jsonl").write_text(rows, encoding="utf-8")


def tokens(count: int, scale: float) -> int:
    return max(2048, round(count * scale / 1024) * 1024)


@dataclasses.dataclass(frozen=True)
class Pairs(merge_proxy.MergeProxy):
    """The six partitions and all their pairs, everything told; `apart` starts each from its own random weights."""

    apart: bool = False

    def trials(self, domains: Domains, seed: int) -> Sequence[Trial]:  # noqa: ARG002
        start = self._start(domains)
        units = [self._trial(domains, {domains.names.index(name)}, start) for name in PARTS]
        if self.apart:
            return [dataclasses.replace(unit, seed=k, init=None) for k, unit in enumerate(units)]
        pairs = itertools.combinations((domains.names.index(name) for name in PARTS), 2)
        return [*units, *(self._trial(domains, set(pair), start) for pair in pairs)]

    def mixture(self, domains: Domains, seen: Seen, seed: int) -> Mixture:  # noqa: ARG002
        assert seen.trials is not None
        assert seen.merged is not None
        share = np.zeros((15, len(seen.trials.loss_RE)))
        for row, pair in enumerate(itertools.combinations(range(6), 2)):
            share[row, list(pair)] = 0.5
        told = {"merged": seen.merged(share).tolist(), "trials": seen.trials.loss_RE.tolist()}
        return Mixture(domains.share_D, {**told, "targets": list(domains.targets)})


def merge(ground: Ground) -> None:
    others = tuple(sorted({*sample.DOMAINS.values()} - {*PARTS}))
    unit, start = tokens(UNIT, ground.scale), tokens(START, ground.scale)
    shared = ground.say(Pairs(trial_tokens=unit, start_tokens=start, start_domains=others)).about["told"]
    apart = ground.say(Pairs(trial_tokens=unit, start_tokens=0, apart=True)).about["told"]
    single, trained = np.array(shared["trials"][:6]), np.array(shared["trials"][6:])
    pairs = list(itertools.combinations(range(6), 2))
    foretold = {
        "merged": np.array(shared["merged"]),
        "mean_of_losses": np.array([single[[i, j]].mean(axis=0) for i, j in pairs]),
        "merged_without_shared_start": np.array(apart["merged"]),
    }
    rows = [
        {"first": PARTS[i], "second": PARTS[j], "target": target, "trained": float(trained[row, e])}
        | {name: float(values[row, e]) for name, values in foretold.items()}
        for row, (i, j) in enumerate(pairs)
        for e, target in enumerate(shared["targets"])
    ]
    ground.write("mixing_merge.csv", rows)
    summary: list[Row] = []
    for e, target in [*enumerate(shared["targets"]), (slice(None), "mean of all")]:
        truth = perplexity(trained[:, e])
        for name, values in foretold.items():
            guess = perplexity(values[:, e])
            off = float(np.abs(np.log(guess / truth)).mean())
            ranks = float(np.corrcoef(rank(guess), rank(truth))[0, 1])
            pearson = float(np.corrcoef(guess, truth)[0, 1])
            summary.append(
                {"target": target, "proxy": name, "pearson": pearson, "spearman": ranks, "mean_nats_off": off}
            )
    ground.write("mixing_merge_summary.csv", summary)


def perplexity(loss: np.ndarray) -> np.ndarray:
    return np.exp(loss if loss.ndim == 1 else loss.mean(axis=1))


def rank(values: np.ndarray) -> np.ndarray:
    return values.argsort().argsort().astype(float)


def dcpt(ground: Ground) -> None:
    lengths = (tokens(4 * UNIT, ground.scale), tokens(8 * UNIT, ground.scale))
    law = dcpt_law.DcptLaw(
        domain="databases", target="databases", ratios=RATIOS, lengths=lengths, shapes=(0.5, 1.0), aim="lowest"
    )
    material = dataclasses.replace(ground.material, plan=dataclasses.replace(ground.material.plan, tokens=lengths[-1]))
    made = ground.say(law, material)
    told, table = made.about["told"], arrow.read_parquet(made.path / "trials.parquet")
    columns = {name: arrow.numpy(table, name).astype(float) for name in table.column_names}
    general = [name for name in columns if name.startswith("loss ") and name != "loss databases"]
    size = _tokens_by(material.the_target)
    weight = {name: n / sum(size.values()) for name, n in size.items()}
    rest = sum(weight[name.removeprefix("loss ")] for name in general)
    rows = [
        {
            "params": int(columns["params"][r]),
            "tokens": int(columns["tokens"][r]),
            "share": float(columns["share databases"][r]),
            "domain_loss": float(columns["loss databases"][r]),
            "general_loss": float(sum(weight[g.removeprefix("loss ")] * columns[g][r] for g in general) / rest),
        }
        for r in range(len(columns["params"]))
    ]
    ground.write("mixing_dcpt.csv", rows)
    largest = [row for row in rows if row["params"] == max(r["params"] for r in rows) and row["tokens"] == lengths[-1]]
    both = [weight["databases"] * row["domain_loss"] + rest * row["general_loss"] for row in largest]
    summary: list[Row] = [
        {"what": "runs", "value": float(len(rows))},
        {"what": "held-out R2, domain loss", "value": told["domain"]["heldout_r2"]},
        {"what": "held-out R2, general loss", "value": told["general"]["heldout_r2"]},
        {"what": "held-out error, domain loss (nats)", "value": told["domain"]["heldout_error"]},
        {"what": "held-out error, general loss (nats)", "value": told["general"]["heldout_error"]},
        {"what": "best share by the law", "value": told["share"]},
        {"what": "best share of the grid", "value": largest[int(np.argmin(both))]["share"]},
        *bound(largest, told, law.tolerance),
        *carried(ground, material, told, lengths, law),
    ]
    ground.write("mixing_dcpt_summary.csv", summary)


def _tokens_by(pool: Pool) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, n in zip(column_of(pool, "source"), arrow.numpy(pool.index(), "n_tokens"), strict=True):
        found[name] = found.get(name, 0) + int(n)
    return dict(sorted(found.items()))


def law_of(told: Row) -> DcptFit:
    names = ("ln_E", "ln_A", "alpha", "ln_B", "beta", "eta", "ln_C", "gamma", "ln_eps")
    return DcptFit(np.array([told[name] for name in names]), tuple(told["centre"]))


def bound(largest: Sequence[Row], told: Row, tolerance: float) -> list[Row]:
    """The largest share at which the general loss stays in bounds: by the law, and on the measured line."""
    ratio = np.linspace(0, 1, 1001)
    sizes = np.tile([largest[0]["params"], largest[0]["tokens"]], (1001, 1))
    ahead = law_of(told["general"])(np.column_stack([sizes, 1 - ratio]))
    measured = np.interp(ratio, [row["share"] for row in largest], [row["general_loss"] for row in largest])
    found = [float(ratio[np.flatnonzero(line <= (1 + tolerance) * line[0]).max()]) for line in (ahead, measured)]
    return [
        {"what": "largest share in bounds by the law", "value": found[0]},
        {"what": "largest share in bounds on the grid (interpolated)", "value": found[1]},
    ]


def carried(
    ground: Ground, material: Material, told: Row, lengths: tuple[int, int], law: dcpt_law.DcptLaw
) -> list[Row]:
    """The domain law carried to `graphics` by two of six runs, judged on the other four."""
    ratios = (0.1, 0.33, 0.5, 0.67, 0.8, 0.9)
    other = dataclasses.replace(
        law, domain="graphics", target="graphics", ratios=ratios, lengths=(lengths[0],), shapes=(1.0,), starts=1
    )
    few = Recorded(other)
    table = arrow.read_parquet(ground.say(few, material).path / "trials.parquet")
    numbers = [arrow.numpy(table, name).astype(float) for name in ("params", "tokens", "share graphics")]
    point, loss = np.column_stack(numbers), arrow.numpy(table, "loss graphics").astype(float)
    fit, two = law_of(told["domain"]), np.array([0, 4])
    rest = np.setdiff1d(np.arange(len(loss)), two)
    off = np.abs(fit.refit(point[two], loss[two])(point[rest]) - loss[rest]).mean()
    return [{"what": "carried to graphics with 2 runs: error on 4 others (nats)", "value": float(off)}]


@dataclasses.dataclass(frozen=True)
class Recorded(Mixer):
    """The trials of another mixer, and no fit."""

    asks = ("trials",)
    other: Mixer = dataclasses.field(default_factory=dcpt_law.DcptLaw)

    def trials(self, domains: Domains, seed: int) -> Sequence[Trial]:
        return self.other.trials(domains, seed)

    def mixture(self, domains: Domains, seen: Seen, seed: int) -> Mixture:  # noqa: ARG002
        return Mixture(domains.share_D)


def mixers(ground: Ground) -> None:
    unit, start = tokens(UNIT, ground.scale), tokens(START, ground.scale)
    asked: dict[str, Mixer | None] = {
        "proportional": None,
        "uniform": unimax.Unimax(max_epochs=1e6),
        "temperature": temperature.Temperature(),
        "unimax": unimax.Unimax(max_epochs=4),
        "regmix": regmix.Regmix(n_trials=48, trial_tokens=unit, simulated=20_000),
        "data_mixing_law": data_mixing_law.DataMixingLaw(n_trials=36, trial_tokens=unit),
        "merge_proxy": merge_proxy.MergeProxy(trial_tokens=unit, start_tokens=start, weighted=64),
    }
    rows: list[Row] = []
    for name, mixer in asked.items():
        made = ground.say(mixer, ground.databases) if mixer else None
        rows += list(trained(ground, name, made))
    ground.write("mixing_arms.csv", rows)


def trained(ground: Ground, name: str, made: Artifact | None) -> Iterable[Row]:
    material, place = ground.databases, ground.place
    index, domains = material.pool.index(), column_of(material.pool, "source")
    names = sorted(set(domains))
    n_tokens = arrow.numpy(index, "n_tokens").astype(np.int64)
    domain_N = np.searchsorted(names, domains.astype(str))
    pool_D = np.bincount(domain_N, n_tokens) / n_tokens.sum()
    about: Row = made.about if made else {"shares": dict(zip(names, pool_D.tolist(), strict=True)), "flops_select": 0.0}
    share_D = np.array([about["shares"][each] for each in names])
    ids = index.column("id").to_pylist()
    tasks = []
    for seed in range(SEEDS):

        def fill(draft: Draft, seed: int = seed) -> Row:
            scored = Scored(np.zeros(len(ids)), n_tokens, keys_of(ids))
            budget = material.plan.tokens
            copies = weights_by_shares(
                GumbelTopK(), scored, domain_N, share_D, budget_tokens=budget, max_epochs=4, seed=seed
            )
            draft.write_table("part-00000.parquet", whole_table(material.pool, copies))
            return {}

        identity = {"shares": share_D.tolist(), "seed": seed, "tokens": material.plan.tokens}
        request = Request("Weights", f"{name}-{seed}", identity, {"tokens": material.pool.fingerprint})
        tasks.append(material.task(place, f"{name}-{seed}", seed, material.plan, place.store.make(request, fill)))
    runs = run_all(tasks, place.store, place.engine, f"train {len(tasks)} of {name}")
    for seed, task in enumerate(tasks):
        model = open_model(runs[task.label].path)
        batches = list(ground.heldout)
        size = [np.diff(batch.token_ids[1]) for batch in batches]
        total = sum(float(model.document_losses(batch) @ n) for batch, n in zip(batches, size, strict=True))
        yield {
            "method": name,
            "seed": seed,
            "target_loss": total / sum(int(n.sum()) for n in size),
            "target_share": float(about["shares"][sample.TARGET]),
            "heldout_error": about.get("told", {}).get("heldout_error", ""),
            "heldout_spearman": about.get("told", {}).get("heldout_spearman", ""),
            "selection_flops": about["flops_select"],
            "training_flops": runs[task.label].about["flops_train"],
        }


if __name__ == "__main__":
    main()
