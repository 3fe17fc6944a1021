"""What reading a crawl and extracting its pages costs over the libraries underneath: MB of HTML per CPU-second.

    python benchmarks/speed/curate/extract.py --corpus DIR [--megabytes 60] [--repeats 5]

DIR/warc/*.warc.gz holds response records. Ours and theirs take turns, page by page, so that a busy machine slows both
alike. "Theirs" gets what it needs for nothing: fastwarc no HTTP and no checks, resiliparse the pages as decoded text,
and XHTML spelt as HTML, without which it loses text and time alike.
Writes benchmarks/results/speed_extract.csv with medians; CPU-seconds count child processes too.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fastwarc.warc import ArchiveIterator, WarcRecordType
from resiliparse.extract.html2text import extract_plain_text

from seedbed.curate.contract import Extractor, Record
from seedbed.curate.extractors.all_text import AllText
from seedbed.curate.extractors.main_content import MainContent
from seedbed.curate.readers.warc import Warc
from seedbed.text.markup.cost import is_xhtml, open_empty_elements
from seedbed.text.markup.decoding import decode_html

RESULTS = Path(__file__).parents[2] / "results" / "speed_extract.csv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=os.environ.get("SEEDBED_CORPUS"))
    parser.add_argument("--megabytes", type=float, default=60)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    files = sorted(Path(asked.corpus).glob("warc/*.warc.gz"))
    pages, total = sampled(files, asked.megabytes * 1e6)
    texts = [as_html(page) for page in pages]
    size = sum(len(page.content) for page in pages) / 1e6
    rows: list[list[object]] = []

    def note(step: str, megabytes: float, ours: list[float], theirs: list[float], library: str) -> None:
        pair = statistics.median(ours), statistics.median(theirs)
        over = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        numbers = [f"{megabytes / spent:.1f}" for spent in pair]
        rows.append([step, library, f"{megabytes:.1f}", len(ours), *numbers, f"{over:.3f}"])
        print(*rows[-1], flush=True)

    for step, extractor, main_content in (("main_content", MainContent(), True), ("all_text", AllText(), False)):
        ours, theirs = in_turns(
            asked.repeats,
            range(len(pages)),
            lambda i: (pages[i], fresh(texts[i])),
            lambda pair, e=extractor: extracted(e, pair[0]),
            lambda pair, m=main_content: extract_plain_text(pair[1], main_content=m, alt_texts=False),
        )
        note(step, size, ours, theirs, "resiliparse")
    ours, theirs = in_turns(asked.repeats, files, lambda f: f, lambda f: sum(1 for _ in Warc().records(f)), responses)
    note("read warc", total / 1e6, ours, theirs, "fastwarc")
    with RESULTS.open("w", newline="") as out:
        writer = csv.writer(out)
        columns = ("ours_mb_per_cpu_second", "library_mb_per_cpu_second", "cpu_seconds_over_library")
        writer.writerow(["step", "library", "html_megabytes", "repeats", *columns])
        writer.writerows(rows)


def sampled(files: list[Path], wanted_bytes: float) -> tuple[list[Record], int]:
    """Every n-th page, so that about `wanted_bytes` are held; and the bytes of all pages."""
    total = sum(len(record.content) for record in html(files))
    every = max(round(total / wanted_bytes), 1)
    return [record for i, record in enumerate(html(files)) if i % every == 0], total


def html(files: list[Path]) -> Iterator[Record]:
    return (record for file in files for record in Warc().records(file) if record.kind == "html")


def as_html(page: Record) -> str:
    """The text that the extractors give to resiliparse."""
    text, utf8 = decode_html(page.content, page.charset)
    return open_empty_elements(utf8).decode() if is_xhtml(utf8) else text


def extracted(extractor: Extractor, page: Record) -> str:
    try:
        return extractor.extract(page)
    except ValueError:
        return ""


def responses(file: Path) -> int:
    """All response bodies of a file, by fastwarc alone."""
    with file.open("rb") as stream:
        records: Any = ArchiveIterator(stream, record_types=WarcRecordType.response, parse_http=False)
        return sum(len(record.reader.read()) for record in records)


def fresh(text: str) -> str:
    """The same text as a new object: Python remembers the UTF-8 of one that was extracted before."""
    return "".join((text[:1], text[1:]))


def in_turns(
    repeats: int,
    items: Any,
    prepare: Callable[[Any], Any],
    ours: Callable[[Any], object],
    theirs: Callable[[Any], object],
) -> tuple[list[float], list[float]]:
    """CPU-seconds of both over all items, a number a repeat; after a warm-up, and in changing order."""
    spent: tuple[list[float], list[float]] = ([], [])
    for repeat in range(-1, repeats):
        sums = [0.0, 0.0]
        for n, item in enumerate(list(items)[: 20 if repeat < 0 else None]):
            given = prepare(item)
            for which in (0, 1) if (n + repeat) % 2 else (1, 0):
                start = cpu_seconds()
                (ours, theirs)[which](given)
                sums[which] += cpu_seconds() - start
        if repeat >= 0:
            spent[0].append(sums[0])
            spent[1].append(sums[1])
    return spent


def cpu_seconds() -> float:
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


if __name__ == "__main__":
    main()
