"""PDF: the text of a document as its pages show it.

What      Reads a .pdf file as one document: the text of its pages in order, pages apart by an empty line.
Source    none; the format is ISO 32000; the text is that of PDFium, the renderer of Chromium, through pypdfium2.
Formula   text = pages joined by an empty line, less the hyphen and the break where PDFium says a word goes on
Shapes    file -> 1 record
Units     max_record_bytes: bytes of the file; max_text_bytes: bytes of the text; max_pages: pages
Fidelity  Exact, as PDFium reads. Running heads, page numbers and captions stay; the order of columns is PDFium's;
          pictures of text are not read.
Errors    Error records: too_large, too_many_pages, encrypted (a password is needed), corrupt_pdf. A document without
          text (a scan) is dropped as no_text, an empty file as empty_body. Without the library check raises
          SeedbedError.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar

from annotated_types import Ge

from seedbed.core import optional
from seedbed.core.dates import utc
from seedbed.curate.contract import Record
from seedbed.curate.whole_file import WholeFileReader, metadata_of

_WORD_GOES_ON = re.compile("[\ufffe\u0002]\r?\n?")
_PASSWORD_ERROR = 4
_MOMENT = re.compile(
    r"D:(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)(?:(?P<time>\d{6})(?:(?P<zone>[+-]\d\d)'?(?P<minutes>\d\d)?)?)?"
)


@dataclasses.dataclass(frozen=True)
class Pdf(WholeFileReader):
    """Args: max_...: larger documents are errors."""

    max_record_bytes: Annotated[int, Ge(1)] = 64 << 20
    max_text_bytes: Annotated[int, Ge(1)] = 32 << 20
    max_pages: Annotated[int, Ge(1)] = 10_000

    libraries: ClassVar[tuple[str, ...]] = ("pypdfium2",)
    suffixes: ClassVar[tuple[str, ...]] = (".pdf",)

    def check(self, file: Path) -> None:
        """Raise SeedbedError where the library is not installed."""
        _pdfium(file)

    def record(self, file: Path, content: bytes) -> Record:
        """The document."""
        if not content:
            return Record(0, content, "drop", reason="empty_body")
        pdfium = _pdfium(file)
        try:
            document = pdfium.PdfDocument(content)
            if len(document) > self.max_pages:
                message = f"{len(document)} pages where at most {self.max_pages} are read"
                return Record(0, content, "error", error=("too_many_pages", message))
            about = {key: str(value) for key, value in document.get_metadata_dict(skip_empty=True).items()}
            text = self._text(document)
        except pdfium.PdfiumError as error:
            kind = "encrypted" if getattr(error, "err_code", None) == _PASSWORD_ERROR else "corrupt_pdf"
            return Record(0, content, "error", error=(kind, str(error)))
        if text is None:
            message = f"more than {self.max_text_bytes} bytes of text"
            return Record(0, content, "error", error=("too_large", message))
        if not text.strip():
            return Record(0, content, "drop", reason="no_text")
        metadata = metadata_of({name.lower(): about.get(name, "") for name in ("Title", "Author", "Producer")})
        date = _moment(about.get("ModDate") or about.get("CreationDate", ""))
        return Record(0, content, "text", text=text, date=date, metadata=metadata)

    def _text(self, document: Any) -> str | None:
        """The text, or None where there is too much of it."""
        pages: list[str] = []
        size = 0
        for page in document:
            shown = page.get_textpage()
            found = _WORD_GOES_ON.sub("", str(shown.get_text_bounded(errors="replace"))).replace("\r\n", "\n")
            shown.close()
            page.close()
            size += len(found.encode("utf-8", "replace"))
            if size > self.max_text_bytes:
                return None
            pages.append(found.strip("\n"))
        return "\n\n".join(page for page in pages if page)


def _pdfium(file: Path) -> Any:
    return optional.load("pypdfium2", "documents", str(file))


def _moment(told: str) -> str:
    """ISO 8601 of `D:20240102030405+01'00'`, or empty."""
    found = _MOMENT.match(told)
    if found is None:
        return ""
    day = f"{found['year']}-{found['month']}-{found['day']}"
    if not found["time"]:
        return utc(day)
    hours, minutes, seconds = (found["time"][i : i + 2] for i in (0, 2, 4))
    zone = f"{found['zone']}:{found['minutes'] or '00'}" if found["zone"] else "+00:00"
    return utc(f"{day}T{hours}:{minutes}:{seconds}{zone}")
