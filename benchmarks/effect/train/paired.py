"""What paired comparisons of training share: the shipped pages as passages, runs side by side, a table that goes on.

Every run is a row of a CSV, added when it is done; rows that are there are not run again. Runs of one seed share
initial weights and data order as far as their arms allow, and differences are taken within seeds.
"""

from __future__ import annotations

import csv
import dataclasses
import math
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seedbed import sample
from seedbed.core import arrow
from seedbed.core.nouns import TOKEN_INDEX
from seedbed.pipeline import data
from seedbed.pipeline.workplace import Workplace
from seedbed.recipes import demo
from seedbed.stats.intervals import Interval, paired_interval
from seedbed.tokenize.encode import Encoder
from seedbed.tokenize.run import Pool, make_tokenizer, tokenize

if TYPE_CHECKING:
    import torch

    from seedbed.model.transformer import Decoder
    from seedbed.train.plan import TrainPlan
    from seedbed.train.run import Report
    from seedbed.train.source import TokenSource

RESULTS = Path(__file__).parents[2] / "results"
VOCAB_SIZE, END = demo.VOCAB_SIZE, 0
Row = dict[str, str]


@dataclasses.dataclass(frozen=True)
class Passages:
    """Pages of the sample cut into passages of one length, each ended by END.

    Args:
        ids_NL: token ids.
        package_N: which of `packages` each is from.
        heldout_N: pages kept for evaluation; a page is in one part only.
        address_K: tokens of "URL: <package>" and an empty line.
    """

    ids_NL: np.ndarray
    package_N: np.ndarray
    heldout_N: np.ndarray
    packages: list[str]
    address_K: list[np.ndarray]


def pages(out: Path) -> Path:
    """The shipped pages, extracted and tokenised, as one file; what is there already is not made again."""
    file = out / "pages.npz"
    if file.exists():
        return file
    recipe = demo.recipe()
    assert recipe.tokenizer is not None
    with Workplace.open(out, workers=2) as place:
        documents = data.texts_into(place, recipe.curate, sample.pool())
        tokenizer = make_tokenizer(recipe.tokenizer, documents, place.store)
        pool = Pool(documents, tokenize(documents, tokenizer, place.store, place.engine))
        encoder = Encoder.open(tokenizer.path)
    urls = [url for shard in documents.shards() for part in arrow.row_groups(shard, ["url"])
            for url in arrow.strings(part, "url")]  # fmt: skip
    names = sorted(sample.DOMAINS)
    assert encoder.end_id == END
    library: Any = encoder._tokenizer
    addresses = [library.encode(f"URL: {name}\n\n", add_special_tokens=False).ids for name in names]
    flat = np.concatenate([pool.ids(name) for name in pool.shard_names()])
    sizes = arrow.numpy(pool.index(), "n_tokens")
    package = np.array([names.index(str(url).split("/")[3]) for url in urls])
    lengths = np.array([len(ids) for ids in addresses])
    np.savez(file, flat=flat, sizes=sizes, package=package, names=names, address=np.concatenate(addresses),
             lengths=lengths)  # fmt: skip
    return file


@cache
def passages(file: Path, length: int) -> Passages:
    """All whole passages of `length` tokens, END included."""
    held = np.load(file)
    ids: list[np.ndarray] = []
    package: list[int] = []
    heldout: list[bool] = []
    offset = 0
    for number, (size, of) in enumerate(zip(held["sizes"], held["package"], strict=True)):
        whole = (int(size) - 1) // (length - 1)
        body = held["flat"][offset : offset + whole * (length - 1)].reshape(whole, length - 1)
        ids.append(np.concatenate([body, np.full((whole, 1), END)], 1).astype(np.uint16))
        package += [int(of)] * whole
        heldout += [number % 10 == 7] * whole
        offset += int(size)
    cuts = np.cumsum(held["lengths"])[:-1]
    return Passages(np.concatenate(ids), np.array(package), np.array(heldout), [str(name) for name in held["names"]],
                    np.split(held["address"].astype(np.int64), cuts))  # fmt: skip


def source(name: str, ids_NL: np.ndarray, *, seed: int, context: int, **about: Any) -> TokenSource:
    """Every passage once an epoch; `about`: reads, metadata, part. Its documents are told apart by their row."""
    from seedbed.train.source import TokenShard, TokenSource

    n, length = ids_NL.shape
    names = [row.to_bytes(16, "big") for row in range(n)]
    sizes = [length] * n
    columns = {"id": names, "offset": np.arange(n) * length, "n_tokens": sizes, "n_bytes": sizes}
    shard = TokenShard(ids_NL.reshape(-1), arrow.table(columns, TOKEN_INDEX))
    return TokenSource(name, [shard], np.ones(n), seed=seed, context=context, **about)


