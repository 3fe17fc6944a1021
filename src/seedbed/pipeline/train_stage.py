"""What a training run takes over from another one: whether it may, and whether the texts are what they were."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.parameters import Json
from seedbed.pipeline import leaks, models, train_note, workplace
from seedbed.pipeline.sources import SourceFiles
from seedbed.pipeline.train_request import Asked
from seedbed.train.plan import Phase


def check_origin(asked: Asked) -> None:
    """What a run is to begin from is one thing, and may be begun from; before anything is made."""
    from seedbed.train.begin import Origin

    roles = {"--init": asked.init, "--branch": asked.branch, "--continue": asked.continue_from}
    given = [name for name, folder in {**roles, "--rewarm": asked.rewarm}.items() if folder is not None]
    if len(given) > 1 and given != ["--init", "--rewarm"]:
        raise RecipeError(given[0], "a run begins from one model", f"Leave out {' or '.join(given)}.")
    if asked.fresh_optimizer and asked.rewarm is None:
        raise RecipeError("--fresh-optimizer", "is of a new stage", "Add --rewarm FOLDER; with --init it is fresh.")
    parent = asked.branch or asked.continue_from or asked.rewarm
    if asked.from_annealed and parent is None:
        raise RecipeError("--from-annealed", "no run is gone on from", "Add --rewarm, --branch or --continue.")
    own = workplace.local(asked.out) / models.CHECKPOINTS
    if parent is not None and not any(own.glob("step-*")):
        is_branch = (
            asked.branch is not None
        )  # --continue goes on with its own annealing; --rewarm is seen to by the loop
        Origin(from_annealed=asked.from_annealed).parent(workplace.local(parent), not is_branch)


def check_stage(asked: Asked, mixture: Sequence[Phase], sources: Mapping[str, SourceFiles]) -> None:
    """Of --rewarm: shares are shares, what is replayed goes on where it was left, and what is new is new.

    Raises SeedbedError.
    """
    if asked.rewarm is None:
        return
    for number, phase in enumerate(mixture):
        if above := [name for name, share in phase.shares.items() if share > 1]:
            what = f"a share of {phase.shares[above[0]]:g} of the tokens for {above[0]}"
            raise RecipeError(f"train.mixture[{number}].shares", what, "0.05 is 5 percent.")
    folder = workplace.local(asked.rewarm)
    run = folder.parent.parent if folder.name.startswith("step-") else folder
    before = train_note.read(run)
    if before and asked.init is not None and not _same_tokens(asked.init, asked.rewarm):
        _check_new_names(before, sources)
    elif before:
        _check_places(run, before, asked.seed, sources)
        replayed = sources.keys() & cast("dict[str, Json]", before["sources"]).keys()
        new = {name: files for name, files in sources.items() if name not in replayed}
        leaks.refuse_shared(new, {name: sources[name] for name in sorted(replayed)}, f"sources.{', '.join(new)}")


def _same_tokens(*given: str | Path) -> bool:
    files = [models.tokenizer_file(folder) for folder in given]
    texts = [json.loads(file.read_text(encoding="utf-8")) for file in files if file is not None]
    return len(texts) < len(files) or texts[0] == texts[1]


def _check_new_names(before: Mapping[str, Json], sources: Mapping[str, SourceFiles]) -> None:
    """With another tokenizer no place holds. Raises RecipeError where a source would take one up."""
    known = cast("dict[str, Json]", before["sources"])
    if shared := [name for name in sources if name in known]:
        what = f"has another tokenizer than the run before, whose places in {shared[0]} count its own tokens"
        raise RecipeError("--init", what, f"Give {shared[0]} another name here: it is then read from its beginning.")


def _check_places(run: Path, before: Mapping[str, Json], seed: int, sources: Mapping[str, SourceFiles]) -> None:
    """A place in a source is of its name, text and seed. Raises SeedbedError where only part of that is the same."""
    known = {
        name: _text(cast("dict[str, Json]", told["fingerprints"]))
        for name, told in cast("dict[str, dict[str, Json]]", before["sources"]).items()
    }
    for name, files in sources.items():
        text = _text(files.fingerprints())
        if name in known and text != known[name]:
            what = f"{run} read other text, or other weights, under this name"
            raise SeedbedError(
                f"sources.{name}", what, "Give new text a name of its own: what it begins at is its own."
            )
        if name not in known and text in known.values():
            other = next(old for old, its in known.items() if its == text)
            what = f"{run} read this text under the name {other!r}"
            raise SeedbedError(f"sources.{name}", what, f"Call it {other}, so that it goes on where it was left.")
        if name in known and seed != before["seed"]:
            what = f"{run} read it in the order of seed {before['seed']}, and this is seed {seed}"
            raise SeedbedError(f"sources.{name}", what, f"Add --seed {before['seed']}, or do not replay it.")


def _text(fingerprints: Mapping[str, Json]) -> tuple[Json, Json]:
    """What a place is in: these documents, read so often."""
    return fingerprints["documents"], fingerprints.get("weights")
