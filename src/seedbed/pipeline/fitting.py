"""Laws fitted to tables of runs, and read back from the file they were stored in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from seedbed import catalogue
from seedbed.core.artifact import write_text
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import hash_file
from seedbed.core.parameters import Json

if TYPE_CHECKING:
    from seedbed.predict.contract import FittedLaw, Law

SHELF = "predict.laws"


def fit(
    runs: str | Path,
    law: str = "chinchilla",
    settings: Mapping[str, Json] | None = None,
    *,
    only: Sequence[str] = (),
    out: str | Path | None = None,
) -> FittedLaw:
    """A law, by name or path, fitted to CSV or Parquet; `only` keeps rows by COLUMN=VALUE, `out` stores the fit."""
    from seedbed.predict import run

    file = Path(runs)
    fitted = run.fit(build(law, settings or {}), run.only(run.read_runs(file), only), str(file))
    if out is not None:
        store(fitted, file, Path(out))
    return fitted


def store(fitted: FittedLaw, runs: Path, out: Path) -> None:
    """Write fit.json: the fit, and the hash of the table it came from. Raises SeedbedError where it cannot."""
    try:
        write_text(out, json.dumps(told(fitted, runs), indent=1) + "\n")
    except OSError as error:
        raise SeedbedError(
            str(out), f"cannot be written ({error.strerror})", "Name a file in a folder here."
        ) from error


def build(law: str, settings: Mapping[str, Json]) -> Law:
    """A law by its name or path. Raises RecipeError for a name or a setting that there is not."""
    from seedbed.predict.contract import Law

    return cast(Law, catalogue.build(Law, {f"{SHELF}.{law}" if "." not in law else law: dict(settings)}, "law"))


def told(fitted: FittedLaw, runs: Path) -> dict[str, Json]:
    """What fit.json holds."""
    return {**fitted.to_json(), "data_hash": hash_file(runs)}


def load_fit(fitted: str | Path) -> FittedLaw:
    """The law in a fit.json. Raises SeedbedError for a file that holds none."""
    from seedbed.predict.contract import Law

    stored = read_fit(Path(fitted))
    settings = stored.get("parameters", {})
    law = cast(Law, catalogue.build(Law, {str(stored["law"]): settings}, "law"))
    if stored.get("version") != law.version:
        what = f"was fitted by version {stored.get('version')} of {law.name()}, and this is version {law.version}"
        raise SeedbedError(str(fitted), what, "Fit it again.")
    return law.load(stored)


def read_fit(file: Path) -> dict[str, Json]:
    """What a fit.json holds. Raises SeedbedError for a file that is none."""
    stored = _read_json(file)
    if not isinstance(stored, dict) or not isinstance(cast("dict[str, Json]", stored).get("law"), str):
        mend = "Make one with `seedbed predict fit RUNS.csv --out fit.json`."
        raise SeedbedError(str(file), "is no fitted law", mend)
    return cast("dict[str, Json]", stored)


def facts_of(fitted: FittedLaw) -> list[tuple[str, str]]:
    """(what, value) about a fit, for a reader; a table of numbers has a line for each of its entries."""
    found = [line for name, value in fitted.facts.items() if name != "domain" for line in _lines(name, value)]
    domain = cast("dict[str, list[float]]", fitted.facts.get("domain", {}))
    return found + [(f"{name} of the runs", f"{ends[0]:.5g} to {ends[1]:.5g}") for name, ends in domain.items()]


def _lines(name: str, value: Json) -> list[tuple[str, str]]:
    title = name.replace("_", " ")
    if isinstance(value, dict):
        return [line for inner, each in value.items() for line in _lines(f"{title}, {inner}", each)]
    if isinstance(value, list):
        is_table = any(isinstance(each, dict) for each in value)
        return [(title, f"{len(value)} rows, with --json" if is_table else ", ".join(_said(each) for each in value))]
    return [(title, f"{value:.7g}" if name.endswith("objective") and isinstance(value, float) else _said(value))]


def _said(value: Json) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise SeedbedError(str(file), f"cannot be read as JSON ({said})", "Name the file it was stored in.") from error
