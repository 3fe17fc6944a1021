"""How fast a pool is scored: by a model's losses beside the trainer's own forward pass, and by word statistics.

    python benchmarks/speed/select/scoring.py [--rounds 5] [--tokens 60000] [--models small,large] [--contexts 128,512]

The pool is the shipped sample, tokenised as the demo does; documents are drawn until they come to --tokens. (Word
statistics score all of it, five times.) Losses are asked through the pipeline's cache, which is empty every time. The
trainer's forward pass is the objective's losses over full batches of 2,048 positions, with what the backward pass will
need kept, as its loop has it; beside it the same without. The goal is that scoring does at least 70 % of the trainer's
tokens per CPU-second.

One thread; CPU-seconds of this process (os.times); every measurement once in each round, one after the other, and the
median over rounds. Models are as initialised: losses cost the same. Writes benchmarks/results/speed_select_scoring.csv.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from seedbed.core.nouns import DocumentBatch
from seedbed.model import counts, runtime
from seedbed.model.checkpoint import save_model
from seedbed.model.shape import ModelShape
from seedbed.model.tensors import from_numpy
from seedbed.model.transformer import Decoder, initial_model
from seedbed.model.windows import batches, padded_rows, windows
from seedbed.pipeline import data
from seedbed.pipeline.losses import CachedLosses
from seedbed.pipeline.workplace import Workplace
from seedbed.recipes import demo
from seedbed.select.contract import Given, Scorer, draw
from seedbed.select.scorers.dsir import Dsir
from seedbed.select.scorers.ngram_classifier import NgramClassifier
from seedbed.select.scorers.ngram_perplexity import NgramPerplexity
from seedbed.tokenize.run import Pool, make_tokenizer, tokenize
from seedbed.train.contract import Batch
from seedbed.train.objectives.causal_lm import CausalLM

RESULTS = Path(__file__).parents[2] / "results" / "speed_select_scoring.csv"
ROW = (
    "scorer", "params", "context", "documents_per_cpu_second", "tokens_per_cpu_second", "megabytes_per_cpu_second",
    "share_of_trainer_forward", "share_of_inference_forward", "padding_share", "documents", "tokens", "rounds",
)  # fmt: skip
MODELS = {"small": {"d_model": 96, "n_layers": 2, "n_heads": 3}, "large": {"d_model": 192, "n_layers": 6, "n_heads": 6}}
"""Of 0.4 and 3 M parameters with the demo's vocabulary."""
POSITIONS = 2048
SCORERS: tuple[Scorer, ...] = (Dsir(), NgramClassifier(), NgramPerplexity())
TIMES = 5
"""How often these score the whole pool in one measurement: CPU time is told in hundredths of a second."""
Work = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=60_000)
    parser.add_argument("--models", default="small,large")
    parser.add_argument("--contexts", default="128,512")
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    runtime.prepare()
    contexts = [int(context) for context in asked.contexts.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        pool, target, tokenizer = pools(Path(folder))
        documents = some(pool, asked.tokens)
        asks = {(name, context): Asked(Path(folder) / f"{name}-{context}", name, context, tokenizer, documents)
                for name in asked.models.split(",") for context in contexts}  # fmt: skip
        works: dict[object, Work] = {}
        for key, one in asks.items():
            works |= {(*key, "score"): one.score, (*key, "trainer"): one.trainer, (*key, "inference"): one.inference}
        given = Given(target, pool)
        everything = draw(pool, len(pool.rows()), seed=0)
        works |= {scorer.name(): measuring(scorer, given, everything) for scorer in SCORERS}
        seconds = medians(works, asked.rounds)
    rows = [one.row({kind: seconds[*key, kind] for kind in ("score", "trainer", "inference")})
            for key, one in asks.items()]  # fmt: skip
    rows += [told(scorer.name(), everything, seconds[scorer.name()] / TIMES) for scorer in SCORERS]
    with asked.results.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, ROW, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "rounds": asked.rounds} for row in rows)
    for row in rows:
        print(row)


