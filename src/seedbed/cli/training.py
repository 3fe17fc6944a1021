"""The verbs of training: train a model in a folder, and let a model write."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import Annotated, Any, Optional, cast

import typer

from seedbed.cli.options import INPUTS, RECIPES, Set, Workers, app, settings_of
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.remote import inside

WHAT, START, WATCH, MACHINE = "What is trained on what", "Where it starts", "Watching", "Machine"
MODEL = "A training folder, a checkpoint in one, a model folder, or a Hugging Face folder"


class Device(StrEnum):
    """Where torch computes."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Parallel(StrEnum):
    """How processes share the work."""

    ddp = "ddp"
    fsdp = "fsdp"


class Track(StrEnum):
    """Where numbers go besides the folder."""

    tensorboard = "tensorboard"
    wandb = "wandb"


MANUAL = """Train a model, or go on where a stopped or killed call left off.

\b
WHAT COMES IN
RECIPE is a recipe with inputs (they are curated and tokenised into the folder first), or an
output folder with a curation in it (its documents and tokens are read as they are). A recipe
without a section `train` gets the plan of the recipe `study`: a small model for a laptop.

\b
WHAT IS LEFT IN THE FOLDER (--out)
metrics.parquet   a row a step: step, tokens, flops, loss_nats_per_token, learning_rate,
                  grad_norm, skipped, tokens_per_second, seconds, shares of the sources
metrics.jsonl     the same, a line a step, while it goes: tail -f it
model/            the final model with its tokenizer: evaluate, sample and export open it
checkpoints/      step-00000100/ ...: the newest few, each a model folder, to resume from
incidents.jsonl   steps that were skipped, with the ids of their documents
train.json        plan, seed, sources, machine, torch build: what the bits depend on
report.html       all of it for people

\b
RESUME
The same command again goes on from the newest whole checkpoint, to the same bits on the same
machine type, number of threads and torch build. A finished run is answered at once. A folder
holds one run: another plan or seed there is an error that says what differs.

\b
CHANGE A VALUE
--set train.learning_rate=3e-4, --set train.shape.d_model=256, --set train.checkpoints.every_steps=50.
`seedbed show RECIPE` prints every value; without a learning rate and a batch the Step Law
chooses them. --tokens 20M is short for --set train.tokens=20M.

\b
BRANCH
Decay now, from any checkpoint of a run whose schedule is warm-up, stable, decay:
  seedbed train runs/a --branch runs/a/checkpoints/step-00001000 --out runs/b --tokens 5M
Weights, optimizer, counters and places in the data are carried over; runs/a stays as it is.

\b
NEW TEXT
Update a model: the rate rises and falls again over the new text, and a little of the old is read
on, so that what it taught stays (5 percent; 25 where the new text is far from the old):
  seedbed train runs/a --rewarm runs/a/checkpoints/step-00001000 --out runs/b --tokens 5M \\
    --set tokenizer=null --set 'sources={"new": {"inputs": \\["new/*.jsonl"]}}' \\
    --set 'train.mixture=\\[{"shares": {"new": 0.95, "pool": 0.05}}]'
Weights, the optimizer's moments and places in the data come from the checkpoint: runs/a's `pool`
is read on from where it was left; the schedule begins anew. New text has a name of its own. From a
checkpoint whose rate has come down in a decay of its own only a schedule that warms up begins;
--branch refuses it and names an earlier one. With the schedule `infinite` nothing is re-warmed:
--branch with more tokens, and a branch with anneal_tokens to publish.

\b
SEVERAL SOURCES
A section `sources` of the recipe names further texts, train.mixture their shares by phase:
  sources: {web: {inputs: \\[crawl/*.warc.gz]}, books: {curated: runs/books}}
  train: {mixture: \\[{shares: {web: 0.9, books: 0.1}, until: 0.8}, {shares: {web: 0.5, books: 0.5}}]}
Each has its own cursor, without replacement within an epoch; what was read is reported beside
what was asked.

\b
SPOT A BAD RUN
A loss that is no number stops the run and names the documents. --set train.stability.action=skip
leaves such steps out instead, and with --set train.stability.spike=6 also those whose loss leaps
six deviations above the last ones. The report shows loss, gradient norm, speed and incidents.

\b
SEVERAL PROCESSES
  torchrun --nproc-per-node 2 -m seedbed train RECIPE --out DIR
The batches and their order are those of one process; sums round differently. --parallel fsdp
shards the model. Only the first process curates, prints and writes.

\b
EXAMPLES
  seedbed train study --input "texts/*.jsonl" --out runs/a --tokens 5M
  seedbed train runs/crawl --init hf/SmolLM2-135M --out runs/b --track tensorboard
  seedbed export runs/b --to hf --out hf/mine
  seedbed sample runs/b --prompt "The query planner"
"""


