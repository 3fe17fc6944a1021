"""What the verbs share: the app, options of the same name and meaning, and how tables are shown."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from seedbed import recipes
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

Out = Annotated[str, typer.Option("--out", help="Output folder, here or s3://...; what is there already stays.")]
Folder = Annotated[str, typer.Argument(help="Output folder of `seedbed curate` or `seedbed run`.")]
INPUTS = "Files, folders or patterns of them, here or s3://..."
RECIPES = f"A recipe's name ({', '.join(recipes.names())}), a .yaml or .json file, or an output folder."
Recipe = Annotated[str, typer.Argument(help=RECIPES)]
Set = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads it at run time
    typer.Option("--set", help="PATH=VALUE, such as curate.filters.gopher_quality.min_words=30. May be repeated."),
]
Engine = Annotated[str, typer.Option("--engine", help="Where processes run: local, ray, or ray:ADDRESS of a cluster.")]
Workers = Annotated[int, typer.Option("--workers", "-w", min=1, help="Processes at once; results do not depend on it.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done and what it would cost; do nothing.")]
NoCheck = Annotated[bool, typer.Option("--no-check", help="Start even where disk or memory seem too small.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Seed = Annotated[int, typer.Option("--seed", help="Another seed draws other documents and initial weights.")]
Budget = Annotated[str, typer.Option("--budget-tokens", help="Tokens to choose, such as 20M.")]
Target = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--target", help="Text of what the model should become good at. May be repeated."),
]


def settings_of(pairs: list[str] | None) -> dict[str, Json]:
    """Path -> value as it was typed."""
    found: dict[str, Json] = {}
    for pair in pairs or []:
        path, equals, value = pair.partition("=")
        if not equals:
            raise RecipeError(f"--set {pair}", "has no value", "Write --set PATH=VALUE.")
        found[path.strip()] = value.strip()
    return found


def store_text(file: Path, text: str) -> None:
    """Write a file that the user named. Raises SeedbedError where it cannot be."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SeedbedError(
            str(file), f"cannot be written ({error.strerror})", "Name a file in a folder here."
        ) from error


def show_table(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """Print a table; whole numbers get separators."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else 200).print(table)  # a pipe has no width to respect
