"""The command line: verbs over the same calls that Python offers. Exit codes: 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional, cast

import typer

from seedbed.core.errors import RecipeError, SeedbedError

if TYPE_CHECKING:
    from seedbed.core.parameters import Json

app = typer.Typer(
    name="seedbed",
    help="Raw text to a better language model, with evidence: curate, tokenize, select, train, predict, evaluate.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
predict = typer.Typer(help="Fit laws to small runs and forecast larger ones.", no_args_is_help=True)
app.add_typer(predict, name="predict")

Out = Annotated[Path, typer.Option("--out", help="Output folder; what is there already is not made again.")]
Folder = Annotated[Path, typer.Argument(help="Output folder of `seedbed curate` or `seedbed run`.")]
Set = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads it at run time
    typer.Option("--set", help="PATH=VALUE, such as curate.filters.gopher_quality.min_words=30. May be repeated."),
]
Engine = Annotated[str, typer.Option("--engine", help="Where processes run: local, ray, or ray:ADDRESS of a cluster.")]
Workers = Annotated[int, typer.Option("--workers", "-w", min=1, help="Processes at once; results do not depend on it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Budget = Annotated[str, typer.Option("--budget-tokens", help="Tokens to choose, such as 20M.")]
Target = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--target", help="Text of what the model should become good at. May be repeated."),
]


def main() -> None:
    """Entry point. Errors a user can mend are one paragraph on stderr; anything else shows its traceback."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes side by side; threads inside them only get in the way
    try:
        app()
    except SeedbedError as error:
        print(f"seedbed: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, RecipeError) else 1)
    except KeyboardInterrupt:
        print("\nseedbed: stopped. The same command goes on where this one was.", file=sys.stderr)
        sys.exit(1)


def _settings(pairs: list[str] | None) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for pair in pairs or []:
        path, equals, value = pair.partition("=")
        if not equals:
            raise RecipeError(f"--set {pair}", "has no value", "Write --set PATH=VALUE.")
        found[path.strip()] = value.strip()
    return found


def _table(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else 200).print(table)  # a pipe has no width to respect


@app.command()
def methods(word: Annotated[str, typer.Argument(help="Search in name, what and source.")] = "") -> None:
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
    _table("", ["method", "what"], rows)


@app.command()
def show(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, a .json or .yaml file, or an output folder.")],
    sets: Set = None,
    inputs: Annotated[Optional[list[str]], typer.Option("--input", help="Instead of the recipe's inputs.")] = None,  # noqa: UP045
) -> None:
    """Show a recipe, resolved, and what it will need: documents, tokens, FLOP, disk."""
    from seedbed import api
    from seedbed import recipe as trees
    from seedbed.pipeline import estimate

    loaded = api.load_recipe(recipe, _settings(sets))
    print(trees.to_yaml(loaded).rstrip())
    for warning in loaded.curate.warnings():
        print(f"warning: {warning}", file=sys.stderr)
    needs = estimate.estimate(loaded, api.expand(inputs or loaded.inputs))
    _table("\nWhat it will need", ["", ""], [[name, value] for name, value in needs.lines()])


@app.command()
def run(recipe: str, out: Out, inputs: Annotated[Optional[list[str]], typer.Option("--input")] = None,  # noqa: UP045
        sets: Set = None, workers: Workers = 2, engine: Engine = "local") -> None:  # fmt: skip
    """Run a whole recipe: from raw files to a report."""
    from seedbed import api

    index = api.run(recipe, out, inputs=inputs or (), settings=_settings(sets), workers=workers,
                    engine=engine)  # fmt: skip
    _print_ledger(out)
    verdict = cast("dict[str, Any]", index.get("compare") or {}).get("verdict")
    for line in [verdict] if isinstance(verdict, str) else verdict or []:
        print(line)
    print(f"Report: {out / 'report.html'}")


@app.command()
def curate(inputs: list[str], out: Out, recipe: str = "fineweb_en", sets: Set = None, workers: Workers = 2,
           engine: Engine = "local") -> None:  # fmt: skip
    """Curate files and folders: .warc .html .jsonl .parquet .txt, compressed too. Default: English web text."""
    from seedbed import api

    api.curate(*inputs, out=out, recipe=recipe, settings=_settings(sets), workers=workers, engine=engine)
    _print_ledger(out)
    print(f"Kept documents: {out / 'documents'}   Report: {out / 'report.html'}")


def _print_ledger(out: Path) -> None:
    ledger = json.loads((out / "ledger.json").read_text(encoding="utf-8"))
    rows: list[list[Any]] = [["read", ledger["read"]], ["kept", ledger["kept"]]]
    rows += [[f"  dropped: {reason}", n] for reason, n in ledger["dropped"].items()]
    rows += [[f"  errored: {kind}", n] for kind, n in ledger["errored"].items()]
    _table("", ["ledger", "records"], rows)
    if ledger["ignored_files"]:
        print(f"{len(ledger['ignored_files'])} files of other kinds were not read; ledger.json lists them.")


@app.command()
def tokenize(folder: Folder, sets: Set = None, workers: Workers = 2) -> None:
    """Tokenise the kept documents of a folder: with a tokenizer trained on them, or any tokenizer.json.

    For a file: --set 'tokenizer={"tokenize.tokenizers.from_file": {"file": "tokenizer.json"}}'.
    """
    from seedbed import api
    from seedbed.core.units import human

    about = api.tokenize(folder, settings=_settings(sets), workers=workers).about
    tokens, size = cast(int, about["tokens"]), cast(int, about["text_bytes"])
    print(f"{human(tokens)} tokens, {size / tokens:.2f} bytes a token, vocabulary {about['vocab_size']}")


@app.command()
def select(folder: Folder, scorer: str, budget_tokens: Budget, selector: str = "top_k", target: Target = None,
           seed: int = 0, sets: Set = None, workers: Workers = 2) -> None:  # fmt: skip
    """Choose documents under a budget of tokens: weights for training, with the cost of choosing."""
    from seedbed import api
    from seedbed.core.units import human

    weights = api.select(folder, scorer, selector, budget_tokens=budget_tokens, target=target or (), seed=seed,
                         settings=_settings(sets), workers=workers)  # fmt: skip
    about = cast("dict[str, float]", weights.about)
    chosen = f"{int(about['documents']):,} documents, {human(about['tokens'])} tokens"
    print(f"{chosen}; choosing cost {human(about['flops_select'], 'FLOP')}\nWeights: {weights.path}")


@app.command()
def train(folder: Folder, weights: Annotated[Optional[Path], typer.Option(help="A Weights folder; default: every document once.")] = None,  # noqa: UP045, E501
          tokens: Annotated[Optional[str], typer.Option(help="How long, such as 2M.")] = None,  # noqa: UP045
          init: Annotated[Optional[Path], typer.Option(help="A model folder to start from.")] = None,  # noqa: UP045
          seed: int = 0, sets: Set = None) -> None:  # fmt: skip
    """Train a model on the kept documents of a folder; killed anywhere, the same command goes on."""
    from seedbed import api

    made = api.train(folder, weights=weights, tokens=tokens, seed=seed, init=init, settings=_settings(sets))
    print(f"{made.about['tokens']:,} tokens, {made.about['params']:,} parameters\nModel: {made.path}")


@app.command()
def compare(folder: Folder, budget_tokens: Budget,
            methods: Annotated[list[str], typer.Option("--method", help="A scorer, or FILE.py:CLASS; more than once.")],
            heldout: Annotated[list[str], typer.Option("--heldout", help="DOMAIN=FILE; the first decides.")],
            target: Target = None, seeds: int = 3, sets: Set = None, workers: Workers = 2) -> None:  # fmt: skip
    """Compare ways to choose data: train an arm each, over seeds, cost counted, against random documents."""
    from seedbed import api

    texts = {name: file for name, _, file in (pair.partition("=") for pair in heldout)}
    result = api.compare(folder, methods=methods, target=target or (), heldout=texts, budget_tokens=budget_tokens,
                         seeds=seeds, settings=_settings(sets), workers=workers)  # fmt: skip
    verdict = result["verdict"]
    print(verdict if isinstance(verdict, str) else "\n".join(map(str, cast("list[Any]", verdict))))
    print(f"Report: {folder / 'report.html'}")


@app.command()
def evaluate(model: Path, text: Annotated[list[str], typer.Option("--text", help="A file of text. May be repeated.")],
             as_json: AsJson = False) -> None:  # fmt: skip
    """Bits per byte of a model folder on held-out files."""
    from seedbed import api

    result = api.evaluate(model, text)
    if as_json:
        print(json.dumps(result))
    else:
        _table("", ["", ""], [[name, value] for name, value in result.items()])


@predict.command("fit")
def predict_fit(runs: Annotated[Path, typer.Argument(help="CSV or Parquet: params, tokens, loss, a row a run.")],
                law: str = "chinchilla", out: Annotated[Optional[Path], typer.Option(help="Where to store the fit.")] = None) -> None:  # noqa: E501, UP045  # fmt: skip
    """Fit a law to a table of runs."""
    from seedbed import api

    fitted = api.fit(runs, law)
    text = json.dumps(fitted.to_json(), indent=1)
    if out is not None:
        out.write_text(text + "\n")
        print(f"Fit: {out}")
    else:
        print(text)


@predict.command("forecast")
def predict_forecast(fit: Path, params: float, tokens: float, as_json: AsJson = False) -> None:
    """Forecast a loss at a size and a length, or refuse outside the law's domain."""
    from seedbed import api

    value, low, high = api.forecast(fit, params, tokens)
    if as_json:
        print(json.dumps({"value": value, "low": low, "high": high}))
    else:
        print(f"{value:.4f} nats per token (interval {low:.4f} to {high:.4f})")


@app.command()
def report(folder: Folder) -> None:
    """Write report.html anew from what a folder holds."""
    from seedbed import pipeline

    print(pipeline.report(folder))


@app.command()
def diff(left: str, right: str) -> None:
    """Compare two recipes (names, files or output folders), value by value."""
    from seedbed import api
    from seedbed import recipe as trees

    rows = trees.difference(api.load_recipe(left), api.load_recipe(right))
    _table("", ["path", left, right], [[path, json.dumps(a), json.dumps(b)] for path, a, b in rows])
    if not rows:
        print("No difference.")


@app.command()
def status(folder: Folder, as_json: AsJson = False) -> None:
    """What lies in an output folder: every artifact, its size, its seconds, and whether it is in use."""
    from seedbed.core.units import duration, human
    from seedbed.pipeline import explain

    rows = explain.status(folder)
    if as_json:
        print(json.dumps(rows))
        return
    cells: list[list[Any]] = []
    for row in rows:
        spent = duration(cast(float, row["seconds"])) if row["seconds"] is not None else ""
        cells.append([row["name"], row["rows"], human(cast(float, row["bytes"]), "B"), spent, row["state"]])
    _table("", ["artifact", "rows", "size", "made in", "state"], cells)


@app.command()
def why(document: Annotated[str, typer.Argument(help="Id (or its beginning) or URL.")],
        folder: Annotated[Path, typer.Option("--in", help="Output folder.")],
        as_json: AsJson = False) -> None:  # fmt: skip
    """The life of one document: where it came from, every number against its threshold, and what became of it."""
    import dataclasses

    from seedbed.pipeline import explain

    life = explain.why(folder, document)
    if as_json:
        print(json.dumps(dataclasses.asdict(life)))
        return
    print(f"{life.id}  {life.verdict}" + (f" by {life.reason}" if life.reason else ""))
    for name, value in (("source", life.source), ("url", life.url), ("language", life.language), ("note", life.note)):
        if value:
            print(f"  {name:9} {value}")
    rows = [[f"{m.step}.{m.signal}", _short(m.value), f"{m.rule} {_short(m.threshold)}" if m.rule else "",
             "breaks" if m.broken else ""] for m in life.measured]  # fmt: skip
    if rows:
        _table("", ["measured", "value", "threshold", ""], rows)
    if life.duplicates > 1:
        print(f"  one of {life.duplicates} duplicates; kept instead: {life.survivor or 'this one'}")
    if life.tokens:
        print(f"  {life.tokens[2]:,} tokens at {life.tokens[0]}:{life.tokens[1]}")
    for name, copies in life.copies.items():
        print(f"  read {copies:g} times an epoch in {name}")


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@app.command("what-if")
def what_if(folder: Folder, sets: Set = None) -> None:
    """What other thresholds would keep, from stored numbers: no text is read and nothing is changed."""
    from seedbed.pipeline import explain

    if not sets:
        raise RecipeError("--set", "nothing is to be changed", "Give --set PATH=VALUE.")
    found = explain.what_if(folder, _settings(sets))
    old, new = cast("dict[str, int]", found.before["dropped"]), cast("dict[str, int]", found.after["dropped"])
    rows: list[list[Any]] = [["kept", found.before["kept"], found.after["kept"]]]
    rows += [[f"  dropped: {r}", old.get(r, 0), new.get(r, 0)] for r in dict.fromkeys([*old, *new])]
    _table("", ["", "now", "then"], rows)
    print(f"{len(found.gained):,} documents would newly be kept, {len(found.lost):,} would be lost.")
    for name, ids in (("gained", found.gained), ("lost", found.lost)):
        for key in ids[:5]:
            print(f"  {name} {key}")


if __name__ == "__main__":
    main()