@app.command(help=MANUAL, short_help="Train a model; stopped or killed anywhere, the same command goes on.")
def train(
    recipe: Annotated[str, typer.Argument(help=RECIPES)],
    out: Annotated[Optional[str], typer.Option("--out", help="Folder of the run, here or s3://...; by default RECIPE, where that is an output folder.")] = None,  # noqa: E501, UP045
    inputs: Annotated[Optional[list[str]], typer.Option("--input", rich_help_panel=WHAT, help=f"Instead of the recipe's inputs. {INPUTS} May be repeated.")] = None,  # noqa: E501, UP045
    tokens: Annotated[Optional[str], typer.Option(rich_help_panel=WHAT, help="How long, such as 20M, instead of the plan's.")] = None,  # noqa: E501, UP045
    weights: Annotated[Optional[str], typer.Option(rich_help_panel=WHAT, help="A Weights folder, as `seedbed select` prints it; default: every document once an epoch.")] = None,  # noqa: E501, UP045
    sets: Set = None,
    init: Annotated[Optional[str], typer.Option(rich_help_panel=START, help=f"{MODEL}: its weights, shape and tokenizer, with a fresh optimizer.")] = None,  # noqa: E501, UP045
    branch: Annotated[Optional[str], typer.Option(rich_help_panel=START, help="A training folder or one of its checkpoints: go on from there under this plan.")] = None,  # noqa: E501, UP045
    continue_from: Annotated[Optional[str], typer.Option("--continue", rich_help_panel=START, help="A training folder: go on from there under the same plan, in a new folder, perhaps on other text.")] = None,  # noqa: E501, UP045
    rewarm: Annotated[Optional[str], typer.Option(rich_help_panel=START, help="A training folder or one of its checkpoints: a new stage from there, its schedule from the beginning, perhaps on other text.")] = None,  # noqa: E501, UP045
    fresh_optimizer: Annotated[bool, typer.Option("--fresh-optimizer", rich_help_panel=START, help="With --rewarm: leave the optimizer's moments behind.")] = False,  # noqa: E501
    from_annealed: Annotated[bool, typer.Option("--from-annealed", rich_help_panel=START, help="Begin even from a checkpoint whose rate has come down for good.")] = False,  # noqa: E501
    seed: Annotated[int, typer.Option("--seed", rich_help_panel=START, help="Of initial weights, order and chance.")] = 0,  # noqa: E501
    reference: Annotated[Optional[str], typer.Option(rich_help_panel=START, help=f"{MODEL}: what a reweighter such as Rho-1 compares with.")] = None,  # noqa: E501, UP045
    until_tokens: Annotated[Optional[str], typer.Option("--until-tokens", rich_help_panel=START, help="End this call early, such as at 5M; the same command without it goes on.")] = None,  # noqa: E501, UP045
    track: Annotated[Optional[list[Track]], typer.Option("--track", rich_help_panel=WATCH, help="Also write DIR/tensorboard or DIR/wandb (offline; `wandb sync` sends it). May be repeated. Extra `track`.")] = None,  # noqa: E501, UP045
    device: Annotated[Device, typer.Option(rich_help_panel=MACHINE, help="auto takes CUDA where there is one.")] = Device.auto,  # noqa: E501
    threads: Annotated[Optional[int], typer.Option(min=1, rich_help_panel=MACHINE, help="CPU threads of a process. Default: as the run began; else one up to 10 M parameters, above that every core.")] = None,  # noqa: E501, UP045
    loader_workers: Annotated[int, typer.Option("--loader-workers", min=0, rich_help_panel=MACHINE, help="Threads that make batches ahead; results do not depend on it.")] = 0,  # noqa: E501
    parallel: Annotated[Parallel, typer.Option(rich_help_panel=MACHINE, help="Under torchrun: each process holds the model (ddp) or a shard of it (fsdp).")] = Parallel.ddp,  # noqa: E501
    workers: Workers = 2,
) -> None:  # fmt: skip
    """See MANUAL."""
    from seedbed import api

    is_first = (os.environ.get("RANK") or "0") == "0"
    try:
        run = api.train(
            recipe, out, inputs=inputs or (), weights=weights, tokens=tokens, seed=seed, init=init, branch=branch,
            continue_from=continue_from, rewarm=rewarm, fresh_optimizer=fresh_optimizer, from_annealed=from_annealed,
            reference=reference, until_tokens=until_tokens, settings=settings_of(sets),
            track=tuple(each.value for each in track or ()), device=device.value, threads=threads,
            loader_workers=loader_workers, parallel=parallel.value, workers=workers,
        )  # fmt: skip
    except SeedbedError as error:
        if is_first:
            raise
        raise typer.Exit(2 if isinstance(error, RecipeError) else 1) from error  # the first one has said it
    if is_first:
        _print_run(run, out or recipe)