def trained(
    plan: TrainPlan, sources: Any, *, seed: int, init: Decoder | None = None, reference: Decoder | None = None,
    observe: Callable[[Report], None] | None = None,
) -> Decoder:  # fmt: skip
    """The model at the end; nothing is kept on disk."""
    from seedbed.train.plan import Checkpoints
    from seedbed.train.run import train

    plan = dataclasses.replace(plan, checkpoints=Checkpoints(every_steps=1_000_000, keep_last=1))
    with tempfile.TemporaryDirectory() as folder:
        result = train(plan, sources, seed=seed, folder=Path(folder), init=init, reference=reference, observe=observe)
    return result.model


def losses(model: Decoder, inputs_NT: np.ndarray, targets_NT: np.ndarray) -> torch.Tensor:
    """loss_NT in nats."""
    import torch

    from seedbed.model.cross_entropy import linear_cross_entropy

    found: list[torch.Tensor] = []
    with torch.no_grad():
        for at in range(0, len(inputs_NT), 64):
            x, y = (torch.from_numpy(ids[at : at + 64].astype(np.int64)) for ids in (inputs_NT, targets_NT))
            found.append(linear_cross_entropy(model.hidden(x), model.head_weight, y))
    return torch.cat(found)


def loss_of(model: Decoder, ids_NL: np.ndarray, prefixes: Sequence[np.ndarray] | None = None) -> float:
    """Mean nats per token of passages, each read after END and perhaps a prefix, which is not scored itself."""
    if prefixes is None:
        inputs = np.concatenate([np.full((len(ids_NL), 1), END), ids_NL[:, :-1]], 1)
        return float(losses(model, inputs, ids_NL).mean())
    total = 0.0
    for size in sorted({len(prefix) for prefix in prefixes}):
        rows = [row for row, prefix in enumerate(prefixes) if len(prefix) == size]
        before = np.stack([np.append(END, prefixes[row]) for row in rows])
        inputs = np.concatenate([before, ids_NL[rows][:, :-1]], 1)
        targets = np.concatenate([before[:, 1:], ids_NL[rows]], 1)
        total += float(losses(model, inputs, targets)[:, size:].double().sum())
    return total / ids_NL.size


class Table:
    """A CSV of runs: columns that name a run, and what it came to."""

    def __init__(self, file: Path, key: Sequence[str], values: Sequence[str]) -> None:
        self.file, self.key, self.values = file, tuple(key), tuple(values)
        self.rows: list[Row] = []
        if file.exists():
            with file.open(newline="", encoding="utf-8") as lines:
                self.rows = list(csv.DictReader(lines))

    def has(self, named: Row) -> bool:
        return any(all(row[name] == named[name] for name in self.key) for row in self.rows)

    def add(self, row: Row) -> None:
        """Written at once, in the order of the runs' names, so that the file does not depend on who ended first."""
        self.rows.append(row)
        self.rows.sort(key=lambda row: [_number(row[name]) for name in self.key])
        aside = self.file.with_suffix(".tmp")
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, [*self.key, *self.values], restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        os.replace(aside, self.file)

    def by_seed(self, value: str, **named: str) -> dict[int, float]:
        """Seed -> value, of the runs so named."""
        rows = (row for row in self.rows if all(row[name] == want for name, want in named.items()))
        return {int(row["seed"]): float(row[value]) for row in rows if row[value]}

    def difference(self, value: str, first: Row, second: Row) -> Interval:
        """first - second over the seeds that both have."""
        a, b = self.by_seed(value, **first), self.by_seed(value, **second)
        seeds = sorted(a.keys() & b.keys())
        return paired_interval(np.array([a[seed] for seed in seeds]), np.array([b[seed] for seed in seeds]))


def _number(text: str) -> tuple[float, str]:
    try:
        return float(text), ""
    except ValueError:
        return math.inf, text


def run_all(runs: Iterable[Row], work: Callable[[Row], Row], table: Table, processes: int) -> None:
    """Do what the table lacks, `processes` at a time with one thread each."""
    missing = [run for run in runs if not table.has(run)]
    os.environ["OMP_NUM_THREADS"] = "1"  # read by the processes as they start
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for done, row in enumerate(pool.imap_unordered(work, missing), 1):
            table.add(row)
            print(f"{done}/{len(missing)} {row}", flush=True)


def told(interval: Interval, digits: int = 4) -> str:
    """A number with its 95 % interval."""
    if interval.low is None or interval.high is None:
        return f"{interval.value:+.{digits}f} (one seed)"
    return f"{interval.value:+.{digits}f} [{interval.low:+.{digits}f}, {interval.high:+.{digits}f}], {interval.n} seeds"


def wins(table: Table, value: str, first: Row, second: Row) -> str:
    """In how many seeds the first is at most the second."""
    a, b = table.by_seed(value, **first), table.by_seed(value, **second)
    seeds = a.keys() & b.keys()
    return f"at most as high in {sum(a[seed] <= b[seed] for seed in seeds)} of {len(seeds)} seeds"
