"""Verbs that make something, from a recipe or step by step, and those that show what could be made."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Annotated, Any, Optional, cast

import typer

from seedbed.cli.options import (
    INPUTS,
    RECIPES,
    AsJson,
    Budget,
    DryRun,
    Engine,
    Folder,
    NoCheck,
    Out,
    Recipe,
    Seed,
    Set,
    Target,
    Workers,
    app,
    settings_of,
    show_table,
)
from seedbed.core.errors import RecipeError
from seedbed.core.remote import inside


@app.command()
def curate(inputs: Annotated[list[str], typer.Argument(help=INPUTS)], out: Out,
           recipe: Annotated[str, typer.Option(help=RECIPES)] = "fineweb_en", sets: Set = None, workers: Workers = 2,
           engine: Engine = "local",
           published: Annotated[Optional[str], typer.Option(help="Output folder of an earlier run: what it kept does not go for a duplicate.")] = None,  # noqa: E501, UP045
           shard: Annotated[str, typer.Option(help="K/N: read one of N parts only, for array jobs; the same command without it goes on.")] = "",  # noqa: E501
           dry_run: DryRun = False, no_check: NoCheck = False, as_json: AsJson = False) -> None:  # fmt: skip
    """Curate .warc .wet .html .jsonl .parquet .txt .pdf .docx .epub. Default: English web text.

    Any mix of files and folders, compressed or not, here or in a store. What is kept lies in OUT/documents.
    """
    from seedbed import api, pipeline
    from seedbed.pipeline import workplace

    settings = settings_of(sets)
    if shard:
        pipeline.part_of(shard)
        if engine != "local":
            raise RecipeError(f"--engine {engine}", "parts are read by processes of one machine", "Leave it away.")
    if dry_run:
        workplace.check_engine(engine)
        _print_preview(api.preview(recipe, out, inputs=inputs, settings=settings, workers=workers), as_json)
        return
    if shard:
        done = api.read_part(*inputs, out=out, shard=shard, recipe=recipe, settings=settings, workers=workers)
        print(json.dumps({"shards": done}) if as_json else f"{done} shards read.")
        return
    _warn(recipe, sets)
    corpus = api.curate(*inputs, out=out, recipe=recipe, settings=settings, workers=workers, engine=engine,
                        published=published, check=not no_check)  # fmt: skip
    if as_json:
        print(json.dumps(corpus.ledger))
        return
    _print_ledger(out)
    print(f"Kept documents: {inside(out, 'documents')}   Report: {inside(out, 'report.html')}")


@app.command()
def run(recipe: Recipe, out: Out,
        inputs: Annotated[Optional[list[str]], typer.Option("--input", help=f"Instead of the recipe's inputs. {INPUTS} May be repeated.")] = None,  # noqa: E501, UP045
        sets: Set = None, workers: Workers = 2, engine: Engine = "local", dry_run: DryRun = False,
        no_check: NoCheck = False, as_json: AsJson = False) -> None:  # fmt: skip
    """Run a whole recipe: from raw files to a report."""
    from seedbed import api
    from seedbed.pipeline import workplace

    if dry_run:
        workplace.check_engine(engine)
        preview = api.preview(recipe, out, inputs=inputs or (), settings=settings_of(sets), workers=workers)
        _print_preview(preview, as_json)
        return
    _warn(recipe, sets)
    index = api.run(recipe, out, inputs=inputs or (), settings=settings_of(sets), workers=workers,
                    engine=engine, check=not no_check)  # fmt: skip
    if as_json:
        print(json.dumps(index))
        return
    _print_ledger(out)
    verdict = cast("dict[str, Any]", index.get("compare") or {}).get("verdict")
    for line in [verdict] if isinstance(verdict, str) else verdict or []:
        print(line)
    print(f"Report: {inside(out, 'report.html')}")


def _warn(recipe: str, sets: Set) -> None:
    from seedbed import api

    for warning in api.load_recipe(recipe, settings_of(sets)).curate.warnings():
        print(f"warning: {warning}", file=sys.stderr)


def _print_preview(preview: Any, as_json: bool) -> None:
    """What would be done; exit code 1 where it would be refused."""
    if as_json:
        print(json.dumps(dataclasses.asdict(preview)))
    else:
        from seedbed.core.units import human

        seen = preview.probe
        rows: list[list[Any]] = []
        for step in seen.steps:
            rows.append([step.step, f"{1000 * step.cpu_seconds:.1f}", "", "", ""])
            shares = ((rule.rule, rule.dropped, rule.breaking, rule.alone) for rule in step.rules)
            rows += [[f"  {name}", "", *(f"{share:.1%}" for share in each)] for name, *each in shares if each[1]]
        title = f"Probe of {seen.documents:,} documents, {human(seen.text_bytes, 'B')} of text"
        show_table(title, ["step", "CPU ms", "drops", "breaking", "this rule only"], rows)
        show_table("\nThe whole input", ["", ""], [[name, value] for name, value in preview.lines()])
        for warning in preview.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        for refusal in preview.refusals:
            print(f"It would not start: it {refusal}.", file=sys.stderr)
    if preview.refusals:
        raise typer.Exit(1)


def _print_ledger(out: str) -> None:
    from seedbed.pipeline import workplace

    file = workplace.local(out) / "ledger.json"
    if not file.exists():  # of a recipe whose texts are all sources: each has a ledger of its own
        return
    ledger = json.loads(file.read_text(encoding="utf-8"))
    rows: list[list[Any]] = [["read", ledger["read"]], ["kept", ledger["kept"]]]
    rows += [[f"  dropped: {reason}", n] for reason, n in ledger["dropped"].items()]
    rows += [[f"  errored: {kind}", n] for kind, n in ledger["errored"].items()]
    show_table("", ["ledger", "records"], rows)
    if ledger["ignored_files"]:
        print(f"{len(ledger['ignored_files'])} files of other kinds were not read; ledger.json lists them.")


@app.command()
def tokenize(folder: Folder, sets: Set = None, workers: Workers = 2) -> None:
    """Tokenise the kept documents of a folder: with a tokenizer trained on them, or any tokenizer.json.

    For a file: --set 'tokenizer={"tokenize.tokenizers.from_file": {"file": "tokenizer.json"}}'.
    """
    from seedbed import api
    from seedbed.core.units import human

    about = api.tokenize(folder, settings=settings_of(sets), workers=workers).about
    tokens, size = cast(int, about["tokens"]), cast(int, about["text_bytes"])
    print(f"{human(tokens)} tokens, {size / tokens:.2f} bytes a token, vocabulary {about['vocab_size']}")


@app.command()
def select(folder: Folder, method: Annotated[str, typer.Argument(help="A scorer or mixer, such as dsir, or FILE.py:CLASS; `seedbed methods select` lists them.")],  # noqa: E501
           budget_tokens: Budget,
           selector: Annotated[str, typer.Option(help="What scores become; by default what the method's paper uses.")] = "",  # noqa: E501
           target: Target = None, seed: Seed = 0, sets: Set = None, workers: Workers = 2) -> None:  # fmt: skip
    """Choose documents under a budget of tokens: weights for training, with the cost of choosing."""
    from seedbed import api
    from seedbed.core.units import human

    weights = api.select(folder, method, selector, budget_tokens=budget_tokens, target=target or (), seed=seed,
                         settings=settings_of(sets), workers=workers)  # fmt: skip
    about = cast("dict[str, float]", weights.about)
    chosen = f"{int(about['documents']):,} documents, {human(about['tokens'])} tokens"
    print(f"{chosen}; choosing cost {human(about['flops_select'], 'FLOP')}")
    print(f"Weights: {inside(folder, f'artifacts/{weights.path.name}')}")


@app.command()
def compare(folder: Folder, budget_tokens: Budget,
            methods: Annotated[list[str], typer.Option("--method", help="A scorer or mixer by name, SCORER+SELECTOR, or FILE.py:CLASS; more than once.")],  # noqa: E501
            heldout: Annotated[list[str], typer.Option("--heldout", help="DOMAIN=FILE to measure on; the first decides.")],  # noqa: E501
            target: Target = None,
            ceiling: Annotated[str, typer.Option(help="Which documents are clean, source=PATTERN or url=PATTERN: an arm that reads these alone.")] = "",  # noqa: E501
            seeds: Annotated[int, typer.Option(min=1, help="How often each arm is trained; 5 are enough to say something.")] = 5,  # noqa: E501
            resample: Annotated[float, typer.Option(help="Share of pool and target that each seed draws; 1 takes all, and methods are then fitted once.")] = 0.9,  # noqa: E501
            curve: Annotated[str, typer.Option(help="Other lengths random documents are read to, as multiples of the budget.")] = "0.5,2,4",  # noqa: E501
            sets: Set = None, workers: Workers = 2) -> None:  # fmt: skip
    """Compare ways to choose data: an arm each on the same tokens, over seeds, cost counted, against random documents.

    Random documents are read to other lengths too: how many tokens they need to reach a method's loss is its speed-up,
    at equal tokens and at equal total cost. Writes comparison.csv, summary.csv and a report. Stopped anywhere, the same
    command goes on.

    Example: seedbed compare runs/a --budget-tokens 20M --method dsir --method color_filter --method regmix
    --target t.jsonl --heldout mine=h.jsonl
    """
    from seedbed import api

    texts = {name: file for name, _, file in (pair.partition("=") for pair in heldout)}
    if not all(texts.values()) or not all(texts):
        raise RecipeError(f"--heldout {' '.join(heldout)}", "has no file", "Write --heldout DOMAIN=FILE.")
    try:
        lengths = [float(length) for length in curve.split(",") if length.strip()]
    except ValueError as error:
        raise RecipeError(f"--curve {curve}", "is no list of numbers", "Write --curve 0.5,2,4.") from error
    result = api.compare(folder, methods=methods, target=target or (), heldout=texts, budget_tokens=budget_tokens,
                         ceiling=ceiling, seeds=seeds, resample=resample, curve=lengths, settings=settings_of(sets),
                         workers=workers)  # fmt: skip
    if lengths:
        rows = result.summary.to_pylist()
        show_table("", ["method", "bits per byte", "speed-up, equal tokens", "equal total cost", "cost of choosing"],
                   [_method_row(row) for row in rows])  # fmt: skip
    print("\n".join(result.verdict))
    print(f"Report: {inside(folder, 'report.html')}")


def _method_row(row: dict[str, Any]) -> list[object]:
    """A line of the table: the loss, two factors, and what choosing cost in trainings."""
    factors = [f"{row[name]:.2f}" if row[name] is not None else "" for name in _FACTORS]
    cost = row["selection_flops"] / row["training_flops"]
    return [row["method"], f"{row['target_bits_per_byte']:.3f}", *factors, f"{cost:.2f} x training"]


_FACTORS = ("speedup_equal_tokens", "speedup_equal_cost")


@app.command()
def evaluate(model: Annotated[str, typer.Argument(help="A model folder: config.json and weights.")],
             text: Annotated[Optional[list[str]], typer.Option("--text", help="A file of text. May be repeated.")] = None,  # noqa: E501, UP045
             probe: Annotated[Optional[list[str]], typer.Option("--probe", help="Items as JSON Lines: a file, folder or zip. May be repeated.")] = None,  # noqa: E501, UP045
             task: Annotated[str, typer.Option(help="The probes' task; by default what their fields tell.")] = "",
             ngrams: Annotated[Optional[list[str]], typer.Option("--ngrams", help="Text of an n-gram baseline, such as the pool.")] = None,  # noqa: E501, UP045
             flatness: Annotated[int, typer.Option(min=0, help="Draws for the trace of the loss's Hessian on --text, such as 16.")] = 0,  # noqa: E501
             as_json: AsJson = False) -> None:  # fmt: skip
    """Bits per byte of a model folder on held-out files; accuracy on probes, beside baselines."""
    from seedbed import api

    result = api.evaluate(model, text or (), probes=probe or (), task=task, ngrams=ngrams or (), flatness=flatness)
    if as_json:
        print(json.dumps(result))
        return
    from seedbed.pipeline.probing_tasks import tables

    probes = cast("dict[str, Any]", result.pop("probes", {}))
    trace = cast("dict[str, Any]", result.pop("flatness", {}))
    if result:
        show_table("", ["", ""], [[name, value] for name, value in result.items()])
    if trace:
        show_table("\nflatness (trace of the Hessian)", ["", ""], [[name, value] for name, value in trace.items()])
    for table in tables(probes):
        show_table(*table)


@app.command()
def report(folder: Folder) -> None:
    """Write report.html anew from what a folder holds."""
    from seedbed import pipeline

    pipeline.report(folder)
    print(inside(folder, "report.html"))


@app.command()
def show(
    recipe: Annotated[str, typer.Argument(help=f"{RECIPES} Without it the recipes are listed.")] = "",
    sets: Set = None,
    inputs: Annotated[Optional[list[str]], typer.Option("--input", help="Instead of the recipe's inputs.")] = None,  # noqa: UP045
) -> None:
    """List the recipes, or show one, resolved, and what it will need: documents, tokens, FLOP, disk."""
    from seedbed import api, recipes
    from seedbed import recipe as trees
    from seedbed.pipeline import estimate

    if not recipe:
        show_table("", ["recipe", "what"], [[name, recipes.title(name)] for name in recipes.names()])
        return

    loaded = api.load_recipe(recipe, settings_of(sets))
    print(trees.to_yaml(loaded).rstrip())
    for warning in loaded.curate.warnings():
        print(f"warning: {warning}", file=sys.stderr)
    needs = estimate.estimate(loaded, api.expand(inputs or loaded.inputs))
    show_table("\nWhat it will need", ["", ""], [[name, value] for name, value in needs.lines()])


@app.command()
def diff(left: Recipe, right: Recipe) -> None:
    """Compare two recipes (names, files or output folders), value by value."""
    from seedbed import api
    from seedbed import recipe as trees

    rows = trees.difference(api.load_recipe(left), api.load_recipe(right))
    show_table("", ["path", left, right], [[path, json.dumps(a), json.dumps(b)] for path, a, b in rows])
    if not rows:
        print("No difference.")


@app.command()
def methods(
    word: Annotated[str, typer.Argument(help="Only those with this word in name, what or source.")] = "",
) -> None:
    """List the published methods on the shelves."""
    from seedbed import catalogue

    rows = [[path, told.get("title", "").partition(": ")[2]] for path, told in catalogue.search(word)]
    if not rows:
        raise RecipeError(word, "no method's name, what or source holds this word", "Try `seedbed methods`.")
    if len(rows) == 1:
        path, told = catalogue.search(word)[0]
        print(path)
        for heading, text in told.items():
            print(f"  {heading:10}{text}")
        return
    show_table("", ["method", "what"], rows)