def _print_run(run: Any, out: str) -> None:
    """What came of it, in a few lines."""
    from seedbed.core.units import human

    done = cast("dict[str, Any]", run.about["done"])
    rows = run.metrics()
    loss = rows.column("loss_nats_per_token")[rows.num_rows - 1].as_py()
    state = "" if done["finished"] else "; not finished: the same command without --until-tokens goes on"
    print(f"{done['tokens']:,} tokens, {human(done['params'])} parameters, last loss {loss:.3f}{state}")
    asked = {name: _mean(rows, f"asked_share_{name}") for name in done["shares"]} if len(done["shares"]) > 1 else {}
    for name, share in asked.items():
        print(f"  {name}: {done['shares'][name]:.2%} of the tokens, {share:.2%} asked")
    for name, epochs in done["epochs"].items():
        if epochs > MANY_EPOCHS:
            print(f"warning: source {name} was read {epochs:.1f} times over", file=sys.stderr)
    print(f"Model: {inside(out, 'model')}   Metrics: {inside(out, 'metrics.parquet')}   "
          f"Report: {inside(out, 'report.html')}")  # fmt: skip


MANY_EPOCHS = 4.5
"""Up to four epochs repeated text is nearly as good as new (Muennighoff et al. 2023, arXiv 2305.16264)."""


def _mean(rows: Any, column: str) -> float:
    values = [value for value in rows.column(column).to_pylist() if value is not None]
    return sum(values) / max(len(values), 1)


@app.command()
def sample(
    model: Annotated[str, typer.Argument(help=f"{MODEL}.")],
    prompt: Annotated[str, typer.Option("--prompt", help="What the text begins with.")],
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="It ends here, if the model does not end it before.")] = 128,  # noqa: E501
    temperature: Annotated[float, typer.Option(help="Below 1 likelier words, above 1 rarer ones; 0 always takes the likeliest.")] = 1.0,  # noqa: E501
    top_k: Annotated[int, typer.Option("--top-k", min=0, help="Only among the k likeliest tokens; 0: all.")] = 0,
    top_p: Annotated[float, typer.Option("--top-p", help="Only among the likeliest tokens that make up this share.")] = 1.0,  # noqa: E501
    seed: Annotated[int, typer.Option("--seed", help="The same seed writes the same text.")] = 0,
    count: Annotated[int, typer.Option("--count", min=1, help="How many texts; each after the first has the next seed.")] = 1,  # noqa: E501
) -> None:  # fmt: skip
    """Let a model write: the text that follows a prompt, as it comes."""
    from seedbed import api

    for number in range(count):
        pieces = api.sample(model, prompt, max_tokens=max_tokens, temperature=temperature, top_k=top_k, top_p=top_p,
                            seed=seed + number)  # fmt: skip
        print(prompt, end="", flush=True)
        for piece in pieces:
            print(piece, end="", flush=True)
        print("\n" if number + 1 < count else "")
