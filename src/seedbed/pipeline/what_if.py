"""What if: what other thresholds would keep, counted over stored numbers. Text is read only of the examples shown."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from seedbed import recipe as recipes
from seedbed.core import arrow, remote
from seedbed.core.artifact import Artifact, Store
from seedbed.core.errors import RecipeError
from seedbed.core.parameters import Json
from seedbed.core.units import duration
from seedbed.curate.contract import Filter, Rule
from seedbed.curate.decide import BoolArray, Verdicts
from seedbed.curate.plan import CuratePlan
from seedbed.curate.replay import decided_ids, find
from seedbed.curate.run import Curated
from seedbed.pipeline import accounts, lookup, workplace
from seedbed.pipeline.estimate import BYTES_PER_TOKEN
from seedbed.recipe import Recipe

N_EXAMPLES = 20
EXCERPT_CHARS = 160
REPLAYED = ("steps", "survivors", "by_language")
"""Fields of the plan that decide; all others shape what is read."""


@dataclasses.dataclass(frozen=True)
class Yield:
    """What thresholds keep.

    Args:
        kept: documents.
        bytes: of their text.
        tokens: counted where the documents are tokenised, estimated from their bytes for the others.
        dropped: documents by the reason that came first.
    """

    kept: int
    bytes: int
    tokens: int
    dropped: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class RuleEffect:
    """What one rule does, whatever the others do.

    Args:
        rule: `gopher_quality.min_words`.
        breaking: documents that break it, now and then.
        alone: documents that break it and no other rule, now and then: what switching it off would bring back
            (but for duplicates).
    """

    rule: str
    breaking: tuple[int, int]
    alone: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Borderline:
    """A document close to a changed threshold that breaks no other rule.

    Args:
        id, url: of the document.
        rule: the changed rule.
        value, threshold: the number and the new threshold.
        passes: whether it passes then.
        changes: "gained", "lost", or empty where its verdict stays.
        beginning: the first characters of the text that the rule looked at.
    """

    id: str
    url: str
    rule: str
    value: float
    threshold: float
    passes: bool
    changes: str
    beginning: str


@dataclasses.dataclass(frozen=True)
class WhatIf:
    """What other thresholds would do.

    Args:
        before, after: what is kept now, and then.
        tokens_estimated: of the tokens then, how many are estimated from bytes and not counted.
        gained, lost: ids (hex) of documents that would newly be kept, or no longer.
        rules: every rule.
        borderline: up to twenty documents closest to the changed thresholds, from both sides.
        recipe: the recipe with the new thresholds.
        command: what runs it.
    """

    before: Yield
    after: Yield
    tokens_estimated: int
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    rules: tuple[RuleEffect, ...]
    borderline: tuple[Borderline, ...]
    recipe: Mapping[str, Json]
    command: str

    def save(self, file: str | Path) -> None:
        """Write the new recipe, as JSON or, with the ending .yaml, as YAML."""
        Path(file).write_text(self.saved(Path(file).suffix), encoding="utf-8")

    def saved(self, suffix: str) -> str:
        """The new recipe as a file with this ending holds it."""
        if suffix == ".json":
            return json.dumps(self.recipe, indent=1, ensure_ascii=False) + "\n"
        return recipes.dump_yaml(self.recipe)


def what_if(out: str | Path, settings: Mapping[str, Json]) -> WhatIf:
    """Replay thresholds. Raises RecipeError where a setting changes more, with the first step that would run again."""
    curated, recipe = workplace.curated_at(out), workplace.read_curation(out)
    changed = recipes.change(recipe, settings)
    _refuse_what_must_run(out, curated, recipe, changed)
    before = find(recipe.curate, curated, curated.decisions).verdicts()
    after = find(changed.curate, curated, curated.decisions).verdicts()
    ids = decided_ids(curated.decisions)
    bytes_N, tokens_N, counted_N = _tokens(workplace.local(out), curated, before)
    yields = [_yield(verdicts, bytes_N, tokens_N) for verdicts in (before, after)]
    hexed = [tuple(row.tobytes().hex() for row in ids[rows]) for rows in _moved(before, after)]
    return WhatIf(
        before=yields[0],
        after=yields[1],
        tokens_estimated=round(float(tokens_N[after.kept_N & ~counted_N].sum())),
        gained=hexed[0],
        lost=hexed[1],
        rules=tuple(_effects(before, after)),
        borderline=tuple(_borderline(curated, recipe.curate, changed.curate, (before, after), ids)),
        recipe={**workplace.read_recipe_tree(out), "curate": recipes.to_json(changed)["curate"]},
        command=_command(out, settings),
    )


def _moved(before: Verdicts, after: Verdicts) -> tuple[BoolArray, BoolArray]:
    """(gained_N, lost_N)."""
    return after.kept_N & ~before.kept_N, before.kept_N & ~after.kept_N


def _tokens(
    out: Path, curated: Curated, now: Verdicts
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], BoolArray]:
    """(bytes_N, tokens_N, counted_N) of the final texts; what is not counted is estimated from its bytes."""
    sizes = list(curated.sizes.values())[-1]
    bytes_N = arrow.numpy(arrow.Shards(sizes.shards()), "n_bytes")
    tokens = accounts.tokens_of_kept(out, curated)
    if tokens is None:
        return bytes_N, bytes_N / BYTES_PER_TOKEN, np.zeros(len(bytes_N), np.bool_)
    counted = arrow.numpy(arrow.Shards(tokens.shards()), "n_tokens")  # a row a kept document, in the order of reading
    per_token = bytes_N[now.kept_N].sum() / max(counted.sum(), 1)
    tokens_N = bytes_N / max(per_token, 1e-9)
    tokens_N[now.kept_N] = counted
    return bytes_N, tokens_N, now.kept_N


def _yield(verdicts: Verdicts, bytes_N: npt.NDArray[np.int64], tokens_N: npt.NDArray[np.float64]) -> Yield:
    kept = verdicts.kept_N
    sums = int(bytes_N[kept].sum()), round(float(tokens_N[kept].sum()))
    return Yield(int(kept.sum()), *sums, dropped=verdicts.dropped())


def _effects(before: Verdicts, after: Verdicts) -> Iterator[RuleEffect]:
    counts = [_rule_counts(verdicts) for verdicts in (before, after)]
    for rule in dict.fromkeys([*before.rules, *after.rules]):
        now, then = (count.get(rule, (0, 0)) for count in counts)
        yield RuleEffect(rule, (now[0], then[0]), (now[1], then[1]))


def _rule_counts(verdicts: Verdicts) -> dict[str, tuple[int, int]]:
    """Rule -> (documents that break it, documents that break it alone)."""
    single = verdicts.broken_NR.sum(axis=1, dtype=np.uint8) == 1
    single &= ~verdicts.errored_N
    columns = ((rule, verdicts.broken_NR[:, r]) for r, rule in enumerate(verdicts.rules))
    return {rule: (int(broken.sum()), int((broken & single).sum())) for rule, broken in columns}


def _borderline(
    curated: Curated, old: CuratePlan, new: CuratePlan, verdicts: tuple[Verdicts, Verdicts], ids: npt.NDArray[np.uint8]
) -> Iterator[Borderline]:
    changed = list(_changed_rules(old, new))
    if not changed:
        return
    gained_N, lost_N = _moved(*verdicts)
    each = -(-N_EXAMPLES // len(changed))
    for step, rule in changed[:N_EXAMPLES]:
        threshold = float(getattr(step, rule.name))
        value_N = arrow.numpy(arrow.Shards(curated.signals[step.name()].shards()), rule.signal)
        name = f"{step.name()}.{rule.name}"
        free_N = _decided_by(verdicts[1], name)
        passes_N = ~verdicts[1].broken_NR[:, verdicts[1].rules.index(name)]
        distance_N = np.abs(value_N - threshold)
        rows = _closest(distance_N, free_N & passes_N, free_N & ~passes_N, arrow.id_keys(ids), each)
        for row, url, text in _beginnings(curated, step.name(), rows):
            yield Borderline(
                id=ids[row].tobytes().hex(),
                url=url,
                rule=name,
                value=float(value_N[row]),
                threshold=threshold,
                passes=bool(passes_N[row]),
                changes="gained" if gained_N[row] else "lost" if lost_N[row] else "",
                beginning=text,
            )


def _changed_rules(old: CuratePlan, new: CuratePlan) -> Iterator[tuple[Filter, Rule]]:
    """Rules whose threshold is another number now."""
    for before, after in zip(old.filters, new.filters, strict=True):
        for rule in after.rules:
            threshold = getattr(after, rule.name)
            is_number = isinstance(threshold, int | float) and rule.side != "in"
            if is_number and threshold != getattr(before, rule.name):
                yield after, rule


def _decided_by(verdicts: Verdicts, rule: str) -> BoolArray:
    """Documents that break no other rule."""
    others = verdicts.broken_NR.sum(axis=1, dtype=np.uint8)
    if rule in verdicts.rules:
        others = others - verdicts.broken_NR[:, verdicts.rules.index(rule)]
    return (others == 0) & ~verdicts.errored_N


def _closest(
    distance_N: npt.NDArray[np.float64], above_N: BoolArray, below_N: BoolArray, key_N: npt.NDArray[np.uint64], n: int
) -> list[int]:
    """About n rows, half from each side as far as there are: the closest first, ties by id."""
    sides: list[npt.NDArray[np.int64]] = []
    for side_N in (above_N, below_N):
        rows = np.flatnonzero(side_N)
        if len(rows) > n:
            limit = np.partition(distance_N[rows], n - 1)[n - 1]
            rows = rows[distance_N[rows] <= limit]
        sides.append(rows[np.lexsort((key_N[rows], distance_N[rows]))[:n]])
    first = min(len(sides[0]), max(n // 2, n - len(sides[1])))
    return [*sides[0][:first].tolist(), *sides[1][: n - first].tolist()]


def _beginnings(curated: Curated, method: str, rows: Sequence[int]) -> Iterator[tuple[int, str, str]]:
    """(row, url, beginning of the text that the method looked at)."""
    text = lookup.text_seen_by(curated, method)
    for row in rows:
        place = lookup.place_of_row(text, row)
        found = arrow.read_row(place.of(text), place.row, ["url", "text"])
        yield row, found["url"], " ".join(cast(str, found["text"])[: 4 * EXCERPT_CHARS].split())[:EXCERPT_CHARS]


def _command(out: str | Path, settings: Mapping[str, Json]) -> str:
    pairs = ((path, value if isinstance(value, str) else json.dumps(value)) for path, value in settings.items())
    sets = " ".join(f"--set {shlex.quote(f'{path}={value}')}" for path, value in pairs)
    folder = shlex.quote(remote.url_of(out))
    return f"seedbed run {folder} {sets} --out {folder}"


def _refuse_what_must_run(out: str | Path, curated: Curated, old: Recipe, new: Recipe) -> None:
    """A threshold replays; anything else names the first step that must run again and what that cost."""
    other = [path for path, _, _ in recipes.difference(old, new) if not path.startswith("curate.")]
    if other:
        raise RecipeError(other[0], "is no threshold of the curation", "Only `curate` settings can be replayed.")
    seconds = Store(workplace.local(out)).logged()
    for field in dataclasses.fields(CuratePlan):
        if field.name not in REPLAYED and getattr(old.curate, field.name) != getattr(new.curate, field.name):
            _refuse("read", curated.read, seconds)
    folders = {
        **curated.texts,
        **{step.path(): curated.signals[step.name()] for step in (*old.curate.filters, *old.curate.dedupers)},
    }
    for a, b in zip(old.curate.steps, new.curate.steps, strict=True):
        same = a.measuring() == b.measuring() if isinstance(a, Filter) and isinstance(b, Filter) else a == b
        if not same:
            _refuse(a.path(), folders[a.path()], seconds)


def _refuse(step: str, artifact: Artifact, logged: Mapping[str, Mapping[str, Any]]) -> None:
    spent = logged.get(artifact.path.name, {}).get("seconds")
    cost = f" (it took {duration(float(spent))})" if spent is not None else ""
    mend = f"Run it again with this setting: {step} is the first step that must run{cost}, and all that follow."
    raise RecipeError(step, "this setting changes what is measured, not a threshold, and cannot be replayed", mend)
