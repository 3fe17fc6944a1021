"""Ask a peer's own code, in an interpreter of its own: texts go in as JSON lines, its numbers come back as JSON lines.

Both sides import this file. The asking side has Seedbed and calls `ask`; a peer's script has the peer and calls
`answer`. Only the standard library is used, because the peer's interpreter has no Seedbed in it.
"""

from __future__ import annotations

import heapq
import json
import math
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

Answer = dict[str, Any]
LANGUAGES = ("en", "de", "es", "fr", "ru", "el", "hi", "ko", "ja", "zh")


def sample(corpus: Path, documents: int, languages: Sequence[str] = LANGUAGES) -> list[tuple[str, str]]:
    """(language, text) of an equal share of documents a language, always the same ones; `corpus` holds *.jsonl files.

    A line is an object with `text`, and `language` at the top or `lang` in its `metadata`.
    """
    share = -(-documents // len(languages))
    chosen: dict[str, list[tuple[int, int, str]]] = {language: [] for language in languages}
    line_number = 0
    for file in sorted(corpus.rglob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                line_number += 1
                row = json.loads(line)
                heap = chosen.get(row.get("language") or row.get("metadata", {}).get("lang", ""))
                if heap is None:
                    continue
                item = (-zlib.crc32(row["text"].encode("utf-8", "surrogatepass")), line_number, row["text"])
                if len(heap) < share:
                    heapq.heappush(heap, item)
                else:
                    heapq.heappushpop(heap, item)
    return [(language, text) for language in languages for _, _, text in sorted(chosen[language], reverse=True)]


def ask(python: str, script: Path, texts: Iterable[str], *options: str) -> list[Answer]:
    """What `script` answers to each text, run by the interpreter `python`."""
    with tempfile.TemporaryDirectory() as folder:
        questions, answers = Path(folder, "questions.jsonl"), Path(folder, "answers.jsonl")
        with questions.open("w", encoding="ascii") as out:
            out.writelines(json.dumps({"text": text}) + "\n" for text in texts)
        subprocess.run([python, str(script), str(questions), str(answers), *options], check=True)
        with answers.open(encoding="ascii") as lines:
            return [json.loads(line) for line in lines]


def answer(measure: Callable[[str], Answer]) -> None:
    """The peer's side: write `measure(text)` for each line of the first file argument to the second."""
    with Path(sys.argv[1]).open(encoding="ascii") as questions, Path(sys.argv[2]).open("w", encoding="ascii") as out:
        for line in questions:
            out.write(json.dumps(measure(json.loads(line)["text"])) + "\n")


class Recorder:
    """A threshold that breaks no rule and writes down what it is compared with: the peer's number, from its own code.

    Args:
        name: the key in `seen` that the number gets; the last comparison counts.
    """

    __array_ufunc__ = None  # numpy scalars then leave the comparison to this class

    def __init__(self, name: str, seen: Answer, times: float = 1) -> None:
        self.name, self.seen, self.times = name, seen, times

    def _note(self, number: float) -> bool:
        if not math.isnan(number):  # the mean of nothing
            self.seen[self.name] = float(number) / self.times
        return False

    def __mul__(self, times: float) -> Recorder:
        """The threshold as a count: the number is divided again."""
        return Recorder(self.name, self.seen, max(times, 1))

    __lt__ = __gt__ = __le__ = __ge__ = _note
    __hash__ = None  # type: ignore[assignment]