class Asked:
    """A model, the pool it is asked about, and as many of its tokens in the trainer's batches."""

    def __init__(self, folder: Path, name: str, context: int, tokenizer: Path, documents: DocumentBatch) -> None:
        self.documents, self.folder, self.asked = documents, folder, 0
        self.shape = ModelShape(vocab_size=demo.VOCAB_SIZE, context=context, **MODELS[name])
        self.model: Decoder = initial_model(self.shape, 0)
        save_model(folder, self.model, (tokenizer / "tokenizer.json").read_text(encoding="utf-8"))
        (folder / "special.json").write_bytes((tokenizer / "special.json").read_bytes())
        ids = np.asarray(documents.token_ids[0], np.int64)
        rows = POSITIONS // context
        n = (len(ids) - 1) // POSITIONS
        cut = n * POSITIONS
        self.inputs = ids[:cut].reshape(n, rows, context)
        self.targets = ids[1 : cut + 1].reshape(n, rows, context)

    def score(self) -> object:
        """Losses of all documents, nothing of them in the cache."""
        self.asked += 1
        return CachedLosses(self.folder, self.folder / f"cache-{self.asked}").document_losses(self.documents)

    def trainer(self) -> object:
        """The forward pass of every step over the tokens, as the loop makes it."""
        total = 0.0
        for inputs, targets in zip(self.inputs, self.targets, strict=True):
            batch = Batch(from_numpy(inputs), from_numpy(targets), torch.ones(inputs.shape), None)
            total += float(CausalLM().losses(self.model, batch).detach().sum())
        return total

    def inference(self) -> object:
        """The same, where nothing is kept for a backward pass."""
        with torch.inference_mode():
            return self.trainer()

    def row(self, seconds: dict[str, float]) -> dict[str, object]:
        ids, offsets = self.documents.token_ids
        scored = len(ids) / seconds["score"]
        forward = {kind: self.inputs.size / seconds[kind] for kind in ("trainer", "inference")}
        _, _, length_W = windows(offsets, self.shape.context)
        computed = sum(width * padded_rows(len(batch), width) for width, batch in batches(length_W, self.shape.context))
        return {
            **told("document_losses", self.documents, seconds["score"]),
            "params": counts.total_parameters(self.shape),
            "context": self.shape.context,
            "share_of_trainer_forward": f"{scored / forward['trainer']:.3f}",
            "share_of_inference_forward": f"{scored / forward['inference']:.3f}",
            "padding_share": f"{1 - len(ids) / computed:.3f}",
        }


def pools(folder: Path) -> tuple[Pool, Pool, Path]:
    """(pool, target, tokenizer) of the demo."""
    recipe = demo.recipe()
    with Workplace.open(folder / "out") as place:
        kept = data.texts_into(place, recipe.curate, list(recipe.inputs))
        tokenizer = make_tokenizer(recipe.tokenizer, kept, place.store)
        aim = data.texts_into(place, recipe.curate, list(recipe.target))
        pool, target = (Pool(each, tokenize(each, tokenizer, place.store, place.engine)) for each in (kept, aim))
    return pool, target, tokenizer.path


def some(pool: Pool, tokens: int) -> DocumentBatch:
    """Documents drawn from the pool until they come to so many tokens."""
    drawn = draw(pool, len(pool.rows()), seed=0)
    ends = drawn.token_ids[1]
    return drawn.some(np.arange(max(1, int(np.searchsorted(ends, tokens)))))


def measuring(scorer: Scorer, given: Given, documents: DocumentBatch) -> Work:
    """A fitted scorer's measuring; what batches remember of their texts is made anew."""
    fitted = scorer.fit(given)
    return lambda: [fitted.measure(DocumentBatch(documents.rows, documents.token_ids)) for _ in range(TIMES)]


def medians(works: dict[object, Work], rounds: int) -> dict[object, float]:
    """CPU-seconds of each, every one after the other in each round; a first round is not counted."""
    spent: dict[object, list[float]] = {key: [] for key in works}
    for number in range(rounds + 1):
        for key, work in works.items():
            begun = os.times()
            work()
            ended = os.times()
            if number:
                spent[key].append(max(ended.user + ended.system - begun.user - begun.system, 0.01))
    return {key: statistics.median(seconds) for key, seconds in spent.items()}


def told(name: str, documents: DocumentBatch, seconds: float) -> dict[str, object]:
    offsets = documents.text_buffers()[1]
    n_tokens, n_bytes = len(documents.token_ids[0]), int(offsets[-1] - offsets[0])
    return {
        "scorer": name,
        "documents_per_cpu_second": f"{len(documents) / seconds:.1f}",
        "tokens_per_cpu_second": f"{n_tokens / seconds:.0f}",
        "megabytes_per_cpu_second": f"{n_bytes / 1e6 / seconds:.3f}",
        "documents": len(documents),
        "tokens": n_tokens,
    }


if __name__ == "__main__":
    main()
