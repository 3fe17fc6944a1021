"""The same documents for everybody: JSON Lines files of about 8 MB, cut from a corpus in its order."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

FILE_BYTES = 8_000_000


def documents(corpus: Path, language: str = "en") -> Iterator[str]:
    """The texts of one language in the order of `corpus`/**/*.jsonl: objects with `text`, and `language` at the top
    or `lang` in `metadata`."""
    for file in sorted(corpus.rglob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                if (row.get("language") or row.get("metadata", {}).get("lang", "")).startswith(language):
                    yield row["text"]


def cut(corpus: Path, megabytes: float, folder: Path) -> Path:
    """`folder` with that much text in files of about 8 MB; a smaller corpus is read again, under new ids."""
    if folder.exists():
        return folder
    folder.mkdir(parents=True)
    left, number = megabytes * 1e6, 0
    texts = itertools.chain.from_iterable(documents(corpus) for _ in itertools.count())
    while left > 0:
        size = 0.0
        with (folder / f"part-{number:05d}.jsonl").open("w", encoding="utf-8") as out:
            while size < min(FILE_BYTES, left):
                text = next(texts)
                size += len(text.encode())
                key = f"{number}-{out.tell()}"
                out.write(json.dumps({"id": key, "text": text}, ensure_ascii=False) + "\n")
        left -= size
        number += 1
    return folder


def text_megabytes(folder: Path) -> float:
    """MB of UTF-8 text in a folder of slices."""
    return sum(len(json.loads(line)["text"].encode()) for line in lines(folder)) / 1e6


def lines(folder: Path) -> Iterator[str]:
    """All lines, in the order in which the files are read."""
    for file in sorted(folder.glob("*.jsonl")):
        with file.open(encoding="utf-8") as opened:
            yield from opened


def ids(folder: Path) -> list[str]:
    """The ids, in that order."""
    return [json.loads(line)["id"] for line in lines(folder)]
