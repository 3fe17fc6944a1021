"""What the curations of web pages have in common."""

from __future__ import annotations

from seedbed.curate.contract import CurateStep, Extractor
from seedbed.curate.plan import CuratePlan
from seedbed.curate.readers.docx import Docx
from seedbed.curate.readers.epub import Epub
from seedbed.curate.readers.html import Html
from seedbed.curate.readers.jsonl import Jsonl
from seedbed.curate.readers.parquet import Parquet
from seedbed.curate.readers.pdf import Pdf
from seedbed.curate.readers.text import Text
from seedbed.curate.readers.warc import Warc
from seedbed.curate.survivors.longest import Longest


def pages(extractor: Extractor, *steps: CurateStep) -> CuratePlan:
    """Crawls, saved pages, documents and text that was extracted elsewhere; of duplicates the longest is kept.

    A reader whose library is missing says so when it meets a file, and not before.
    """
    return CuratePlan(
        readers=(Warc(), Html(), Jsonl(), Parquet(), Text(), Pdf(), Docx(), Epub()),
        extractor=extractor,
        steps=steps,
        survivors=(Longest(),),
    )
