"""The verb that makes another model of one, without training."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Optional

import typer

from seedbed.cli.options import AsJson, Set, app, settings_of
from seedbed.core.errors import RecipeError

MANUAL = """Make another model of one, without a training step: merge, grow, change its vocabulary.

\b
WHAT COMES IN
MODEL is a training folder, a checkpoint in one, a model folder, or a Hugging Face folder.
METHOD is a transform: `seedbed methods model.transforms` lists them; FILE.py:CLASS names your own.
--set NAME=VALUE sets one of its fields. Some ask for text (--text), some for further models
(--with ROLE=MODEL); what is missing is named.

\b
WHAT IS LEFT IN THE FOLDER (--out)
A model folder that train --init, sample, evaluate and export open, with transform.json: what it was
made from (fingerprints), the method and its fields, what was promised, and what moved.
A folder that holds something is never written to.

\b
HOW FAR THE FUNCTION MOVED
Both models read the same text (--probe; else --text; else random tokens, and it is said), and the
verb prints how far logits moved, how often the likeliest token is the same, bits per byte and tokens
per byte, sizes. A method that promises the same logits or the same likeliest token and does not keep
it is an error, and nothing is left.

\b
EXAMPLES
  seedbed transform runs/domain instruction_residual --with base=hf/base --with instruct=hf/chat --out merged
  seedbed transform base task_vectors --with tuned=runs/a --with other=runs/b --set scale=0.5 --out both
  seedbed transform runs/a average_checkpoints --with second=runs/a/checkpoints/step-00001000 --out mean
"""


@app.command(help=MANUAL, short_help="Make another model of one without training: merge, grow, change its vocabulary.")
def transform(
    model: Annotated[str, typer.Argument(help="A training folder, a checkpoint, a model folder, or Hugging Face's.")],
    method: Annotated[str, typer.Argument(help="`seedbed methods model.transforms` lists them; or FILE.py:CLASS.")],
    out: Annotated[str, typer.Option("--out", help="The new folder; what is there already is not written to.")],
    sets: Set = None,
    text: Annotated[Optional[list[str]], typer.Option("--text", help="A file of text that the method may read. May be repeated.")] = None,  # noqa: E501, UP045
    others: Annotated[Optional[list[str]], typer.Option("--with", help="ROLE=MODEL: a further model, such as base=runs/a. May be repeated.")] = None,  # noqa: E501, UP045
    probe: Annotated[Optional[list[str]], typer.Option("--probe", help="A file of text that movement is measured on. May be repeated.")] = None,  # noqa: E501, UP045
    seed: Annotated[int, typer.Option("--seed", help="Of all chance in the method.")] = 0,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """See MANUAL."""
    from seedbed import api
    from seedbed.recipe import parse

    settings = {name: parse(str(value)) for name, value in settings_of(sets).items()}
    movement = api.transform(
        model, method, out, texts=text or (), others=_roles(others), probes=probe or (), seed=seed, settings=settings
    )
    if as_json:
        print(json.dumps(movement.to_json()))
        return
    for line in movement.told():
        print(line)
    if movement.promise == "none" and not movement.logits_are_kept:
        print("warning: this method promises nothing of what the model knew: evaluate it", file=sys.stderr)
    print(f"Model: {out}")


def _roles(pairs: list[str] | None) -> dict[str, str]:
    """Role -> model."""
    found: dict[str, str] = {}
    for pair in pairs or []:
        role, equals, folder = pair.partition("=")
        if not (role and equals and folder):
            raise RecipeError(f"--with {pair}", "names no role, or no model", "Write --with ROLE=MODEL.")
        if role in found:
            raise RecipeError(f"--with {pair}", f"two models are given as {role!r}", "Give each role once.")
        found[role] = folder
    return found
