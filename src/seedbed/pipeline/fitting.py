"""Laws fitted to tables of runs, and read back from the file they were stored in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from seedbed import catalogue
from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json

if TYPE_CHECKING:
    from seedbed.predict.contract import FittedLaw


def fit(runs: str | Path, law: str, settings: Mapping[str, Json]) -> FittedLaw:
    """A law, by name or path, fitted to CSV or Parquet with columns params, tokens, loss."""
    from seedbed.predict.contract import Law
    from seedbed.predict.run import read_runs

    method = cast(Law, catalogue.build(Law, {f"predict.laws.{law}" if "." not in law else law: dict(settings)}, "law"))
    return method.fit(read_runs(Path(runs)))


def load_fit(fitted: str | Path) -> FittedLaw:
    """The law in a fit.json. Raises SeedbedError for a file that holds none."""
    from seedbed.predict.contract import Law

    told = cast("dict[str, Json]", _read_json(Path(fitted)))
    if not isinstance(told.get("law"), str):
        mend = "Make one with `seedbed predict fit RUNS.csv --out fit.json`."
        raise SeedbedError(str(fitted), "is no fitted law", mend)
    law = cast(Law, catalogue.build(Law, f"predict.laws.{told['law']}", "law"))
    return law.load(told)


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise SeedbedError(str(file), f"cannot be read as JSON ({said})", "Name the file it was stored in.") from error
