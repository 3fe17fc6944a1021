"""The training run in an output folder, as the report tells it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from seedbed import recipe as recipes
from seedbed.core import arrow
from seedbed.core.parameters import Json
from seedbed.pipeline import train_note
from seedbed.pipeline.metrics import TABLE
from seedbed.report.training_data import Incident, Series, SourceShare, Training

if TYPE_CHECKING:
    import pyarrow as pa

LAST_SHARE = 0.02
"""Of the steps: what the loss at the end is the mean of."""


def training(out: Path) -> Training | None:
    """What there is to tell; nothing where no call has ended yet."""
    note = train_note.read(out)
    if not note.get("done") or not (out / TABLE).exists():
        return None
    done, resolved = cast("dict[str, Any]", note["done"]), cast("dict[str, Any]", note["resolved"])
    rows = arrow.read_parquet(out / TABLE)
    loss = _column(rows, "loss_nats_per_token")
    skipped = np.asarray(arrow.numpy(rows, "skipped"), bool)
    good = loss[np.isfinite(loss) & ~skipped]
    seconds, waited = _column(rows, "seconds"), _column(rows, "waited_seconds")
    return Training(
        steps=done["step"],
        total_steps=resolved["steps"],
        tokens=done["tokens"],
        total_tokens=round(done["tokens"] / max(done["step"], 1) * resolved["steps"]),
        params=done["params"],
        series=_series(rows),
        final_loss=float(good[-max(1, math.ceil(LAST_SHARE * len(good))) :].mean()) if len(good) else math.nan,
        flops=done["flops"],
        seconds=float(np.nanmax(seconds)) if np.isfinite(seconds).any() else None,
        waited_seconds=float(np.nansum(waited)) if np.isfinite(waited).any() else None,
        seed=cast(int, note["seed"]),
        shares=_shares(rows),
        incidents=_incidents(out),
        heldout=_heldout(note),
        facts=_facts(note),
        plan_yaml=recipes.dump_yaml(cast("dict[str, Json]", note["plan"])),
    )


def _column(rows: pa.Table, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A column as floats, NaN where it is missing."""
    values = cast("list[float | None]", cast(Any, rows).column(name).to_pylist())
    return np.array([math.nan if value is None else value for value in values], float)


def _series(rows: pa.Table) -> Series:
    names = ("tokens", "loss_nats_per_token", "learning_rate", "grad_norm", "tokens_per_second")
    return Series(*(tuple(_column(rows, name).tolist()) for name in names))


def _shares(rows: pa.Table) -> tuple[SourceShare, ...]:
    """Every source; asked is the mean over the tokens so far, whole steps being of one size."""
    names = [name.removeprefix("share_") for name in rows.column_names if name.startswith("share_")]
    found: list[SourceShare] = []
    for name in names:
        asked, realised = _column(rows, f"asked_share_{name}"), _column(rows, f"share_{name}")
        read = realised[np.isfinite(realised)]
        mean = float(np.nanmean(asked)) if np.isfinite(asked).any() else math.nan
        last = float(read[-1]) if len(read) else math.nan
        found.append(SourceShare(name, mean, last, tuple(asked.tolist()), tuple(realised.tolist())))
    return tuple(found)


def _incidents(out: Path) -> tuple[Incident, ...]:
    file = out / "incidents.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    rows = [cast("dict[str, Any]", json.loads(line)) for line in lines if line.endswith("}")]
    return tuple(Incident(row["step"], str(row["reason"]), tuple(row["documents"])) for row in rows)


def _heldout(note: Mapping[str, Json]) -> tuple[tuple[str, float, float], ...]:
    told = cast("dict[str, Any]", note.get("heldout") or {})
    if told.get("step") != cast("dict[str, Any]", note["done"])["step"]:
        return ()
    return tuple((name, row["bits_per_byte"], row["loss_nats_per_token"]) for name, row in told["texts"].items())


def _facts(note: Mapping[str, Json]) -> tuple[tuple[str, str], ...]:
    runtime, resolved = (cast("dict[str, Json]", note.get(name) or {}) for name in ("runtime", "resolved"))
    facts = [(name.replace("_", " "), str(value)) for name, value in {**resolved, **runtime}.items()]
    begun = cast("dict[str, str]", note.get("begun_from") or {})
    facts += [(f"begun from ({role})", folder) for role, folder in begun.items()]
    trace = cast("dict[str, Any]", cast("dict[str, Any]", note.get("heldout") or {}).get("flatness") or {})
    if trace:
        said = f"{trace['value']:.4g}" + (
            f", standard error {trace['error']:.2g}" if trace["error"] is not None else ""
        )
        facts.append(("flatness (trace of the loss's Hessian)", f"{said}; norm gains apart {trace['gains']:.3g}"))
    epochs = cast("dict[str, float]", cast("dict[str, Any]", note["done"]).get("epochs") or {})
    for name, told in cast("dict[str, dict[str, Any]]", note["sources"]).items():
        read = f", {epochs[name]:.2f} epochs" if name in epochs else ""
        facts.append((f"source {name}", f"{told['documents']}, tokens {told['fingerprints']['tokens'][:12]}{read}"))
    return tuple(facts)
