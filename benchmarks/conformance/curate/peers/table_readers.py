"""The peer's side of readers.py: one reader opens every layout of a curated folder and says what it saw.

Prints a line of JSON a layout. Only READERS and `digest` are used where the peers are not installed.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

READERS = ("pyspark", "datasets", "pandas", "duckdb")
Rows = list[dict[str, Any]]
Seen = tuple[dict[str, str], Rows]


def digest(rows: Iterable[dict[str, Any]]) -> str:
    """A hash of the rows in any order; metadata counts as the object that it is, whether a text holds it or not."""
    hashes: list[str] = []
    for row in rows:
        metadata = row.get("metadata") or {}
        plain = {**row, "metadata": json.loads(metadata) if isinstance(metadata, str) else metadata}
        told = json.dumps(plain, sort_keys=True, ensure_ascii=True, default=str)
        hashes.append(hashlib.sha256(told.encode()).hexdigest())
    return hashlib.sha256("".join(sorted(hashes)).encode()).hexdigest()


def main() -> None:
    reader, run, folder = sys.argv[1:]
    artifact = next(each.path for each in os.scandir(f"{run}/artifacts") if each.name.startswith("documents-kept"))
    layouts = {
        "documents/": (f"{run}/documents", "parquet"),
        "documents/*.parquet": (f"{run}/documents/*.parquet", "parquet"),
        "artifacts/documents-kept-*/": (artifact, "parquet"),
        "artifacts/documents-kept-*/*.parquet": (f"{artifact}/*.parquet", "parquet"),
        "jsonl.zst": (f"{folder}/jsonl.zst/*.jsonl.zst", "json"),
        "jsonl.gz": (f"{folder}/jsonl.gz/*.jsonl.gz", "json"),
    }
    ways = WAYS[reader]()
    for what, (path, kind) in layouts.items():
        for how, read in ways[kind].items():
            told: dict[str, Any] = {"reader": reader, "version": importlib.metadata.version(reader)}
            told |= {"what": what, "kind": kind, "how": how, "opened": True}
            try:
                types, rows = read(path)
                told |= {"types": types, "rows": len(rows), "digest": digest(rows)}
            except Exception as error:  # what a reader raises is what is asked
                told |= {"opened": False, "error": f"{type(error).__name__}: {first_sentence(error)}"}
            print(json.dumps(told), flush=True)


def first_sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error.__cause__ or error).splitlines() if line.strip()]
    told = next((line for line in lines if "[" in line), lines[0] if lines else "")  # Spark's own, below Py4J's
    return re.split(r" (?:while reading )?(?:file|from) '?(?:file:)?/", told)[0][:160]


def with_pyspark() -> dict[str, dict[str, Callable[[str], Seen]]]:
    from pyspark.sql import SparkSession

    session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    spark = session.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")

    def seen(frame: Any) -> Seen:
        return dict(frame.dtypes), [row.asDict(recursive=True) for row in frame.collect()]

    schema = "id string, text string, url string, source string, language string, date string, file string, "
    schema += "offset bigint, metadata string"
    return {
        "parquet": {"spark.read.parquet": lambda path: seen(spark.read.parquet(path))},
        "json": {"spark.read.schema.json": lambda path: seen(spark.read.schema(schema).json(path))},
    }


def with_datasets() -> dict[str, dict[str, Callable[[str], Seen]]]:
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    import datasets

    datasets.disable_progress_bars()

    def loaded(kind: str, path: str, *, streaming: bool) -> Seen:
        where = {"data_files": path} if "*" in path else {"data_dir": path}
        data: Any = datasets.load_dataset(kind, split="train", streaming=streaming, **where)
        rows = list(data)
        features = data.features or {}
        return {name: str(getattr(feature, "dtype", feature)) for name, feature in features.items()}, rows

    def folder(path: str) -> Seen:
        data: Any = datasets.load_dataset(path.rpartition("/")[0] if "*" in path else path, split="train")
        return {name: str(getattr(feature, "dtype", feature)) for name, feature in data.features.items()}, list(data)

    return {
        kind: {
            f'load_dataset("{kind}")': lambda path, kind=kind: loaded(kind, path, streaming=False),
            f'load_dataset("{kind}", streaming=True)': lambda path, kind=kind: loaded(kind, path, streaming=True),
            "load_dataset(FOLDER)": folder,
        }
        for kind in ("parquet", "json")
    }


def with_pandas() -> dict[str, dict[str, Callable[[str], Seen]]]:
    import pandas

    def files(pattern: str) -> list[Path]:
        return sorted(Path(pattern).parent.glob(Path(pattern).name)) if "*" in pattern else [Path(pattern)]

    def seen(frame: Any) -> Seen:
        return {name: str(kind) for name, kind in frame.dtypes.items()}, frame.to_dict("records")

    def parquet(path: str) -> Seen:
        return seen(pandas.concat(map(pandas.read_parquet, files(path))))

    def lines(path: str) -> Seen:
        exactly = {"lines": True, "convert_dates": False, "dtype": False}
        return seen(pandas.concat(pandas.read_json(file, **exactly) for file in files(path)))

    return {"parquet": {"pandas.read_parquet": parquet}, "json": {"pandas.read_json(lines=True)": lines}}


def with_duckdb() -> dict[str, dict[str, Callable[[str], Seen]]]:
    import duckdb

    columns = dict.fromkeys(("id", "text", "url", "source", "language", "date", "file"), "varchar")
    columns |= {"offset": "bigint", "metadata": "json"}

    def seen(path: str, function: str = "read_parquet", options: str = "") -> Seen:
        path = path if "*" in path else f"{path}/*.parquet"
        found: Any = duckdb.sql(f"select * from {function}('{path}'{options})")
        names = found.columns
        return (
            {name: str(kind) for name, kind in zip(names, found.types, strict=True)},
            [dict(zip(names, row, strict=True)) for row in found.fetchall()],
        )

    return {
        "parquet": {"read_parquet": seen},
        "json": {"read_json(columns=...)": lambda path: seen(path, "read_json", f", columns={columns}")},
    }


WAYS = {"pyspark": with_pyspark, "datasets": with_datasets, "pandas": with_pandas, "duckdb": with_duckdb}

if __name__ == "__main__":
    main()
